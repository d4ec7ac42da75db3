from __future__ import annotations

import gc

import pytest

from common.experiment import Experiment
from gradcode.lab.learning import simulate
from gradcode.lab.memory import no_search_for_cycles


@pytest.mark.parametrize("learning", [False, True])
def test_what_is_played_leaves_no_cycles_behind(learning):
    """Otherwise memory would grow with the rounds while nobody searches."""
    simulator = simulate(Experiment(rounds=60, delays={"distribution": "constant"}), learning=learning)
    simulator.play(until=0.02)
    gc.collect()
    with no_search_for_cycles():
        assert not gc.isenabled()
        assert len(simulator.play()) > 10
        assert gc.collect() < 1000
    assert gc.isenabled()


def test_who_does_not_search_is_left_alone():
    gc.disable()
    try:
        with no_search_for_cycles():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
