"""The training rows that a worker keeps: disjoint intervals, from which the rows of chunks are cut.

Ranges of chunks change with the plan, rows do not: what an interval covers is not fetched again. What neither
the work order in force nor the one before it needs is forgotten, so that the store holds the rows of two work
orders at most, and of ranges that were loaded ahead of the next one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.models.base import Features, in_dtype
from common.wire.frames import DataOrder, RowRange

Rows: TypeAlias = tuple[Features, NDArray[Any]]
_Key: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class _Interval:
    """The rows [begin, end), which own their memory; ``used``: by the order of that number."""

    begin: int
    end: int
    rows: Rows
    used: int


class RowStore:
    """The rows of one training set in one dtype. Cost of all methods: O(intervals + ranges), and copies."""

    def __init__(self) -> None:
        self._key: _Key = ("", "")
        self._intervals: list[_Interval] = []
        self._n_orders = 0

    @property
    def n_rows(self) -> int:
        """Rows that are kept."""
        return sum(each.end - each.begin for each in self._intervals)

    def missing(self, order: DataOrder, compute_dtype: str) -> list[RowRange]:
        """What of the ranges of ``order`` is not here, in its order; pieces of a range bear its chunk."""
        if self._key != (order.digest, compute_dtype):
            return list(order.ranges)
        gaps: list[RowRange] = []
        for each in order.ranges:
            at = each.begin
            for known in self._overlapping(each.begin, each.end):
                if known.begin > at:
                    gaps.append(RowRange(each.chunk, at, known.begin))
                at = known.end
            if at < each.end:
                gaps.append(RowRange(each.chunk, at, each.end))
        return gaps

    def put(self, order: DataOrder, wanted: RowRange, compute_dtype: str, rows: Rows) -> None:
        """Keep rows [wanted.begin, wanted.end), of which none is here, with X in the dtype of computing.

        Rows of another training set or dtype are forgotten.
        """
        key = (order.digest, compute_dtype)
        if self._key != key:
            self._key, self._intervals = key, []
        X, y = rows
        # As if the next order used them: what is loaded ahead must outlive the orders before that.
        fresh = _Interval(
            wanted.begin, wanted.end, (in_dtype(X, np.dtype(compute_dtype)), y), self._n_orders + 1
        )
        self._insert(fresh)

    def rows_of(self, order: DataOrder, compute_dtype: str) -> Mapping[int, Rows]:
        """The rows of each chunk of ``order``, all of which are here; what is not needed is forgotten.

        A chunk within one dense interval is a view of it. A chunk of several intervals, or a part of a sparse
        one, becomes an interval of its own, so that no row is kept twice.
        """
        assert self._key == (order.digest, compute_dtype), "the rows were put before"
        self._n_orders += 1
        found = {each.chunk: self._cut(each.begin, each.end) for each in order.ranges}
        self._intervals = [each for each in self._intervals if each.used >= self._n_orders - 1]
        return found

    def forget_all_but(self, order: DataOrder) -> None:
        """Memory is needed: keep nothing that ``order`` has no use for."""
        if self._key[0] != order.digest:
            self._intervals = []
        needed = {id(each) for wanted in order.ranges for each in self._overlapping(wanted.begin, wanted.end)}
        self._intervals = [each for each in self._intervals if id(each) in needed]

    # ---- intervals --------------------------------------------------------------------------------------

    def _overlapping(self, begin: int, end: int) -> list[_Interval]:
        """Those that share a row with [begin, end), ascending."""
        first = bisect_right(self._intervals, begin, key=lambda each: each.end)
        found = []
        for each in self._intervals[first:]:
            if each.begin >= end:
                break
            found.append(each)
        return found

    def _insert(self, fresh: _Interval) -> None:
        at = bisect_right(self._intervals, fresh.begin, key=lambda each: each.begin)
        self._intervals.insert(at, fresh)

    def _cut(self, begin: int, end: int) -> Rows:
        pieces = self._overlapping(begin, end)
        assert pieces, "the rows were put before"
        for each in pieces:
            each.used = self._n_orders
        (X, y), first = pieces[0].rows, pieces[0]
        if len(pieces) == 1 and (first.begin, first.end) == (begin, end):
            return X, y
        if len(pieces) == 1 and not hasattr(X, "indptr"):
            inside = slice(begin - first.begin, end - first.begin)
            return X[inside], y[inside]
        rows = _joined([_part(each, begin, end) for each in pieces])
        gone = {id(each) for each in pieces}
        self._intervals = [each for each in self._intervals if id(each) not in gone]
        for low, high, each in ((first.begin, begin, first), (end, pieces[-1].end, pieces[-1])):
            if low < high:
                self._insert(_Interval(low, high, _owned(_part(each, low, high)), each.used))
        self._insert(_Interval(begin, end, rows, self._n_orders))
        return rows


def _part(interval: _Interval, begin: int, end: int) -> Rows:
    """The rows of an interval that are in [begin, end)."""
    X, y = interval.rows
    inside = slice(max(begin, interval.begin) - interval.begin, min(end, interval.end) - interval.begin)
    return X[inside], y[inside]


def _owned(rows: Rows) -> Rows:
    """A copy, so that the interval it was cut from can be forgotten."""
    return rows[0].copy(), rows[1].copy()


def _joined(parts: Iterable[Rows]) -> Rows:
    Xs, ys = zip(*parts, strict=True)
    if hasattr(Xs[0], "indptr"):
        from scipy.sparse import vstack  # a worker without sparse rows never loads scipy

        return vstack(Xs, format="csr"), np.concatenate(ys)
    return np.concatenate(Xs), np.concatenate(ys)
