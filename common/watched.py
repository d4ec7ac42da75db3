"""Whether files have changed since somebody looked."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def stamp(*paths: Path) -> Stamp:
    """What changes when one of the files is written or replaced; None in place of one that is not there.

    Links are followed, so that a mounted secret whose link is turned to other files has changed.
    """
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
