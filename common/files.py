"""Files that are whole whatever happens: written beside, then put in place in one step."""

from __future__ import annotations

import os
from pathlib import Path

FRESH = ".new"
"""Ends the names of files that are being written."""


def replace(path: Path, data: bytes, durable: bool = False) -> None:
    """Put ``data`` in the file ``path``: a reader sees the former content or all of this.

    Args:
        durable: it also survives a power cut once this returns; costs a few milliseconds.

    Raises:
        OSError: it cannot be written; the former content is still there.
    """
    fresh = path.with_name(f".{path.name}{FRESH}")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        # What is left of it takes room on a disk that may be full.
        fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have names that were given or taken in ``folder`` survive a power cut.

    Raises:
        OSError: the disk says no.
    """
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
