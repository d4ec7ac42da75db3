from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InvalidSpec
from common.toml import parse_value, read_toml, write_table, write_value

SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_written_is_read_again(values):
    assert tomllib.loads(write_table(values, {})) == values


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_a_value_is_parsed_as_it_was_written(value):
    assert parse_value(write_value(value)) == value


def test_long_lists_get_a_line_an_entry():
    text = write_value([{"place": place, "kind": "freeze"} for place in range(4)])
    assert text.count("\n") == 5
    assert tomllib.loads(f"x = {text}")["x"][3] == {"place": 3, "kind": "freeze"}


def test_tables_come_after_values_with_their_notes():
    text = write_table(
        {"deep": {"x": 1, "deeper": {"y": None}}, "name": "a"},
        {"deep.": "a table", "deep.deeper.": "", "deep.x": "a number", "name": "a text"},
    )
    assert text == ('# a text\nname = "a"\n\n# a table\n[deep]\n# a number\nx = 1\n\n[deep.deeper]\n# y =\n')


@pytest.mark.parametrize("text", ["", "cyclic_repetition(n, 3)", "a b", "1\nb = 2", "{", '"open', "# note"])
def test_what_is_no_value_is_text(text):
    assert parse_value(text) == text


def test_what_toml_cannot_say_is_a_bug_of_the_caller():
    with pytest.raises(TypeError, match="no TOML for object"):
        write_value(object())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = 1\nb = = 2\n", "x.toml, line 2: must be TOML (Invalid value), got 'b = = 2'"),
        (b"a = 1\nb = ", "x.toml, line 2: must be TOML (Invalid value), got 'b ='"),
        (b"a = 1\na = 2\n", "x.toml, line 2: must be TOML (Cannot overwrite a value), got 'a = 2'"),
        (b"\xff", "experiment file: must be text in UTF-8, got 'x.toml'"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(InvalidSpec) as caught:
        read_toml("x.toml")
    assert str(caught.value) == words


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # errors shorten long paths, and the folder's may be long
    for name in ("missing.toml", "."):
        with pytest.raises(InvalidSpec, match=r"^experiment file: must be readable \(.*\), got '.*'$"):
            read_toml(Path(name))


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(tmp_path / "x.toml") == {"a": 1}
