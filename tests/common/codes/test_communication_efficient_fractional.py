from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import certify, decode
from common.codes.communication_efficient_fractional import communication_efficient_fractional
from common.codes.decoders import LeastSquares
from common.errors import InvalidSpec

SIZES = [(n, s, m) for n in range(1, 13) for s in range(n) for m in range(1, n - s + 1) if n % (s + m) == 0]


def without(code, absent):
    return decode(code, [message for message in code.messages if message.worker not in absent])


@pytest.mark.parametrize(("n", "s", "m"), SIZES)
def test_every_pattern_of_s_stragglers_is_decoded(n, s, m):
    code = communication_efficient_fractional(n, s, m)
    assert code.assignment.max_load == code.assignment.replication == s + m, "the least load possible"
    assert all(without(code, absent).residual < 1e-9 for absent in combinations(range(n), s))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_weights_are_those_of_least_squares_on_random_received_sets(data):
    code = communication_efficient_fractional(*data.draw(st.sampled_from(SIZES)))
    numbers = data.draw(st.lists(st.integers(0, code.n_workers - 1), unique=True))
    received = [code.messages[number] for number in numbers]
    quick, slow = code.decoder.weights(code, received), LeastSquares().weights(code, received)
    np.testing.assert_allclose(quick, slow, atol=1e-9)
    error = certify(code.n_chunks, code.n_parts, received, quick).residual ** 2
    members = [
        len({w // code.decoder.n_blocks for w in numbers if w % code.decoder.n_blocks == b})
        for b in range(code.decoder.n_blocks)
    ]
    missing = sum(max(0, code.n_parts - have) for have in members)
    assert error == pytest.approx(missing * code.assignment.max_load, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_tally_suffices_when_every_block_has_as_many_messages_as_parts(data):
    code = communication_efficient_fractional(*data.draw(st.sampled_from(SIZES)))
    tally, received = code.stop_rule.start(), []
    for number in data.draw(st.permutations(range(code.n_workers))):
        tally.arrived(number)
        tally.arrived(number)
        received.append(code.messages[number])
        assert tally.may_suffice == decode(code, received).exact


def test_conditioning_does_not_depend_on_the_number_of_workers():
    def worst(n):
        code = communication_efficient_fractional(n, 2, 2)
        blocks = n // 4
        return max(
            without(code, {members[0] * blocks, members[1] * blocks}).noise_amplification / blocks**0.5
            for members in combinations(range(4), 2)
        )

    assert worst(400) <= worst(4) + 1e-9


def test_ten_thousand_workers_are_decoded_within_100_ms():
    code = communication_efficient_fractional(10_000, 2, 2)
    absent = set(np.random.default_rng(0).permutation(10_000)[:500].tolist())
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        found = without(code, absent)
        seconds.append(time.perf_counter() - began)
    assert found.recovered_fraction > 0.99
    assert min(seconds) < 0.1


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((10, 2, 2), "n_workers", "divided by n_stragglers + n_parts = 4, such as 8 or 12"),
        ((3, 2, 2), "n_workers", "such as 4"),
        ((8, -1), "n_stragglers", "at least 0"),
        ((8, 2, 0), "n_parts", "at least 1"),
        ((0, 0), "n_workers", "at least 1"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        communication_efficient_fractional(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
