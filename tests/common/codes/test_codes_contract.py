"""What every gradient code promises, tried on every member of CODES."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes import CODES
from common.codes.base import certify, decode, parts_of, term_arrays
from common.codes.quality import check_wire
from common.spec import make_code, parse_call

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
        "cyclic_repetition(101, 2)",
    ],
    "reed_solomon_repetition": [
        "reed_solomon_repetition(1, 0)",
        "reed_solomon_repetition(5, 0)",
        "reed_solomon_repetition(4, 1)",
        "reed_solomon_repetition(8, 3)",
        "reed_solomon_repetition(5, 4)",
        "reed_solomon_repetition(40, 2)",
    ],
    "grouped": [
        "grouped(uncoded(2), 4)",
        "grouped(fractional_repetition(4, 1), 12)",
        "grouped(cyclic_repetition(5, 2), 15)",
        "grouped(reed_solomon_repetition(4, 1), 8)",
        "grouped(cyclic_partial(5, 2, 4), 10)",
        "grouped(grouped(cyclic_repetition(3, 1), 6), 12)",
        "grouped(cyclic_repetition(10, 3), 200)",
    ],
    "partial_naive_fractional": [
        "partial_naive_fractional(1, 0, 2)",
        "partial_naive_fractional(6, 2, 5)",
        "partial_naive_fractional(40, 3, 5)",
    ],
    "partial_naive_cyclic": [
        "partial_naive_cyclic(1, 0, 2)",
        "partial_naive_cyclic(5, 2, 4)",
        'partial_naive_cyclic(7, 3, 6, variant="random", seed=2)',
        "partial_naive_cyclic(40, 3, 5)",
    ],
    "erasurehead": [
        "erasurehead(1, 1, 1)",
        "erasurehead(6, 2, 3)",
        'erasurehead(9, 3, 4, estimator="rescaled")',
        "erasurehead(60, 4, 30)",
    ],
    "all_subsets": [
        "all_subsets(1, 0, 1)",
        "all_subsets(5, 3, 2)",
        "all_subsets(6, 3, 3)",
        "all_subsets(12, 5, 2, group_size=2)",
    ],
    "sum_and_non_owned": [
        "sum_and_non_owned(1, 0, 1)",
        "sum_and_non_owned(5, 3, 2)",
        "sum_and_non_owned(6, 3, 3)",
        "sum_and_non_owned(4, 2, 4)",
        "sum_and_non_owned(12, 5, 2, group_size=2)",
    ],
    "cyclic_partial": [
        "cyclic_partial(1, 0, 1)",
        "cyclic_partial(4, 3, 4)",
        "cyclic_partial(7, 3, 6)",
        "cyclic_partial(9, 4, 7)",
        "cyclic_partial(8, 2, 8)",
        "cyclic_partial(12, 7, 5)",
        "cyclic_partial(60, 10, 55)",
    ],
    "mixed_load_partial": ["mixed_load_partial(5, 3)", "mixed_load_partial(11, 7)"],
    "partial_stragglers": [
        "partial_stragglers(1, replication=1)",
        "partial_stragglers(4)",
        "partial_stragglers(8, replication=2, chunks_per_worker=4)",
        "partial_stragglers(3, chunks_per_worker=2)",
        "partial_stragglers(40, replication=4)",
        "partial_stragglers(6, n_parts=2)",
        'partial_stragglers(7, replication=4, chunks_per_worker=2, n_parts=3, frame="random", seed=1)',
        "partial_stragglers(5, n_parts=3)",
        "partial_stragglers(9, replication=4, n_parts=3, adaptive=True)",
        'partial_stragglers(12, chunks_per_worker=3, seed=5, placement="random")',
        'partial_stragglers(7, replication=4, n_parts=2, placement="random")',
    ],
    "scheduled": [
        "scheduled(1, replication=1)",
        "scheduled(5, chunks_per_worker=2)",
        'scheduled(8, replication=4, chunks_per_worker=3, placement="cyclic")',
        "scheduled(6, chunks_per_worker=2, n_parts=2, seed=1)",
        "scheduled(9, replication=4, chunks_per_worker=1, n_parts=3, adaptive=True)",
        'scheduled(7, chunks_per_worker=1, n_parts=2, frame="random")',
    ],
    "communication_efficient_fractional": [
        "communication_efficient_fractional(8, 2)",
        "communication_efficient_fractional(6, 0, n_parts=3)",
        "communication_efficient_fractional(12, 1, n_parts=3)",
        "communication_efficient_fractional(5, 4, n_parts=1)",
    ],
    "ye_abbe": [
        "ye_abbe(5, 1)",
        "ye_abbe(4, 0, n_parts=4)",
        "ye_abbe(8, 3)",
    ],
    "block_design": [
        'block_design(7, design="fano")',
        'block_design(7, design="fano", n_parts=2)',
        "block_design(13)",
        'block_design(13, n_parts=3, n_stragglers=4, signs="random", seed=3)',
        "block_design(11, design=[1, 3, 4, 5, 9])",
        'block_design(12, design="affine")',
        'block_design(20, design="affine", n_parts=2)',
    ],
    "strongly_regular": [
        'strongly_regular(10, graph="petersen")',
        "strongly_regular(13, n_parts=2)",
        'strongly_regular(15, graph="triangular", n_stragglers=3)',
        'strongly_regular(16, graph="rook")',
    ],
    "bipartite": [
        "bipartite(8)",
        "bipartite(40, load=3, replication=6)",
        'bipartite(12, load=1, replication=3, n_parts=3, signs="null_space")',
        'bipartite(16, n_stragglers=4, decoder="unbiased", seed=2)',
        'bipartite(12, load=3, signs="balanced")',
        'bipartite(9, load=3, replication=3, n_parts=1, signs="random")',
    ],
    "resolvable_design": [
        "resolvable_design(9)",
        "resolvable_design(12, replication=4)",
        'resolvable_design(12, replication=4, frame="hadamard")',
        'resolvable_design(20, replication=4, n_parts=3, n_stragglers=2, decoder="unbiased")',
        "resolvable_design(12, replication=4, n_parts=4)",
    ],
    "expander": [
        "expander(10)",
        "expander(9, degree=2)",
        "expander(40, degree=5, seed=1, n_stragglers=6)",
    ],
    "glasgow_wootters": [
        "glasgow_wootters(10)",
        "glasgow_wootters(21, degree=3)",
        "glasgow_wootters(60, degree=6, seed=4)",
        "glasgow_wootters(5, degree=2)",
    ],
    "bernoulli": [
        "bernoulli(12)",
        "bernoulli(30, load=3, n_stragglers=5, regularised=True)",
        "bernoulli(1, load=1)",
    ],
    "stochastic": [
        "stochastic(10)",
        "stochastic(7, straggler_probability=0.0, seed=2)",
        "stochastic(12, replication=4, straggler_probability=0.25, n_stragglers=2)",
    ],
    "uncoded_streaming": [
        "uncoded_streaming(6)",
        'uncoded_streaming(7, load=3, order="staircase")',
        "uncoded_streaming(4, load=4)",
    ],
}
"""One line a code: the parameters it is tried with, in canonical notation."""

NEVER_EXACT = {
    'block_design(7, design="fano", n_parts=2)',
    'block_design(13, n_parts=3, n_stragglers=4, signs="random", seed=3)',
    'block_design(20, design="affine", n_parts=2)',
    "strongly_regular(13, n_parts=2)",
    'bipartite(12, load=3, signs="balanced")',
    "bernoulli(12)",
    "bernoulli(30, load=3, n_stragglers=5, regularised=True)",
    "stochastic(10)",
    "stochastic(12, replication=4, straggler_probability=0.25, n_stragglers=2)",
}
"""Approximate even if all answer, by design: their ``n_stragglers`` is 0 and promises nothing."""

SPECS = [spec for specs in EXAMPLES.values() for spec in specs]


def workers_of(spec):
    call = parse_call(spec, nested=True)
    return call.args[list(signature(CODES[call.name]).parameters).index("n_workers")]


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


def test_a_code_is_exact_if_all_answer_unless_it_never_is(code):
    received, may_suffice = answers(code, set())
    assert may_suffice, "the round would not try to decode"
    assert decode(code, received).exact == (code.spec not in NEVER_EXACT)
    if code.spec in NEVER_EXACT:
        assert code.n_stragglers == 0
        assert code.enough_messages is not None, "a round would wait for what never comes"


def as_cut(code, received):
    """The code with as many parts as these messages have: an adaptive code may choose fewer than its own."""
    n_parts = parts_of(code, received)
    return code if n_parts == code.n_parts else replace(code, n_parts=n_parts)


def test_any_n_stragglers_may_be_absent(code):
    if code.spec in NEVER_EXACT:
        return
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((code.n_chunks, 6 * code.n_parts))
    for n_absent in range(code.n_stragglers + 1):
        for absent in patterns(code, n_absent, rng):
            received, may_suffice = answers(code, absent)
            decoding = decode(code, received)
            assert decoding.exact
            cut = as_cut(code, received)
            assert decoding.weights.shape == (len(received), cut.n_parts)
            assert may_suffice or cut is not code, "the round would not try to decode"
            found = combined(cut, received, decoding.weights, gradients)
            scale = max(1.0, decoding.noise_amplification) * max(np.abs(term_arrays(received).coefficients))
            np.testing.assert_allclose(
                found, gradients.sum(axis=0), rtol=0, atol=1e-11 * scale * code.n_chunks
            )


def test_with_more_absent_the_error_is_what_the_certificate_says(code):
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((code.n_chunks, 6 * code.n_parts))
    for n_absent in range(code.n_stragglers + 1, min(code.n_workers, code.n_stragglers + 3) + 1):
        for absent in patterns(code, n_absent, rng, most=10):
            received, _ = answers(code, absent)
            decoding = decode(code, received)
            cut = as_cut(code, received)
            again = certify(code.n_chunks, cut.n_parts, received, decoding.weights)
            np.testing.assert_array_equal(again.coefficients, decoding.coefficients)
            found = combined(cut, received, decoding.weights, gradients)
            error = np.linalg.norm(found - gradients.sum(axis=0))
            scale = max(1.0, decoding.noise_amplification)
            assert error <= decoding.residual * np.linalg.norm(gradients) + 1e-9 * scale
            stacked = gradients.reshape(code.n_chunks, cut.n_parts, -1).transpose(1, 0, 2)
            expected = decoding.coefficients.T @ stacked.reshape(cut.n_parts * code.n_chunks, -1)
            np.testing.assert_allclose(found, expected.reshape(-1), rtol=0, atol=1e-9 * scale)


LUCKY = (
    "cyclic_repetition",
    "reed_solomon_repetition",
    "partial_naive_cyclic",
    "bipartite",
    "resolvable_design",
    'design="affine"',
    "adaptive",
)
"""Fewer messages than the tally counts to may suffice by luck, and it need not know."""


@pytest.mark.parametrize(
    "spec",
    [spec for spec in SPECS if spec not in NEVER_EXACT and not any(name in spec for name in LUCKY)],
)
def test_the_tally_suffices_exactly_when_decoding_is_exact(spec):
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
    shuffled, sorted_ = decode(code, [received[k] for k in order]), decode(code, received)
    assert shuffled.exact == sorted_.exact == (code.spec not in NEVER_EXACT)
    assert shuffled.residual == pytest.approx(sorted_.residual, abs=1e-9)


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
    assert 0 < code.enough_recovered <= 1
    assert code.estimator in ("as published", "rescaled")


@pytest.mark.parametrize("spec", SPECS)
def test_a_float32_wire_carries_the_examples(spec):
    check_wire(make_code(spec, workers_of(spec)), "float32")
