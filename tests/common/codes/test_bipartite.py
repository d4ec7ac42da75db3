from __future__ import annotations

import numpy as np
import pytest

from common.codes.approximate_decoders import FixedWeights
from common.codes.approximation_bounds import gershgorin_bound, stacked_error
from common.codes.base import certify, decode, decoding_target
from common.codes.bipartite import bipartite, null_space_columns
from common.codes.decoders import LeastSquares, encoding_matrix
from common.codes.designs import random_biregular
from common.codes.signed import folded_messages, incidence, rows_of
from common.errors import InvalidSpec


def errors(code, s, n_patterns, seed=0, decoder=None):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_patterns):
        received = [code.messages[worker] for worker in rng.permutation(code.n_workers)[s:]]
        W = (decoder or code.decoder).weights(code, received)
        found.append(certify(code.n_chunks, code.n_parts, received, W).residual ** 2)
    return found


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_workers": 40, "load": 3, "replication": 6},
        {"n_workers": 24, "n_parts": 3},
        {"n_workers": 24, "replication": 8, "n_parts": 4},
        {"n_workers": 40, "load": 3, "replication": 6, "signs": "null_space"},
        {"n_workers": 40, "load": 3, "replication": 8, "n_parts": 3, "signs": "null_space", "seed": 4},
        {"n_workers": 9, "load": 3, "replication": 3, "n_parts": 1, "signs": "balanced"},
    ],
)
def test_it_is_exact_if_all_answer_with_the_columns_as_weights(parameters):
    """E [v_1 .. v_m] = I (x) 1, whatever least squares would choose."""
    code, unbiased = bipartite(**parameters), bipartite(**parameters, decoder="unbiased")
    assert unbiased.messages == code.messages
    found = decode(unbiased, unbiased.messages)
    np.testing.assert_allclose(
        found.coefficients, decoding_target(code.n_chunks, code.n_parts), rtol=0, atol=1e-9
    )
    assert decode(code, code.messages).exact


def test_row_balanced_signs_are_balanced_among_the_holders_of_every_chunk():
    for m, n, rho in [(2, 40, 6), (3, 24, 4), (4, 24, 8), (5, 48, 8)]:
        code = bipartite(n, 3, rho, n_parts=m)
        E = encoding_matrix(code.n_chunks, m, code.messages).toarray().reshape(m, code.n_chunks, n)
        np.testing.assert_allclose(np.abs(E[E != 0]), 1 / rho)
        products = np.einsum("aij,bij->iab", E, E) * rho
        np.testing.assert_allclose(products, np.tile(np.eye(m), (code.n_chunks, 1, 1)), atol=1e-12)


TABLE = {2: (0.052, 0.065, 0.67), 4: (0.240, 0.249, 1.42), 6: (0.577, 0.537, 2.27), 8: (1.09, 0.932, 3.14)}
TABLE[10] = (1.74, 1.51, 4.21)
RANGES = {2: ((0.01, 0.12), (0.03, 0.09)), 10: ((1.6, 2.2), (1.25, 1.65))}


@pytest.mark.parametrize("s", TABLE)
def test_measured_errors_of_the_random_graph_with_20_chunks_and_40_workers(s):
    """Mean over draws near the published means (one draw each), within what other draws gave."""
    gaussian, signs, fixed = TABLE[s]
    drawn = [bipartite(40, 3, 6, signs="null_space", seed=k) for k in range(4)]
    balanced = [bipartite(40, 3, 6, seed=k) for k in range(4)]
    means = [np.mean([np.mean(errors(code, s, 25)) for code in codes]) for codes in (drawn, balanced)]
    assert means[0] == pytest.approx(gaussian, rel=0.25, abs=0.04)
    assert means[1] == pytest.approx(signs, rel=0.15, abs=0.025)
    for mean, (least, most) in zip(means, RANGES.get(s, ()), strict=False):
        assert least <= mean <= most
    unbiased = bipartite(40, 3, 6, decoder="unbiased")
    assert np.mean(errors(unbiased, s, 100)) == pytest.approx(fixed, rel=0.05)


def test_the_stacked_baseline_cannot_tell_parts_apart():
    placement = bipartite(40, 3, 6).assignment.orders
    stacked = folded_messages(placement, np.ones((40, 2)))
    one_part = folded_messages(placement, np.ones((40, 1)))
    shape, single = bipartite(40, 3, 6), bipartite(40, 3, 6, n_parts=1, signs="random")
    for s in (0, 4, 10):
        both = certify(20, 2, stacked[s:], LeastSquares().weights(shape, stacked[s:])).residual ** 2
        one = certify(20, 1, one_part[s:], LeastSquares().weights(single, one_part[s:])).residual ** 2
        assert both == pytest.approx(stacked_error(20, 2, one), abs=1e-9)
        assert both >= 20


@pytest.mark.parametrize("signs", ["row_balanced", "null_space", "balanced", "random"])
def test_the_gershgorin_bound_is_never_exceeded(signs):
    rng = np.random.default_rng(0)
    for seed in range(3):
        code = bipartite(40, 3, 6, signs=signs, seed=seed)
        for s in (0, 1, 4, 10, 20, 39):
            for _ in range(4):
                received = [code.messages[worker] for worker in rng.permutation(40)[s:]]
                assert decode(code, received).residual ** 2 <= gershgorin_bound(code, received) + 1e-9


def test_the_gershgorin_bound_of_row_balanced_signs():
    """Tight when all answer; largest bound over patterns near .93, 2.1, 2.9, 4.4, 5.5."""
    code = bipartite(40, 3, 6)
    assert gershgorin_bound(code, code.messages) == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(0)
    for s, most in {2: 0.93, 4: 2.1, 6: 2.9, 8: 4.4, 10: 5.5}.items():
        bounds = [
            gershgorin_bound(code, [code.messages[w] for w in rng.permutation(40)[s:]]) for _ in range(100)
        ]
        assert max(bounds) == pytest.approx(most, rel=0.25)
    gaussian = bipartite(40, 3, 6, signs="null_space")
    assert 5 < gershgorin_bound(gaussian, gaussian.messages) < 20


@pytest.mark.parametrize("signs", ["row_balanced", "null_space"])
def test_fixed_weights_over_1_minus_p_are_unbiased_for_failures_with_probability_p(signs):
    """Exact expectation of E_F X over all 2^8 patterns of independent failures."""
    p = 0.3
    code = bipartite(8, 2, 4, signs=signs, seed=3)
    columns = np.array(bipartite(8, 2, 4, signs=signs, decoder="unbiased", seed=3).decoder.rows)
    decoder = FixedWeights(rows_of(columns), probability=p)
    mean = np.zeros((2 * code.n_chunks, 2))
    for pattern in range(2**8):
        received = [message for message in code.messages if pattern >> message.worker & 1]
        chance = p ** (8 - len(received)) * (1 - p) ** len(received)
        found = certify(code.n_chunks, 2, received, decoder.weights(code, received))
        mean += chance * found.coefficients
    np.testing.assert_allclose(mean, decoding_target(code.n_chunks, 2), atol=1e-12)


def test_null_space_columns_are_orthogonal_on_every_row():
    rng = np.random.default_rng(0)
    placement = random_biregular(12, 36, 9, rng)
    V = null_space_columns(placement, 12, 3, rng)
    A = incidence(placement, 12)
    for a in range(3):
        for b in range(a):
            np.testing.assert_allclose(A @ (V[:, a] * V[:, b]), 0, atol=1e-9)


def test_signs_that_know_nothing_of_the_placement_are_never_exact():
    for signs in ("balanced", "random"):
        code = bipartite(12, 3, 4, signs=signs)
        assert not decode(code, code.messages).exact


def test_the_seed_determines_placement_and_signs():
    for signs in ("row_balanced", "null_space", "balanced", "random"):
        assert bipartite(12, 3, 4, signs=signs, seed=1) == bipartite(12, 3, 4, signs=signs, seed=1)
        one, two = (bipartite(12, 3, 4, signs=signs, seed=seed) for seed in (1, 2))
        assert one.messages != two.messages


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((9, 2, 4), "n_workers x load", "divided by the replication = 4"),
        ((9, 4, 4), "n_workers", "divided by 2 for row-balanced signs of 2 parts, such as 8 or 10"),
        ((10, 3, 5), "replication", "such as 4 or 6"),
        ((10, 2, 2, 2, 0, "null_space"), "n_workers", "more than (n_parts - 1) x 10 chunks"),
        ((12, 3, 13), "replication", "from 1 to n_workers = 12"),
        ((12, 0), "load", "at least 1"),
        ((12, 3, 4, 0), "n_parts", "at least 1"),
        ((12, 3, 4, 2, 12), "n_stragglers", "from 0"),
        ((12, 3, 4, 2, 0, "golay"), "signs", "row_balanced, null_space, balanced, random"),
        ((12, 3, 4, 2, 0, "row_balanced", "sum"), "decoder", "least_squares or unbiased"),
        ((12, 3, 4, 2, 0, "random", "unbiased"), "decoder", "row_balanced or null_space"),
        ((2000, 3, 6), "n_workers", "at most 1000"),
        ((1000, 24, 6), "n_workers x load x n_parts", "at most 50 ms"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        bipartite(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
