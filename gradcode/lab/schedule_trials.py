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
"""What the master knows when the round begins: of nobody how fast it is; or of all, from earlier rounds, and
who is dead; or of all, but not who will be silent."""

WARM_UP = 4
"""Rounds in which speeds are learnt."""

TOLERANCE = 1e-4
"""Relative error of the oracle's time."""

AT_ONCE = 1e-9
"""When the dead die: in their first chunk."""


@dataclass(frozen=True)
class ScheduleTrial:
    """One placement under workers of very different speeds, of which delta - 1 never answer.

    A worker's time for a chunk is exponential of mean 1 / c and the same for all its chunks. Each measured
    round is the last of a run of its own, with speeds, silent workers and placement of its own.

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

    def source(self, seed: int) -> tuple[DelaySource, frozenset[int]]:
        """Who takes how long, and who never answers."""
        lost = drawn_places(self.n_workers, self.replication - 1, seed)
        deaths: tuple[Interruption, ...] = ()
        if self.knowledge == "speeds and deaths":
            deaths = tuple(Interruption(place, "death", AT_ONCE) for place in sorted(lost))
        delays = exponential(seed, "run", 1.0 / self.chunks_per_worker, deaths)
        if deaths:
            return delays, lost
        return Silent(delays, lost, from_round=self.warm_up), lost

    @property
    def warm_up(self) -> int:
        """How many rounds are not measured."""
        return 0 if self.knowledge == "nothing" else WARM_UP

    def seconds(self, seeds: Sequence[int]) -> list[tuple[float, float]]:
        """For each seed the time of the measured round, and the oracle's."""
        found = []
        for seed in seeds:
            code = self.code(seed)
            source, lost = self.source(seed)
            records = play(code, source, self.warm_up + 1)
            assert records[-1].outcome == "exact", records[-1].reason
            paces = {
                place: Pace(source.chunk_seconds(place, 0, code.assignment.orders[place][0]))
                for place in range(self.n_workers)
                if place not in lost
            }
            oracle = Planner(code.assignment).shares(paces, TOLERANCE).seconds
            found.append((records[-1].seconds, oracle))
        return found


def ratio(times: Sequence[tuple[float, float]]) -> float:
    """Mean time in times of the oracle's mean.

    >>> ratio([(1.0, 1.0), (3.0, 1.0)])
    2.0
    """
    return sum(seconds for seconds, _ in times) / sum(oracle for _, oracle in times)
