from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from common.codes.base import certify, decode
from common.codes.decoders import LeastSquares, encoding_matrix
from common.codes.quality import check_wire, straggler_patterns, worst_noise
from common.codes.reed_solomon_repetition import MOST_NOISE_FLOAT64, reed_solomon_repetition
from common.errors import InvalidSpec


def points(n):
    return np.exp(2j * np.pi * np.arange(n) / n)


def complex_matrix(code):
    """B: rows are workers; a worker's second message holds the imaginary parts."""
    columns = encoding_matrix(code.n_chunks, 1, code.messages).toarray().T
    return np.array([columns[own[0]] + 1j * columns[own[1]] for own in code.messages_of])


def complex_weights(code, workers):
    received = [message for message in code.messages if message.worker in workers]
    weights = decode(code, received).weights[:, 0]
    return weights[0::2] - 1j * weights[1::2]


def without(code, absent):
    return decode(code, [message for message in code.messages if message.worker not in absent])


def test_golden_matrix_and_weights_of_four_workers_and_one_straggler():
    code = reed_solomon_repetition(4, 1)
    np.testing.assert_allclose(complex_matrix(code)[0], [2 - 2j, 2 + 2j, 0, 0], atol=1e-12)
    found = complex_weights(code, (0, 1, 2))
    np.testing.assert_allclose(found, [0.25 + 0.25j, -0.5, 0.25 - 0.25j], atol=1e-12)


@pytest.mark.parametrize(("n", "s"), [(3, 1), (5, 2), (6, 3), (7, 2), (8, 6)])
def test_a_coefficient_is_the_product_over_the_workers_without_the_chunk(n, s):
    """The value of a polynomial of degree n - s - 1 with leading coefficient 1."""
    alpha, code = points(n), reed_solomon_repetition(n, s)
    B = complex_matrix(code)
    for chunk in range(n):
        zeros = [worker for worker in range(n) if chunk not in code.assignment.orders[worker]]
        assert len(zeros) == n - s - 1
        np.testing.assert_allclose(B[:, chunk], np.polyval(np.poly(alpha[zeros]), alpha), atol=1e-11 * n)


@pytest.mark.parametrize(("n", "s"), [(4, 1), (6, 2), (7, 4), (9, 3)])
def test_the_weights_are_one_over_the_products_of_differences_of_those_used(n, s):
    alpha, code = points(n), reed_solomon_repetition(n, s)
    for used in combinations(range(n), n - s):
        expected = [1 / np.prod([alpha[j] - alpha[u] for u in used if u != j]) for j in used]
        np.testing.assert_allclose(complex_weights(code, used), expected, atol=1e-12)


def test_a_product_of_complex_numbers_is_sent_as_two_real_messages():
    """Re(a z) = Re(a) Re(z) - Im(a) Im(z), so that real weights on two real messages give the real sum."""
    n, s = 6, 2
    code = reed_solomon_repetition(n, s)
    assert len(code.messages) == 2 * n
    gradients = np.random.default_rng(0).standard_normal((n, 4))
    used = (0, 2, 3, 5)
    z = complex_matrix(code)[list(used)] @ gradients
    found = (complex_weights(code, used) @ z).real
    np.testing.assert_allclose(found, gradients.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize(("n", "s"), [(n, s) for n in range(1, 11) for s in range(n)])
def test_every_pattern_of_s_stragglers_is_decoded(n, s):
    code = reed_solomon_repetition(n, s)
    for absent in combinations(range(n), s):
        assert without(code, absent).residual < 1e-9


@pytest.mark.parametrize(("n", "s"), [(5, 2), (8, 3), (12, 4)])
def test_more_workers_than_needed_are_no_obstacle_and_exactly_n_minus_s_are_used(n, s):
    code = reed_solomon_repetition(n, s)
    rng = np.random.default_rng(1)
    for _ in range(20):
        absent = set(rng.permutation(n)[: rng.integers(0, s + 1)].tolist())
        decoding = without(code, absent)
        assert decoding.residual < 1e-9
        received = [message for message in code.messages if message.worker not in absent]
        used = {m.worker for m, w in zip(received, decoding.weights[:, 0], strict=True) if w}
        assert len(used) == n - s


def test_with_too_few_workers_the_answer_is_that_of_least_squares():
    code = reed_solomon_repetition(8, 2)
    received = [message for message in code.messages if message.worker in (0, 1, 2, 6)]
    expected = certify(8, 1, received, LeastSquares().weights(code, received))
    assert not expected.exact
    np.testing.assert_array_equal(decode(code, received).weights, expected.weights)


def test_a_worker_counts_when_both_its_messages_are_there():
    code = reed_solomon_repetition(4, 1)
    tally = code.stop_rule.start()
    for message in (0, 2, 4, 6, 1, 3):
        tally.arrived(message)
        tally.arrived(message)
        assert not tally.may_suffice
    received = [code.messages[number] for number in (0, 2, 4, 6, 1, 3)]
    assert decode(code, received).weights.shape == (6, 1)
    tally.arrived(5)
    assert tally.may_suffice
    assert decode(code, [code.messages[number] for number in (0, 1, 2, 3, 4, 5, 6)]).exact


def test_the_closed_form_agrees_with_least_squares_on_random_sets():
    rng = np.random.default_rng(2)
    for _ in range(40):
        n = int(rng.integers(2, 14))
        s = int(rng.integers(0, n))
        code = reed_solomon_repetition(n, s)
        absent = set(rng.permutation(n)[:s].tolist())
        received = [message for message in code.messages if message.worker not in absent]
        slow = certify(n, 1, received, LeastSquares().weights(code, received))
        np.testing.assert_allclose(decode(code, received).coefficients, slow.coefficients, atol=1e-9)


@pytest.mark.parametrize(
    ("n", "s", "norm"),
    [
        (10, 1, 0.45),
        (10, 5, 2.8),
        (20, 2, 0.54),
        (20, 5, 3.1),
        (20, 10, 30),
        (50, 2, 0.35),
        (50, 5, 2.2),
        (50, 10, 51),
        (100, 1, 0.14),
        (100, 5, 1.6),
        (200, 1, 0.10),
        (200, 2, 0.17),
    ],
)
def test_golden_norms_of_the_weights_for_clustered_stragglers(n, s, norm):
    assert without(reed_solomon_repetition(n, s), range(s)).noise_amplification == pytest.approx(
        norm, rel=0.06
    )


@pytest.mark.parametrize(("n", "s"), [(6, 2), (8, 3), (9, 5), (10, 4)])
def test_clustered_stragglers_are_the_worst(n, s):
    code = reed_solomon_repetition(n, s)
    worst = max(without(code, absent).noise_amplification for absent in combinations(range(n), s))
    assert without(code, range(s)).noise_amplification == pytest.approx(worst)


@pytest.mark.parametrize(("n", "s"), [(50, 25), (1000, 4), (2000, 500)])
def test_what_float64_cannot_carry_is_refused_with_the_measured_number(n, s):
    with pytest.raises(InvalidSpec) as caught:
        reed_solomon_repetition(n, s)
    assert caught.value.field == "n_stragglers"
    assert f"grouped(reed_solomon_repetition(q, {s}), {n})" in str(caught.value)


def test_what_is_not_refused_is_exact_in_float64():
    for n, s in ((50, 10), (100, 5), (1000, 3)):
        code = reed_solomon_repetition(n, s)
        for absent in straggler_patterns(n, s, seed=0)[::40].tolist():
            assert without(code, absent).exact


def test_a_float32_wire_refuses_what_it_cannot_carry():
    code = reed_solomon_repetition(50, 10)
    assert 1e5 < worst_noise(code) <= MOST_NOISE_FLOAT64
    with pytest.raises(InvalidSpec, match="float32"):
        check_wire(code, "float32")
    check_wire(reed_solomon_repetition(20, 2), "float32")


def test_where_coefficients_are_all_one_there_is_one_message_a_worker():
    for code in (reed_solomon_repetition(5, 0), reed_solomon_repetition(5, 4)):
        assert len(code.messages) == 5
        assert {term.coefficient for message in code.messages for term in message.terms} == {1.0}


@pytest.mark.parametrize("arguments", [(4, 4), (4, -1), (4, 1.0)])
def test_impossible_parameters_are_refused(arguments):
    with pytest.raises(InvalidSpec, match="n_stragglers"):
        reed_solomon_repetition(*arguments)
