from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import InvalidSpec
from common.tokens import Token, TokenFile, read_token, token_file


def test_a_token_is_one_line_without_the_space_around_it(tmp_path):
    (tmp_path / "token").write_text("  s3cret-token \n")
    assert read_token(tmp_path / "token") == "s3cret-token"
    assert read_token(None) is None


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nb", "schlüssel".encode(), b"\xff\xfe", b"a\x00b"])
def test_what_is_no_token_is_refused_without_showing_it(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(InvalidSpec, match="--token-file: must ") as caught:
        read_token(tmp_path / "token")
    assert "schl" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSpec, match=r"can be read \(No such file or directory\), got 'missing'"):
        read_token(Path("missing"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_when_the_file_changes_so_does_the_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    token = TokenFile(file)
    assert token.accepted() == ("first",)
    (tmp_path / "fresh").write_text("second\n")
    (tmp_path / "fresh").replace(file)
    assert (token.current(), token.accepted()) == ("second", ("second",))


def test_the_token_before_is_good_while_its_grace_lasts(tmp_path):
    file, clock = tmp_path / "token", Clock()
    file.write_text("first")
    token = TokenFile(file, grace_seconds=60.0, clock=clock)
    file.write_text("the second")
    assert token.accepted() == ("the second", "first")
    clock.now = 59.9
    assert token.accepted() == ("the second", "first")
    clock.now = 60.0
    assert token.accepted() == ("the second",)


def test_a_file_that_is_broken_or_gone_leaves_the_last_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    token = TokenFile(file)
    file.write_text("two\nlines")
    assert token.accepted() == ("first",)
    file.unlink()
    assert token.accepted() == ("first",)
    file.write_text("another")
    assert token.accepted() == ("another",)


def test_a_token_may_be_given_as_text_or_not_at_all():
    assert (Token("x").current(), Token("x").accepted()) == ("x", ("x",))
    assert token_file(None) is None
