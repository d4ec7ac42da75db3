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

from common.interruptions import Interruption, Walk, by_place, finite, require, walk_through

__all__ = ["DISTRIBUTIONS", "VARIES", "Delays", "Interruption", "Walk", "least_burst_rounds"]

VARIES = ("chunk", "round", "run")
"""What a draw of the distribution holds for."""

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15
_ANY = -1  # instead of a round or a chunk: for all of them
_STATE = -2  # instead of a chunk: for the state of the place


@dataclass(frozen=True)
class Delays:
    """How long every place takes for every chunk, and what interrupts it.

    The seconds of a chunk are drawn from a distribution: anew for every place, round and chunk, or as seldom
    as ``varies`` says. They are multiplied by the place's factor, and by ``burst_factor`` while the place is
    in a burst. With U uniform on (0, 1) the distributions are

    * ``none``: 0;
    * ``constant``: ``seconds``;
    * ``shifted_exponential``: ``seconds - mean_seconds log U``, mean ``seconds + mean_seconds``;
    * ``weibull``: ``seconds + mean_seconds (-log U)^(1/shape) / Gamma(1 + 1/shape)``, mean ``seconds +
      mean_seconds``; with ``shape`` 1 it is the shifted exponential;
    * ``pareto``: ``seconds U^(-1/shape)``, never below ``seconds``; mean ``seconds shape / (shape - 1)`` if
      ``shape`` is above 1, otherwise infinite.

    Bursts are a Markov chain of two states on each place, on its own and stationary from round 0 on: a share
    ``burst_share`` of all rounds is in a burst, and a burst lasts ``burst_rounds`` rounds in the mean. It is
    played so: with probability ``1 / (burst_rounds (1 - burst_share))`` a round draws its state anew, in a
    burst with probability ``burst_share``; otherwise it keeps that of the round before.

    Args:
        distribution: one of the names above; it decides which of the next three count.
        seconds: the constant part, at least 0; above 0 for ``pareto``.
        mean_seconds: mean of the random part of ``shifted_exponential`` and ``weibull``, at least 0.
        shape: of ``pareto`` (the tail index) and ``weibull``, at least 0.1; smaller means heavier.
        factors: (place, slowdown) for places that are not of speed 1; a slowdown is above 0.
        interruptions: freezes and deaths, in any order.
        seed: makes the draws repeatable; any integer.
        varies: ``chunk``: every chunk has a draw of its own; ``round``: all chunks of a place in a round
            share one; ``run``: a place keeps one for the whole run.
        burst_share: share of rounds that a place spends in bursts, from 0 (there are none) to below 1.
        burst_rounds: mean length of a burst in rounds, at least ``1 / (1 - burst_share)``.
        burst_factor: what multiplies the seconds of a chunk in a burst, above 0.

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
    varies: str = "chunk"
    burst_share: float = 0.0
    burst_rounds: float = 10.0
    burst_factor: float = 5.0

    def __post_init__(self) -> None:
        self._check_distribution()
        self._check_bursts()
        for place, factor in self.factors:
            require(place >= 0, "delays factors", "must have places of at least 0", place)
            require(
                finite(factor) and factor > 0.0,
                f"delays factor of place {place}",
                "must be above 0 and finite",
                factor,
            )
        places = [place for place, _ in self.factors]
        require(len(set(places)) == len(places), "delays factors", "must have every place once", places)

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002 - the word of the trade
        """How many seconds ``place`` works on ``chunk`` in ``round``; the same whenever it is asked.

        Cost: about 2 microseconds, whatever the number of places and rounds; that of ``in_burst`` besides.
        """
        varies = self.varies
        seconds = DISTRIBUTIONS[self.distribution](
            self, place, _ANY if varies == "run" else round, chunk if varies == "chunk" else _ANY
        )
        if self.burst_share and self.in_burst(place, round):
            seconds *= self.burst_factor
        return seconds * self._factor_of.get(place, 1.0)

    def in_burst(self, place: int, round: int) -> bool:  # noqa: A002
        """Whether ``place`` is in a burst in ``round``; the same whatever was asked before.

        Cost: nothing to speak of for the round that was asked last; about 1 microsecond a round from there
        to a later one; otherwise as much for each round back to where the state was drawn, in the mean
        ``burst_rounds (1 - burst_share)`` rounds.
        """
        known, slow = self._last_state.get(place, (-1, False))
        if known == round:
            return slow
        known = known if known < round else -1
        renewal = self._renewal
        for each in range(round, known, -1):
            share = renewal if each else 1.0  # the first round has nothing to keep
            drawn = self._uniform(place, each, _STATE)
            if drawn < share:
                slow = drawn < share * self.burst_share
                break
        self._last_state[place] = (round, slow)
        return slow

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """What a process on ``place`` goes through from ``start`` until the chunk is finished or it dies.

        The rules, all times being times of the run:

        * An interruption at or before ``up_since`` never happens to this process: it is a former one's, or
          fell into the time when there was none. One that came back from a death is a new process.
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
        return walk_through(todo, up_since, start, work_seconds, served)

    def _check_distribution(self) -> None:
        require(
            self.distribution in DISTRIBUTIONS,
            "delays distribution",
            f"must be one of {', '.join(DISTRIBUTIONS)}",
            self.distribution,
        )
        for field in ("seconds", "mean_seconds"):
            value = getattr(self, field)
            require(finite(value) and value >= 0.0, f"delays {field}", "must be at least 0 and finite", value)
        if self.distribution == "pareto":
            require(self.seconds > 0.0, "delays seconds", "must be above 0 for pareto", self.seconds)
        require(
            finite(self.shape) and self.shape >= 0.1,
            "delays shape",
            "must be at least 0.1 and finite",
            self.shape,
        )
        require(self.varies in VARIES, "delays varies", f"must be one of {', '.join(VARIES)}", self.varies)

    def _check_bursts(self) -> None:
        share, rounds, factor = self.burst_share, self.burst_rounds, self.burst_factor
        require(finite(share) and 0.0 <= share < 1.0, "delays burst_share", "must be in [0, 1)", share)
        least = least_burst_rounds(share)
        require(
            finite(rounds) and rounds >= least,
            "delays burst_rounds",
            f"must be finite and at least 1 / (1 - burst_share) = {least:.4g}",
            rounds,
        )
        require(finite(factor) and factor > 0.0, "delays burst_factor", "must be above 0 and finite", factor)

    @cached_property
    def _factor_of(self) -> dict[int, float]:
        return dict(self.factors)

    @cached_property
    def _interruptions_of(self) -> dict[int, tuple[Interruption, ...]]:
        return by_place(self.interruptions)

    @cached_property
    def _seed_state(self) -> int:
        return _stir(0, self.seed)

    @cached_property
    def _scale_seconds(self) -> float:
        """Of ``weibull``: what makes the mean of its random part ``mean_seconds``."""
        return self.mean_seconds / math.gamma(1.0 + 1.0 / self.shape)

    @cached_property
    def _renewal(self) -> float:
        """Probability that a round draws the state of a place anew."""
        return min(1.0, 1.0 / (self.burst_rounds * (1.0 - self.burst_share)))

    @cached_property
    def _last_state(self) -> dict[int, tuple[int, bool]]:
        """For each place the round that was asked last and whether it was in a burst; changes no answer."""
        return {}

    def _uniform(self, place: int, round: int, chunk: int) -> float:  # noqa: A002
        state = _stir(_stir(_stir(self._seed_state, place), round), chunk)
        # 53 bits and half a step: never 0 and never 1, so that the logarithm is finite and not 0.
        return ((state >> 12) + 0.5) * 2.0**-52


def least_burst_rounds(burst_share: float) -> float:
    """The shortest mean length of bursts that fill this share of the rounds, bar what rounding does."""
    return (1.0 - 1e-9) / (1.0 - burst_share)


def _none(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return 0.0


def _constant(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return delays.seconds


def _shifted_exponential(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return delays.seconds - delays.mean_seconds * math.log(delays._uniform(place, round, chunk))


def _weibull(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    exponential = -math.log(delays._uniform(place, round, chunk))
    return float(delays.seconds + delays._scale_seconds * exponential ** (1.0 / delays.shape))


def _pareto(delays: Delays, place: int, round: int, chunk: int) -> float:  # noqa: A002
    return float(delays.seconds * delays._uniform(place, round, chunk) ** (-1.0 / delays.shape))


DISTRIBUTIONS: dict[str, Callable[[Delays, int, int, int], float]] = {
    "none": _none,
    "constant": _constant,
    "shifted_exponential": _shifted_exponential,
    "weibull": _weibull,
    "pareto": _pareto,
}
"""Every distribution of chunk seconds by its name."""


def _stir(state: int, value: int) -> int:
    """A 64-bit state that depends on every bit of both: the finaliser of splitmix64 on their mixture."""
    state = ((state ^ (value & _MASK)) + _GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return state ^ (state >> 31)
