from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from common.codes.base import certify, decode
from common.codes.decoders import LeastSquares
from common.codes.erasurehead import erasurehead
from common.codes.erasures import (
    erasures,
    independent_erasures,
    mean_coefficient_error,
    worst_coefficient_error,
)
from common.codes.fractional_repetition import fractional_repetition
from common.errors import InvalidSpec

SETS = [(6, 2, 3), (8, 2, 4), (9, 3, 4), (6, 3, 2), (8, 4, 3), (10, 2, 6), (4, 1, 2)]
"""n, c, r."""


def decodings(code, r):
    """One for every set of r workers."""
    for workers in combinations(range(code.n_workers), r):
        yield decode(code, [code.messages[worker] for worker in workers])


def block_sums(n, c, seed=0):
    """Random chunk gradients; returns them, the sum of all, and the sum of squared norms of block sums."""
    gradients = np.random.default_rng(seed).standard_normal((n, 3)) + 0.5
    blocks = gradients.reshape(n // c, c, 3).sum(axis=1)
    return gradients, gradients.sum(axis=0), float((blocks**2).sum())


def test_a_round_ends_at_r_messages_or_when_all_blocks_are_covered():
    code = erasurehead(6, copies=2, collect=4)
    assert code.enough_messages == 4
    tally = code.stop_rule.start()
    for message in (0, 3, 1):
        tally.arrived(message)
        assert not tally.may_suffice
    tally.arrived(5)
    assert tally.may_suffice
    early = code.stop_rule.start()
    for message in (0, 4, 5):
        early.arrived(message)
    assert early.may_suffice, "three messages, one of each block"


def test_the_placement_is_that_of_fractional_repetition():
    code, exact = erasurehead(12, 3, 5), fractional_repetition(12, 2)
    assert (code.assignment, code.messages, code.n_stragglers) == (exact.assignment, exact.messages, 2)


def test_the_first_message_of_each_covered_block_counts_once():
    code = erasurehead(6, 2, 3)
    received = [code.messages[worker] for worker in (4, 0, 1, 3)]
    assert decode(code, received).weights[:, 0].tolist() == [1, 1, 0, 0]
    rescaled = erasurehead(6, 2, 3, "rescaled")
    assert decode(rescaled, received).weights[:, 0].tolist() == [1.5, 1.5, 0, 0]


def test_nothing_is_rescaled_when_every_block_is_covered():
    code = erasurehead(6, 2, 3, "rescaled")
    assert decode(code, [code.messages[worker] for worker in (0, 4, 5)]).exact


@pytest.mark.parametrize(("n", "c", "r"), SETS)
def test_the_published_mean_is_the_gradient_contracted_by_1_minus_p1(n, c, r):
    code, found = erasurehead(n, c, r), erasures(n, c, r)
    mean = np.mean([each.coefficients[:, 0] for each in decodings(code, r)], axis=0)
    np.testing.assert_allclose(mean, float(found.contraction), atol=1e-12)
    assert found.one == pytest.approx(comb(n - c, r) / comb(n, r))


@pytest.mark.parametrize(("n", "c", "r"), SETS)
def test_the_rescaled_mean_is_the_gradient(n, c, r):
    code = erasurehead(n, c, r, "rescaled")
    mean = np.mean([each.coefficients[:, 0] for each in decodings(code, r)], axis=0)
    np.testing.assert_allclose(mean, 1, atol=1e-12)
    assert code.estimator == "rescaled"


@pytest.mark.parametrize(("n", "c", "r"), SETS)
def test_the_second_moment_and_the_mean_squared_error(n, c, r):
    gradients, total, spread = block_sums(n, c)
    moments = erasures(n, c, r)
    answers = [each.coefficients[:, 0] @ gradients for each in decodings(erasurehead(n, c, r), r)]
    norm = float(total @ total)
    assert np.mean([a @ a for a in answers]) == pytest.approx(moments.second_moment(norm, spread))
    errors = [(a - total) @ (a - total) for a in answers]
    assert np.mean(errors) == pytest.approx(moments.mean_squared_error(norm, spread))


@pytest.mark.parametrize(
    ("n", "c", "r", "p1", "mean", "worst"),
    [
        (6, 2, 3, 0.2, 1.2, 2),
        (8, 2, 4, 0.214286, 1.714286, 4),
        (9, 3, 4, 0.119048, 1.071429, 3),
        (12, 4, 6, 0.030303, 0.363636, 4),
    ],
)
def test_golden_coefficient_errors(n, c, r, p1, mean, worst):
    errors = [each.residual**2 for each in decodings(erasurehead(n, c, r), r)]
    assert float(erasures(n, c, r).one) == pytest.approx(p1, abs=5e-7)
    assert np.mean(errors) == pytest.approx(mean, abs=5e-7)
    assert float(mean_coefficient_error(n, c, r)) == pytest.approx(mean, abs=5e-7)
    assert max(errors) == pytest.approx(worst)
    assert worst_coefficient_error(c, n - r) == worst


@pytest.mark.parametrize(("n", "c"), [(6, 2), (6, 3), (8, 4)])
def test_the_worst_coefficient_error_for_any_number_of_absent_workers(n, c):
    for absent in range(n):
        worst = max(each.residual**2 for each in decodings(erasurehead(n, c, n - absent), n - absent))
        assert worst == pytest.approx(worst_coefficient_error(c, absent), abs=1e-9)


@pytest.mark.parametrize("p", [0.1, 0.35])
def test_independent_failures_replace_p1_by_p_to_the_c(p):
    """Exhaustive over all sets of failures, each with its probability."""
    n, c = 6, 2
    code, moments = erasurehead(n, c, 1), independent_erasures(c, p)
    gradients, total, spread = block_sums(n, c)
    mean, squares = np.zeros(n), 0.0
    for size in range(n + 1):
        for workers in combinations(range(n), size):
            chance = (1 - p) ** size * p ** (n - size)
            found = decode(code, [code.messages[worker] for worker in workers]).coefficients[:, 0]
            mean += chance * found
            squares += chance * float((found @ gradients) @ (found @ gradients))
    np.testing.assert_allclose(mean, float(moments.contraction))
    assert squares == pytest.approx(moments.second_moment(float(total @ total), spread))


def test_adding_the_first_of_each_block_is_what_least_squares_gives():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n, c, r = SETS[int(rng.integers(len(SETS)))]
        code = erasurehead(n, c, r)
        received = [code.messages[worker] for worker in rng.permutation(n)[: rng.integers(0, n + 1)]]
        slow = certify(n, 1, received, LeastSquares().weights(code, received))
        np.testing.assert_allclose(decode(code, received).coefficients, slow.coefficients, atol=1e-12)


@pytest.mark.parametrize(("n", "c", "r"), [(6, 2, 3), (8, 2, 4), (9, 3, 4)])
def test_the_noise_floor_bounds_the_mean_loss_of_a_step(n, c, r):
    """Quadratic losses, where smoothness and curvature are known; the mean is over all sets of r workers."""
    code, moments = erasurehead(n, c, r), erasures(n, c, r)
    rng = np.random.default_rng(3)
    curvatures = np.diag([1.0, 2.0, 5.0])
    centres = rng.standard_normal((n, 3))
    smoothness, curvature = n * 5.0, n * 1.0
    least = centres.mean(axis=0)

    def gap(x):
        return n / 2 * float((x - least) @ curvatures @ (x - least))

    coefficients = [each.coefficients[:, 0] for each in decodings(code, r)]
    for share in (1.0, 0.3):
        rate = share * moments.largest_rate(smoothness)
        x = np.array([3.0, -2.0, 1.0])
        for _ in range(30):
            gradients = (x - centres) @ curvatures
            spread = float((gradients.reshape(n // c, c, 3).sum(axis=1) ** 2).sum())
            after = [x - rate * (own @ gradients) for own in coefficients]
            bound = moments.progress(gap(x), rate, smoothness, curvature, spread)
            assert np.mean([gap(each) for each in after]) <= bound * (1 + 1e-12)
            x = after[int(rng.integers(len(after)))]


def test_the_noise_floor_is_where_progress_comes_to_rest():
    moments = erasures(8, 2, 4)
    rate = moments.largest_rate(10.0) / 2
    floor = moments.noise_floor(rate, smoothness=10.0, curvature=0.5, spread=7.0)
    assert floor > 0
    assert moments.progress(floor, rate, 10.0, 0.5, 7.0) == pytest.approx(floor)
    gap = 100.0
    for _ in range(2000):
        gap = moments.progress(gap, rate, 10.0, 0.5, 7.0)
    assert gap == pytest.approx(floor)


def test_with_all_messages_there_is_no_floor():
    assert erasures(8, 2, 8).noise_floor(0.05, smoothness=10.0, curvature=0.5, spread=7.0) == 0


@pytest.mark.parametrize(
    ("call", "field", "rule"),
    [
        (lambda: erasurehead(30, 4, 15), "copies", "must divide n_workers = 30, such as 3"),
        (lambda: erasurehead(6, 2, 7), "collect", "from 1 to n_workers = 6"),
        (lambda: erasurehead(6, 2, 0), "collect", "from 1"),
        (lambda: erasurehead(6, 7, 2), "copies", "from 1 to n_workers = 6"),
        (lambda: erasurehead(6, 2, 3, "mean"), "estimator", "published, rescaled"),
        (lambda: erasurehead(10**9, 3, 3), "n_workers", "at most"),
        (lambda: erasures(6, 4, 3), "copies", "such as 3"),
        (lambda: independent_erasures(2, 1.5), "failure", "probability"),
        (lambda: erasures(6, 2, 3).noise_floor(1.0, 10.0, 1.0, 1.0), "rate", "at most"),
    ],
)
def test_impossible_parameters_are_refused(call, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        call()
    assert caught.value.field == field
    assert rule in str(caught.value)
