from __future__ import annotations

import time
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Message, Term, certify
from common.codes.decoders import LeastSquares, encoding_matrix
from common.codes.intervals import ClosedWalk, Intervals, most_recovered


def sums(n, intervals):
    """Messages: sums of chunks from a first one on, round the circle."""
    return [
        Message(worker, tuple(Term((first + k) % n, 0, 1.0) for k in range(length)))
        for worker, (first, length) in enumerate(intervals)
    ]


def decoded(n, intervals):
    received = sums(n, intervals)
    return certify(n, 1, received, Intervals().weights(SimpleNamespace(n_chunks=n, n_parts=1), received))


def most_of_any_combination(n, intervals):
    """The most ones of a 0/1 vector in the span of the messages, over the reals: all 2^n are tried."""
    encoding = encoding_matrix(n, 1, sums(n, intervals)).toarray()
    U, sizes, _ = np.linalg.svd(encoding, full_matrices=False)
    U = U[:, sizes > 1e-9]
    candidates = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
    within = np.abs(candidates - candidates @ U @ U.T).max(axis=1) < 1e-8
    return int(candidates[within].sum(axis=1).max())


@st.composite
def circles(draw, most=8):
    n = draw(st.integers(1, most))
    return n, draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(1, n)), max_size=n + 2))


@settings(max_examples=50, deadline=None)
@given(circles())
def test_what_is_recovered_is_the_most_that_any_combination_recovers(case):
    n, intervals = case
    found = decoded(n, intervals)
    coefficients = found.coefficients[:, 0]
    np.testing.assert_allclose(coefficients * (coefficients - 1), 0, atol=1e-12)
    expected = most_of_any_combination(n, intervals) if intervals else 0
    assert round(coefficients.sum()) == most_recovered(n, intervals) == expected
    assert found.exact == (expected == n)


@settings(max_examples=50, deadline=None)
@given(circles(most=12))
def test_weights_are_whole_or_one_over_the_turns_of_a_closed_walk(case):
    n, intervals = case
    found = decoded(n, intervals)
    sizes = {round(size, 9) for size in np.abs(found.weights[:, 0]).tolist()} - {0.0}
    if found.exact:
        (size,) = sizes
        assert 1 / size == pytest.approx(round(1 / size))
    else:
        assert sizes <= {1.0, 2.0}


@settings(max_examples=50, deadline=None)
@given(circles(most=12))
def test_it_is_exact_just_where_least_squares_is(case):
    n, intervals = case
    received = sums(n, intervals)
    slow = certify(n, 1, received, LeastSquares().weights(SimpleNamespace(n_chunks=n, n_parts=1), received))
    assert decoded(n, intervals).exact == slow.exact


@settings(max_examples=50, deadline=None)
@given(circles(most=12), st.randoms(use_true_random=False))
def test_the_tally_says_at_every_arrival_whether_everything_can_be_recovered(case, random):
    n, intervals = case
    tally = ClosedWalk(n, tuple(intervals)).start()
    arrived = []
    for number in random.sample(range(len(intervals)), len(intervals)):
        tally.arrived(number)
        tally.arrived(number)
        arrived.append(intervals[number])
        assert tally.may_suffice == (most_recovered(n, arrived) == n)


@pytest.mark.parametrize(("n", "load", "turns"), [(6, 3, 1), (7, 3, 3), (8, 6, 3), (5, 2, 2), (4, 4, 1)])
def test_a_full_circle_of_sums_has_the_weights_of_a_walk_with_so_many_turns(n, load, turns):
    """Steps of ``load`` come back to where they began after load / gcd(n, load) turns."""
    found = decoded(n, [(worker, load) for worker in range(n)])
    assert found.exact
    assert {round(w, 9) for w in found.weights[:, 0].tolist()} - {0.0} == {round(1 / turns, 9)}


def test_a_difference_of_two_sums_is_the_arc_between_their_ends():
    found = decoded(9, [(0, 5), (2, 3)])
    assert found.weights[:, 0].tolist() == [1.0, 0.0], "5 chunks are more than the 2 of the difference"
    found = decoded(9, [(0, 7), (4, 3), (7, 1), (4, 4)])
    assert found.coefficients.sum() == 8


def test_two_arcs_may_share_a_message_which_then_counts_twice():
    """22 workers of which 9 are left, loads 9 and 8: one of few cases with a weight that is not 0, 1, -1."""
    present = (0, 2, 4, 8, 10, 11, 14, 17, 18)
    intervals = [(worker, length) for worker in present for length in (9, 8)]
    found = decoded(22, intervals)
    assert found.coefficients.sum() == 20
    assert set(found.coefficients[:, 0].tolist()) == {0.0, 1.0}
    assert max(found.weights[:, 0].tolist()) == 2.0


def test_nothing_received_recovers_nothing():
    assert decoded(5, []).recovered_fraction == 0
    assert most_recovered(5, []) == 0


def test_the_order_of_arrival_does_not_change_how_much_is_recovered():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n = int(rng.integers(2, 20))
        intervals = [(int(rng.integers(n)), int(rng.integers(1, n // 2 + 1))) for _ in range(n // 2)]
        expected = most_recovered(n, intervals)
        for _ in range(3):
            assert most_recovered(n, [intervals[k] for k in rng.permutation(len(intervals))]) == expected


def test_all_sets_of_five_sums_on_a_circle_of_six():
    every = [(first, length) for first in range(6) for length in (2, 3, 5)]
    for intervals in list(combinations(every, 5))[::40]:
        assert most_recovered(6, intervals) == most_of_any_combination(6, intervals)


def test_a_thousand_workers_are_decoded_within_50_ms():
    n = 1000
    received = sums(n, [(worker, length) for worker in range(100, n) for length in (51, 32)])
    code = SimpleNamespace(n_chunks=n, n_parts=1)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        weights = Intervals().weights(code, received)
        seconds.append(time.perf_counter() - start)
    assert certify(n, 1, received, weights).recovered_fraction == pytest.approx(0.95)
    assert min(seconds) < 0.05
