"""The protocol's files pass buf's STANDARD lint and are in buf's form."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROTOS = Path(__file__).resolve().parents[3] / "protos"


@pytest.mark.parametrize("check", [["lint"], ["format", "--diff", "--exit-code"]], ids=["lint", "format"])
def test_buf_has_nothing_to_say(check, needs_tool):
    buf = needs_tool("buf")
    done = subprocess.run([buf, *check], cwd=PROTOS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
