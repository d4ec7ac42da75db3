from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import (
    EXACT_TOLERANCE,
    Assignment,
    GradientCode,
    Message,
    Term,
    certify,
    decode,
    decoding_target,
    term_arrays,
)
from common.codes.decoders import PlainSum
from common.codes.fractional_repetition import fractional_repetition
from common.codes.requested import FewestWorkers
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec


def test_an_assignment_knows_holders_load_and_replication():
    assignment = Assignment(3, ((0, 2), (1,), (2, 1, 0)))
    assert assignment.holders == ((0, 2), (1, 2), (0, 2))
    assert (assignment.n_workers, assignment.max_load, assignment.replication) == (3, 3, 2)


@pytest.mark.parametrize(
    ("n_chunks", "orders", "named"),
    [
        (2, ((0, 0), (1,)), "worker 0"),
        (3, ((0,), (1,)), "0..2"),
        (2, ((0,), (1, 2)), "0..1"),
        (2, ((0,), (1, -1)), "0..1"),
    ],
)
def test_an_impossible_assignment_is_refused(n_chunks, orders, named):
    with pytest.raises(InvalidSpec, match="assignment") as caught:
        Assignment(n_chunks, orders)
    assert named in str(caught.value)


@pytest.mark.parametrize("messages_and_requester", [((), None), ((Message(0, ()),), FewestWorkers())])
def test_a_code_is_either_fixed_or_on_request(messages_and_requester):
    messages, requester = messages_and_requester
    with pytest.raises(InvalidSpec, match="either fixed messages or a requester"):
        GradientCode(
            "x(1)",
            Assignment(1, ((0,),)),
            PlainSum(),
            CountMessages(1),
            0,
            messages=messages,
            requester=requester,
        )


def test_a_worker_may_own_several_messages():
    terms = (Term(0, 0, 1.0),)
    messages = (Message(1, terms), Message(0, terms), Message(1, terms))
    code = GradientCode(
        "x(2)", Assignment(1, ((0,), (0,))), PlainSum(), CountMessages(1), 0, messages=messages
    )
    assert code.messages_of == ((1,), (0, 2))


def test_the_target_stacks_the_parts():
    np.testing.assert_array_equal(decoding_target(n_chunks=2, n_parts=2), np.kron(np.eye(2), np.ones((2, 1))))


def test_term_arrays_keep_order_and_empty_messages():
    arrays = term_arrays(
        [Message(0, (Term(3, 1, 0.5), Term(1, 0, -2.0))), Message(1, ()), Message(2, (Term(0, 0, 1.0),))]
    )
    assert arrays.columns.tolist() == [0, 0, 2]
    assert arrays.chunks.tolist() == [3, 1, 0]
    assert arrays.parts.tolist() == [1, 0, 0]
    assert arrays.coefficients.tolist() == [0.5, -2.0, 1.0]


@st.composite
def decodings(draw):
    n_chunks, n_parts = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    term = st.builds(
        Term,
        st.integers(0, n_chunks - 1),
        st.integers(0, n_parts - 1),
        st.floats(-3, 3, allow_subnormal=False),
    )
    terms = draw(st.lists(st.lists(term, max_size=6), max_size=5))
    received = [Message(worker, tuple(own)) for worker, own in enumerate(terms)]
    numbers = st.floats(-3, 3, allow_subnormal=False)
    size = len(received) * n_parts
    weights = np.array(draw(st.lists(numbers, min_size=size, max_size=size)), dtype=np.float64)
    return n_chunks, n_parts, received, weights.reshape(len(received), n_parts)


@settings(max_examples=50, deadline=None)
@given(decodings())
def test_a_certificate_is_what_the_dense_definition_gives(case):
    n_chunks, n_parts, received, weights = case
    encoding = np.zeros((n_parts * n_chunks, len(received)))
    for column, message in enumerate(received):
        for chunk, part, coefficient in message.terms:
            encoding[part * n_chunks + chunk, column] += coefficient
    found = certify(n_chunks, n_parts, received, weights)
    expected = encoding @ weights
    residual = np.linalg.norm(expected - np.kron(np.eye(n_parts), np.ones((n_chunks, 1))))
    np.testing.assert_allclose(found.coefficients, expected, atol=1e-12)
    assert found.residual == pytest.approx(residual, abs=1e-12)
    assert found.recovered_fraction == pytest.approx(
        max(0, 1 - residual**2 / (n_parts * n_chunks)), abs=1e-12
    )
    spectral = np.linalg.svd(weights, compute_uv=False).max() if weights.size else 0.0
    assert found.noise_amplification == pytest.approx(spectral, abs=1e-12)


def test_nothing_received_recovers_nothing():
    found = certify(4, 2, [], np.zeros((0, 2)))
    assert (found.residual, found.recovered_fraction, found.noise_amplification) == (8**0.5, 0.0, 0.0)
    assert not found.exact


@pytest.mark.parametrize(("error", "exact"), [(0.5, True), (2.0, False)])
def test_exact_means_a_residual_of_at_most_1e_6_sqrt_of_the_rows(error, exact):
    received = [Message(0, tuple(Term(chunk, 0, 1.0) for chunk in range(9)))]
    assert certify(9, 1, received, np.array([[1 + error * EXACT_TOLERANCE]])).exact is exact


def test_the_certificate_does_not_believe_the_code():
    code = fractional_repetition(4, 1)
    forged = [Message(message.worker, (*message.terms[:-1], Term(0, 0, 3.0))) for message in code.messages]
    assert decode(code, code.messages).exact
    assert not decode(code, forged).exact


def test_weights_that_are_not_finite_are_not_exact():
    found = certify(1, 1, [Message(0, (Term(0, 0, 1.0),))], np.array([[np.nan]]))
    assert not found.exact
    assert found.recovered_fraction == 0.0


def test_ten_thousand_workers_with_load_8_are_certified_within_50_ms():
    code = fractional_repetition(10_000, 7)
    weights = code.decoder.weights(code, code.messages)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert certify(code.n_chunks, 1, code.messages, weights).exact
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05
