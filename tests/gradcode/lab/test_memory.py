from __future__ import annotations

import gc
from pathlib import Path

import pytest

from common.experiment import Experiment
from gradcode.lab.learning import simulate
from gradcode.lab.memory import LARGE_PAGE_BYTES, MANY_WORKERS, ask_for_large_pages, no_search_for_cycles


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


def test_large_pages_are_asked_for_when_there_are_many_workers_and_change_nothing():
    held = [[number, float(number)] for number in range(100_000)]
    assert ask_for_large_pages(100) == 0
    asked = ask_for_large_pages(MANY_WORKERS)
    assert asked % LARGE_PAGE_BYTES == 0
    assert held == [[number, float(number)] for number in range(100_000)]
    if Path("/sys/kernel/mm/transparent_hugepage").exists():
        assert asked > 0
