from __future__ import annotations

import numpy as np
import pytest

from common.codes.base import decode
from common.codes.bernoulli import bernoulli, bernoulli_placement, one_step_error
from common.errors import InvalidSpec


@pytest.mark.parametrize(("n", "c", "r", "error"), [(50, 5, 25, 18), (20, 4, 10, 8)])
def test_mean_error_of_one_step_decoding(n, c, r, error):
    """n (n - c) / (r c), over placements."""
    assert one_step_error(n, c, r) == error
    rng = np.random.default_rng(0)
    found = []
    for _ in range(1500):
        placement = bernoulli_placement(n, c, rng, most=n)
        counts = np.bincount(np.concatenate(placement[:r]).astype(int), minlength=n)
        found.append(((counts * n / (r * c) - 1) ** 2).sum())
    assert np.mean(found) == pytest.approx(error, rel=0.03)


def test_the_code_decodes_with_one_step():
    code = bernoulli(50, 5)
    received = code.messages[:25]
    found = decode(code, received)
    np.testing.assert_allclose(found.weights, 2.0)
    errors = []
    for seed in range(60):
        own = bernoulli(50, 5, seed)
        errors.append(decode(own, own.messages[:25]).residual ** 2)
    assert np.mean(errors) == pytest.approx(18, rel=0.1)


def test_everybody_takes_part():
    for seed in range(20):
        code = bernoulli(12, 1, seed)
        assert code.assignment.replication >= 1
        assert min(len(order) for order in code.assignment.orders) >= 1


def test_regularised_workers_hold_at_most_twice_the_mean():
    loads = [len(order) for seed in range(20) for order in bernoulli(60, 3, seed).assignment.orders]
    assert max(loads) > 7
    kept = [
        len(own)
        for seed in range(20)
        for own in bernoulli_placement(60, 3, np.random.default_rng(seed), most=6)
    ]
    assert max(kept) == 6
    assert bernoulli(60, 3, regularised=True).assignment != bernoulli(60, 3).assignment
    assert np.mean(loads) == pytest.approx(3, rel=0.1)


def test_the_code_may_end_a_round_without_some_messages():
    assert bernoulli(12, n_stragglers=3).enough_messages == 9


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0,), "n_workers"),
        ((8, 9), "load"),
        ((8, 0), "load"),
        ((8, 2, -1), "seed"),
        ((8, 2, 0, 8), "n_stragglers"),
        ((8, 2, 0, 0, 1), "regularised"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field):
    with pytest.raises(InvalidSpec) as caught:
        bernoulli(*arguments)
    assert caught.value.field == field
