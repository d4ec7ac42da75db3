from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import InvalidSpec
from common.tokens import read_token


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
