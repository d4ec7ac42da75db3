"""The Byzantine protocol: correct with replication s + 1, and at most s local computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.disputes import settle


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4), st.integers(1, 17), st.integers(0, 2**32 - 1), st.booleans())
def test_the_byzantine_protocol_is_right_and_computes_at_most_s_chunks(s, n_chunks, seed, conspire):
    """s liars in a group of s + 1, each with lies of its own or all with the same, sums kept or not."""
    for trial in range(20):
        rng = np.random.default_rng([seed, trial])
        truth = [rng.standard_normal(3) for _ in range(n_chunks)]
        honest = int(rng.integers(s + 1))
        lie = rng.standard_normal(3)
        claims = {}
        for worker in range(s + 1):
            claims[worker] = [value.copy() for value in truth]
            if worker == honest:
                continue
            amount = lie if conspire else rng.standard_normal(3)
            at = rng.integers(n_chunks, size=2)
            claims[worker][at[0]] += amount
            if rng.random() < 0.5:  # the sum may be right although its parts are not
                claims[worker][at[1]] -= amount
        asked = []

        def recompute(chunk, truth=truth, asked=asked):
            asked.append(chunk)
            return truth[chunk]

        found = settle(claims, recompute)
        liars = [w for w in claims if any((a != b).any() for a, b in zip(claims[w], truth, strict=True))]
        assert found.liars == tuple(liars)
        assert honest in found.honest
        assert len(asked) == found.n_recomputed <= len(liars) <= s
        assert found.n_exchanges <= 2 * found.n_recomputed * int(np.ceil(np.log2(max(n_chunks, 2))))


def test_a_group_of_liars_that_disagree_has_nobody_left():
    claims = {0: [np.array([1.0])], 1: [np.array([2.0])]}
    with pytest.raises(ValueError, match="honest"):
        settle(claims, lambda chunk: np.array([3.0]))


def test_workers_that_agree_are_not_checked():
    value = [np.array([1.0]), np.array([2.0])]
    assert settle({3: value, 5: value}, pytest.fail).honest == (3, 5)
