from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from common.codes.base import decode
from common.codes.cyclic_partial import cyclic_partial
from common.codes.decoders import encoding_matrix
from common.codes.intervals import most_recovered
from common.errors import InvalidSpec

INFEASIBLE = """
(5,3,5) (6,4,6) (7,4,7) (7,5,6..7) (8,6,7..8) (9,6,9) (9,7,7..9) (10,6,10) (10,7,10) (10,8,8..10) (11,6,11)
(11,7,11) (11,8,10..11) (11,9,8..11) (12,8,11) (12,9,11..12) (12,10,9..12)
"""


def infeasible():
    for n, s, low, high in re.findall(r"\((\d+),(\d+),(\d+)(?:\.\.(\d+))?\)", INFEASIBLE):
        for beta in range(int(low), int(high or low) + 1):
            yield int(n), int(s), beta


def lengths(n, s, beta):
    load = s + 1 + beta - n
    return load, beta % load


def intervals(n, s, beta, workers):
    load, head = lengths(n, s, beta)
    return [(worker, length) for worker in workers for length in (load, head) if length]


def sets_up_to_rotation(n, size):
    """Every set of workers can be turned such that it contains worker 0."""
    return [(0, *others) for others in combinations(range(1, n), size - 1)]


DIVISIBLE = [
    (n, s, beta)
    for n in range(3, 12)
    for s in range(1, n)
    for beta in range(n - s, n + 1)
    if lengths(n, s, beta)[1] == 0
]
NOT_DIVISIBLE = [
    (n, s, beta)
    for n in range(3, 13)
    for s in range(1, n)
    for beta in range(n - s, n + 1)
    if lengths(n, s, beta)[1] != 0
]


def present(code, workers):
    return [code.messages[number] for worker in workers for number in code.messages_of[worker]]


def test_where_r_divides_beta_one_message_is_enough():
    """143 sets of parameters, every set of workers."""
    assert len(DIVISIBLE) == 143
    for n, s, beta in DIVISIBLE:
        code = cyclic_partial(n, s, beta)
        assert len(code.messages) == n
        assert code.assignment.max_load == lengths(n, s, beta)[0]
        for workers in combinations(range(n), n - s):
            assert most_recovered(n, intervals(n, s, beta, workers)) >= beta


def test_where_r_does_not_divide_beta_two_messages_are_enough_but_for_31_sets_of_parameters():
    """All 173 sets with n <= 12, every set of workers up to rotation; the 31 are exactly those refused."""
    assert len(NOT_DIVISIBLE) == 173
    refused = list(infeasible())
    assert len(refused) == 31
    found = []
    for n, s, beta in NOT_DIVISIBLE:
        try:
            code = cyclic_partial(n, s, beta)
        except InvalidSpec:
            found.append((n, s, beta))
        else:
            assert len(code.messages) == 2 * n
    assert found == refused
    for n, s, beta in NOT_DIVISIBLE:
        least = min(most_recovered(n, intervals(n, s, beta, own)) for own in sets_up_to_rotation(n, n - s))
        assert (least < beta) == ((n, s, beta) in refused)
        assert least >= beta or 2 * lengths(n, s, beta)[0] > n


@pytest.mark.parametrize(("n", "s", "beta"), list(infeasible()))
def test_what_is_refused_has_no_combination_that_recovers_beta(n, s, beta):
    """Not only the decoder fails: no 0/1 vector with beta ones is in the span of the messages named."""
    with pytest.raises(InvalidSpec) as caught:
        cyclic_partial(n, s, beta)
    named = re.search(r"workers \((.*?)\) alone recover only (\d+)", str(caught.value))
    workers = [int(each) for each in named[1].split(",")]
    assert len(workers) == n - s
    encoding = np.zeros((n, 2 * (n - s)))
    for column, (first, length) in enumerate(intervals(n, s, beta, workers)):
        encoding[(first + np.arange(length)) % n, column] = 1
    U, sizes, _ = np.linalg.svd(encoding, full_matrices=False)
    U = U[:, sizes > 1e-9]
    candidates = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
    within = np.abs(candidates - candidates @ U @ U.T).max(axis=1) < 1e-8
    assert candidates[within].sum(axis=1).max() == int(named[2]) < beta


@pytest.mark.parametrize(("n", "s", "beta"), list(infeasible()))
def test_what_is_refused_names_a_number_of_chunks_that_is_possible(n, s, beta):
    with pytest.raises(InvalidSpec) as caught:
        cyclic_partial(n, s, beta)
    assert caught.value.field == "n_recovered"
    nearest = int(re.search(r"nearest possible: (\d+)", str(caught.value))[1])
    assert cyclic_partial(n, s, nearest).enough_recovered == nearest / n


def test_where_too_many_sets_would_have_to_be_tried_it_is_refused():
    with pytest.raises(InvalidSpec, match="too many sets of workers to try"):
        cyclic_partial(40, 20, 40)
    assert cyclic_partial(40, 20, 38).enough_recovered == 0.95, "19 divides 38"


@pytest.mark.parametrize(
    ("n", "s", "beta"), [each for each in NOT_DIVISIBLE if each[0] <= 8 and each[2] < each[0]]
)
def test_where_r_does_not_divide_beta_one_message_is_not_enough(n, s, beta):
    load, _ = lengths(n, s, beta)
    least = min(
        most_recovered(n, [(worker, load) for worker in own]) for own in sets_up_to_rotation(n, n - s)
    )
    assert least < beta


@pytest.mark.parametrize("n", range(2, 9))
def test_r_is_the_least_load_with_which_any_n_minus_s_arcs_hold_beta_chunks(n):
    def least_held(s, load):
        return min(
            len({(worker + k) % n for worker in workers for k in range(load)})
            for workers in combinations(range(n), n - s)
        )

    for s in range(1, n):
        for beta in range(n - s + 1, n + 1):
            load, _ = lengths(n, s, beta)
            assert least_held(s, load) == min(n, n - s + load - 1) == beta
            assert least_held(s, load - 1) < beta


def test_golden_seven_workers_three_stragglers_six_chunks():
    """Counted from 1: stragglers 1, 4, 5 leave the sums of workers 3 and 6, chunks 3, 4, 5 and 6, 7, 1."""
    assert most_recovered(7, [(2, 3), (5, 3)]) == 6
    code = cyclic_partial(7, 3, 6)
    assert code.assignment.max_load == 3
    found = decode(code, present(code, [1, 2, 5, 6]))
    assert sorted(found.weights[:, 0].tolist()) == [0, 0, 1, 1], "two disjoint arcs"
    assert sorted(found.coefficients[:, 0].tolist()) == [0, 1, 1, 1, 1, 1, 1]


def test_golden_nine_workers_four_stragglers_seven_chunks():
    """Stragglers 2, 4, 5 of four that are allowed; counted from 1."""
    code = cyclic_partial(9, 4, 7)
    assert sorted({len(message.terms) for message in code.messages}) == [1, 3]
    absent = {1, 3, 4}
    recovered = {}
    for fourth in set(range(9)) - absent:
        found = decode(code, present(code, sorted(set(range(9)) - absent - {fourth})))
        recovered[fourth + 1] = round(found.coefficients.sum())
    assert recovered == {1: 9, 3: 7, 6: 8, 7: 9, 8: 9, 9: 9}
    assert decode(code, present(code, sorted(set(range(9)) - absent))).exact
    head_of_1, sums_of_3_and_6 = (0, 1), [(2, 3), (5, 3)]
    assert most_recovered(9, [head_of_1, *sums_of_3_and_6]) == 7


@pytest.mark.parametrize(("n", "s", "beta"), [each for each in NOT_DIVISIBLE if each[0] <= 6])
def test_the_decoder_finds_the_most_that_the_span_holds(n, s, beta):
    """Every set of workers; weights are 0, 1, -1, over the turns where a closed walk recovers everything."""
    candidates = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
    if (n, s, beta) in infeasible():
        return
    code = cyclic_partial(n, s, beta)
    for size in range(1, n + 1):
        for workers in combinations(range(n), size):
            received = present(code, workers)
            U, sizes, _ = np.linalg.svd(encoding_matrix(n, 1, received).toarray(), full_matrices=False)
            U = U[:, sizes > 1e-9]
            within = np.abs(candidates - candidates @ U @ U.T).max(axis=1) < 1e-8
            found = decode(code, received)
            assert round(found.coefficients.sum()) == candidates[within].sum(axis=1).max()
            turns = {round(1 / abs(w), 9) for w in found.weights[:, 0].tolist() if w}
            assert turns in ({1.0}, {2.0}, {3.0})
            assert turns == {1.0} or found.exact


def test_a_round_ends_at_beta_chunks_or_when_everything_is_there():
    code = cyclic_partial(7, 3, 6)
    assert code.enough_recovered == 6 / 7
    tally = code.stop_rule.start()
    for message in range(6):
        tally.arrived(message)
        assert not tally.may_suffice
    tally.arrived(6)
    assert tally.may_suffice


@pytest.mark.parametrize(("n", "s", "beta"), [(8, 2, 8), (9, 2, 9), (6, 5, 6), (12, 3, 12), (10, 4, 10)])
def test_with_all_chunks_asked_for_any_s_stragglers_are_survived_exactly(n, s, beta):
    code = cyclic_partial(n, s, beta)
    assert (code.n_stragglers, code.enough_recovered) == (s, 1.0)
    for workers in combinations(range(n), n - s):
        assert decode(code, present(code, workers)).exact


@pytest.mark.parametrize(("n", "s", "beta"), [(8, 5, 6), (9, 5, 6), (12, 7, 8), (12, 9, 6), (10, 6, 5)])
def test_as_many_absent_as_the_code_says_leave_everything_recoverable(n, s, beta):
    code = cyclic_partial(n, s, beta)
    assert code.n_stragglers == np.gcd(n, code.assignment.max_load) - 1
    for workers in combinations(range(n), n - code.n_stragglers):
        assert decode(code, present(code, workers)).exact


def test_the_short_sum_comes_first():
    code = cyclic_partial(9, 4, 7)
    assert [len(code.messages[number].terms) for number in code.messages_of[3]] == [1, 3]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((6, 6, 3), "n_stragglers"),
        ((6, 1, 0), "n_recovered"),
        ((6, 1, 7), "n_recovered"),
        ((6, 1, 2.5), "n_recovered"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field):
    with pytest.raises(InvalidSpec) as caught:
        cyclic_partial(*arguments)
    assert caught.value.field == field
