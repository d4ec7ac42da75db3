"""What finds no room on the disk waits, and is written in order when there is room again."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.appending import AppendedFile
from common.errors import RunFailed

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def test_what_is_appended_is_there_at_once(tmp_path):
    file = AppendedFile(tmp_path / "a", "xb")
    file.append(b"one\n")
    assert (tmp_path / "a").read_bytes() == b"one\n"
    file.append(b"two\n")
    assert file.held_bytes == 0
    file.close()
    file.close()
    assert file.closed
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"


@needs_full
def test_on_a_full_disk_everything_waits_up_to_a_limit_and_closing_says_so():
    file = AppendedFile(FULL, "ab", most_held_bytes=10)
    file.append(b"123456")
    assert file.held_bytes == 6
    with pytest.raises(RunFailed, match="No space left on device, with 12 bytes to go"):
        file.append(b"123456")
    with pytest.raises(RunFailed, match="cannot write /dev/full"):
        file.close()
    assert file.closed


def test_another_error_is_not_waited_out(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    file = AppendedFile(tmp_path / "a", "rb")
    with pytest.raises(RunFailed, match="not open for writing"):
        file.append(b"x")


def test_a_line_that_was_cut_short_is_completed_when_there_is_room_again(tmp_path, small_disk):
    disk = small_disk(tmp_path / "disk", 64 << 10)
    (disk.folder / "most").write_bytes(bytes(56 << 10))
    file = AppendedFile(disk.folder / "a", "xb")
    lines = [b"%d " % number * 1000 + b"\n" for number in range(10)]
    for line in lines:
        file.append(line)
    # Some of it fits: whole pages of memory are the blocks of this disk.
    assert 0 < file.held_bytes < sum(map(len, lines))
    (disk.folder / "most").unlink()
    file.append(b"last\n")
    assert file.held_bytes == 0
    file.close()
    assert (disk.folder / "a").read_bytes() == b"".join(lines) + b"last\n"
