"""Pure: what a run has learnt of its places, from round to round, and what the next round makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from common.codes.base import GradientCode
from master.collecting import CollectTimes
from master.deadlines import DeadlineRule, FinishingTimes, RoundRules
from master.paces import Paces
from master.planned import Planned
from master.round import Round
from master.schedule import FixedOrder, Schedule
from master.shares import Planner

LEAST_ROUND_TRIPS = 5.0
"""A chunk should take so many round trips; otherwise workers idle until the master answers, or queue more."""

JUDGED_AFTER = 3
"""Round trips are judged after so many rounds: the first are slower, as connections are new."""


class Experience:
    """Speeds, finishing times, round trips and collections.

    Attributes:
        paces: how fast places are.
    """

    def __init__(self) -> None:
        self.paces = Paces()
        self._finishing = FinishingTimes()
        self._collect_times = CollectTimes(0)
        self._code: GradientCode
        self._planner: Planner | None = None
        self._n_rounds = 0
        self._warned = False

    def plan(self, code: GradientCode, message_bytes: int) -> None:
        """From now on rounds are of ``code``, and messages have so many bytes."""
        self._code = code
        self._planner = Planner(code.assignment, code.n_copies) if code.scheduled else None
        self._collect_times = CollectTimes(message_bytes)
        self._n_rounds, self._warned = 0, False

    def state(self) -> dict[str, Any]:
        """What was learnt under the present plan, for a checkpoint."""
        return {
            "paces": self.paces.state(),
            "finishing": self._finishing.state(),
            "collecting": self._collect_times.state(),
            "n_rounds": self._n_rounds,
            "warned": self._warned,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Know what `state` gave, after JSON; the plan is the same, and made already."""
        self.paces.restore(state["paces"])
        self._finishing.restore(state["finishing"])
        self._collect_times.restore(state["collecting"])
        self._n_rounds, self._warned = state["n_rounds"], state["warned"]

    def plan_again(self, code: GradientCode, message_bytes: int, places: Mapping[int, int]) -> None:
        """As ``plan``, in the middle of a run; ``places``: former place -> new place of the same worker.

        How fast workers are stays known, for chunks of the new size; finishing times are of another plan.
        """
        self.paces.move(places, self._code.n_chunks / code.n_chunks)
        self._finishing = FinishingTimes()
        self.plan(code, message_bytes)

    def forget(self, place: int) -> None:
        """Another worker has taken the place."""
        self._finishing.forget(place)
        self.paces.forget(place)

    def new_round(
        self, number: int, deadline: DeadlineRule, live: Iterable[int], waits: bool, enough: float, now: float
    ) -> Round:
        """Round ``number``, with the deadline that the rule makes of what is known of ``live`` places."""
        self._n_rounds += 1
        rules = RoundRules(deadline.seconds(self._finishing, live), waits, enough)
        return Round(number, self._code, rules, now, self._schedule(), self._collect_times)

    def _schedule(self) -> Schedule:
        if self._planner is None:
            return FixedOrder(self._code.assignment, self.paces)
        return Planned(self._planner, self._code.assignment, self._code.n_copies, self.paces)

    def observe_late(self, number: int, place: int, after_seconds: float, seconds: float) -> None:
        """A chunk of round ``number``, which has its outcome, came so long after that round's start."""
        left_seconds = (self._code.shares[place] - 1) * seconds
        self._finishing.observe_late(number, place, after_seconds, left_seconds)
        self.paces.busy_since.pop(place, None)

    def observe_round(self, ended: Round, now: float) -> None:
        """The round has its outcome."""
        self._finishing.observe_round(ended.number, ended.works)
        self.paces.busy_since = ended.schedule.busy_since(now)

    def warning(self) -> str:
        """What is wrong with the plan, said once; otherwise empty."""
        trip, chunk = self.paces.typical_round_trip(), self.paces.typical()
        if self._warned or self._n_rounds < JUDGED_AFTER or trip is None or chunk is None:
            return ""
        if chunk >= LEAST_ROUND_TRIPS * trip:
            return ""
        self._warned = True
        return (
            f"chunks are short: one takes {chunk:.2g} s and a round trip {trip:.2g} s; with fewer chunks a "
            f"worker, of at least {LEAST_ROUND_TRIPS:g} round trips each, rounds would be faster"
        )
