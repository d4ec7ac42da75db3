from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest

from common.codes.base import decode
from common.codes.partial_naive import (
    chunks_for_slowdown,
    partial_naive_cyclic,
    partial_naive_fractional,
    partial_naive_load,
    tolerated_slowdown,
)
from common.errors import InvalidSpec


def without_second_messages(code, slow):
    """All first messages, which have even numbers, and the second messages of those that are not slow."""
    return [m for number, m in enumerate(code.messages) if number % 2 == 0 or m.worker not in slow]


def suffices(code, received):
    tally = code.stop_rule.start()
    for message in received:
        tally.arrived(code.messages.index(message))
    return tally.may_suffice


@pytest.mark.parametrize(
    "code",
    [
        partial_naive_fractional(6, 2, 5),
        partial_naive_cyclic(6, 2, 5),
        partial_naive_cyclic(7, 3, 5),
        partial_naive_fractional(8, 3, 6),
    ],
    ids=lambda code: code.spec,
)
def test_any_s_second_messages_may_be_missing(code):
    s = int(code.spec.split(", ")[1])
    assert code.n_chunks == code.n_workers * (len(code.assignment.orders[0]) - s)
    for slow in combinations(range(code.n_workers), s):
        received = without_second_messages(code, slow)
        assert decode(code, received).residual < 1e-9
        assert suffices(code, received)


@pytest.mark.parametrize("make", [partial_naive_fractional, partial_naive_cyclic])
def test_every_first_message_is_needed(make):
    code = make(6, 2, 5)
    for missing in range(0, 12, 2):
        received = [message for number, message in enumerate(code.messages) if number != missing]
        assert not suffices(code, received)
        assert decode(code, received).recovered_fraction == pytest.approx(1 - 2 / 18)
    assert code.n_stragglers == 0


def test_a_worker_s_own_chunks_come_first_and_are_nobody_else_s():
    code = partial_naive_cyclic(5, 1, 4)
    assert code.assignment.orders[2] == (4, 5, 12, 13)
    for worker, order in enumerate(code.assignment.orders):
        own, coded = code.messages_of[worker]
        assert [term.chunk for term in code.messages[own].terms] == list(order[:2])
        assert [term.chunk for term in code.messages[coded].terms] == list(order[2:])
        assert all(code.assignment.holders[chunk] == (worker,) for chunk in order[:2])


def test_the_load_is_alpha_s_plus_1_over_n_times_s_plus_alpha():
    for n in range(1, 8):
        for s in range(n):
            for p in range(s + 2, s + 12):
                alpha = tolerated_slowdown(s, p)
                assert partial_naive_load(n, s, p) == alpha * (s + 1) / (n * (s + alpha))
                assert Fraction(1, n) <= partial_naive_load(n, s, p) < Fraction(s + 1, n) or s == 0


def test_the_load_is_what_the_code_really_holds():
    code = partial_naive_fractional(12, 2, 7)
    assert Fraction(code.assignment.max_load, code.n_chunks) == partial_naive_load(12, 2, 7)


@pytest.mark.parametrize(
    ("p", "alpha", "load"),
    [
        (3, 3, Fraction(3, 2)),
        (4, 2, Fraction(4, 3)),
        (5, Fraction(5, 3), Fraction(5, 4)),
        (6, Fraction(3, 2), Fraction(6, 5)),
    ],
)
def test_golden_slowdowns_and_loads_for_one_straggler(p, alpha, load):
    assert tolerated_slowdown(1, p) == alpha
    assert partial_naive_load(10, 1, p) == load / 10
    assert chunks_for_slowdown(1, alpha) == p


def test_ten_chunks_and_four_stragglers_tolerate_twice_the_time():
    assert tolerated_slowdown(4, 10) == 2
    assert chunks_for_slowdown(4, 2) == 10


@pytest.mark.parametrize(("s", "p"), [(1, 4), (2, 9), (4, 10)])
def test_at_the_tolerated_slowdown_a_slow_worker_delays_nothing(s, p):
    """Its own chunks are done just when a worker of normal speed has done everything; slower, it is late."""
    alpha = tolerated_slowdown(s, p)
    assert (p - s - 1) * alpha == p
    assert chunks_for_slowdown(s, alpha) == p
    assert chunks_for_slowdown(s, alpha + Fraction(1, 100)) < p
    assert chunks_for_slowdown(s, alpha - Fraction(1, 10**6)) >= p


def test_the_least_load_lies_between_uncoded_and_coded():
    assert float(partial_naive_load(10, 1, 1000)) == pytest.approx(1 / 10, rel=2e-3)
    assert partial_naive_load(10, 4, 6) < Fraction(5, 10)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: partial_naive_fractional(6, 2, 3), "chunks_per_worker"),
        (lambda: partial_naive_cyclic(6, 2, 0), "chunks_per_worker"),
        (lambda: partial_naive_fractional(7, 2, 5), "n_stragglers"),
        (lambda: partial_naive_cyclic(7, 7, 9), "n_stragglers"),
        (lambda: partial_naive_cyclic(8, 2, 5, "cyclic_mds"), "variant"),
        (lambda: partial_naive_cyclic(10**5, 2, 10**6), "n_workers x load"),
        (lambda: tolerated_slowdown(2, 3), "chunks_per_worker"),
        (lambda: chunks_for_slowdown(2, 1.0), "slowdown"),
        (lambda: chunks_for_slowdown(2, 4.5), "slowdown"),
    ],
)
def test_impossible_parameters_are_refused(call, field):
    with pytest.raises(InvalidSpec) as caught:
        call()
    assert caught.value.field == field
