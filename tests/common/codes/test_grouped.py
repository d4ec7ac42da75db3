from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest

from common.codes.base import certify, decode
from common.codes.cyclic_partial import cyclic_partial
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.decoders import LeastSquares, encoding_matrix
from common.codes.erasurehead import erasurehead
from common.codes.fractional_repetition import fractional_repetition
from common.codes.grouped import grouped
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.partial_naive import partial_naive_fractional
from common.codes.partial_stragglers import partial_stragglers
from common.codes.quality import check_wire, straggler_patterns, worst_noise
from common.codes.reed_solomon_repetition import reed_solomon_repetition
from common.codes.uncoded import uncoded
from common.errors import InvalidSpec

SMALL = [
    uncoded(3),
    fractional_repetition(4, 1),
    cyclic_repetition(5, 2),
    reed_solomon_repetition(4, 1),
    partial_naive_fractional(2, 1, 3),
]


def answers(code, absent):
    return [message for message in code.messages if message.worker not in absent]


@pytest.mark.parametrize("small", SMALL, ids=lambda code: code.spec)
def test_the_encoding_is_block_diagonal(small):
    code = grouped(small, 3 * small.n_workers)
    block = encoding_matrix(small.n_chunks, 1, small.messages).toarray()
    whole = encoding_matrix(code.n_chunks, 1, code.messages).toarray()
    np.testing.assert_array_equal(whole, np.kron(np.eye(3), block))
    assert [m.worker for m in code.messages] == [
        m.worker + g * small.n_workers for g in range(3) for m in small.messages
    ]
    assert code.assignment.max_load == small.assignment.max_load
    assert code.n_stragglers == small.n_stragglers


@pytest.mark.parametrize("small", SMALL, ids=lambda code: code.spec)
def test_any_s_stragglers_in_every_group_are_survived(small):
    code = grouped(small, 2 * small.n_workers)
    q = small.n_workers
    patterns = list(combinations(range(q), small.n_stragglers))
    for one in patterns:
        for other in patterns:
            absent = {*one, *(worker + q for worker in other)}
            assert decode(code, answers(code, absent)).residual < 1e-9


def test_decoding_agrees_with_least_squares_on_random_sets():
    rng = np.random.default_rng(0)
    for small in SMALL:
        code = grouped(small, 4 * small.n_workers)
        for _ in range(10):
            received = [m for m in code.messages if rng.random() < 0.8]
            received = [received[k] for k in rng.permutation(len(received))]
            slow = certify(code.n_chunks, 1, received, LeastSquares().weights(code, received))
            found = decode(code, received)
            if small.decoder == LeastSquares():
                np.testing.assert_allclose(found.coefficients, slow.coefficients, atol=1e-9)
            assert found.residual >= slow.residual - 1e-9
            if found.exact:
                assert slow.exact


def test_the_tally_waits_for_every_group():
    code = grouped(cyclic_repetition(4, 1), 8)
    tally = code.stop_rule.start()
    for message in (0, 1, 2, 3, 4, 5):
        tally.arrived(message)
        assert not tally.may_suffice
    tally.arrived(7)
    assert tally.may_suffice


def test_groups_of_groups():
    code = grouped(grouped(fractional_repetition(2, 1), 4), 8)
    flat = grouped(fractional_repetition(2, 1), 8)
    assert code.assignment == flat.assignment
    assert code.messages == flat.messages
    assert decode(code, answers(code, {0, 3, 4, 7})).exact


def test_partial_recovery_recovers_its_share_in_every_group():
    small = cyclic_partial(7, 3, 6)
    code = grouped(small, 14)
    assert code.enough_recovered == 6 / 7
    found = decode(code, answers(code, {0, 3, 4, 7, 8, 9}))
    assert set(found.coefficients[:, 0].tolist()) == {0.0, 1.0}
    assert found.recovered_fraction == pytest.approx(12 / 14)


@pytest.mark.parametrize(("s", "q", "norm", "tolerance"), [(5, 10, 4.6, 0.02), (9, 20, 90, 0.05)])
def test_golden_weights_of_grouped_cyclic_mds_codes_for_200_workers(s, q, norm, tolerance):
    """Without groups the weights for s = 5 reach 3e6. Load and stragglers are the same."""
    small = cyclic_repetition(q, s, "cyclic_mds")
    worst = max(
        decode(small, answers(small, absent)).noise_amplification
        for absent in map(set, straggler_patterns(q, s, seed=0).tolist())
    )
    assert worst == pytest.approx(norm, rel=tolerance)
    code = grouped(small, 200)
    found = decode(code, answers(code, set(range(s))))
    assert found.residual < 1e-12 * norm
    others = 200 / q - 1
    all_there = decode(small, small.messages).noise_amplification
    assert found.noise_amplification == pytest.approx(np.hypot(worst, np.sqrt(others) * all_there), rel=0.05)


def test_a_float32_wire_carries_in_groups_what_it_cannot_carry_in_one():
    with pytest.raises(InvalidSpec):
        check_wire(cyclic_repetition(200, 5, "cyclic_mds"), "float32")
    code = grouped(cyclic_repetition(10, 5, "cyclic_mds"), 200)
    check_wire(code, "float32")
    assert worst_noise(code) < 1e3


def test_a_thousand_workers_are_built_within_a_second_and_decoded_within_50_ms():
    start = time.perf_counter()
    code = grouped(cyclic_repetition(10, 3), 1000)
    assert time.perf_counter() - start < 1
    received = answers(code, set(np.random.default_rng(0).permutation(1000)[:10].tolist()))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert decode(code, received).exact
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


@pytest.mark.parametrize(
    ("call", "field", "rule"),
    [
        (
            lambda: grouped(cyclic_repetition(5, 2), 12),
            "n_workers",
            "multiple of the code's 5 workers, such as 10",
        ),
        (lambda: grouped(cyclic_repetition(5, 2), 2), "n_workers", "such as 5"),
        (lambda: grouped(cyclic_repetition(5, 2), 0), "n_workers", "at least 1"),
        (lambda: grouped(cyclic_repetition(5, 2), 10**9), "n_workers", "at most"),
        (lambda: grouped(partial_stragglers(4), 8), "code", "fixed messages"),
        (lambda: grouped(ignore_stragglers(4, 1), 8), "code", "number of messages"),
        (lambda: grouped(erasurehead(4, 2, 2), 8), "code", "number of messages"),
        (lambda: grouped(5, 10), "code", "must be a code"),
    ],
)
def test_impossible_parameters_are_refused(call, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        call()
    assert caught.value.field == field
    assert rule in str(caught.value)
