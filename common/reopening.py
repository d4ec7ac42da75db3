"""A run's folder that is taken up again: who may, and where its files are cut."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from common.errors import InvalidSpec

PIECE_BYTES = 1 << 20


class Mark(NamedTuple):
    """How long the growing files of a run's folder are, in bytes, after some round."""

    history: int = 0
    chunks: int = 0


class Lock:
    """Holds a run's folder for this process; the system lets it go when the process ends, however it does.

    Args:
        number: of an open file of the folder; the lock outlives its closing. folder: for the error.

    Raises:
        InvalidSpec: another process holds it.
    """

    def __init__(self, number: int, folder: Path) -> None:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidSpec("run folder", "must not be in use by another master", str(folder)) from None
        self._number: int | None = os.dup(number)

    def release(self) -> None:
        """Let others have it; twice is no harm."""
        number, self._number = self._number, None
        if number is not None:
            os.close(number)


def cut(path: Path, length: int, remains: Path) -> int:
    """Shorten a file to ``length`` bytes, and append what is cut off to the file ``remains``.

    Args:
        path: of the file. length: at most its own.

    Returns:
        How many whole lines were cut off. A process that dies here cuts the same again: then ``remains`` has
        lines twice, and nothing is lost.

    Raises:
        OSError: a file cannot be written.
    """
    n_lines = 0
    with path.open("r+b") as source:
        source.seek(length)
        piece = source.read(PIECE_BYTES)
        if piece:
            with remains.open("ab") as kept:
                last = b"\n"
                while piece:
                    n_lines += piece.count(b"\n")
                    kept.write(piece)
                    last, piece = piece[-1:], source.read(PIECE_BYTES)
                if last != b"\n":
                    kept.write(b"\n")
                kept.flush()
                os.fsync(kept.fileno())
        source.truncate(length)
        os.fsync(source.fileno())
    return n_lines


def ends_a_line(path: Path, length: int) -> bool:
    """Whether the file has ``length`` bytes at least, and they are whole lines."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, length - 1))
            return file.read(1) == b"\n" if length else True
    except OSError:
        return False
