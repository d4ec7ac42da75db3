"""Memory of a process that keeps millions of small objects alive."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MANY_WORKERS = 2_000
LARGE_PAGE_BYTES = 2 << 20
_HUGEPAGE, _COLLAPSE = 14, 25
"""Advice to Linux about memory: large pages from now on, and at once for what is there."""


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Leave cycles of garbage alone while this lasts: what is played leaves none behind.

    Otherwise the search goes through everything that 10,000 workers have under way, again and again, and
    takes a third of the time.
    """
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()


def ask_for_large_pages(n_workers: int) -> int:
    """Ask the system to hold this process's memory in large pages; returns how many bytes it may do so with.

    Of few workers the processor's caches hold what is under way, and nothing is asked.

    Where objects are visited in no order, much of the time goes into finding out where a page lies; of large
    pages the processor knows enough by heart. What cannot be had (on other systems than Linux, or where it is
    forbidden) changes nothing. Cost: a few tenths of a second for 250 MB the first time.
    """
    if n_workers < MANY_WORKERS or not sys.platform.startswith("linux"):
        return 0
    try:
        with Path("/proc/self/maps").open(encoding="utf-8") as file:
            regions = [region for line in file if (region := _anonymous(line)) is not None]
        madvise = ctypes.CDLL(None, use_errno=True).madvise
    except (OSError, AttributeError):
        return 0
    asked = 0
    for start, n_bytes in regions:
        where = ctypes.c_void_p(start), ctypes.c_size_t(n_bytes)
        if madvise(*where, _HUGEPAGE) == 0:
            madvise(*where, _COLLAPSE)
            asked += n_bytes
    return asked


def _anonymous(line: str) -> tuple[int, int] | None:
    """Start and bytes of a writable private region that is no file's, cut to whole large pages; or None.

    >>> _anonymous("7f0000100000-7f0000700000 rw-p 00000000 00:00 0 ")
    (139637978824704, 4194304)
    >>> _anonymous("7f0000000000-7f0000400000 r--p 00000000 08:01 7 /lib/x")
    """
    addresses, rights, _, _, inode, *name = line.split()
    if rights != "rw-p" or inode != "0" or (name and not name[0].startswith(("[heap]", "[anon"))):
        return None
    start, end = (int(text, 16) for text in addresses.split("-"))
    start += -start % LARGE_PAGE_BYTES
    end -= end % LARGE_PAGE_BYTES
    return (start, end - start) if end > start else None
