"""What befalls a place besides slow chunks: freezes, deaths and returns.

Pure: what happens is a function of times that the caller passes in. All are times of the run: seconds from
the start of its first round, by the master's clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.errors import InvalidSpec

WORK = "work"
FREEZE = "freeze"
DEATH = "death"


@dataclass(frozen=True, slots=True)
class Interruption:
    """One thing that happens to a place at a time of the run.

    A freeze stops a place for a while and it goes on where it was. A death ends its process; after
    ``for_seconds`` another one, which remembers nothing, comes in its stead.

    Args:
        place: the place it happens to, at least 0.
        kind: ``freeze`` or ``death``.
        at_seconds: when, in the run's time, above 0.
        for_seconds: how long a freeze lasts, above 0; after how long a process comes back from a death, 0
            for never.

    Raises:
        InvalidSpec: a value is out of range.
    """

    place: int
    kind: str
    at_seconds: float
    for_seconds: float = 0.0

    def __post_init__(self) -> None:
        require(self.place >= 0, "interruption place", "must be at least 0", self.place)
        require(self.kind in (FREEZE, DEATH), "interruption kind", "must be freeze or death", self.kind)
        require(
            finite(self.at_seconds) and self.at_seconds > 0.0,
            "interruption at_seconds",
            "must be above 0 and finite",
            self.at_seconds,
        )
        lasts = finite(self.for_seconds) and self.for_seconds >= 0.0
        if self.kind == FREEZE:
            lasts = lasts and self.for_seconds > 0.0
            require(lasts, "freeze for_seconds", "must be above 0 and finite", self.for_seconds)
        else:
            require(lasts, "death for_seconds", "must be at least 0 and finite", self.for_seconds)


@dataclass(frozen=True, slots=True)
class Walk:
    """What a place goes through to compute one chunk.

    Attributes:
        pieces: (``work`` or ``freeze``, seconds) one after the other, every one above 0 seconds.
        dies: the process ends after the pieces, and the chunk is not finished.
        served: how many of the place's interruptions lie behind it now; pass it to the next walk.
        returns_after: seconds from its death until a new process comes in its stead; None if it does not
            die, or for ever.
    """

    pieces: tuple[tuple[str, float], ...]
    dies: bool
    served: int
    returns_after: float | None = None

    @property
    def seconds(self) -> float:
        """How long all the pieces last together."""
        if len(self.pieces) == 1:
            return self.pieces[0][1]
        return math.fsum(seconds for _, seconds in self.pieces)


def by_place(interruptions: Iterable[Interruption]) -> dict[int, tuple[Interruption, ...]]:
    """For each place its interruptions by time; of two at one time the death comes first."""
    found: dict[int, list[Interruption]] = {}
    for interruption in sorted(interruptions, key=lambda each: (each.at_seconds, each.kind)):
        found.setdefault(interruption.place, []).append(interruption)
    return {place: tuple(items) for place, items in found.items()}


def walk_through(
    todo: Sequence[Interruption], up_since: float, start: float, work_seconds: float, served: int
) -> Walk:
    """What a process goes through from ``start`` until a chunk is finished or it dies.

    ``Delays.walk`` says the rules and what the arguments mean.

    Args:
        todo: the place's interruptions by time.
        up_since, start, work_seconds, served: as for ``Delays.walk``.
    """
    if served >= len(todo):
        return Walk(_piece(WORK, work_seconds), False, served)
    while served < len(todo) and todo[served].at_seconds <= up_since:
        served += 1
    pieces: list[tuple[str, float]] = []
    now, left = start, work_seconds
    while served < len(todo):
        interruption = todo[served]
        if interruption.at_seconds > now:
            if interruption.at_seconds >= now + left:
                break
            worked = min(left, interruption.at_seconds - now)
            pieces += _piece(WORK, worked)
            left -= worked
            now = interruption.at_seconds
        if interruption.kind == DEATH:
            return Walk(tuple(pieces), True, served + 1, interruption.for_seconds or None)
        # The end is the death's own time, not a sum, so that rounding cannot let the process outlive it.
        end = max(now, min(now + interruption.for_seconds, _next_death(todo, served)))
        pieces += _piece(FREEZE, end - now)
        now = end
        served += 1
    return Walk((*pieces, *_piece(WORK, left)), False, served)


def _piece(kind: str, seconds: float) -> tuple[tuple[str, float], ...]:
    return ((kind, seconds),) if seconds > 0.0 else ()


def _next_death(todo: Sequence[Interruption], served: int) -> float:
    deaths = (each.at_seconds for each in todo[served:] if each.kind == DEATH)
    return next(deaths, math.inf)


def finite(value: float) -> bool:
    """Whether ``value`` is a number, and a finite one."""
    return isinstance(value, int | float) and math.isfinite(value)


def require(holds: bool, field: str, rule: str, value: object) -> None:
    """Raise InvalidSpec unless ``holds``."""
    if not holds:
        raise InvalidSpec(field, rule, value)
