from __future__ import annotations

from itertools import combinations
from math import inf, sqrt

import numpy as np
import pytest

from common.codes import quality
from common.codes.base import decode, decoding_target
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.decoders import encoding_matrix
from common.codes.fractional_repetition import fractional_repetition
from common.codes.partial_stragglers import partial_stragglers
from common.codes.quality import check_wire, noise_without, straggler_patterns, worst_noise
from common.codes.uncoded import uncoded
from common.errors import InvalidSpec


def test_few_patterns_are_all_tried():
    found = straggler_patterns(6, 2, seed=0)
    assert sorted(map(tuple, found.tolist())) == list(combinations(range(6), 2))
    assert straggler_patterns(6, 0, seed=0).shape == (1, 0)


@pytest.mark.parametrize("n", [40, 200, 1000])
def test_of_many_patterns_contiguous_and_random_ones_are_tried(n):
    found = straggler_patterns(n, 5, seed=1)
    assert len(found) <= 192
    assert all(len(set(pattern)) == 5 for pattern in found.tolist())
    assert found.min() >= 0
    assert found.max() < n
    assert [0, 1, 2, 3, 4] in found.tolist()
    np.testing.assert_array_equal(found, straggler_patterns(n, 5, seed=1))


def by_decoding(code):
    largest = max(abs(term.coefficient) for message in code.messages for term in message.terms)
    worst = 0.0
    for absent in straggler_patterns(code.n_workers, code.n_stragglers, seed=0).tolist():
        received = [message for message in code.messages if message.worker not in absent]
        worst = max(worst, decode(code, received).noise_amplification)
    return worst * largest


@pytest.mark.parametrize(("n", "s"), [(4, 1), (7, 3), (8, 3), (10, 2), (20, 5), (30, 2), (6, 0)])
def test_the_shared_factorisation_finds_what_decoding_every_pattern_finds(n, s):
    code = cyclic_repetition(n, s)
    assert worst_noise(code) == pytest.approx(by_decoding(code), rel=1e-6)


def test_more_columns_than_needed_are_weighted_with_least_norm():
    """A null space of more dimensions than columns are absent."""
    code = fractional_repetition(6, 2)
    encoding = encoding_matrix(6, 1, code.messages).toarray()
    absent = np.array([[0], [3]])
    expected = [np.linalg.norm(np.linalg.pinv(np.delete(encoding, k, axis=1)) @ np.ones(6)) for k in (0, 3)]
    np.testing.assert_allclose(noise_without(encoding, np.ones((6, 1)), absent), expected)


def test_several_parts_are_measured_by_the_spectral_norm():
    encoding = np.kron(np.eye(2), np.array([[1.0, 0.0, 1.0], [0.0, 0.5, 0.5]]))
    found = noise_without(encoding, decoding_target(2, 2), np.array([[0, 3], [2, 5]]))
    for absent, noise in zip(([0, 3], [2, 5]), found, strict=True):
        weights = np.linalg.pinv(np.delete(encoding, absent, axis=1)) @ decoding_target(2, 2)
        assert noise == pytest.approx(np.linalg.norm(weights, 2))


def test_a_pattern_that_cannot_be_decoded_is_infinitely_noisy():
    assert noise_without(np.eye(3), np.ones((3, 1)), np.array([[1]])).tolist() == [inf]
    encoding = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found = noise_without(encoding, np.ones((2, 1)), np.array([[0], [2]]))
    np.testing.assert_allclose(found, [sqrt(2), inf])


def test_codes_with_coefficients_of_one_are_as_noisy_as_their_messages_are_many():
    assert worst_noise(uncoded(9)) == pytest.approx(3)
    assert worst_noise(fractional_repetition(12, 2)) == pytest.approx(2)
    assert worst_noise(partial_stragglers(6, replication=3)) <= sqrt(6)


def test_large_plans_are_measured_without_a_dense_factorisation(monkeypatch):
    code = cyclic_repetition(14, 3)
    expected = worst_noise(code)
    monkeypatch.setattr(quality, "_DENSE_WORKERS", 10)
    assert worst_noise(code) == pytest.approx(expected, rel=1e-6)


def test_a_float32_wire_refuses_what_it_cannot_carry():
    code = cyclic_repetition(100, 4)
    noise = worst_noise(code)
    assert noise > 1e5
    with pytest.raises(InvalidSpec) as caught:
        check_wire(code, "float32")
    text = str(caught.value)
    assert f"{noise:.1e}" in text
    assert "float64" in text
    assert "cyclic_repetition(100, 4)" in text
    check_wire(code, "float64")


def test_an_unknown_wire_is_refused():
    with pytest.raises(InvalidSpec, match="wire_dtype"):
        check_wire(uncoded(2), "float16")


def test_noise_predicts_the_error_of_float32_messages():
    rng = np.random.default_rng(0)
    for code in (cyclic_repetition(20, 5), cyclic_repetition(20, 3), fractional_repetition(20, 3)):
        gradients = rng.standard_normal((20, 100))
        sent = encoding_matrix(20, 1, code.messages).T @ gradients
        bound = 6e-8 * worst_noise(code) * sqrt(20)
        for absent in straggler_patterns(20, code.n_stragglers, seed=0)[::10].tolist():
            present = [worker for worker in range(20) if worker not in absent]
            weights = decode(code, [code.messages[worker] for worker in present]).weights[:, 0]
            found = weights @ sent[present].astype(np.float32).astype(np.float64)
            error = np.linalg.norm(found - gradients.sum(axis=0)) / np.linalg.norm(gradients, axis=1).max()
            assert error <= bound
