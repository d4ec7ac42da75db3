"""What every gradient code promises, tried on every member of CODES."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes import CODES
from common.codes.base import certify, decode, term_arrays
from common.codes.quality import check_wire
from common.spec import make_code

EXAMPLES = {
    "uncoded": ["uncoded(1)", "uncoded(6)", "uncoded(5, chunks_per_worker=3)"],
    "ignore_stragglers": ["ignore_stragglers(6, 2)", "ignore_stragglers(1, 0)", "ignore_stragglers(5, 4)"],
    "fractional_repetition": [
        "fractional_repetition(1, 0)",
        "fractional_repetition(6, 1)",
        "fractional_repetition(9, 2)",
        "fractional_repetition(4, 3)",
        "fractional_repetition(60, 2)",
    ],
    "cyclic_repetition": [
        "cyclic_repetition(1, 0)",
        "cyclic_repetition(4, 0)",
        "cyclic_repetition(8, 3)",
        "cyclic_repetition(8, 2)",
        "cyclic_repetition(7, 4)",
        "cyclic_repetition(5, 4)",
        'cyclic_repetition(7, 3, variant="random", seed=5)',
        'cyclic_repetition(12, 5, variant="cyclic_mds")',
        "cyclic_repetition(201, 2)",
    ],
    "partial_stragglers": [
        "partial_stragglers(1, replication=1)",
        "partial_stragglers(4)",
        "partial_stragglers(8, replication=2, chunks_per_worker=4)",
        "partial_stragglers(3, chunks_per_worker=2)",
        "partial_stragglers(40, replication=4)",
    ],
}
"""One line a code: the parameters it is tried with, in canonical notation."""

SPECS = [spec for specs in EXAMPLES.values() for spec in specs]


def workers_of(spec):
    return int(spec.partition("(")[2].split(",")[0].rstrip(")"))


@pytest.fixture(scope="module", params=SPECS)
def code(request):
    return make_code(request.param, workers_of(request.param))


def patterns(code, n_absent, rng, most=60):
    """All sets of absent workers, or contiguous and random ones."""
    n = code.n_workers
    if comb(n, n_absent) <= most:
        return [set(absent) for absent in combinations(range(n), n_absent)]
    contiguous = [{(start + k) % n for k in range(n_absent)} for start in rng.permutation(n)[: most // 2]]
    return contiguous + [set(rng.permutation(n)[:n_absent].tolist()) for _ in range(most // 2)]


def answers(code, absent):
    """What the workers that are present send, and whether the tally then says it may suffice."""
    tally = code.stop_rule.start()
    if not code.on_request:
        received = []
        for number, message in enumerate(code.messages):
            if message.worker not in absent:
                tally.arrived(number)
                received.append(message)
        return received, tally.may_suffice
    finishers = {chunk: set(workers) - absent for chunk, workers in enumerate(code.assignment.holders)}
    for chunk, workers in finishers.items():
        for worker in workers:
            tally.finished(worker, chunk)
    return list(code.requester.choose(finishers)), tally.may_suffice


def combined(code, received, weights, gradients):
    """The master's result from what workers send: messages are computed from gradients cut into parts."""
    parts = gradients.reshape(code.n_chunks, code.n_parts, -1)
    result = np.zeros((code.n_parts, parts.shape[2]))
    for message, weight in zip(received, weights, strict=True):
        sent = sum(coefficient * parts[chunk, part] for chunk, part, coefficient in message.terms)
        result += np.outer(weight, sent)
    return result.reshape(-1)


def test_every_code_is_tried():
    assert set(EXAMPLES) == set(CODES)
    assert all(name == function.__name__ for name, function in CODES.items())


def test_messages_use_only_chunks_that_their_worker_holds(code):
    for message in code.messages:
        assert {term.chunk for term in message.terms} <= set(code.assignment.orders[message.worker])
        assert len({term[:2] for term in message.terms}) == len(message.terms)
        assert all(0 <= term.part < code.n_parts and np.isfinite(term.coefficient) for term in message.terms)


def test_every_chunk_is_on_more_workers_than_may_be_absent(code):
    assert code.assignment.replication >= code.n_stragglers + 1


def test_any_n_stragglers_may_be_absent(code):
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((code.n_chunks, 3 * code.n_parts))
    for n_absent in range(code.n_stragglers + 1):
        for absent in patterns(code, n_absent, rng):
            received, may_suffice = answers(code, absent)
            decoding = decode(code, received)
            assert decoding.exact
            assert decoding.weights.shape == (len(received), code.n_parts)
            assert may_suffice, "the round would not try to decode"
            found = combined(code, received, decoding.weights, gradients)
            scale = max(1.0, decoding.noise_amplification) * max(np.abs(term_arrays(received).coefficients))
            np.testing.assert_allclose(
                found, gradients.sum(axis=0), rtol=0, atol=1e-11 * scale * code.n_chunks
            )


def test_with_more_absent_the_error_is_what_the_certificate_says(code):
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((code.n_chunks, 3 * code.n_parts))
    for n_absent in range(code.n_stragglers + 1, min(code.n_workers, code.n_stragglers + 3) + 1):
        for absent in patterns(code, n_absent, rng, most=10):
            received, _ = answers(code, absent)
            decoding = decode(code, received)
            again = certify(code.n_chunks, code.n_parts, received, decoding.weights)
            np.testing.assert_array_equal(again.coefficients, decoding.coefficients)
            found = combined(code, received, decoding.weights, gradients)
            error = np.linalg.norm(found - gradients.sum(axis=0))
            scale = max(1.0, decoding.noise_amplification)
            assert error <= decoding.residual * np.linalg.norm(gradients) + 1e-9 * scale
            stacked = gradients.reshape(code.n_chunks, code.n_parts, -1).transpose(1, 0, 2)
            expected = decoding.coefficients.T @ stacked.reshape(code.n_parts * code.n_chunks, -1)
            np.testing.assert_allclose(found, expected.reshape(-1), rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.startswith("cyclic")])
def test_the_tally_suffices_exactly_when_decoding_is_exact(spec):
    """Not for cyclic codes: fewer than n - s messages may suffice by luck, and their tally need not know."""
    code = make_code(spec, workers_of(spec))
    rng = np.random.default_rng(2)
    for n_absent in range(code.n_workers + 1):
        for absent in patterns(code, n_absent, rng, most=6):
            received, may_suffice = answers(code, absent)
            assert may_suffice == decode(code, received).exact


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_tally_of_messages_never_falls_back(name, data):
    spec = data.draw(st.sampled_from(EXAMPLES[name]))
    code = make_code(spec, workers_of(spec))
    if code.on_request:
        events = [
            (worker, chunk) for chunk, workers in enumerate(code.assignment.holders) for worker in workers
        ]
    else:
        events = list(range(len(code.messages)))
    tally, sufficed = code.stop_rule.start(), False
    for event in data.draw(st.permutations(events)):
        tally.finished(*event) if code.on_request else tally.arrived(event)
        assert tally.may_suffice >= sufficed
        sufficed = tally.may_suffice
    assert sufficed


def test_decoding_does_not_depend_on_the_order_of_arrival(code):
    rng = np.random.default_rng(3)
    received, _ = answers(code, set())
    order = rng.permutation(len(received))
    assert decode(code, [received[k] for k in order]).exact


def test_the_spec_is_canonical_and_makes_an_equal_code(code):
    again = make_code(code.spec, code.n_workers)
    assert again == code
    assert hash(again) == hash(code)
    assert again.spec == code.spec
    assert code.spec in SPECS


def test_different_parameters_make_different_codes():
    codes = {make_code(spec, workers_of(spec)) for spec in SPECS}
    assert len(codes) == len(SPECS)


def test_the_code_ends_a_round_only_with_messages_it_can_get(code):
    assert code.enough_messages is None or 1 <= code.enough_messages <= len(code.messages)
    assert code.estimator in ("as published", "rescaled")


def test_a_float32_wire_carries_the_examples(code):
    check_wire(code, "float32")
