from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb, gcd

import numpy as np
import pytest

from common.codes.all_subsets import all_subsets
from common.codes.base import certify, decode
from common.codes.bounds import least_replication
from common.codes.decoders import LeastSquares
from common.codes.subsets import balanced_owners, recovered_share, subsets
from common.codes.sum_and_non_owned import sum_and_non_owned
from common.errors import InvalidSpec

SIZES = [(5, 3, 2), (6, 3, 2), (7, 4, 3), (8, 5, 2), (6, 4, 2)]
"""n, s, y."""


def answers(code, absent):
    return [message for message in code.messages if message.worker not in absent]


def seen(code, absent):
    return {chunk for chunk, workers in enumerate(code.assignment.holders) if set(workers) - set(absent)}


# ---- all subsets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "s", "y"), SIZES)
def test_with_s_stragglers_all_but_c_s_y_chunks_are_recovered(n, s, y):
    code = all_subsets(n, s, y)
    assert code.n_chunks == comb(n, y)
    assert len(code.messages) == n * comb(n - 1, y - 1)
    assert code.assignment.max_load / code.n_chunks == pytest.approx(y / n)
    for absent in combinations(range(n), s):
        found = decode(code, answers(code, absent))
        assert set(found.coefficients[:, 0].tolist()) <= {0.0, 1.0}
        assert found.coefficients.sum() == comb(n, y) - comb(s, y)
        assert found.recovered_fraction == pytest.approx(code.enough_recovered)


def test_every_set_of_y_workers_has_a_chunk_of_its_own():
    code = all_subsets(6, 3, 3)
    assert sorted(code.assignment.holders) == list(combinations(range(6), 3))


def test_the_bound_on_the_load_is_achieved():
    for n in range(3, 8):
        for s in range(1, n):
            for share in (0.5, 0.7, 0.8, 0.9):
                y = max(1, least_replication(n, s, share))
                assert all_subsets(n, s, y).enough_recovered >= share - 1e-12
                if y > 1:
                    assert all_subsets(n, s, y - 1).enough_recovered < share


@pytest.mark.parametrize(("n", "s", "y"), [(5, 1, 2), (6, 3, 4), (7, 2, 3)])
def test_with_more_copies_than_stragglers_everything_is_recovered(n, s, y):
    code = all_subsets(n, s, y)
    assert code.enough_recovered == 1.0
    assert code.n_stragglers == y - 1 >= s


def test_every_finished_chunk_is_sent_at_once_and_own_chunks_come_first():
    code = all_subsets(5, 3, 2)
    for worker, order in enumerate(code.assignment.orders):
        assert [code.messages[number].terms[0].chunk for number in code.messages_of[worker]] == list(order)
    firsts = [chunk for order in code.assignment.orders for chunk in order[:2]]
    assert sorted(firsts) == list(range(10)), "the first two chunks of five workers are all ten chunks"


# ---- owners ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "y"), [(n, y) for n in range(2, 13) for y in range(1, n + 1)])
def test_an_owner_is_a_holder_and_all_own_about_equally_many(n, y):
    holders = tuple(combinations(range(n), y))
    owners = balanced_owners(n, holders)
    assert all(owner in groups for owner, groups in zip(owners, holders, strict=True))
    counts = Counter(owners)
    numbers = [counts[group] for group in range(n)]
    if gcd(n, y) == 1:
        assert set(numbers) == {comb(n - 1, y - 1) // y}
    assert max(numbers) - min(numbers) <= 1


# ---- sum and non-owned ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "s", "y", "messages"),
    [(5, 3, 2, 3), (7, 4, 3, 11), (7, 3, 2, 4), (8, 5, 3, 15), (9, 5, 2, 5), (9, 6, 4, 43)],
)
def test_the_decoded_value_is_the_sum_of_all_chunks_seen(n, s, y, messages):
    """Every pattern; m = 1 + C(n-1, y-1) (y-1) / y messages a worker."""
    code = sum_and_non_owned(n, s, y)
    assert {len(own) for own in code.messages_of} == {messages} == {1 + comb(n - 1, y - 1) * (y - 1) // y}
    patterns = list(combinations(range(n), s))
    for absent in patterns[:: 1 if n < 9 else 3]:
        found = decode(code, answers(code, absent))
        held = seen(code, absent)
        expected = [float(chunk in held) for chunk in range(code.n_chunks)]
        np.testing.assert_array_equal(found.coefficients[:, 0], expected)
        assert len(held) == comb(n, y) - comb(s, y)
        assert set(found.weights[:, 0].tolist()) <= {0.0, 1.0, -1.0}


@pytest.mark.parametrize(("n", "s", "y"), [(6, 3, 2), (6, 4, 3), (8, 5, 2), (6, 2, 4), (4, 2, 4), (4, 1, 1)])
def test_any_owners_serve_also_where_n_and_y_have_a_common_factor(n, s, y):
    code = sum_and_non_owned(n, s, y)
    for size in range(n):
        for absent in combinations(range(n), size):
            found = decode(code, answers(code, absent))
            held = seen(code, absent)
            assert [float(chunk in held) for chunk in range(code.n_chunks)] == found.coefficients[
                :, 0
            ].tolist()


def test_twelve_workers_and_pairs_need_seven_messages_instead_of_eleven():
    """5 or 6 of a worker's 11 chunks are its own."""
    code = sum_and_non_owned(12, 5, 2)
    assert {len(own) for own in code.messages_of} == {6, 7}
    assert {len(own) for own in all_subsets(12, 5, 2).messages_of} == {11}


def test_messages_that_came_before_a_worker_was_lost_are_not_wasted():
    """Every prefix of a worker's messages, with others complete, absent, or cut off as well."""
    code = sum_and_non_owned(5, 3, 2)
    rng = np.random.default_rng(0)
    for _ in range(200):
        received = []
        for own in code.messages_of:
            received += [code.messages[number] for number in own[: rng.integers(0, len(own) + 1)]]
        known = {m.terms[0].chunk for m in received if len(m.terms) == 1}
        known |= {term.chunk for m in received if len(m.terms) > 1 for term in m.terms}
        order = rng.permutation(len(received))
        found = decode(code, [received[k] for k in order])
        assert [float(chunk in known) for chunk in range(10)] == found.coefficients[:, 0].tolist()


def test_the_fast_decoder_is_exact_where_least_squares_is():
    rng = np.random.default_rng(1)
    for make in (all_subsets, sum_and_non_owned):
        for n, s, y in ((5, 3, 2), (6, 3, 3)):
            code = make(n, s, y)
            for _ in range(15):
                received = answers(code, rng.permutation(n)[: rng.integers(0, n + 1)])
                slow = certify(code.n_chunks, 1, received, LeastSquares().weights(code, received))
                found = decode(code, received)
                assert found.exact == slow.exact
                assert found.recovered_fraction == pytest.approx(slow.recovered_fraction)


def test_the_tally_follows_whatever_arrives():
    """At every arrival it says what the decoder can do, for workers that send in order."""
    rng = np.random.default_rng(2)
    for n, s, y, g in ((5, 3, 2, 1), (6, 3, 4, 1), (8, 3, 2, 2)):
        code = sum_and_non_owned(n, s, y, g)
        for _ in range(10):
            left = [list(own) for own in code.messages_of]
            tally, received = code.stop_rule.start(), []
            while any(left):
                own = left[int(rng.choice([k for k, numbers in enumerate(left) if numbers]))]
                number = own.pop(0)
                tally.arrived(number)
                received.append(code.messages[number])
                assert tally.may_suffice == decode(code, received).exact


# ---- groups: points in between --------------------------------------------------------------------------


@pytest.mark.parametrize("make", [all_subsets, sum_and_non_owned])
@pytest.mark.parametrize(("n", "s", "y", "g"), [(6, 3, 2, 2), (8, 5, 2, 2), (9, 4, 1, 3), (9, 6, 2, 3)])
def test_s_stragglers_wipe_out_at_most_s_over_g_groups(make, n, s, y, g):
    code = make(n, s, y, g)
    least = 1.0
    for absent in combinations(range(n), s):
        found = decode(code, answers(code, absent))
        held = seen(code, absent)
        assert found.coefficients.sum() == len(held)
        least = min(least, found.recovered_fraction)
    assert least == pytest.approx(code.enough_recovered)
    assert code.enough_recovered == pytest.approx(1 - comb(s // g, y) / comb(n // g, y))
    assert code.assignment.max_load / code.n_chunks == pytest.approx(y * g / n)


def test_members_of_a_group_hold_and_send_the_same():
    code = sum_and_non_owned(8, 3, 2, group_size=2)
    for worker in range(4):
        assert code.assignment.orders[worker] == code.assignment.orders[worker + 4]
        for one, other in zip(code.messages_of[worker], code.messages_of[worker + 4], strict=True):
            assert code.messages[one].terms == code.messages[other].terms
    assert code.n_stragglers == 3


def test_a_group_may_send_between_them_what_no_member_sent_alone():
    code = sum_and_non_owned(4, 1, 1, group_size=2)
    assert [len(own) for own in code.messages_of] == [1] * 4
    code = sum_and_non_owned(8, 3, 2, group_size=2)
    first, second = code.messages_of[0], code.messages_of[4]
    received = [code.messages[first[0]], *(code.messages[number] for number in second[1:])]
    assert decode(code, received).coefficients.sum() == 3


def test_the_share_recovered_with_groups():
    """12 workers in 6 pairs, of which 5 stragglers wipe out two."""
    assert recovered_share(12, 5, 2, 2) == Fraction(14, 15)


@pytest.mark.parametrize("make", [all_subsets, sum_and_non_owned])
@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((5, 5, 2), "n_stragglers", "from 0 to n_workers - 1 = 4"),
        ((5, 2, 0), "n_holders", "from 1"),
        ((5, 2, 6), "n_holders", "n_workers / group_size = 5"),
        ((6, 2, 4, 2), "n_holders", "n_workers / group_size = 3"),
        ((6, 2, 2, 4), "group_size", "must divide n_workers = 6"),
        ((6, 2, 2, 0), "group_size", "from 1"),
        ((200, 2, 3), "n_workers x chunks of a worker", "cyclic_partial"),
        ((10**9, 2, 3), "n_workers x chunks of a worker", "at most"),
    ],
)
def test_impossible_parameters_are_refused(make, arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        make(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)


def test_the_placement_is_a_value():
    assert subsets(5, 3, 2, 1, own_first=True) == subsets(5, 3, 2, 1, own_first=True)
