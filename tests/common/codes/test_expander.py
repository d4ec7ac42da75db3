from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from common.codes.approximate_decoders import NormalEquations
from common.codes.base import certify, decode
from common.codes.expander import expander, expander_bound, second_eigenvalue
from common.errors import InvalidSpec


def test_it_is_exact_if_all_answer():
    for n, degree in [(10, 3), (9, 4), (200, 8)]:
        code = expander(n, degree)
        assert decode(code, code.messages).exact
        assert code.estimator == "rescaled"


@pytest.mark.parametrize(("n", "degree"), [(8, 3), (10, 4), (12, 5)])
def test_no_pattern_exceeds_the_bound_by_the_second_eigenvalue(n, degree):
    """||w' B - 1|| <= (lambda / d) sqrt(n s / (n - s)), for all patterns; and above sqrt(floor(s / d))."""
    code = expander(n, degree)
    eigenvalue = second_eigenvalue(code)
    for s in range(n):
        worst = max(
            decode(code, [code.messages[worker] for worker in F]).residual
            for F in combinations(range(n), n - s)
        )
        assert worst <= expander_bound(n, degree, eigenvalue, s) + 1e-9
        assert worst >= (s // degree) ** 0.5 - 1e-9


def test_a_random_graph_of_200_workers_is_nearly_ramanujan_and_least_squares_beats_the_bound():
    """Typical patterns of a random 8-regular graph: 14 times at s = 2, 6 times at 20, 2.7 times at 100."""
    code = expander(200, 8)
    eigenvalue = second_eigenvalue(code)
    assert eigenvalue == pytest.approx(2 * 7**0.5, rel=0.1)
    rng = np.random.default_rng(0)
    for s, factor in {2: 14, 20: 6, 100: 2.7}.items():
        ratios = []
        for _ in range(6):
            received = [code.messages[worker] for worker in rng.permutation(200)[s:]]
            bound = expander_bound(200, 8, eigenvalue, s)
            best = certify(200, 1, received, NormalEquations().weights(code, received)).residual
            assert best <= decode(code, received).residual <= bound + 1e-9
            ratios.append(bound / best)
        assert np.median(ratios) == pytest.approx(factor, rel=0.25)


def test_coefficients_average_to_one():
    code = expander(30, 4)
    for s in (1, 5, 20):
        assert decode(code, code.messages[s:]).coefficients.mean() == pytest.approx(1)


def test_the_code_may_end_a_round_without_some_messages():
    assert expander(10, 3, n_stragglers=3).enough_messages == 7


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((9, 3), "degree", "even where n_workers = 9 is odd, such as 2 or 4"),
        ((9, 9), "degree", "from 2 to n_workers - 1 = 8"),
        ((2,), "n_workers", "at least 3"),
        ((10, 3, -1), "seed", "at least 0"),
        ((10, 3, 0, 10), "n_stragglers", "from 0 to n_workers - 1 = 9"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        expander(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
