"""A file that grows at its end, and outlasts a disk that is full for a while."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from common.errors import RunFailed

MOST_HELD_BYTES = 64 << 20
"""So much waits in memory for room on the disk; beyond it the run fails."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class AppendedFile:
    """A file open for appending. What finds no room waits in memory, in order, and is written later.

    Args:
        path: the file. mode: how to open it, such as ``xb`` for one that must be new.
        most_held_bytes: so much may wait.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, mode: str, most_held_bytes: int = MOST_HELD_BYTES) -> None:
        self._path = path
        # Unbuffered: after a write that was cut short it must be known where the file ends.
        self._file = path.open(mode, buffering=0)
        self._held = bytearray()
        self._most_held_bytes = most_held_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes that wait for room on the disk; 0 in good times."""
        return len(self._held)

    @property
    def number(self) -> int:
        """The system's number of the open file."""
        return self._file.fileno()

    @property
    def n_bytes(self) -> int:
        """Its length on the disk."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def append(self, data: bytes) -> None:
        """Write what waits, then ``data``; hold back what finds no room.

        Raises:
            RunFailed: the file cannot be written for another reason, or too much waits already.
        """
        self._held += data
        try:
            while self._held:
                del self._held[: self._file.write(self._held)]
        except OSError as error:
            if error.errno not in _FULL or len(self._held) > self._most_held_bytes:
                raise self._failed(error) from None

    def close(self) -> None:
        """Close the file; closing twice is no harm.

        Raises:
            RunFailed: there is no room for what waits.
        """
        if self._file.closed:
            return
        try:
            self.append(b"")
        finally:
            self._file.close()
        if self._held:
            raise self._failed(OSError(errno.ENOSPC, "No space left on device"))

    def _failed(self, error: OSError) -> RunFailed:
        waiting = f", with {len(self._held)} bytes to go" if error.errno in _FULL else ""
        return RunFailed(f"cannot write {self._path}: {error.strerror or error}{waiting}")
