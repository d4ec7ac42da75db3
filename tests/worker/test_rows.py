"""A worker keeps the rows of its place, and forgets all others."""

from __future__ import annotations

import numpy as np

from common.wire.frames import DataOrder, RowRange
from worker.rows import RowCache


def order(*chunks: int, digest: str = "d") -> DataOrder:
    return DataOrder(digest, 2, False, tuple(RowRange(chunk, 5 * chunk, 5 * chunk + 5) for chunk in chunks))


def filled(cache: RowCache, wanted: DataOrder) -> None:
    for each in cache.missing(wanted, "float64"):
        rows = np.full((5, 2), float(each.chunk)), np.zeros(5)
        cache.put(wanted, each, "float64", rows)


def test_only_what_is_missing_is_fetched_and_what_no_place_needs_is_forgotten():
    cache = RowCache()
    filled(cache, order(1, 2, 3))
    cache.rows_of(order(1, 2, 3), "float64")
    later = order(3, 4)
    assert [each.chunk for each in cache.missing(later, "float64")] == [4]
    filled(cache, later)
    rows = cache.rows_of(later, "float64")
    assert {chunk: X[0, 0] for chunk, (X, _) in rows.items()} == {3: 3.0, 4: 4.0}
    assert [each.chunk for each in cache.missing(order(1, 2, 3, 4), "float64")] == [1, 2]


def test_other_data_or_another_dtype_are_other_rows():
    cache = RowCache()
    filled(cache, order(1))
    assert cache.missing(order(1), "float64") == []
    assert len(cache.missing(order(1), "float32")) == 1
    assert len(cache.missing(order(1, digest="e"), "float64")) == 1
