"""A short chaos run: real processes, every kind of fault, and every proof holds."""

from __future__ import annotations

import pytest

from gradcode.chaos import disk
from gradcode.chaos.plan import KINDS
from gradcode.chaos.play import Wanted, play

pytestmark = pytest.mark.xdist_group("processes")


async def test_a_cluster_that_is_disturbed_in_every_way_comes_out_right(tmp_path):
    kinds = tuple(kind for kind in KINDS if kind != "kill master")
    wanted = Wanted(seed=11, seconds=20.0, n_workers=3, every_seconds=0.9, kinds=kinds)
    result = await play(wanted, tmp_path)
    assert result.complaints == []
    assert result.proof.outcomes.keys() == {"exact"}
    assert result.proof.n_steps == result.proof.n_rounds > 20
    possible = set(kinds) - ({"fill disk"} if disk.why_not() else set())
    assert set(result.counts) | set(result.missed) == possible
    assert len(result.counts) >= 10
