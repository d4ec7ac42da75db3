"""A test whose program is absent is skipped, and counted; where programs are required it fails."""

from __future__ import annotations

import sys

import pytest


def test_an_absent_tool_skips_and_says_where_it_comes_from(needs_tool, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GRADCODE_REQUIRE_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"promtool is not installed \(Debian: apt-get install"):
        needs_tool("promtool")


def test_an_absent_tool_fails_where_tools_are_required(needs_tool, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GRADCODE_REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception, match="buf is not installed"):
        needs_tool("buf")


def test_a_tool_is_found_under_any_of_its_names(needs_tool, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "google-chrome"
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    assert needs_tool("chromium") == str(program)
