"""Rows are fetched once, whatever the plans that need them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from common.codes.base import GradientCode
from common.datasets.base import chunk_range
from common.spec import make_code
from common.wire.frames import DataOrder, RowRange
from worker.rowstore import RowStore

R, FEATURES = 840, 5
X = np.random.default_rng(1).normal(size=(R, FEATURES))
Y = np.arange(R, dtype=np.float64)


def order_of(code: GradientCode, place: int, sparse: bool = False, digest: str = "d") -> DataOrder:
    chunks = code.assignment.orders[place]
    ranges = tuple(RowRange(chunk, *chunk_range(chunk, code.n_chunks, R)) for chunk in chunks)
    return DataOrder(digest, FEATURES, sparse, ranges)


def rows_in(order: DataOrder) -> set[int]:
    return {row for each in order.ranges for row in range(each.begin, each.end)}


def load(store: RowStore, order: DataOrder, dtype: str = "float64") -> int:
    """What a worker does at a Welcome. Returns how many rows it fetched."""
    n_rows = 0
    for each in store.missing(order, dtype):
        part: Any = X[each.begin : each.end].copy()
        store.put(
            order, each, dtype, (csr_matrix(part) if order.sparse else part, Y[each.begin : each.end].copy())
        )
        n_rows += each.end - each.begin
    found = store.rows_of(order, dtype)
    assert list(found) == [each.chunk for each in order.ranges]
    for each in order.ranges:
        rows, labels = found[each.chunk]
        dense = rows.toarray() if order.sparse else rows
        assert dense.dtype == dtype
        np.testing.assert_array_equal(dense, X[each.begin : each.end].astype(dtype))
        np.testing.assert_array_equal(labels, Y[each.begin : each.end])
    assert store.missing(order, dtype) == []
    return n_rows


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("text", ["uncoded(n)", "cyclic_repetition(n, 2)", "scheduled(n, 3, 4)"])
def test_scaling_8_7_8_moves_exactly_the_rows_that_are_new(text, sparse):
    """Expected by sets of rows, without the store."""
    plans = [make_code(text, n) for n in (8, 7, 8)]
    fetched, expected = 0, 0
    for place in range(7):
        store = RowStore()
        orders = [order_of(plan, place, sparse) for plan in plans]
        fetched += sum(load(store, order) for order in orders)
        first, second = rows_in(orders[0]), rows_in(orders[1])
        # The rows of the order before are still there: nothing is fetched on the way back.
        expected += len(first) + len(second - first)
    assert fetched == expected


def test_what_two_orders_have_no_use_for_is_forgotten():
    store = RowStore()
    orders = [order_of(make_code("uncoded(n)", 8), place) for place in (0, 3, 6)]
    for order in orders:
        load(store, order)
    assert store.n_rows == len(rows_in(orders[1]) | rows_in(orders[2]))
    assert load(store, orders[0]) == len(rows_in(orders[0]))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_whatever_plans_follow_each_other_rows_are_right_and_bounded(sparse):
    rng = random.Random(3)
    store = RowStore()
    before: set[int] = set()
    for _ in range(60):
        n = rng.randint(2, 12)
        text = rng.choice(["uncoded(n)", "cyclic_repetition(n, 1)", "scheduled(n, 2, 3)"])
        order = order_of(make_code(text, n), rng.randrange(n), sparse)
        needed = rows_in(order)
        fetched = load(store, order)
        assert fetched <= len(needed)
        if needed <= before:
            assert fetched == 0
        # Intervals are kept whole, and none is longer than the longest chunk.
        assert store.n_rows <= len(needed | before) + 2 * R // 2
        assert sum(len(each.rows[1]) for each in store._intervals) == store.n_rows
        before = needed


def test_a_chunk_within_an_interval_is_a_view_of_it():
    store = RowStore()
    load(store, order_of(make_code("uncoded(n)", 2), 0))
    half = order_of(make_code("uncoded(n)", 4), 1)
    assert load(store, half) == 0
    ((rows, _),) = store.rows_of(half, "float64").values()
    assert any(np.shares_memory(rows, each.rows[0]) for each in store._intervals)


def test_a_chunk_of_several_intervals_is_kept_once():
    store = RowStore()
    fours = order_of(make_code("uncoded(n)", 4), 1)
    for place in (0, 1):
        load(store, order_of(make_code("uncoded(n)", 4), place))
    third = order_of(make_code("uncoded(n)", 3), 0)
    assert load(store, third) == 0
    assert store.n_rows == 420
    # The rest of the second quarter is its own array now.
    assert load(store, fours) == 0
    assert store.n_rows == 420


def test_another_training_set_or_dtype_starts_anew():
    store, plan = RowStore(), make_code("uncoded(n)", 8)
    load(store, order_of(plan, 0))
    assert load(store, order_of(plan, 0, digest="other")) == 105
    assert load(store, order_of(plan, 0, digest="other"), "float32") == 105
    assert store.n_rows == 105


def test_what_was_loaded_ahead_waits_for_its_order():
    store, plan = RowStore(), make_code("cyclic_repetition(n, 1)", 8)
    ahead, other = order_of(plan, 5), order_of(plan, 1)
    for each in store.missing(ahead, "float64"):
        store.put(ahead, each, "float64", (X[each.begin : each.end].copy(), Y[each.begin : each.end].copy()))
    load(store, other)
    assert load(store, ahead) == 0


def test_when_memory_is_short_only_what_is_needed_stays():
    store, plan = RowStore(), make_code("uncoded(n)", 8)
    load(store, order_of(plan, 0))
    store.forget_all_but(order_of(plan, 3))
    assert store.n_rows == 0
    load(store, order_of(plan, 3))
    store.forget_all_but(order_of(plan, 3))
    assert store.n_rows == 105
