"""Pure: the time a round would have taken had everybody's speed been known beforehand: max-flow."""

from __future__ import annotations

from collections.abc import Collection

from common.codes.base import GradientCode
from gradcode.lab.draws import DelaySource
from master.shares import Pace, Planner

ALL_ROUNDS_UP_TO = 1_000
"""With more workers the oracle is asked in every tenth round only."""

_NO_TIME = 1e-9
"""Share of the slowest place's seconds that a chunk takes at a place that takes no time at all."""


class Oracle:
    """The least time of every round for one placement.

    Every place takes for each of its chunks what it takes on average over those that it holds. Then
    the oracle is the least time in which the places that have a link can compute every chunk that one of
    them holds, n_parts times if the code asks for its messages and once otherwise, and one round trip of
    the network. No use of the same placement is faster, but for chance: a place may be given those chunks
    that happen to take it less. A code that does without some chunks may be faster.

    Args:
        code: whose placement counts.
        source: draws for the chunks of ``code``.
        latency_seconds: one way.
        compute_seconds: what a chunk takes besides its draw.

    Cost: of a round: a draw for every chunk on every place, and some maximum flows.

    >>> from common.codes import CODES
    >>> from common.delays import Delays
    >>> slow = Delays("constant", seconds=1.0, factors=((0, 5.0),))
    >>> code = CODES["fractional_repetition"](4, 1)
    >>> Oracle(code, slow, latency_seconds=0.25).seconds(0, lost=()), code.assignment.orders[0]
    (2.5, (0, 1))
    """

    def __init__(
        self,
        code: GradientCode,
        source: DelaySource,
        latency_seconds: float = 0.0,
        compute_seconds: float = 0.0,
    ) -> None:
        self._orders = code.assignment.orders
        self._source = source
        self._round_trip = 2.0 * latency_seconds
        self._compute_seconds = compute_seconds
        self._planner = Planner(code.assignment, code.n_parts if code.on_request else 1)
        self._every = 1 if code.n_workers <= ALL_ROUNDS_UP_TO else 10

    def sampled(self, round: int) -> bool:  # noqa: A002 - the word of the trade
        """Whether the oracle is to be asked in this round: in all of them, or in every tenth."""
        return round % self._every == 0

    def seconds(self, round: int, lost: Collection[int]) -> float | None:  # noqa: A002
        """The least time of ``round`` without the places in ``lost``; None if nobody is left."""
        away = set(lost)
        means = {
            place: self._compute_seconds
            + sum(self._source.chunk_seconds(place, round, chunk) for chunk in order) / len(order)
            for place, order in enumerate(self._orders)
            if place not in away and order
        }
        if not means:
            return None
        slowest = max(means.values())
        if slowest == 0.0:
            return self._round_trip
        paces = {place: Pace(max(mean, _NO_TIME * slowest)) for place, mean in means.items()}
        return self._planner.shares(paces).seconds + self._round_trip
