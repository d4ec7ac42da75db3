from __future__ import annotations

from fractions import Fraction
from itertools import chain, combinations, combinations_with_replacement
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from common.codes.bounds import (
    least_load,
    least_low_load,
    least_partial_load,
    least_replication,
    missed_share,
    replications_suffice,
)
from common.codes.cyclic_partial import cyclic_partial
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.fractional_repetition import fractional_repetition
from common.codes.intervals import most_recovered
from common.errors import InvalidSpec

SHARES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 1.0)

TABLE = """
n=5  s=1: 1 1 1 1 1 2 2 2   s=2: 1 1 2 2 2 2 3 3   s=3: 2 2 2 3 3 3 4 4   s=4: 3 3 4 4 4 5 5 5
n=6  s=1: 1 1 1 1 1 2 2 2   s=2: 1 1 2 2 2 2 3 3   s=3: 1 2 2 2 2 3 3 4   s=4: 2 2 3 3 3 4 5 5
n=7  s=2: 1 1 1 2 2 2 2 3   s=3: 1 2 2 2 2 3 3 4   s=4: 2 2 2 3 3 4 4 5   s=5: 2 3 3 4 4 5 5 6
n=8  s=2: 1 1 1 1 2 2 2 3   s=3: 1 1 2 2 2 3 3 4   s=4: 1 2 2 2 3 3 4 5   s=5: 2 2 3 3 3 4 5 6
n=10 s=2: 1 1 1 1 1 2 2 3   s=3: 1 1 1 2 2 2 3 4   s=5: 1 2 2 2 3 3 4 6   s=7: 2 3 3 4 4 5 6 8
n=12 s=2: 1 1 1 1 1 2 2 3   s=5: 1 2 2 2 2 3 3 6   s=7: 2 2 3 3 3 4 5 8   s=10: 4 5 6 6 7 8 9 11
n=20 s=2: 1 1 1 1 1 1 2 3   s=5: 1 1 1 1 2 2 3 6   s=10: 1 2 2 2 3 4 4 11 s=15: 3 3 4 5 5 7 9 16
"""


def rows_of_the_table():
    for line in TABLE.strip().splitlines():
        n, *parts = line.replace("s=", "|").split("|")
        for part in parts:
            s, _, values = part.partition(":")
            yield int(n.removeprefix("n=")), int(s), [int(value) for value in values.split()]


@pytest.mark.parametrize(("n", "s", "expected"), list(rows_of_the_table()))
def test_the_table_of_the_least_replication_for_partial_recovery(n, s, expected):
    assert [least_replication(n, s, share) for share in SHARES] == expected


@pytest.mark.parametrize(
    ("n", "s", "share", "expected"),
    [
        (5, 3, 0.7, 2),
        (5, 3, 0.8, 2.5),
        (7, 3, 6 / 7, 2),
        (9, 4, 7 / 9, 1.8),
        (10, 5, 0.9, 2.88),
        (12, 5, 0.8, 1.8171),
        (20, 5, 0.95, 2.06),
    ],
)
def test_golden_values_of_the_sharper_bound(n, s, share, expected):
    assert float(least_partial_load(n, s, share)) == pytest.approx(expected, abs=5e-5)


def test_the_sharper_bound_lies_within_one_below_the_least_replication():
    for n in range(1, 12):
        for s in range(n):
            for share in SHARES:
                y, sharp = least_replication(n, s, share), least_partial_load(n, s, share)
                assert y - 1 < sharp <= y
                assert (missed_share(n, s, y) == 1 - Fraction(str(share))) == (sharp == y)


def test_recovering_everything_needs_one_copy_more_than_stragglers():
    for n in range(1, 12):
        for s in range(n):
            assert least_replication(n, s, 1.0) == least_partial_load(n, s, 1.0) == s + 1


def test_leaving_out_data_and_coding_the_rest_is_never_better():
    """The load alpha (s + 1) / n of the simple alternative, against the bound."""
    for n in range(1, 12):
        for s in range(n):
            for share in SHARES:
                assert least_partial_load(n, s, share) <= Fraction(str(share)) * (s + 1)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_the_sharper_bound_is_the_optimum_over_all_assignments(n):
    """A linear program: how much data each set of workers gets, such that any n - s still hold alpha."""
    sets = list(chain.from_iterable(combinations(range(n), size) for size in range(n + 1)))
    holds = np.array([[worker in each for each in sets] for worker in range(n)], dtype=float)
    for s in range(1, n):
        missed = [
            [float(not set(each) - set(absent)) for each in sets] for absent in combinations(range(n), s)
        ]
        for share in (0.6, 0.8, 0.9):
            rows = np.vstack([np.hstack([holds, -np.ones((n, 1))]), np.c_[missed, np.zeros(len(missed))]])
            limits = np.r_[np.zeros(n), np.full(len(missed), 1 - share)]
            found = linprog(
                np.r_[np.zeros(len(sets)), 1.0],
                A_ub=rows,
                b_ub=limits,
                A_eq=np.r_[np.ones(len(sets)), 0.0][None],
                b_eq=[1.0],
            )
            assert n * found.fun == pytest.approx(float(least_partial_load(n, s, share)), abs=1e-7)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_an_assignment_that_recovers_enough_satisfies_the_counting_condition(data):
    n = data.draw(st.integers(1, 6))
    s = data.draw(st.integers(0, n - 1))
    held = data.draw(st.lists(st.sets(st.integers(0, n - 1)), min_size=1, max_size=8))
    left = min(sum(bool(own - set(absent)) for own in held) for absent in combinations(range(n), s))
    if left:
        share = Fraction(left, len(held))
        replications = [len(own) for own in held]
        assert replications_suffice(n, s, replications, share)
        assert Fraction(sum(replications), len(held)) >= least_partial_load(n, s, share)


def test_equal_replication_satisfies_the_counting_condition_just_from_the_bound_on():
    for n in range(2, 9):
        for s in range(n):
            for share in SHARES:
                y = least_replication(n, s, share)
                assert replications_suffice(n, s, [y] * 5, share)
                assert y == 0 or not replications_suffice(n, s, [y - 1] * 5, share)


def test_codes_that_are_exact_with_any_s_absent_meet_the_bound_on_the_load():
    for n, s in ((6, 2), (12, 3), (7, 6)):
        assert cyclic_repetition(n, s).assignment.max_load == least_load(n, n, s)
    assert fractional_repetition(12, 3).assignment.max_load == least_load(12, 12, 3) == 4
    assert least_load(n_workers=4, n_chunks=10, n_stragglers=1) == 5


def test_below_the_bound_on_the_load_some_chunk_is_lost():
    """A total load of N (s + 1) - 1 leaves some chunk on at most s workers, whatever the assignment."""
    n, s, n_chunks = 4, 1, 3
    options = list(chain.from_iterable(combinations(range(n_chunks), size) for size in range(n_chunks + 1)))
    below = 0
    for workers in combinations(range(len(options)), n):
        held = [options[worker] for worker in workers]
        if sum(map(len, held)) < n * least_load(n, n_chunks, s):
            below += 1
            assert min(sum(chunk in own for own in held) for chunk in range(n_chunks)) <= s
    assert below > 10


# ---- low loads ------------------------------------------------------------------------------------------


def test_one_chunk_a_worker_recovers_beta_just_for_at_most_n_minus_beta_stragglers():
    for n in range(2, 9):
        for beta in range(1, n + 1):
            for s in range(n):
                assert (least_low_load(n, s, beta, 1) == 1) == (s <= n - beta)
                if s <= n - beta:
                    assert cyclic_partial(n, s, beta).assignment.max_load == 1


def test_two_chunks_a_worker_recover_beta_with_one_straggler_more():
    """Even beta: one message a worker. Odd beta: two messages, here the sum of both chunks and the first."""
    for n in range(4, 10):
        for beta in range(2, n):
            s = n - beta + 1
            messages = 1 if beta % 2 == 0 else 2
            assert least_low_load(n, s, beta, messages) == 2
            code = cyclic_partial(n, s, beta)
            assert code.assignment.max_load == 2
            assert len(code.messages) == messages * n
            intervals = code.stop_rule.intervals
            for present in combinations(range(n), n - s):
                own = [intervals[number] for worker in present for number in code.messages_of[worker]]
                assert most_recovered(n, own) >= beta


@pytest.mark.parametrize("n", [4, 5, 6])
def test_two_chunks_and_one_plain_sum_are_not_enough_for_three(n):
    """s = n - 2: two workers are left. Of n sums of at most two chunks, some two do not recover three."""
    assert least_low_load(n, n - 2, 3, 1) is None
    sums = [set(own) for size in (1, 2) for own in combinations(range(n), size)]

    def recover_three(one, other):
        return len(one) + len(other) >= 3 and not one & other

    def most_pairwise(chosen, left):
        best = len(chosen)
        for k, each in enumerate(left):
            if all(recover_three(each, own) for own in chosen):
                best = max(best, most_pairwise([*chosen, each], left[k + 1 :]))
        return best

    assert not any(recover_three(each, each) for each in sums), "two workers with the same sum"
    assert most_pairwise([], sums) < n


@pytest.mark.parametrize(("n", "beta"), [(3, 3), (4, 3), (4, 4), (5, 4), (5, 5)])
def test_with_more_stragglers_two_chunks_a_worker_do_not_even_hold_enough(n, beta):
    """Whatever the assignment and the messages, for s = n - beta + 2."""
    s = n - beta + 2
    assert least_low_load(n, s, beta, n_messages=5) is None
    pairs = list(combinations(range(n), 2))
    for workers in combinations_with_replacement(pairs, n):
        held = [len(set(chain.from_iterable(present))) for present in combinations(workers, n - s)]
        assert min(held) < beta


def test_recovering_everything_with_one_straggler_needs_two_chunks_and_one_message():
    assert least_low_load(6, 1, 6, 1) == least_low_load(7, 1, 7, 1) == 2
    assert cyclic_repetition(7, 1).assignment.max_load == 2


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: least_load(4, 0, 1), "n_chunks"),
        (lambda: least_load(4, 4, 4), "n_stragglers"),
        (lambda: least_replication(4, 1, 0.0), "recovered"),
        (lambda: least_replication(4, 1, 1.1), "recovered"),
        (lambda: least_replication(4, 1, True), "recovered"),
        (lambda: least_replication(4, 1, "all"), "recovered"),
        (lambda: least_partial_load(0, 0, 0.5), "n_workers"),
        (lambda: missed_share(4, 1, 5), "n_holders"),
        (lambda: replications_suffice(4, 1, [5], 0.5), "replications"),
        (lambda: least_low_load(4, 1, 5, 1), "n_recovered"),
        (lambda: least_low_load(4, 1, 3, 0), "n_messages"),
    ],
)
def test_impossible_parameters_are_refused(call, field):
    with pytest.raises(InvalidSpec) as caught:
        call()
    assert caught.value.field == field


def test_the_share_that_stragglers_hit_is_a_hypergeometric_chance():
    assert missed_share(5, 3, 2) == Fraction(comb(3, 2), comb(5, 2))
    assert [missed_share(4, 2, y) for y in range(5)] == [1, Fraction(1, 2), Fraction(1, 6), 0, 0]
