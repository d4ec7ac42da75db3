"""Pure: which chunk each place computes next.

Every code has a schedule of one of two kinds. With a *fixed order* workers follow the assignment by
themselves, and the master only moves a chunk to the front when it must be computed again. With *planned*
chunks (`master.planned`) workers compute what the master hands out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from common.codes.base import Assignment
from master.paces import Paces


@dataclass(frozen=True, slots=True)
class Requeue:
    """Give a place a new queue, which replaces what waits there."""

    place: int
    chunks: tuple[int, ...]


class Schedule(Protocol):
    """The schedule of one round; minds places and chunks, not outcomes. Times are the master's clock."""

    def begin(self, places: Iterable[int], now: float) -> None:
        """The links at ``places`` are being sent the round; each starts from the beginning."""

    def finished(self, place: int, chunk: int, seconds: float, now: float) -> None:
        """``place`` reported ``chunk``, which took ``seconds`` by its clock."""

    def heard(self, place: int, n_queues: int, seconds: float, now: float) -> None:
        """``place`` received the newest of ``n_queues`` queues so long ago; of 0, the round."""

    def drop(self, place: int, now: float) -> None:
        """Nothing is expected of ``place`` any more: its link is gone, or it does not answer."""

    def revive(self, place: int, chunks: Iterable[int], now: float) -> None:
        """A place that was dropped has answered; it can send ``chunks``."""

    def redo(self, finishers: Mapping[int, Collection[int]], now: float) -> None:
        """Chunks that are unfinished again, each with the places that can send it still."""

    def free(self, place: int, now: float) -> None:
        """A chunk of an earlier round, which ``place`` had in hand, is finished."""

    def tick(self, now: float) -> None:
        """Time has passed."""

    @property
    def wakes_at(self) -> float | None:
        """When ``tick`` has something to do."""

    def n_left(self, place: int) -> int:
        """So many chunks ``place`` is to compute yet, as things stand; the one in hand counts."""

    def busy_since(self, now: float) -> dict[int, float]:
        """Place -> when the chunk in its hand was begun; empty where that does not matter."""

    def take_changes(self, now: float) -> list[Requeue]:
        """Queues that must be sent to their places now."""


class FixedOrder:
    """The order of the assignment, with chunks that have to be redone first.

    Args:
        assignment: chunks of every place in the order in which they are computed.
        paces: round trips are observed here.
    """

    wakes_at = None

    def __init__(self, assignment: Assignment, paces: Paces) -> None:
        self._assignment = assignment
        self._paces = paces
        self._begun_at = 0.0
        self._joined_at: dict[int, float] = {}
        self._queues: dict[int, list[int]] = {}
        self._dropped: set[int] = set()
        self._changed: dict[int, None] = {}

    def begin(self, places: Iterable[int], now: float) -> None:
        """Each place follows its order."""
        first = not self._queues
        if first:
            self._begun_at = now
        for place in places:
            self._queues[place] = list(self._assignment.orders[place])
            if not first:
                self._joined_at[place] = now
            self._dropped.discard(place)
            self._changed.pop(place, None)

    def heard(self, place: int, n_queues: int, seconds: float, now: float) -> None:
        """Tells how long a small frame takes there and back; queues are so rare that they are not minded."""
        if n_queues == 0:
            self._paces.observe_echo(place, self._joined_at.get(place, self._begun_at), seconds, now)

    def finished(self, place: int, chunk: int, seconds: float, now: float) -> None:
        """Cost O(load)."""
        queue = self._queues.get(place)
        if queue is not None and chunk in queue:
            queue.remove(chunk)

    def drop(self, place: int, now: float) -> None:
        """The place is not asked to redo anything."""
        self._dropped.add(place)

    def revive(self, place: int, chunks: Iterable[int], now: float) -> None:
        """It goes on with the queue that it has."""
        self._dropped.discard(place)

    def redo(self, finishers: Mapping[int, Collection[int]], now: float) -> None:
        """Move the chunks to the front of the queues that still have them.

        The chunk in hand cannot be abandoned, so a place whose first queued chunk is wanted already keeps
        its order.
        """
        for place, queue in self._queues.items():
            wanted = [] if place in self._dropped else [chunk for chunk in queue if chunk in finishers]
            if wanted and queue[: len(wanted)] != wanted:
                self._queues[place] = wanted + [chunk for chunk in queue if chunk not in finishers]
                self._changed[place] = None

    def free(self, place: int, now: float) -> None:
        """Changes nothing."""

    def tick(self, now: float) -> None:
        """Changes nothing."""

    def n_left(self, place: int) -> int:
        """The rest of its order."""
        return len(self._queues.get(place, ()))

    def busy_since(self, now: float) -> dict[int, float]:
        """Not minded."""
        return {}

    def take_changes(self, now: float) -> list[Requeue]:
        """The queues that ``redo`` changed."""
        if not self._changed:
            return []
        changed = [Requeue(place, tuple(self._queues[place])) for place in self._changed]
        self._changed = {}
        return changed
