from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from common.codes.base import Assignment
from common.codes.designs import neighbours, random_regular_graph
from common.codes.order_search import searched_order
from common.codes.ordering import matching_order, q_max
from common.errors import InvalidSpec


def irregular(n_workers, n_chunks, rng, share=0.7):
    held = [set(np.flatnonzero(rng.random(n_chunks) < share).tolist()) for _ in range(n_workers)]
    for chunk in range(n_chunks):
        held[int(rng.integers(n_workers))].add(chunk)
    return held


def replication(held, n_chunks):
    return min(sum(chunk in chunks for chunks in held) for chunk in range(n_chunks))


def test_small_irregular_placements_are_ordered_as_well_as_possible():
    """Against all orders of all workers: never more than 1 above the least Q_max, and nearly always at it."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(12):
        n_workers, n_chunks = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        held = irregular(n_workers, n_chunks, rng)
        for copies in range(1, replication(held, n_chunks) + 1):
            found = searched_order(held, n_chunks, copies)
            assert [sorted(order) for order in found] == [sorted(chunks) for chunks in held]
            best = min(
                q_max(Assignment(n_chunks, orders), copies)
                for orders in product(*(list(permutations(chunks)) for chunks in held))
            )
            gaps.append(q_max(Assignment(n_chunks, found), copies) - best)
    assert max(gaps) <= 1
    assert np.mean(gaps) < 0.05


@pytest.mark.parametrize("n", [200, 300])
def test_regular_placements_are_ordered_almost_as_by_matchings(n):
    held = neighbours(n, random_regular_graph(n, 8, np.random.default_rng(0)))
    for copies in (1, 2, 3):
        optimum = n * 8 - (8 - copies + 1) * (8 - copies + 2) // 2 + 1
        found = q_max(Assignment(n, searched_order(held, n, copies)), copies)
        assert optimum <= found <= optimum + 2


def test_golden_q_max_of_a_random_8_regular_graph_of_300_workers():
    held = neighbours(300, random_regular_graph(300, 8, np.random.default_rng(0)))
    matched, by_index = Assignment(300, matching_order(held)), Assignment(300, held)
    assert [q_max(matched, copies) for copies in (1, 2, 3)] == [2365, 2373, 2380]
    assert [q_max(by_index, copies) for copies in (1, 2, 3)] == [2393, 2394, 2395]


def test_large_irregular_placements_are_ordered_better_than_the_best_of_many_random_orders():
    rng = np.random.default_rng(0)
    held = irregular(60, 150, rng, share=0.2)
    assert replication(held, 150) >= 3
    for copies in (1, 2, 3):
        found = q_max(Assignment(150, searched_order(held, 150, copies)), copies)
        drawn = [
            q_max(
                Assignment(150, tuple(tuple(rng.permutation(sorted(own)).tolist()) for own in held)), copies
            )
            for _ in range(30)
        ]
        by_index = q_max(Assignment(150, tuple(tuple(sorted(own)) for own in held)), copies)
        assert found < min(drawn) < by_index


def test_it_never_makes_an_order_worse():
    rng = np.random.default_rng(1)
    for _ in range(40):
        held = [tuple(chunks) for chunks in irregular(5, 6, rng)]
        before = q_max(Assignment(6, tuple(held)))
        assert q_max(Assignment(6, searched_order(held, 6))) <= before


def test_a_chunk_needs_enough_holders():
    with pytest.raises(InvalidSpec, match="n_copies"):
        searched_order([{0, 1}, {0}], 2, n_copies=2)
    with pytest.raises(InvalidSpec, match="assignment"):
        searched_order([{0}], 2)
