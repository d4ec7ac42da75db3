from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Assignment
from common.codes.frames import (
    balanced_signs,
    colours,
    cosine_frame,
    hadamard,
    least_hadamard_order,
    random_frame,
    random_signs,
    survives,
)
from common.codes.partial_stragglers import partial_stragglers
from common.errors import InvalidSpec


@pytest.mark.parametrize(("n_rows", "n_parts"), [(1, 1), (3, 3), (5, 2), (8, 4), (12, 5)])
def test_any_rows_of_the_cosine_frame_are_independent(n_rows, n_parts):
    frame = cosine_frame(n_rows, n_parts)
    np.testing.assert_allclose(frame.T @ frame, n_rows * np.eye(n_parts), atol=1e-12)
    smallest = min(
        np.linalg.svd(frame[list(rows)], compute_uv=False)[-1]
        for rows in combinations(range(n_rows), n_parts)
    )
    assert smallest > 1e-4


@pytest.mark.parametrize(("members", "parts", "condition"), [(4, 2, 5.0), (6, 3, 32), (8, 4, 237)])
def test_condition_of_the_worst_minor_of_the_cosine_frame(members, parts, condition):
    frame = cosine_frame(members, parts)
    worst = max(np.linalg.cond(frame[list(rows)]) for rows in combinations(range(members), parts))
    assert worst == pytest.approx(condition, rel=0.02)


@pytest.mark.parametrize("order", [1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 44, 64, 108])
def test_hadamard_matrices(order):
    H = hadamard(order)
    np.testing.assert_array_equal(H @ H.T, order * np.eye(order))
    np.testing.assert_array_equal(H[0], 1)
    np.testing.assert_array_equal(np.abs(H), 1)


@pytest.mark.parametrize(("order", "near"), [(3, "2 or 4"), (6, "4 or 8"), (10, "8 or 12")])
def test_there_is_no_hadamard_matrix_of_this_order(order, near):
    with pytest.raises(InvalidSpec, match=near):
        hadamard(order)


def test_least_orders():
    assert [least_hadamard_order(m) for m in range(1, 10)] == [1, 2, 4, 4, 8, 8, 8, 8, 12]


@pytest.mark.parametrize(
    ("n_parts", "n_workers"), [(1, 5), (2, 6), (2, 7), (3, 12), (4, 8), (3, 13), (5, 40)]
)
def test_balanced_signs_are_orthogonal_but_for_a_remainder(n_parts, n_workers):
    signs = balanced_signs(n_parts, n_workers, np.random.default_rng(0))
    order = least_hadamard_order(n_parts)
    products = signs @ signs.T - n_workers * np.eye(n_parts)
    assert set(np.unique(signs)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(signs[0], 1)
    assert np.abs(products).max() <= (0 if n_workers % order == 0 else order / 2)


def test_random_signs_have_a_first_row_of_ones():
    signs = random_signs(3, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(signs[0], 1)
    assert np.abs(signs[1:].mean(axis=1)).max() < 0.1
    assert abs((signs[1] * signs[2]).mean()) < 0.1


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_holders_of_a_chunk_have_distinct_colours(data):
    n_workers, n_chunks = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    held = [data.draw(st.sets(st.integers(0, n_chunks - 1))) for _ in range(n_workers)]
    held[0] = set(range(n_chunks))
    assignment = Assignment(n_chunks, tuple(tuple(sorted(chunks)) for chunks in held))
    found = colours(assignment)
    for holders in assignment.holders:
        assert len({found[worker] for worker in holders}) == len(holders)
    most = max(len(holders) for holders in assignment.holders)
    assert max(found) <= max(len(chunks) for chunks in held) * (most - 1)


def test_cyclic_placements_need_as_many_colours_as_a_chunk_has_holders():
    assert colours(partial_stragglers(200, 8).assignment) == tuple(worker % 8 for worker in range(200))


def rank_survives(rows):
    n_rows, m = rows.shape
    for missing in range(1, n_rows + 1):
        for absent in combinations(range(n_rows), missing):
            kept = np.delete(rows, absent, axis=0)
            if len(kept) < m or np.linalg.matrix_rank(kept) < m:
                return missing - 1
    return n_rows - 1


@pytest.mark.parametrize(
    "rows",
    [
        hadamard(4)[:, :2],
        hadamard(4)[:, :3],
        hadamard(8)[:, :3],
        hadamard(8)[:, [0, 1, 2, 4]],
        cosine_frame(6, 3),
        random_frame(7, 4, seed=0),
        np.array([[1.0, 0], [1, 0], [0, 2], [0, 3], [0, -1]]),
    ],
)
def test_rows_that_may_be_missing_as_all_ranks_say(rows):
    assert survives(rows) == rank_survives(rows)


def test_with_too_many_groups_nothing_is_promised():
    assert survives(cosine_frame(40, 6)) == 0
