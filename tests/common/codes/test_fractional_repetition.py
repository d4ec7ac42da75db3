from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from common.codes.base import decode
from common.codes.decoders import encoding_matrix
from common.codes.fractional_repetition import fractional_repetition
from common.errors import InvalidSpec

SIZES = [(n, s) for n in range(1, 13) for s in range(n) if n % (s + 1) == 0]


def without(code, absent):
    return decode(code, [message for message in code.messages if message.worker not in absent])


def test_golden_matrix_of_six_workers_and_one_straggler():
    rows = encoding_matrix(6, 1, fractional_repetition(6, 1).messages).toarray().T
    half = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
    np.testing.assert_array_equal(rows, half + half)


@pytest.mark.parametrize(("n", "s"), SIZES)
def test_every_pattern_of_s_stragglers_is_decoded(n, s):
    code = fractional_repetition(n, s)
    assert all(without(code, absent).residual < 1e-12 for absent in combinations(range(n), s))


@pytest.mark.parametrize(("n", "s"), [(n, s) for n, s in SIZES if s + 1 < n])
def test_with_one_straggler_more_exactly_n_over_s_plus_1_patterns_are_fatal(n, s):
    code = fractional_repetition(n, s)
    fatal = sum(not without(code, absent).exact for absent in combinations(range(n), s + 1))
    assert fatal == n // (s + 1)


@pytest.mark.parametrize(("n", "c"), [(6, 2), (8, 2), (9, 3), (8, 4)])
def test_coefficient_error_with_any_number_of_stragglers(n, c):
    """Worst over s' stragglers: c floor(s' / c); mean: n C(n - c, n - s') / C(n, n - s')."""
    code = fractional_repetition(n, c - 1)
    for absent in range(n + 1):
        errors = [without(code, pattern).residual ** 2 for pattern in combinations(range(n), absent)]
        assert max(errors) == pytest.approx(c * (absent // c), abs=1e-9)
        assert np.mean(errors) == pytest.approx(n * comb(n - c, n - absent) / comb(n, n - absent), abs=1e-9)


def test_it_may_suffice_with_fewer_messages_than_n_minus_s():
    tally = fractional_repetition(6, 2).stop_rule.start()
    tally.arrived(0)
    tally.arrived(3)
    assert tally.may_suffice


@pytest.mark.parametrize(
    ("n", "s", "rule"),
    [(8, 2, "must divide n_workers = 8"), (4, 4, "0 to n_workers - 1 = 3"), (4, 1.0, "whole number")],
)
def test_impossible_parameters_are_refused(n, s, rule):
    with pytest.raises(InvalidSpec, match="n_stragglers") as caught:
        fractional_repetition(n, s)
    assert rule in str(caught.value)
    assert caught.value.value == s
