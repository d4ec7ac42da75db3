"""What all tests share: programs that some of them drive, and that not every machine has."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gradcode.chaos.disk import SmallDisk, why_not

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from certificates import Certificates

TOOLS = {
    "buf": (("buf",), "npm install -g @bufbuild/buf"),
    "ip": (("ip",), "Debian: apt-get install iproute2"),
    "iptables": (("iptables",), "Debian: apt-get install iptables"),
    "tc": (("tc",), "Debian: apt-get install iproute2"),
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
def small_disk() -> Iterator[Callable[[Path, int], SmallDisk]]:
    """``small_disk(folder, n_bytes)``: a disk of that size on a new folder; skips where there can be none."""
    with contextlib.ExitStack() as stack:

        def mount(folder: Path, n_bytes: int) -> SmallDisk:
            if reason := why_not():
                pytest.skip(reason)
            return stack.enter_context(SmallDisk(folder, n_bytes))

        yield mount


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Issues real certificates, by two authorities."""
    from certificates import Certificates

    return Certificates(tmp_path_factory.mktemp("certificates"))
