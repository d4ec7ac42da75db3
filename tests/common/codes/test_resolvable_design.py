from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from common.codes.approximate_decoders import FixedWeights
from common.codes.approximation_bounds import fixed_weights_error
from common.codes.base import certify, decode, decoding_target
from common.codes.decoders import LeastSquares
from common.codes.resolvable_design import resolvable_design
from common.errors import InvalidSpec


def all_errors(code, s):
    return [
        decode(code, [message for message in code.messages if message.worker not in absent]).residual ** 2
        for absent in combinations(range(code.n_workers), s)
    ]


def test_errors_of_the_affine_plane_of_order_three_with_signs():
    """All patterns, two parts: exact with one absent; .491 on average with two, 1.304 with three."""
    code = resolvable_design(12, 4, frame="hadamard")
    assert (code.n_chunks, code.assignment.max_load, code.assignment.replication) == (9, 3, 4)
    assert max(all_errors(code, 0) + all_errors(code, 1)) < 1e-18
    two, three = all_errors(code, 2), all_errors(code, 3)
    assert np.mean(two) == pytest.approx(0.491, abs=1e-3)
    assert max(two) == pytest.approx(1.8, abs=1e-9)
    assert np.mean(three) == pytest.approx(1.304, abs=1e-3)
    assert code.n_stragglers == 1


@pytest.mark.parametrize("frame", ["hadamard", "cosine"])
def test_with_as_many_parts_as_classes_every_absent_worker_costs_three(frame):
    code = resolvable_design(12, 4, n_parts=4, frame=frame)
    for s in range(4):
        np.testing.assert_allclose(all_errors(code, s), 3 * s, atol=1e-9)


@pytest.mark.parametrize(
    ("n", "replication", "n_parts", "survived"),
    [(9, 3, 2, 1), (12, 4, 2, 2), (12, 4, 3, 1), (12, 4, 1, 3), (12, 3, 2, 1), (6, 2, 2, 0), (16, 4, 2, 2)],
)
def test_with_a_cosine_frame_any_replication_minus_parts_workers_may_be_absent(
    n, replication, n_parts, survived
):
    """The most for this replication: with one more, some chunk may have fewer holders than parts."""
    code = resolvable_design(n, replication, n_parts)
    assert code.n_stragglers == survived == replication - n_parts
    assert max(all_errors(code, survived)) < 1e-18
    assert max(all_errors(code, survived + 1)) > 0.1


def test_cosines_leave_less_error_than_signs():
    cosine, signs = resolvable_design(12, 4), resolvable_design(12, 4, frame="hadamard")
    for s in (2, 3):
        assert np.mean(all_errors(cosine, s)) < np.mean(all_errors(signs, s))


@pytest.mark.parametrize(("frame", "n_parts"), [("hadamard", 2), ("hadamard", 4), ("cosine", 3)])
def test_fixed_weights_are_unbiased_and_their_error_is_the_formula(frame, n_parts):
    """All 2^12 patterns of independent failures."""
    p = 0.25
    code = resolvable_design(12, 4, n_parts=n_parts, frame=frame, decoder="unbiased")
    E = np.zeros((n_parts * 9, 12))
    for message in code.messages:
        for chunk, part, coefficient in message.terms:
            E[part * 9 + chunk, message.worker] = coefficient
    V = np.array(code.decoder.rows)
    J = decoding_target(9, n_parts)
    np.testing.assert_allclose(E @ V, J, atol=1e-12)
    patterns = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    chances = np.prod(np.where(patterns, 1 - p, p), axis=1)
    found = np.einsum("rj,fj,jt->frt", E, patterns / (1 - p), V, optimize=True)
    np.testing.assert_allclose(np.einsum("f,frt->rt", chances, found), J, atol=1e-12)
    error = np.einsum("f,frt->", chances, (found - J) ** 2)
    if frame == "hadamard":
        assert error == pytest.approx(fixed_weights_error(9, 4, n_parts, p))
    products = np.einsum("rj,jt->rjt", E, V) ** 2
    assert error == pytest.approx(p / (1 - p) * products.sum())
    for s in (3, 7):  # sets of one size: n / (n - s) instead of 1 / (1 - p)
        own = patterns[patterns.sum(axis=1) == 12 - s]
        mean = np.einsum("rj,j,jt->rt", E, own.mean(axis=0) * 12 / (12 - s), V)
        np.testing.assert_allclose(mean, J, atol=1e-12)
    received = code.messages[3:]
    expected = FixedWeights(code.decoder.rows, probability=0.25).weights(code, received)
    np.testing.assert_allclose(code.decoder.weights(code, received), expected, atol=1e-12)


def test_the_degenerate_case_with_one_class_is_uncoded():
    code = resolvable_design(3, replication=1, n_parts=1)
    assert code.n_stragglers == 0
    assert decode(code, code.messages).exact
    best = certify(9, 1, code.messages[1:], LeastSquares().weights(code, code.messages[1:]))
    assert best.residual**2 == pytest.approx(3)


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((10, 4), "n_workers", "replication = 4 times a power of a prime that is at least 3"),
        ((8, 4), "n_workers", "such as 12"),
        ((24, 4), "n_workers", "such as 20 or 28"),
        ((12, 4, 5), "n_parts", "from 1 to replication = 4"),
        ((12, 0), "replication", "at least 1"),
        ((12, 4, 2, 12), "n_stragglers", "from 0"),
        ((12, 4, 2, 0, "fourier"), "frame", "cosine or hadamard"),
        ((12, 3, 2, 0, "hadamard"), "order of the signs", "2 or 4"),
        ((12, 4, 2, 0, "cosine", "sum"), "decoder", "least_squares or unbiased"),
        ((992, 32), "n_workers x load x n_parts", "at most 50 ms"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        resolvable_design(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
