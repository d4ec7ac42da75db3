"""Pure: scheduled rounds against their oracle, for three kinds of what the master knows beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.codes.base import GradientCode
from common.codes.scheduled import scheduled
from common.delays import Interruption
from gradcode.lab.draws import DelaySource
from gradcode.lab.trials import Silent, drawn_places, exponential, play
from master.shares import Pace, Planner

KNOWLEDGE = ("nothing", "speeds and deaths", "speeds")
"""What the master knows when the round begins: of nobody how fast it is; or that of all, and who is dead; or
that of all, but not who will be silent."""

TOLERANCE = 1e-4
"""Relative error of the oracle's time."""

AT_ONCE = 1e-9
"""When the dead die: in their first chunk."""


@dataclass(frozen=True)
class ScheduleTrial:
    """One placement under workers of very different speeds, of which delta - 1 never answer.

    A worker's time for a chunk is exponential of mean 1 / c and the same for all its chunks. Each measured
    round belongs to a run of its own, with speeds, silent workers and placement of its own; it is the first
    one, but for known deaths, which happen in the first and are known in the second.

    Args:
        placement: ``cyclic`` or ``random``. replication: delta. chunks_per_worker: c.
        knowledge: one of `KNOWLEDGE`. n_workers: n.
    """

    placement: str
    replication: int
    chunks_per_worker: int
    knowledge: str
    n_workers: int = 200

    def code(self, seed: int) -> GradientCode:
        """The scheduled code with a placement of its own."""
        return scheduled(
            self.n_workers, self.replication, self.chunks_per_worker, placement=self.placement, seed=seed
        )

    def seconds(self, seeds: Sequence[int]) -> list[tuple[float, float]]:
        """For each seed the time of the measured round, and the oracle's."""
        found = []
        for seed in seeds:
            code = self.code(seed)
            lost = drawn_places(self.n_workers, self.replication - 1, seed)
            dead = sorted(lost) if self.knowledge == "speeds and deaths" else []
            deaths = tuple(Interruption(place, "death", AT_ONCE) for place in dead)
            delays = exponential(seed, "run", 1.0 / self.chunks_per_worker, deaths)
            speeds = {place: delays.chunk_seconds(place, 0, 0) for place in range(self.n_workers)}
            source: DelaySource = delays if dead else Silent(delays, lost)
            known = None if self.knowledge == "nothing" else speeds
            record = play(code, source, 2 if dead else 1, known_seconds=known)[-1]
            assert record.outcome == "exact", record.reason
            paces = {place: Pace(speeds[place]) for place in speeds if place not in lost}
            oracle = Planner(code.assignment).shares(paces, TOLERANCE).seconds
            found.append((record.seconds, oracle))
        return found


def ratio(times: Sequence[tuple[float, float]]) -> float:
    """Mean time in times of the oracle's mean.

    >>> ratio([(1.0, 1.0), (3.0, 1.0)])
    2.0
    """
    return sum(seconds for seconds, _ in times) / sum(oracle for _, oracle in times)
