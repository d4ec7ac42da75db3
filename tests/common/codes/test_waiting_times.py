from __future__ import annotations

import numpy as np
import pytest

from common.codes.waiting_times import harmonic, wait_for, wait_for_erasurehead, wait_for_groups
from common.errors import InvalidSpec

N, MEAN = 30, 0.5

TABLE = {
    # s: cyclic, fractional, (seconds, covered) of ErasureHead with r = 15 and with r = 20
    1: (1.4975, 0.8296, (0.338, 0.759), (0.529, 0.897)),
    2: (1.2475, 0.4882, (0.331, 0.888), (0.440, 0.970)),
    4: (0.9558, 0.2450, (0.232, 0.979), (0.244, 0.998)),
    5: (0.8558, 0.1903, (0.187, 0.992), (0.190, 1.0)),
    9: (0.5830, 0.0917, (0.092, 1.0), (0.092, 1.0)),
}


def test_golden_wait_for_everybody():
    assert wait_for(N, N, MEAN) == pytest.approx(1.9975, abs=5e-5)
    assert wait_for(N, N, MEAN) == pytest.approx(MEAN * float(harmonic(N)))


@pytest.mark.parametrize("s", TABLE)
def test_golden_waiting_times_of_thirty_workers(s):
    cyclic, fractional, *collected = TABLE[s]
    assert wait_for(N, N - s, MEAN) == pytest.approx(cyclic, abs=5e-5)
    assert wait_for_groups(N, s + 1, MEAN) == pytest.approx(fractional, abs=5e-5)
    for r, (seconds, covered) in zip((15, 20), collected, strict=True):
        found = wait_for_erasurehead(N, s + 1, r, MEAN)
        assert found == pytest.approx((seconds, covered), abs=5e-4)


@pytest.mark.parametrize(("s", "r"), [(1, 15), (2, 20), (4, 15), (5, 20)])
def test_the_closed_forms_are_the_means_of_drawn_times(s, r):
    """Within 1 %, over 40,000 drawn rounds; worker w is in block w mod (number of blocks)."""
    c = s + 1
    times = np.random.default_rng(0).exponential(MEAN, (40_000, N))
    ordered = np.sort(times, axis=1)
    covered_at = times.reshape(len(times), c, N // c).min(axis=1)
    stop = np.minimum(ordered[:, r - 1], covered_at.max(axis=1))
    seconds, share = wait_for_erasurehead(N, c, r, MEAN)
    assert stop.mean() == pytest.approx(seconds, rel=0.01)
    assert (covered_at <= stop[:, None]).mean() == pytest.approx(share, rel=0.01)
    assert ordered[:, N - s - 1].mean() == pytest.approx(wait_for(N, N - s, MEAN), rel=0.01)
    assert covered_at.max(axis=1).mean() == pytest.approx(wait_for_groups(N, c, MEAN), rel=0.01)


def test_collecting_everything_waits_for_all_blocks_and_one_copy_for_r_messages():
    assert wait_for_erasurehead(12, 3, 12, 2.0) == (pytest.approx(wait_for_groups(12, 3, 2.0)), 1.0)
    seconds, covered = wait_for_erasurehead(12, 1, 8, 2.0)
    assert seconds == pytest.approx(wait_for(12, 8, 2.0))
    assert covered == pytest.approx(8 / 12)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: wait_for(3, 4, 1.0), "n_messages"),
        (lambda: wait_for_groups(10, 4, 1.0), "copies"),
        (lambda: wait_for_erasurehead(10, 5, 11, 1.0), "collect"),
        (lambda: harmonic(-1), "k"),
    ],
)
def test_impossible_parameters_are_refused(call, field):
    with pytest.raises(InvalidSpec) as caught:
        call()
    assert caught.value.field == field
