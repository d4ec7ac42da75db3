"""Pure: who is to compute what, while the master hands out chunks: a list for every place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from common.codes.base import Assignment

OVERDUE = 1.2
"""A chunk in hand is overdue after so many times the place's seconds a chunk."""


@dataclass(slots=True)
class Hand:
    """One place and its list.

    Attributes:
        held: chunks that the place holds.
        seconds: expected for a chunk. depth: chunks that should wait at the worker.
        todo: the chunk in hand, then those it will compute.
        sent: those of ``todo`` that the worker knows of, as far as the master knows.
        since: when the chunk in hand was begun, or a next one could be.
        live: it takes chunks.
        fresh: it began the round with nothing in hand, and has reported nothing yet.
        told_at: when it was sent the round, then each queue.
    """

    place: int
    held: tuple[int, ...]
    seconds: float
    since: float
    depth: int = 1
    live: bool = True
    fresh: bool = True
    told_at: list[float] = field(default_factory=list)
    todo: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def is_overdue(self, now: float) -> bool:
        """Whether the chunk in hand takes much longer than expected."""
        return bool(self.todo) and now - self.since >= OVERDUE * self.seconds

    def free_at(self, now: float) -> float:
        """When the chunk in hand should be finished: an overdue one is expected to take as long again."""
        if not self.todo:
            return max(now, self.since)
        if self.is_overdue(now):
            return now + (now - self.since)
        return max(now, self.since + self.seconds)

    def pace(self, now: float) -> float:
        """Seconds expected for each of the next chunks."""
        return now - self.since if self.is_overdue(now) else self.seconds

    def ends_at(self, now: float, more: int = 0) -> float:
        """When the whole list should be finished, with so many chunks ``more``."""
        waiting = max(0, len(self.todo) - 1) + more
        return self.free_at(now) + waiting * self.pace(now)

    def expects(self, chunk: int, now: float) -> float:
        """When ``chunk``, which is on the list, should be finished."""
        return self.free_at(now) + self.todo.index(chunk) * self.pace(now)


class Lists:
    """All places' lists, and who has finished what.

    Args:
        assignment: who holds what.
        n_copies: l; a chunk is done when so many places have finished it.

    Attributes:
        hands: place -> its list, for places that were sent the round.
        changed: places whose list may differ from what their worker knows.
    """

    def __init__(self, assignment: Assignment, n_copies: int) -> None:
        self.hands: dict[int, Hand] = {}
        self.changed: dict[int, None] = {}
        self._holders = assignment.holders
        self._n_copies = n_copies
        self._finishers: list[set[int]] = [set() for _ in range(assignment.n_chunks)]
        self._listed: list[list[int]] = [[] for _ in range(assignment.n_chunks)]

    def is_done(self, chunk: int) -> bool:
        """Whether enough places have finished it."""
        return len(self._finishers[chunk]) >= self._n_copies

    def n_missing(self, chunk: int) -> int:
        """On so many more lists it must be; below 0 if it is on more than it needs."""
        return self._n_copies - len(self._finishers[chunk]) - len(self._listed[chunk])

    def listed(self, chunk: int) -> list[int]:
        """The places on whose lists it is."""
        return self._listed[chunk]

    def can_take(self, hand: Hand, chunk: int) -> bool:
        """Whether ``hand``, which holds the chunk, has neither finished it nor has it on its list."""
        return (
            hand.live and hand.place not in self._listed[chunk] and hand.place not in self._finishers[chunk]
        )

    def takers(self, chunk: int) -> list[Hand]:
        """Live holders that can take it, by place."""
        hands = self.hands
        return [
            hands[place]
            for place in self._holders[chunk]
            if place in hands and self.can_take(hands[place], chunk)
        ]

    def last_needed(self, chunk: int, now: float) -> tuple[float, Hand] | None:
        """When, and on which list, the last copy that the chunk needs should be finished.

        None if it is done already, or on too few lists.
        """
        n_needed = self._n_copies - len(self._finishers[chunk])
        listed = self._listed[chunk]
        if not 1 <= n_needed <= len(listed):
            return None
        ends = sorted((self.hands[place].expects(chunk, now), place) for place in listed)
        end, place = ends[n_needed - 1]
        return end, self.hands[place]

    def earliest_taker(self, chunk: int, now: float) -> Hand | None:
        """The one that would be finished first with one chunk more; None if there is none."""
        return min(self.takers(chunk), key=lambda hand: (hand.ends_at(now, 1), hand.place), default=None)

    def enlist(self, hand: Hand, chunk: int, now: float) -> None:
        """Put the chunk at the end of a list."""
        if not hand.todo:
            hand.since = max(now, hand.since)
        hand.todo.append(chunk)
        self._listed[chunk].append(hand.place)
        self.changed[hand.place] = None

    def unlist(self, hand: Hand, chunk: int) -> None:
        """Take the chunk off a list."""
        hand.todo.remove(chunk)
        self._listed[chunk].remove(hand.place)
        self.changed[hand.place] = None

    def clear(self, hand: Hand) -> list[int]:
        """Take everything off a list; returns what was on it."""
        chunks, hand.todo, hand.sent = hand.todo, [], []
        for chunk in chunks:
            self._listed[chunk].remove(hand.place)
        return chunks

    def count(self, chunk: int, place: int) -> None:
        """``place`` can send the chunk; if that is enough, nobody need begin with it any more."""
        self._finishers[chunk].add(place)
        if self.is_done(chunk):
            for other in self._listed[chunk][:]:
                hand = self.hands[other]
                if hand.todo[0] != chunk:
                    self.unlist(hand, chunk)

    def recount(self, chunk: int, places: Iterable[int]) -> None:
        """Only ``places`` can send the chunk."""
        self._finishers[chunk] = set(places)
