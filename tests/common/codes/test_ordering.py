from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Assignment
from common.codes.ordering import matching_order, q_max
from common.codes.partial_stragglers import partial_stragglers
from common.errors import InvalidSpec


def cyclic_held(n, load):
    return [{(worker + k) % n for k in range(load)} for worker in range(n)]


def optimal_q_max(n, load, copies):
    return n * load - (load - copies + 1) * (load - copies + 2) // 2 + 1


@st.composite
def regular(draw):
    """A random regular assignment: the union of disjoint permutations."""
    n = draw(st.integers(1, 12))
    load = draw(st.integers(1, n))
    relabel = draw(st.permutations(range(n)))
    shifts = draw(st.permutations(range(n)))[:load]
    return [[relabel[(worker + shift) % n] for shift in shifts] for worker in range(n)]


@settings(max_examples=50, deadline=None)
@given(regular())
def test_each_chunk_is_once_at_every_position(held):
    orders = matching_order(held)
    n, load = len(held), len(held[0])
    assert [sorted(order) for order in orders] == [sorted(chunks) for chunks in held]
    for position in range(load):
        assert sorted(order[position] for order in orders) == list(range(n))
    for copies in range(1, load + 1):
        assert q_max(Assignment(n, orders), copies) == optimal_q_max(n, load, copies)


def test_each_chunk_is_once_at_every_position_of_a_large_random_graph():
    rng = np.random.default_rng(0)
    held = [set() for _ in range(200)]
    while len(held[0]) < 8:
        permutation = rng.permutation(200)
        for worker in range(200):  # swap until the permutation brings no chunk twice
            while permutation[worker] in held[worker]:
                other = rng.integers(200)
                permutation[[worker, other]] = permutation[[other, worker]]
        if all(permutation[worker] not in held[worker] for worker in range(200)):
            for worker in range(200):
                held[worker].add(int(permutation[worker]))
    assignment = Assignment(200, matching_order(held))
    assert [q_max(assignment, copies) for copies in (1, 2, 3)] == [1565, 1573, 1580]


def test_the_natural_order_of_the_cyclic_assignment_is_such_an_order():
    for n, load in [(4, 3), (5, 3), (9, 9), (7, 1)]:
        natural = partial_stragglers(n, load).assignment
        for copies in range(1, load + 1):
            assert q_max(natural, copies) == optimal_q_max(n, load, copies)


@pytest.mark.parametrize(
    ("n", "load", "optimised", "by_index"),
    [
        (4, 3, (7, 10, 12), (10, 11, 12)),
        (5, 3, (10, 13, 15), (13, 14, 15)),
        (200, 8, (1565, 1573, 1580), (1593, 1594, 1595)),
    ],
)
def test_golden_q_max_of_cyclic_assignments(n, load, optimised, by_index):
    natural = partial_stragglers(n, load).assignment
    matched = Assignment(n, matching_order(cyclic_held(n, load)))
    sorted_order = Assignment(n, tuple(tuple(sorted(chunks)) for chunks in cyclic_held(n, load)))
    for copies in (1, 2, 3):
        assert q_max(natural, copies) == q_max(matched, copies) == optimised[copies - 1]
        assert q_max(sorted_order, copies) == by_index[copies - 1]


def q_max_by_definition(assignment, copies):
    most = 0
    for state in product(*(range(len(order) + 1) for order in assignment.orders)):
        finishers = [0] * assignment.n_chunks
        for order, done in zip(assignment.orders, state, strict=True):
            for chunk in order[:done]:
                finishers[chunk] += 1
        if min(finishers) < copies:
            most = max(most, sum(state))
    return most + 1


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_q_max_is_what_all_states_say(data):
    """Any assignment, irregular ones too."""
    n_chunks = data.draw(st.integers(1, 4))
    n_workers = data.draw(st.integers(1, 4))
    orders = [data.draw(st.permutations(range(n_chunks))) for _ in range(n_workers)]
    loads = [data.draw(st.integers(0, n_chunks)) for _ in range(n_workers)]
    kept = [tuple(order[:load]) for order, load in zip(orders, loads, strict=True)]
    kept[0] = tuple(orders[0])  # every chunk is held by someone
    assignment = Assignment(n_chunks, tuple(kept))
    for copies in range(1, assignment.replication + 1):
        assert q_max(assignment, copies) == q_max_by_definition(assignment, copies)


def test_q_max_needs_enough_holders():
    with pytest.raises(InvalidSpec, match="n_copies"):
        q_max(Assignment(2, ((0, 1), (1, 0))), 3)


@pytest.mark.parametrize(
    "held",
    [[{0, 1}, {1}], [{0}, {0}], [{0, 1}, {1, 2}], [[0, 0], [1, 1]], [{0}, {-1}]],
)
def test_only_regular_assignments_are_ordered(held):
    with pytest.raises(InvalidSpec):
        matching_order(held)


def test_nobody_has_an_empty_order():
    assert matching_order([]) == ()
