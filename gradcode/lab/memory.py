"""Memory of a process that keeps millions of small objects alive."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS = 500_000
_GENERATIONS = (20, 100)


@contextmanager
def few_collections() -> Iterator[None]:
    """Search for cycles of garbage rarely while this lasts: what is played leaves none behind.

    Otherwise the search goes through everything that 10,000 workers have under way again and again, and
    takes a third of the time.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, *_GENERATIONS)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
