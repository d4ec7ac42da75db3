"""How long a chunk takes: injected by real workers, drawn by the simulator.

Pure: every delay is a function of (seed, place, round, chunk), and what happens to a place is a function of
times that the caller passes in. So real processes and the simulator obey the same delays, and a run's
delays are the same whatever order events come in. A run's time counts seconds from the start of its first
round, by the master's clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from common.errors import InvalidSpec

WORK = "work"
FREEZE = "freeze"
DEATH = "death"

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15


@dataclass(frozen=True, slots=True)
class Interruption:
    """One thing that happens to a place at a time of the run.

    A freeze stops a place for a while and it goes on where it was; a death ends its process.

    Args:
        place: the place it happens to, at least 0.
        kind: ``freeze`` or ``death``.
        at_seconds: when, in the run's time, above 0.
        for_seconds: how long a freeze lasts, above 0; 0 for a death.

    Raises:
        InvalidSpec: a value is out of range.
    """

    place: int
    kind: str
    at_seconds: float
    for_seconds: float = 0.0

    def __post_init__(self) -> None:
        _require(self.place >= 0, "interruption place", "must be at least 0", self.place)
        _require(self.kind in (FREEZE, DEATH), "interruption kind", "must be freeze or death", self.kind)
        _require(
            _finite(self.at_seconds) and self.at_seconds > 0.0,
            "interruption at_seconds",
            "must be above 0 and finite",
            self.at_seconds,
        )
        if self.kind == FREEZE:
            _require(
                _finite(self.for_seconds) and self.for_seconds > 0.0,
                "freeze for_seconds",
                "must be above 0 and finite",
                self.for_seconds,
            )
        else:
            _require(
                self.for_seconds == 0.0, "death for_seconds", "must be 0: a death lasts", self.for_seconds
            )


@dataclass(frozen=True, slots=True)
class Walk:
    """What a place goes through to compute one chunk.

    Attributes:
        pieces: (``work`` or ``freeze``, seconds) one after the other, every one above 0 seconds.
        dies: the process ends after the pieces, and the chunk is not finished.
        served: how many of the place's interruptions lie behind it now; pass it to the next walk.
    """

    pieces: tuple[tuple[str, float], ...]
    dies: bool
    served: int

    @property
    def seconds(self) -> float:
        """How long all the pieces last together."""
        return math.fsum(seconds for _, seconds in self.pieces)


@dataclass(frozen=True)
class Delays:
    """How long every place takes for every chunk, and what interrupts it.

    The seconds of a chunk are drawn anew for every place, round and chunk, then multiplied by the place's
    factor. With U uniform on (0, 1) they are

    * ``none``: 0;
    * ``constant``: ``seconds``;
    * ``shifted_exponential``: ``seconds - mean_seconds log U``, mean ``seconds + mean_seconds``;
    * ``pareto``: ``seconds U^(-1/shape)``, never below ``seconds``; mean ``seconds shape / (shape - 1)`` if
      ``shape`` is above 1, otherwise infinite.

    Args:
        distribution: one of the names above; it decides which of the next three count.
        seconds: the constant part, at least 0; above 0 for ``pareto``.
        mean_seconds: mean of the exponential part, at least 0.
        shape: tail index of ``pareto``, at least 0.1; smaller means heavier.
        factors: (place, slowdown) for places that are not of speed 1; a slowdown is above 0.
        interruptions: freezes and deaths, in any order.
        seed: makes the draws repeatable; any integer.

    Raises:
        InvalidSpec: a value is out of range, or a place has two factors.

    >>> delays = Delays("constant", seconds=0.02, factors=((1, 5.0),))
    >>> delays.chunk_seconds(place=0, round=7, chunk=3), delays.chunk_seconds(place=1, round=7, chunk=3)
    (0.02, 0.1)
    """

    distribution: str = "none"
    seconds: float = 0.0
    mean_seconds: float = 0.0
    shape: float = 2.0
    factors: tuple[tuple[int, float], ...] = ()
    interruptions: tuple[Interruption, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _require(
            self.distribution in DISTRIBUTIONS,
            "delays distribution",
            f"must be one of {', '.join(DISTRIBUTIONS)}",
            self.distribution,
        )
        for field in ("seconds", "mean_seconds"):
            value = getattr(self, field)
            _require(
                _finite(value) and value >= 0.0, f"delays {field}", "must be at least 0 and finite", value
            )
        if self.distribution == "pareto":
            _require(self.seconds > 0.0, "delays seconds", "must be above 0 for pareto", self.seconds)
        _require(
            _finite(self.shape) and self.shape >= 0.1,
            "delays shape",
            "must be at least 0.1 and finite",
            self.shape,
        )
        for place, factor in self.factors:
            _require(place >= 0, "delays factors", "must have places of at least 0", place)
            _require(
                _finite(factor) and factor > 0.0,
                f"delays factor of place {place}",
                "must be above 0 and finite",
                factor,
            )
        places = [place for place, _ in self.factors]
        _require(len(set(places)) == len(places), "delays factors", "must have every place once", places)

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002 - the word of the trade
        """How many seconds ``place`` works on ``chunk`` in ``round``; the same whenever it is asked.

        Cost: about 2 microseconds, whatever the number of places and rounds.
        """
        seconds = DISTRIBUTIONS[self.distribution](self, place, round, chunk)
        return seconds * self._factor_of.get(place, 1.0)

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """What a process on ``place`` goes through from ``start`` until the chunk is finished or it dies.

        The rules, all times being times of the run:

        * An interruption at or before ``up_since`` never happens to this process: it is a former one's.
        * Otherwise it takes hold at its time when the process works then, and when the next chunk starts if
          the process was idle. One at the very moment a chunk is finished is left for the next chunk.
        * A freeze lasts its full ``for_seconds`` from when it takes hold; one that falls into another takes
          hold when the other ends. Freezes do not count as work.
        * A death also cuts a freeze short. What is left of the place's interruptions may happen to the next
          process there.

        Args:
            place: the place.
            up_since: when the process came up; 0 or less if it was there before the first round.
            start: when the chunk is begun, at least ``up_since``.
            work_seconds: how long the chunk takes without interruption, at least 0.
            served: ``served`` of this process's former walk; 0 for its first.

        Returns:
            The pieces in order. The work in them adds up to ``work_seconds`` unless ``dies``.
        """
        todo = self._interruptions_of.get(place, ())
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
                return Walk(tuple(pieces), True, served + 1)
            # The end is the death's own time, not a sum, so that rounding cannot let the process outlive it.
            end = max(now, min(now + interruption.for_seconds, _next_death(todo, served)))
            pieces += _piece(FREEZE, end - now)
            now = end
            served += 1
        return Walk((*pieces, *_piece(WORK, left)), False, served)

    @cached_property
    def _factor_of(self) -> dict[int, float]:
        return dict(self.factors)

    @cached_property
    def _interruptions_of(self) -> dict[int, tuple[Interruption, ...]]:
        """For each place its interruptions by time; of two at one time the death comes first."""
        found: dict[int, list[Interruption]] = {}
        for interruption in sorted(self.interruptions, key=lambda each: (each.at_seconds, each.kind)):
            found.setdefault(interruption.place, []).append(interruption)
        return {place: tuple(items) for place, items in found.items()}

    @cached_property
    def _seed_state(self) -> int:
        return _stir(0, self.seed)

    def _uniform(self, place: int, round: int, chunk: int) -> float:  # noqa: A002
        state = _stir(_stir(_stir(self._seed_state, place), round), chunk)
        # 53 bits and half a step: never 0 and never 1, so that the logarithm is finite and not 0.
        return ((state >> 12) + 0.5) * 2.0**-52


def _none(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return 0.0


def _constant(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return delays.seconds


def _shifted_exponential(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return delays.seconds - delays.mean_seconds * math.log(delays._uniform(place, round, chunk))


def _pareto(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return float(delays.seconds * delays._uniform(place, round, chunk) ** (-1.0 / delays.shape))


DISTRIBUTIONS: dict[str, Callable[[Delays, int, int, int], float]] = {
    "none": _none,
    "constant": _constant,
    "shifted_exponential": _shifted_exponential,
    "pareto": _pareto,
}
"""Every distribution of chunk seconds by its name."""


def _stir(state: int, value: int) -> int:
    """A 64-bit state that depends on every bit of both: the finaliser of splitmix64 on their mixture."""
    state = ((state ^ (value & _MASK)) + _GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return state ^ (state >> 31)


def _piece(kind: str, seconds: float) -> tuple[tuple[str, float], ...]:
    return ((kind, seconds),) if seconds > 0.0 else ()


def _next_death(todo: tuple[Interruption, ...], served: int) -> float:
    deaths = (each.at_seconds for each in todo[served:] if each.kind == DEATH)
    return next(deaths, math.inf)


def _finite(value: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _require(holds: bool, field: str, rule: str, value: object) -> None:
    if not holds:
        raise InvalidSpec(field, rule, value)
