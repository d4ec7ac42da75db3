"""A short chaos run: real processes, every kind of fault, and every proof holds."""

from __future__ import annotations

import pytest

from gradcode.chaos import disk
from gradcode.chaos.plan import KINDS
from gradcode.chaos.play import Wanted, play

pytestmark = pytest.mark.xdist_group("faults")


async def test_a_cluster_that_is_disturbed_in_every_way_comes_out_right(tmp_path):
    wanted = Wanted(seed=11, seconds=20.0, n_workers=3, every_seconds=0.8)
    result = await play(wanted, tmp_path)
    assert result.complaints == []
    assert result.proof.outcomes.keys() == {"exact"}
    assert result.proof.n_steps == result.proof.n_rounds > 20
    possible = set(KINDS) - ({"fill disk"} if disk.why_not() else set())
    assert set(result.counts) | set(result.missed) == possible
    # On a busy machine some meet nobody: a worker that is being started, a link that is not there yet.
    assert len(result.counts) >= 6
