from __future__ import annotations

import numpy as np
import pytest

from common.codes.base import decode
from common.codes.decoders import encoding_matrix
from common.codes.stochastic import stochastic
from common.errors import InvalidSpec


@pytest.mark.parametrize(("n", "rho", "p"), [(8, 3, 0.2), (9, 2, 0.5), (6, 6, 0.1)])
def test_the_plain_sum_is_unbiased_with_the_variance_of_the_formula(n, rho, p):
    """All 2^n patterns of independent failures: mean 1, variance p / ((1 - p) rho) for every chunk."""
    code = stochastic(n, rho, p)
    E = encoding_matrix(n, 1, code.messages).toarray()
    patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    chances = np.prod(np.where(patterns, 1 - p, p), axis=1)
    coefficients = patterns @ E.T
    np.testing.assert_allclose(chances @ coefficients, 1, atol=1e-12)
    np.testing.assert_allclose(chances @ (coefficients - 1) ** 2, p / ((1 - p) * rho), atol=1e-12)
    received = [message for message in code.messages if patterns[5][message.worker]]
    np.testing.assert_allclose(decode(code, received).coefficients[:, 0], coefficients[5], atol=1e-12)


def test_without_failures_expected_it_is_exact_if_all_answer():
    code = stochastic(8, 3, 0.0)
    assert decode(code, code.messages).exact
    too_many = stochastic(8, 3, 0.2)
    np.testing.assert_allclose(decode(too_many, too_many.messages).coefficients, 1 / 0.8)


def test_the_code_may_end_a_round_without_some_messages():
    assert stochastic(8, n_stragglers=3).enough_messages == 5


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0,), "n_workers"),
        ((8, 9), "replication"),
        ((8, 3, 1.0), "straggler_probability"),
        ((8, 3, -0.1), "straggler_probability"),
        ((8, 3, "0.1"), "straggler_probability"),
        ((8, 3, True), "straggler_probability"),
        ((8, 3, float("nan")), "straggler_probability"),
        ((8, 3, 0.1, -1), "seed"),
        ((8, 3, 0.1, 0, 8), "n_stragglers"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field):
    with pytest.raises(InvalidSpec) as caught:
        stochastic(*arguments)
    assert caught.value.field == field
