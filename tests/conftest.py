"""What all tests share: programs that some of them drive, and that not every machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TOOLS = {
    "buf": (("buf",), "npm install -g @bufbuild/buf"),
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "Debian: apt-get install chromium"),
    "prometheus": (("prometheus",), "Debian: apt-get install prometheus"),
    "promtool": (("promtool",), "Debian: apt-get install prometheus"),
}
"""Name -> what its program may be called, and where it comes from."""

REQUIRED = "GRADCODE_REQUIRE_TOOLS"
"""Set to 1, a tool that is not there is a failure and no skip."""


def tool_path(name: str) -> str:
    """The program of a tool; without it the test is skipped, or fails where tools are required."""
    programs, origin = TOOLS[name]
    found = next((path for program in programs if (path := shutil.which(program))), None)
    if found is not None:
        return found
    missing = f"{name} is not installed ({origin})"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def needs_tool() -> Callable[[str], str]:
    """``needs_tool("promtool")``: where that program is; skips, or fails if GRADCODE_REQUIRE_TOOLS=1."""
    return tool_path


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], Path]]:
    """``small_disk(folder, n_bytes)``: mounts a file system of that size on a new folder; for root only."""
    mounted: list[Path] = []

    def mount(folder: Path, n_bytes: int) -> Path:
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
