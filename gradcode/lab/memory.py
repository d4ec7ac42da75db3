"""Memory of a process that keeps millions of small objects alive."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
