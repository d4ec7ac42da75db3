from __future__ import annotations

import threading
import time

import pytest

from common.delays import Delays, Interruption, Walk
from worker.injected import Fate, RunClock, endure

pytestmark = pytest.mark.xdist_group("processes")


class Recorder:
    """A victim that writes down what befalls it."""

    def __init__(self) -> None:
        self.befell: list[float | str] = []

    def freeze(self, seconds: float, closed: threading.Event) -> None:
        self.befell.append(seconds)

    def die(self) -> None:
        self.befell.append("death")


def walk(*pieces: tuple[str, float], dies: bool = False) -> Walk:
    return Walk(pieces, dies, 0)


@pytest.mark.parametrize(
    ("pieces", "done_seconds", "at_least"),
    [
        ([("work", 0.1)], 0.0, 0.1),
        ([("work", 0.1)], 0.06, 0.04),
        ([("work", 0.05), ("freeze", 9.0), ("work", 0.05)], 0.0, 0.1),
        ([("work", 0.05), ("freeze", 9.0), ("work", 0.05)], 0.07, 0.03),
        ([("work", 0.05)], 0.05, 0.0),
    ],
)
def test_only_the_work_that_is_left_takes_time(pieces, done_seconds, at_least):
    victim, begun = Recorder(), time.monotonic()
    assert endure(walk(*pieces), done_seconds, victim, threading.Event())
    took = time.monotonic() - begun
    assert at_least <= took < at_least + 0.05
    assert victim.befell == [seconds for kind, seconds in pieces if kind == "freeze"]


def test_a_death_comes_after_the_pieces_and_cuts_the_walk_short():
    victim, closed = Recorder(), threading.Event()
    assert not endure(walk(("freeze", 2.0), dies=True), 0.0, victim, closed)
    assert victim.befell == [2.0, "death"]
    assert closed.is_set()


def test_closing_cuts_the_walk_short():
    victim, closed = Recorder(), threading.Event()
    threading.Timer(0.05, closed.set).start()
    begun = time.monotonic()
    assert not endure(walk(("work", 5.0), ("freeze", 1.0)), 0.0, victim, closed)
    assert time.monotonic() - begun < 1.0
    assert victim.befell == []


def test_the_clock_of_the_run():
    clock = RunClock(run_seconds=10.0, heard_at=100.0)
    assert clock.at(100.5) == 10.5
    assert clock.at(99.0) == 10.0


def test_each_interruption_befalls_a_worker_once():
    freezes = tuple(Interruption(0, "freeze", at, 1.0) for at in (1.0, 5.0))
    delays, fate = Delays(interruptions=freezes), Fate()
    fate.began("run", 0.0)

    def frozen(start: float, run: str = "run") -> float:
        return sum(
            seconds for kind, seconds in fate.walk(delays, run, 0, start, 0.5).pieces if kind == "freeze"
        )

    assert [frozen(start) for start in (0.0, 0.8, 2.5, 4.9, 6.5)] == [0.0, 1.0, 0.0, 1.0, 0.0]
    fate.began("run", 0.0)
    assert frozen(7.0) == 0.0


def test_a_worker_is_spared_what_lies_before_its_first_round_of_each_run():
    delays, fate = Delays(interruptions=(Interruption(0, "death", 1.0),)), Fate()
    fate.began("one", 2.0)
    assert not fate.walk(delays, "one", 0, 2.0, 0.5).dies
    fate.began("two", 0.0)
    assert fate.walk(delays, "two", 0, 0.9, 0.5).dies
