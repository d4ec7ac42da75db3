from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from common.codes.approximate_decoders import SymmetricDesign
from common.codes.approximation_bounds import stacked_error, symmetric_design_bound, two_part_error
from common.codes.base import certify, decode
from common.codes.block_design import block_design
from common.codes.decoders import LeastSquares
from common.codes.designs import difference_set_blocks
from common.codes.frames import random_signs
from common.codes.signed import folded_messages, incidence, rows_of
from common.errors import InvalidSpec

PLANES = {7: (3, 1), 13: (4, 1), 11: (5, 2)}
GOLDEN_SIGNS = np.array([[1.0, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, -1, -1, -1]]).T


def without(code, absent):
    return decode(code, [message for message in code.messages if message.worker not in absent])


def symmetric(n, **kwargs):
    return block_design(n, [1, 3, 4, 5, 9] if n == 11 else "projective", **kwargs)


@pytest.mark.parametrize("n", PLANES)
def test_with_one_part_the_error_depends_only_on_how_many_are_absent(n):
    """Every pattern: err = N - d^2 k / (d - lambda + lambda k); all weights d / (d - lambda + lambda k)."""
    load, shared = PLANES[n]
    code = symmetric(n)
    for s in range(n):
        k = n - s
        for absent in combinations(range(n), s):
            found = without(code, absent)
            assert found.residual**2 == pytest.approx(symmetric_design_bound(n, load, shared, 1, k), abs=1e-9)
            np.testing.assert_allclose(found.weights, load / (load - shared + shared * k), rtol=1e-12)
        best = certify(n, 1, code.messages[s:], LeastSquares().weights(code, code.messages[s:]))
        assert best.residual == pytest.approx(found.residual, abs=1e-7)


def golden_fano():
    blocks, _ = difference_set_blocks(7, [0, 1, 3])
    assert blocks == ((0, 1, 3), (1, 2, 4), (2, 3, 5), (3, 4, 6), (0, 4, 5), (1, 5, 6), (0, 2, 6))
    return folded_messages(blocks, GOLDEN_SIGNS)


@pytest.mark.parametrize("decoder", [SymmetricDesign(3, 1, rows_of(GOLDEN_SIGNS)), LeastSquares()])
@pytest.mark.parametrize(
    ("absent", "error"), [((), 2.6), ((0,), 3.2), ((6,), 3.5), ((0, 6), 4.1), ((0, 1, 2), 5.6)]
)
def test_golden_errors_of_the_fano_plane_with_two_parts(decoder, absent, error):
    code = block_design(7, "fano", n_parts=2)
    received = [message for message in golden_fano() if message.worker not in absent]
    found = certify(7, 2, received, decoder.weights(code, received))
    assert found.residual**2 == pytest.approx(error, abs=1e-9)
    if not absent:
        expected = [[0.25, 0.25]] * 4 + [[0.3, -0.3]] * 3
        np.testing.assert_allclose(found.weights, expected, atol=1e-12)


def test_the_closed_form_for_two_parts_holds_for_all_patterns_of_the_fano_plane():
    """c = |sum over F of the products of a worker's signs|; all signs, all F."""
    code = block_design(7, "fano", n_parts=2)
    blocks = code.assignment.orders
    for signs in product([1.0, -1.0], repeat=6):
        columns = np.array([(1.0, sign) for sign in (1.0, *signs)])
        messages = folded_messages(blocks, columns)
        decoder = SymmetricDesign(3, 1, rows_of(columns))
        for size in (3, 5, 7):
            for F in list(combinations(range(7), size))[:: 1 if size == 7 else 5]:
                received = [messages[worker] for worker in F]
                error = certify(7, 2, received, decoder.weights(code, received)).residual ** 2
                imbalance = abs(int(columns[list(F), 1].sum()))
                assert error == pytest.approx(two_part_error(7, 3, 1, size, imbalance), abs=1e-9)


def mean_error(A, F, n_parts, signs):
    """Mean least-squares error over the rows of ``signs`` (of the second part), for one F."""
    G, ones = (A.T @ A)[np.ix_(F, F)], A.sum(axis=0)[F]
    D = np.concatenate([np.ones((len(signs), 1, len(F))), signs[:, None, F]], axis=1)
    M = G * np.einsum("ktj,kti->kji", D, D)
    B = (D * ones).transpose(0, 2, 1)
    X = np.linalg.solve(M, B)
    return n_parts * A.shape[0] - np.einsum("kjt,kjt->", X, B) / len(signs)


def test_exact_expectations_of_the_fano_plane_over_all_signs():
    """m = 2, F = the first 7 - s: mean error, bound and baseline."""
    A = incidence(block_design(7, "fano").assignment.orders, 7)
    signs = np.array(list(product([1.0, -1.0], repeat=7)))
    table = [(3.0039, 3.5, 7), (3.7243, 4.1818, 7.25), (4.5982, 5, 7.5714), (5.675, 6, 8)]
    for s, (mean, bound, baseline) in enumerate(table):
        assert mean_error(A, list(range(7 - s)), 2, signs) == pytest.approx(mean, abs=1e-4)
        assert symmetric_design_bound(7, 3, 1, 2, 7 - s) == pytest.approx(bound, abs=1e-4)
        one_part = symmetric_design_bound(7, 3, 1, 1, 7 - s)
        assert stacked_error(7, 2, one_part) == pytest.approx(baseline, abs=1e-4)


@pytest.mark.parametrize("n", PLANES)
@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_the_mean_over_signs_never_exceeds_the_bound(n, n_parts):
    load, shared = PLANES[n]
    A = incidence(symmetric(n).assignment.orders, n)
    rng = np.random.default_rng(0)
    for s in range(n - 1):
        F = sorted(rng.permutation(n)[: n - s].tolist())
        bound = symmetric_design_bound(n, load, shared, n_parts, n - s)
        errors = []
        for _ in range(200):
            D = random_signs(n_parts, n, rng)[:, F]
            M = (A.T @ A)[np.ix_(F, F)] * (D.T @ D)
            B = (D * load).T
            errors.append(n_parts * n - np.trace(B.T @ np.linalg.pinv(M, hermitian=True) @ B))
        assert np.mean(errors) <= bound + 3 * np.std(errors) / 200**0.5 + 1e-9


def test_projective_plane_of_order_nine_with_two_parts():
    """The published experiment: mean error near 15.5, 17.3, 18.8, 20.8, 23.7; bounds and baseline exactly."""
    table = {
        1: (15.5, 16.862, 91.09),
        6: (17.3, 18.538, 91.57),
        10: (18.8, 20, 92),
        15: (20.8, 22, 92.59),
        22: (23.7, 25.182, 93.54),
    }
    singer = block_design(91, [0, 1, 3, 9, 27, 49, 56, 61, 77, 81])
    blocks = singer.assignment.orders
    rng = np.random.default_rng(0)
    errors = {s: [] for s in table}
    for _ in range(12):
        columns = random_signs(2, 91, rng).T
        code = block_design(91, n_parts=2)
        messages, decoder = folded_messages(blocks, columns), SymmetricDesign(10, 1, rows_of(columns))
        for s in table:
            for _ in range(3):
                received = [messages[worker] for worker in rng.permutation(91)[s:]]
                errors[s].append(certify(91, 2, received, decoder.weights(code, received)).residual ** 2)
    for s, (mean, bound, baseline) in table.items():
        assert np.mean(errors[s]) == pytest.approx(mean, rel=0.03)
        assert symmetric_design_bound(91, 10, 1, 2, 91 - s) == pytest.approx(bound, abs=1e-3)
        assert stacked_error(91, 2, symmetric_design_bound(91, 10, 1, 1, 91 - s)) == pytest.approx(
            baseline, abs=0.01
        )


def test_balanced_signs_are_better_than_random_ones():
    balanced = without(block_design(13, n_parts=2), set()).residual
    drawn = [without(block_design(13, n_parts=2, signs="random", seed=k), set()).residual for k in range(20)]
    assert balanced <= min(drawn) + 1e-9
    assert balanced < np.mean(drawn)


def test_a_parallel_class_of_the_affine_plane_is_all_that_is_needed():
    code = block_design(12, "affine")
    assert (code.n_chunks, code.assignment.max_load, code.n_stragglers) == (9, 3, 3)
    for absent in combinations(range(12), 3):
        assert without(code, absent).exact
    assert decode(code, code.messages[3:6]).exact
    assert not without(code, {0, 3, 6, 9}).exact, "a worker of every class"


def test_with_more_parts_nothing_is_exact():
    for code in (block_design(7, "fano", n_parts=2), block_design(20, "affine", n_parts=2)):
        assert not without(code, set()).exact
        assert code.n_stragglers == 0


def test_the_code_may_end_a_round_without_some_messages():
    assert block_design(13, n_stragglers=4).enough_messages == 9
    assert block_design(13).enough_messages is None


def test_the_seed_determines_the_signs():
    one, two = (block_design(21, n_parts=2, seed=seed) for seed in (1, 2))
    assert one.messages != two.messages
    assert one.messages == block_design(21, n_parts=2, seed=1).messages
    assert block_design(7, "fano").assignment == block_design(7, [0, 1, 3]).assignment


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((8,), "n_workers", "projective plane, such as 7 or 13"),
        ((8, "fano"), "n_workers", "such as 7"),
        ((43,), "n_workers", "such as 31 or 57"),
        ((10, "affine"), "n_workers", "such as 6 or 12"),
        ((7, "hadamard"), "design", "fano, projective, affine or a difference set"),
        ((7, [0, 1, 2]), "design", "equally often"),
        ((7, [0, 1, 7]), "design", "from 0 to n_workers - 1 = 6"),
        ((7, "fano", 0), "n_parts", "at least 1"),
        ((7, "fano", 1, 7), "n_stragglers", "from 0 to n_workers - 1 = 6"),
        ((7, "fano", 2, 0, "golden"), "signs", "balanced or random"),
        ((7, "fano", 2, 0, "random", -1), "seed", "at least 0"),
        ((993, "projective", 4), "n_workers x load x n_parts", "at most 50 ms"),
        ((1056, "affine"), "n_workers", "at most 1000"),
        ((992, "affine", 2), "n_workers x load x n_parts", "at most 50 ms"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        block_design(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)
