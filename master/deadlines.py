"""When a round stops waiting: none, a fixed time, or a multiple of what places usually need.

The adaptive rule looks only at times observed at places, never at the durations of rounds: a rule that fed
on its own deadlines would let one dead worker push the deadline up without bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from common.errors import InvalidSpec
from master.outcome import Work
from master.snapshot import by_place

WEIGHT = 0.2
"""Weight of the newest observation in the remembered finishing time of a place."""


ASKS_AFTER_DEADLINE = 2
"""The collection that the deadline starts, and one repair."""


@dataclass(frozen=True, slots=True)
class RoundRules:
    """When a round may end.

    Attributes:
        deadline_seconds: from the start of the round; None for no deadline.
        waits: neither the deadline nor the lack of workers ends the round.
        enough: a recovered fraction that is good enough; 1.0 asks for everything.
    """

    deadline_seconds: float | None = None
    waits: bool = False
    enough: float = 1.0


class FinishingTimes:
    """Remembers for each place the time from round start to finishing its share, exponentially weighted.

    The share is its load, or what it computes of it where the master hands out chunks. A place that finished
    k of L chunks after t seconds counts as t and L - k times its seconds per chunk: rounds often end before
    anybody has finished, and the share of a usual place is the same in every round. One whose
    first report of a round comes after the outcome counts as well; otherwise a cluster that slows down would
    never be given more time.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._rounds: dict[int, int] = {}

    def observe(self, place: int, seconds: float) -> None:
        """Take in one observed finishing time of ``place``, in seconds."""
        known = self._seconds.get(place)
        self._seconds[place] = seconds if known is None else known + WEIGHT * (seconds - known)

    def observe_round(self, number: int, works: Iterable[Work]) -> None:
        """What the places of round ``number`` showed until its outcome, those without a report left out."""
        for work in works:
            last = work.last_at
            if work.present and last is not None and work.started_at is not None:
                left = work.share - len(work.arrived)
                self.observe(work.place, last - work.started_at + left * median(work.seconds))
                self._rounds[work.place] = number

    def observe_late(self, number: int, place: int, after_seconds: float, left_seconds: float) -> None:
        """A chunk came ``after_seconds`` after the start of round ``number``, which has its outcome.

        It counts, with ``left_seconds`` for the rest of the load, if it is the place's first since then.
        """
        if number > self._rounds.get(place, -1):
            self.observe(place, after_seconds + left_seconds)
            self._rounds[place] = number

    def forget(self, place: int) -> None:
        """Another worker has taken the place: what was remembered says nothing of it."""
        self._seconds.pop(place, None)

    def state(self) -> dict[str, Any]:
        """What is remembered, for a checkpoint."""
        return {"seconds": dict(self._seconds), "rounds": dict(self._rounds)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what `state` gave, after JSON."""
        self._seconds, self._rounds = by_place(state["seconds"]), by_place(state["rounds"])

    def typical(self, live: Iterable[int]) -> float | None:
        """Median over the ``live`` places, in seconds; None until half of them were observed."""
        places = list(live)
        known = [self._seconds[place] for place in places if place in self._seconds]
        return median(known) if known and 2 * len(known) >= len(places) else None


def sooner(first: float | None, second: float | None) -> float | None:
    """The earlier of two times; None stands for never."""
    return second if first is None or (second is not None and second < first) else first


class DeadlineRule(Protocol):
    """How long a round waits at most."""

    def seconds(self, times: FinishingTimes, live: Iterable[int]) -> float | None:
        """The deadline of the next round in seconds from its start, or None."""


@dataclass(frozen=True, slots=True)
class NoDeadline:
    """Rounds wait as long as something can come."""

    def seconds(self, times: FinishingTimes, live: Iterable[int]) -> float | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class FixedDeadline:
    """Every round has the same deadline."""

    limit: float

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise InvalidSpec("deadline.seconds", "must be positive", self.limit)

    def seconds(self, times: FinishingTimes, live: Iterable[int]) -> float | None:
        """The fixed limit."""
        return self.limit


@dataclass(frozen=True, slots=True)
class AdaptiveDeadline:
    """``factor`` times the median over live places of the remembered finishing time."""

    factor: float

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise InvalidSpec("deadline.factor", "must be positive", self.factor)

    def seconds(self, times: FinishingTimes, live: Iterable[int]) -> float | None:
        """None until half of the live places were observed."""
        typical = times.typical(live)
        return None if typical is None else self.factor * typical


def deadline_rule(rule: str, seconds: float, factor: float) -> DeadlineRule:
    """The rule called ``none``, ``fixed`` (uses ``seconds``) or ``adaptive`` (uses ``factor``)."""
    if rule == "none":
        return NoDeadline()
    if rule == "fixed":
        return FixedDeadline(seconds)
    if rule == "adaptive":
        return AdaptiveDeadline(factor)
    raise InvalidSpec("deadline.rule", "must be none, fixed or adaptive", rule)
