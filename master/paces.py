"""Pure: how fast places are, remembered from round to round."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from master.snapshot import by_place

WEIGHT = 0.2
"""Weight of the newest observation in what is remembered; the first few are averaged."""

MOST_JUMP = 4.0
"""A chunk counts at most as so many times what is remembered: one freeze says little of the next chunk."""


class Paces:
    """Weighted means for every place that forget the past; O(1) an observation.

    Attributes:
        seconds: place -> seconds a chunk, by the worker's clock.
        lead_seconds: place -> from sending it a round to the report of its first chunk, without the chunk.
        round_trip_seconds: place -> from sending a small frame to hearing of it.
        busy_since: place -> when it began the chunk that it had in hand at the end of a round.
    """

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.lead_seconds: dict[int, float] = {}
        self.round_trip_seconds: dict[int, float] = {}
        self.busy_since: dict[int, float] = {}
        self._few: dict[int, int] = {}
        """Place -> number of observations, while they are so few that they are averaged."""

    def observe(self, place: int, seconds: float) -> None:
        """A chunk took ``seconds`` at ``place``."""
        known = self.seconds.get(place)
        if known is None:
            self.seconds[place], self._few[place] = seconds, 1
            return
        weight = WEIGHT
        if place in self._few:
            count = self._few.pop(place) + 1
            if 1.0 / count > WEIGHT:
                self._few[place], weight = count, 1.0 / count
        most = MOST_JUMP * known if known > 0.0 else seconds  # of no time at all any multiple is none
        self.seconds[place] = known + weight * (min(seconds, most) - known)

    def observe_lead(self, place: int, seconds: float) -> None:
        """``place`` began with its first chunk so late, counting the way of the report."""
        _mix(self.lead_seconds, place, seconds)

    def observe_echo(self, place: int, told_at: float, held_seconds: float, now: float) -> None:
        """A frame that was sent to ``place`` at ``told_at`` came back, which held it for so long."""
        seconds = now - told_at - held_seconds
        if held_seconds >= 0.0 and seconds >= 0.0:
            _mix(self.round_trip_seconds, place, seconds)

    def typical(self) -> float | None:
        """Median over places of the seconds a chunk; None before the first report."""
        return median(self.seconds.values()) if self.seconds else None

    def typical_round_trip(self) -> float | None:
        """Median over places; None where it is not measured."""
        return median(self.round_trip_seconds.values()) if self.round_trip_seconds else None

    def state(self) -> dict[str, Any]:
        """What is remembered, for a checkpoint; what is in hand is left out."""
        return {name: dict(values) for name, values in self._known().items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what `state` gave, after JSON."""
        for name, values in self._known().items():
            values.clear()
            values.update(by_place(state[name]))

    def _known(self) -> dict[str, dict[int, Any]]:
        return {
            "seconds": self.seconds,
            "lead_seconds": self.lead_seconds,
            "round_trip_seconds": self.round_trip_seconds,
            "few": self._few,
        }

    def forget(self, place: int) -> None:
        """Another worker sits there now."""
        for known in (self.seconds, self.lead_seconds, self.round_trip_seconds, self.busy_since):
            known.pop(place, None)

    def move(self, places: Mapping[int, int], factor: float) -> None:
        """Another plan: workers sit elsewhere, and their chunks are of another size.

        Args:
            places: former place -> new place; of all others nothing is known any more.
            factor: a chunk takes so many times as long as before.
        """
        self.seconds = {
            place: factor * self.seconds[old] for old, place in places.items() if old in self.seconds
        }
        self._few = {place: self._few[old] for old, place in places.items() if old in self._few}
        self.lead_seconds = _moved(self.lead_seconds, places)
        self.round_trip_seconds = _moved(self.round_trip_seconds, places)
        self.busy_since = {}


def _moved(known: Mapping[int, float], places: Mapping[int, int]) -> dict[int, float]:
    return {place: known[old] for old, place in places.items() if old in known}


def _mix(known: dict[int, float], place: int, seconds: float) -> None:
    before = known.get(place)
    known[place] = seconds if before is None else before + WEIGHT * (seconds - before)
