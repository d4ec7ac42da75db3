from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes import decoders
from common.codes.base import Message, Term, certify, decoding_target
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.decoders import FirstOfGroup, LeastSquares, PlainSum, RescaledSum, encoding_matrix
from common.codes.fractional_repetition import fractional_repetition


def shape(n_chunks, n_parts=1):
    """As much of a code as a decoder for any code looks at."""
    return SimpleNamespace(n_chunks=n_chunks, n_parts=n_parts)


@st.composite
def encodings(draw):
    """Few chunks and small integer coefficients, so that rank deficiency is common."""
    n_chunks, n_parts = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    places = st.lists(
        st.tuples(st.integers(0, n_chunks - 1), st.integers(0, n_parts - 1)), unique=True, max_size=4
    )
    messages = []
    for worker in range(draw(st.integers(0, 8))):
        terms = [
            Term(chunk, part, float(draw(st.sampled_from([-2, -1, 1, 2, 3])))) for chunk, part in draw(places)
        ]
        messages.append(Message(worker, tuple(terms)))
    return n_chunks, n_parts, messages


@settings(max_examples=50, deadline=None)
@given(encodings())
def test_least_squares_is_the_pseudoinverse(case):
    n_chunks, n_parts, received = case
    weights = LeastSquares().weights(shape(n_chunks, n_parts), received)
    assert weights.shape == (len(received), n_parts)
    if received:
        dense = encoding_matrix(n_chunks, n_parts, received).toarray()
        expected = np.linalg.pinv(dense, rcond=1e-12) @ decoding_target(n_chunks, n_parts)
        np.testing.assert_allclose(weights, expected, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(encodings())
def test_the_least_squares_error_is_n_minus_the_sum_of_the_coefficients(case):
    """For one part ||A w - 1||^2 = N - 1' A w when w is least squares."""
    n_chunks, _, received = case
    received = [Message(m.worker, tuple(t for t in m.terms if t.part == 0)) for m in received]
    found = certify(n_chunks, 1, received, LeastSquares().weights(shape(n_chunks), received))
    assert found.residual**2 == pytest.approx(n_chunks - found.coefficients.sum(), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_first_of_group_achieves_what_least_squares_achieves(data):
    n, s = data.draw(st.sampled_from([(4, 1), (6, 1), (6, 2), (9, 2), (12, 3), (5, 0)]))
    code = fractional_repetition(n, s)
    numbers = data.draw(st.lists(st.integers(0, n - 1), unique=True))
    received = [code.messages[number] for number in numbers]
    quick = certify(n, 1, received, FirstOfGroup().weights(code, received))
    slow = certify(n, 1, received, LeastSquares().weights(code, received))
    np.testing.assert_allclose(quick.coefficients, slow.coefficients, atol=1e-12)
    assert quick.residual == pytest.approx(slow.residual, abs=1e-7)


def test_first_of_group_takes_the_first_that_arrived():
    code = fractional_repetition(4, 1)
    received = [code.messages[number] for number in (2, 1, 0, 3)]
    assert FirstOfGroup().weights(code, received)[:, 0].tolist() == [1, 1, 0, 0]


def test_sums_serve_the_part_that_a_message_is_about():
    code = shape(1, n_parts=2)
    received = [Message(0, (Term(0, 1, 1.0),)), Message(1, (Term(0, 0, 1.0),))]
    np.testing.assert_array_equal(PlainSum().weights(code, received), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(FirstOfGroup().weights(code, received), [[0, 1], [1, 0]])
    assert certify(1, 2, received, PlainSum().weights(code, received)).exact


def test_a_scaled_sum():
    received = [Message(0, (Term(0, 0, 0.5),))]
    assert PlainSum(scale=2.0).weights(shape(1), received).tolist() == [[2.0]]


@pytest.mark.parametrize("decoder", [PlainSum(), RescaledSum(), FirstOfGroup(), LeastSquares()])
def test_nothing_received_has_no_weights(decoder):
    assert decoder.weights(fractional_repetition(4, 1), []).shape == (0, 1)


def test_an_empty_message_gets_no_weight_from_least_squares():
    received = [Message(0, ()), Message(1, (Term(0, 0, 2.0),))]
    assert LeastSquares().weights(shape(2), received)[:, 0].tolist() == [0.0, 0.5]


@pytest.mark.parametrize("variant", ["random", "cyclic_mds"])
@pytest.mark.parametrize("absent", [range(0), range(3), range(0, 60, 20), range(0, 60, 2)])
def test_the_ways_to_solve_least_squares_agree(variant, absent):
    """All responders (many solutions), clustered and scattered stragglers, and too many of them."""
    code = cyclic_repetition(60, 3, variant)
    received = [message for message in code.messages if message.worker not in absent]
    block = encoding_matrix(60, 1, received).tocoo()
    target = decoding_target(60, 1)
    expected = np.linalg.pinv(block.toarray(), rcond=1e-13) @ target
    scale = np.linalg.norm(expected)
    np.testing.assert_allclose(decoders._solve_dense(block, target), expected, atol=1e-9 * scale)
    np.testing.assert_allclose(decoders._solve_banded(block, target), expected, atol=1e-6 * scale)
    np.testing.assert_allclose(decoders._solve_iteratively(block, target), expected, atol=1e-6 * scale)


def test_a_banded_solve_serves_several_parts_alike():
    code = cyclic_repetition(40, 3, "cyclic_mds")
    block = encoding_matrix(40, 1, code.messages[3:]).tocoo()
    target = np.random.default_rng(0).standard_normal((40, 3))
    np.testing.assert_allclose(
        decoders._solve_banded(block, target), np.linalg.pinv(block.toarray()) @ target, atol=1e-9
    )


@pytest.mark.parametrize(("n", "s"), [(3001, 2), (5000, 1)])
def test_large_cyclic_codes_decode_exactly(n, s):
    code = cyclic_repetition(n, s)
    received = code.messages[s:]
    found = certify(n, 1, received, LeastSquares().weights(code, received))
    assert found.exact
    assert found.residual < 1e-9


def test_a_large_assignment_that_is_not_banded_is_solved_iteratively():
    n, rng = 2500, np.random.default_rng(0)
    permutations = [rng.permutation(n) for _ in range(4)]
    received = [
        Message(worker, tuple({Term(int(p[worker]), 0, 1.0) for p in permutations}))
        for worker in range(n - 250)
    ]
    found = certify(n, 1, received, LeastSquares().weights(shape(n), received))
    matrix = encoding_matrix(n, 1, received)
    np.testing.assert_allclose(matrix.T @ (found.coefficients - 1.0), 0, atol=1e-7)


def test_grouped_codes_are_solved_group_by_group():
    """2,000 groups of 3: one dense solve of this size would take seconds."""
    code = fractional_repetition(6000, 2)
    received = code.messages[2:]
    assert certify(6000, 1, received, LeastSquares().weights(code, received)).exact
