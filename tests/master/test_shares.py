"""Shares against two searches of their own: all assignments, and augmenting paths at every possible time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Assignment
from common.codes.scheduled import scheduled
from master.shares import Pace, Planner, Shares

TOLERANCE = 0.002
BOUNDED = settings(max_examples=50, deadline=None)
RING = Assignment(4, ((0, 1), (1, 2), (2, 3), (3, 0)))

Paced = Mapping[int, Pace]


def wanted(assignment: Assignment, paces: Paced, n_copies: int) -> list[tuple[tuple[int, ...], int]]:
    """For every chunk its live holders and by how many of them it is to be computed."""
    live = [tuple(place for place in holders if place in paces) for holders in assignment.holders]
    return [(holders, min(n_copies, len(holders))) for holders in live]


def takes(counts: list[int], paces: Paced) -> float:
    """When the last of so many chunks a place is finished."""
    ends = [paces[p].free_seconds + n * paces[p].seconds for p, n in enumerate(counts) if n]
    return max(ends, default=0.0)


def least_of_all(assignment: Assignment, paces: Paced, n_copies: int) -> float:
    """Every assignment is tried."""
    ways = [list(combinations(*each)) for each in wanted(assignment, paces, n_copies)]
    least = math.inf
    for choice in product(*ways):
        counts = [0] * assignment.n_workers
        for places in choice:
            for place in places:
                counts[place] += 1
        least = min(least, takes(counts, paces))
    return least


def feasible(assignment: Assignment, paces: Paced, n_copies: int, seconds: float) -> bool:
    """Whether all can be finished by then: each copy of a chunk looks for a place along augmenting paths."""
    room = {
        place: max(0, math.floor((seconds - pace.free_seconds) / pace.seconds + 1e-9))
        for place, pace in paces.items()
    }
    given: dict[int, set[int]] = {place: set() for place in paces}
    holders = [each for each, _ in wanted(assignment, paces, n_copies)]

    def settle(chunk: int, seen: set[tuple[int, int]]) -> bool:
        for place in holders[chunk]:
            if (chunk, place) in seen or chunk in given[place]:
                continue
            seen.add((chunk, place))
            if len(given[place]) < room[place]:
                given[place].add(chunk)
                return True
            for other in sorted(given[place]):
                given[place].discard(other)
                given[place].add(chunk)
                if settle(other, seen):
                    return True
                given[place].discard(chunk)
                given[place].add(other)
        return False

    needs = [chunk for chunk, (_, n) in enumerate(wanted(assignment, paces, n_copies)) for _ in range(n)]
    return all(settle(chunk, set()) for chunk in needs)


def least_time(assignment: Assignment, paces: Paced, n_copies: int) -> float:
    """The first of all times at which a place can finish a chunk that is enough."""
    times = {
        pace.free_seconds + k * pace.seconds
        for place, pace in paces.items()
        for k in range(1, len(assignment.orders[place]) + 1)
    }
    ordered = sorted({0.0} | times)
    low, high = 0, len(ordered) - 1
    while low < high:
        middle = (low + high) // 2
        if feasible(assignment, paces, n_copies, ordered[middle]):
            high = middle
        else:
            low = middle + 1
    return ordered[low]


def check(assignment: Assignment, paces: Paced, n_copies: int, shares: Shares) -> None:
    """Every chunk is on as many distinct live holders as it can be, and finished in time."""
    counts = [0] * assignment.n_workers
    found: list[list[int]] = [[] for _ in range(assignment.n_chunks)]
    for place, chunks in shares.chunks.items():
        assert place in paces
        assert chunks
        assert list(chunks) == sorted(set(chunks))
        assert set(chunks) <= set(assignment.orders[place])
        counts[place] = len(chunks)
        for chunk in chunks:
            found[chunk].append(place)
    for places, (_, n) in zip(found, wanted(assignment, paces, n_copies), strict=True):
        assert len(places) == n
    assert shares.seconds == pytest.approx(takes(counts, paces))


@st.composite
def cases(draw, most_places: int = 6, most_chunks: int = 10, most_held: int = 4):
    n = draw(st.integers(1, most_places))
    n_chunks = draw(st.integers(1, most_chunks))
    places = st.integers(0, n - 1)
    holders = [draw(st.sets(places, min_size=1, max_size=most_held)) for _ in range(n_chunks)]
    orders = tuple(tuple(chunk for chunk, held in enumerate(holders) if place in held) for place in range(n))
    seconds = st.sampled_from([0.5, 1.0, 1.0, 2.0, 5.0]) | st.floats(0.01, 100.0)
    free = st.sampled_from([0.0, 0.0, 1.5]) | st.floats(0.0, 50.0)
    paces = {p: Pace(draw(seconds), draw(free)) for p in range(n) if draw(st.integers(0, 9)) > 0}
    return Assignment(n_chunks, orders), paces, draw(st.integers(1, 3))


@BOUNDED
@given(cases(most_places=4, most_chunks=5))
def test_no_assignment_of_all_is_finished_earlier(case):
    assignment, paces, n_copies = case
    shares = Planner(assignment, n_copies).shares(paces)
    check(assignment, paces, n_copies, shares)
    least = least_of_all(assignment, paces, n_copies)
    assert least * (1 - 1e-9) <= shares.seconds <= least * (1 + TOLERANCE)


@BOUNDED
@given(cases())
def test_shares_are_valid_and_no_lesser_time_is_feasible(case):
    assignment, paces, n_copies = case
    shares = Planner(assignment, n_copies).shares(paces, tolerance=1e-6)
    check(assignment, paces, n_copies, shares)
    assert feasible(assignment, paces, n_copies, shares.seconds)
    least = least_time(assignment, paces, n_copies)
    assert least * (1 - 1e-9) <= shares.seconds <= least * (1 + 1e-5)


@BOUNDED
@given(cases(most_chunks=20))
def test_never_earlier_than_if_everybody_held_everything(case):
    assignment, paces, n_copies = case
    everything = Assignment(assignment.n_chunks, (tuple(range(assignment.n_chunks)),) * assignment.n_workers)
    shares = Planner(assignment, n_copies).shares(paces)
    if all(n == n_copies for _, n in wanted(assignment, paces, n_copies)):
        bound = least_time(everything, paces, n_copies)
        assert shares.seconds >= bound * (1 - 1e-9)


def test_random_placement_comes_close_to_the_bound_of_everybody_holding_everything():
    assignment = scheduled(16, 3, 8).assignment
    everything = Assignment(128, (tuple(range(128)),) * 16)
    paces = {place: Pace(0.1 if place in (3, 7) else 0.02) for place in range(16) if place != 11}
    found = Planner(assignment).shares(paces)
    assert found.seconds == pytest.approx(Planner(everything).shares(paces).seconds)
    assert found.seconds == pytest.approx(0.2)


def test_equal_paces_make_equal_shares():
    shares = Planner(scheduled(8, 3, 4).assignment).shares({place: Pace(0.5) for place in range(8)})
    assert shares.seconds == pytest.approx(2.0)
    assert [len(shares.chunks[place]) for place in range(8)] == [4] * 8


def test_dead_places_compute_nothing_and_chunks_that_only_they_hold_are_left_out():
    shares = Planner(RING).shares({0: Pace(1.0), 2: Pace(1.0)})
    assert shares.chunks == {0: (0, 1), 2: (2, 3)}
    shares = Planner(RING).shares({0: Pace(1.0)})
    assert (shares.seconds, shares.chunks) == (2.0, {0: (0, 1)})
    shares = Planner(RING).shares({})
    assert (shares.seconds, shares.chunks) == (0.0, {})


def test_a_chunk_with_fewer_live_holders_than_copies_is_computed_by_all_of_them():
    shares = Planner(RING, n_copies=2).shares({0: Pace(1.0), 1: Pace(1.0), 2: Pace(3.0)})
    assert shares.chunks == {0: (0, 1), 1: (1, 2), 2: (2, 3)}
    assert shares.seconds == 6.0


def test_who_is_free_later_gets_less():
    both = Assignment(4, ((0, 1, 2, 3), (0, 1, 2, 3)))
    shares = Planner(both).shares({0: Pace(1.0), 1: Pace(1.0, free_seconds=2.0)})
    assert (shares.seconds, len(shares.chunks[0]), len(shares.chunks[1])) == (3.0, 3, 1)
    shares = Planner(both).shares({0: Pace(1.0), 1: Pace(1.0, free_seconds=9.0)})
    assert (shares.seconds, dict(shares.chunks)) == (4.0, {0: (0, 1, 2, 3)})


def test_the_same_question_has_the_same_answer_whatever_the_order_of_places():
    assignment = scheduled(12, 3, 5).assignment
    paces = {place: Pace(1.0 + 0.1 * place, 0.05 * (place % 3)) for place in range(12)}
    first = Planner(assignment).shares(paces)
    again = Planner(assignment).shares(dict(reversed(paces.items())))
    assert first == again
    planner = Planner(assignment)
    planner.shares({0: Pace(1.0)})
    assert planner.shares(paces) == first
