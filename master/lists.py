"""Pure: who is to compute what, while the master hands out chunks: a list for every place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from common.codes.base import Assignment

OVERDUE = 1.2
"""A chunk in hand is overdue after so many times the place's seconds a chunk."""

MARGIN = 0.2
"""A move must gain so many times the receiver's seconds a chunk: estimates are no better than that."""

MOST_VISITED = 48
"""So many places are looked at for one move at most, whatever the size of the cluster."""


def expected_end(since: float, seconds: float, now: float) -> float:
    """When a chunk that was begun at ``since`` should be finished: an overdue one takes as long again.

    >>> expected_end(since=0.0, seconds=1.0, now=0.5), expected_end(since=0.0, seconds=1.0, now=3.0)
    (1.0, 6.0)
    """
    elapsed = now - since
    return now + elapsed if elapsed >= OVERDUE * seconds else max(now, since + seconds)


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
        """When the chunk in hand should be finished."""
        return expected_end(self.since, self.seconds, now) if self.todo else max(now, self.since)

    def ends_at(self, now: float, more: int = 0) -> float:
        """When the whole list should be finished, with so many chunks ``more``."""
        if not self.todo:
            return max(now, self.since) + more * self.seconds
        waiting = len(self.todo) - 1 + more
        since, seconds = self.since, self.seconds
        elapsed = now - since
        if elapsed >= OVERDUE * seconds:
            return now + elapsed + waiting * elapsed
        ready = since + seconds
        return (ready if ready > now else now) + waiting * seconds

    def expects(self, chunk: int, now: float) -> float:
        """When ``chunk``, which is on the list, should be finished."""
        return self.ends_at(now, self.todo.index(chunk) + 1 - len(self.todo))


Moves = list[tuple[int, Hand, Hand]]
"""Each of a chunk from one list to another."""


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
        # Tuples, as most have a place or two: small, and none to make for chunks without any.
        self._finishers: list[tuple[int, ...]] = [()] * assignment.n_chunks
        self._listed: list[tuple[int, ...]] = [()] * assignment.n_chunks

    def is_done(self, chunk: int) -> bool:
        """Whether enough places have finished it."""
        return len(self._finishers[chunk]) >= self._n_copies

    def n_missing(self, chunk: int) -> int:
        """On so many more lists it must be; below 0 if it is on more than it needs."""
        return self._n_copies - len(self._finishers[chunk]) - len(self._listed[chunk])

    def listed(self, chunk: int) -> tuple[int, ...]:
        """The places on whose lists it is."""
        return self._listed[chunk]

    def missing_from(self, hand: Hand) -> list[int]:
        """Chunks that are not done, and that ``hand`` has neither finished nor on its list."""
        listed, finishers, n_copies, place = self._listed, self._finishers, self._n_copies, hand.place
        return [
            chunk
            for chunk in hand.held
            if len(finishers[chunk]) < n_copies
            and place not in finishers[chunk]
            and place not in listed[chunk]
        ]

    def takers(self, chunk: int) -> list[Hand]:
        """Live holders that have neither finished it nor have it on their lists, by place."""
        hands, listed, finishers = self.hands, self._listed[chunk], self._finishers[chunk]
        return [
            hands[place]
            for place in self._holders[chunk]
            if place not in listed and place not in finishers and place in hands and hands[place].live
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

    def way_out(self, hand: Hand, now: float) -> Moves:
        """Moves by which ``hand`` gets rid of a chunk; the last comes first. None if that would not help.

        A search in breadth for the nearest place that would, with one chunk more, be finished before
        ``hand`` is now; of those equally near, the one that would be finished first.
        """
        limit = hand.ends_at(now)
        came: dict[int, tuple[int, Hand]] = {hand.place: (-1, hand)}
        level = [hand]
        while level and len(came) < MOST_VISITED:
            best, earliest = None, limit
            following = []
            for giver, chunk in [(each, chunk) for each in level for chunk in each.todo[:0:-1]]:
                for place in self._holders[chunk]:
                    # Asked first what most fail: a search goes through hundreds of holders.
                    if place in came or place in self._listed[chunk] or place in self._finishers[chunk]:
                        continue
                    taker = self.hands.get(place)
                    if taker is None or not taker.live:
                        continue
                    came[place] = (chunk, giver)
                    following.append(taker)
                    end = taker.ends_at(now, 1)
                    if end < earliest and end + MARGIN * taker.seconds < limit:
                        best, earliest = taker, end
            if best is not None:
                return _trace(best, hand, came)
            level = following
        return []

    def enlist(self, hand: Hand, chunk: int, now: float) -> None:
        """Put the chunk at the end of a list."""
        if not hand.todo:
            hand.since = max(now, hand.since)
        hand.todo.append(chunk)
        self._listed[chunk] += (hand.place,)
        self.changed[hand.place] = None

    def unlist(self, hand: Hand, chunk: int) -> None:
        """Take the chunk off a list."""
        hand.todo.remove(chunk)
        self._listed[chunk] = _without(hand.place, self._listed[chunk])
        self.changed[hand.place] = None

    def clear(self, hand: Hand) -> list[int]:
        """Take everything off a list; returns what was on it. The worker is not told."""
        chunks, hand.todo = hand.todo, []
        for chunk in chunks:
            self._listed[chunk] = _without(hand.place, self._listed[chunk])
        return chunks

    def count(self, chunk: int, place: int) -> None:
        """``place`` can send the chunk; if that is enough, nobody need begin with it any more."""
        if place not in self._finishers[chunk]:
            self._finishers[chunk] += (place,)
        if self.is_done(chunk):
            for other in self._listed[chunk]:
                hand = self.hands[other]
                if hand.todo[0] != chunk:
                    self.unlist(hand, chunk)

    def recount(self, chunk: int, places: Iterable[int]) -> None:
        """Only ``places`` can send the chunk."""
        self._finishers[chunk] = tuple(places)


def _trace(taker: Hand, first: Hand, came: Mapping[int, tuple[int, Hand]]) -> Moves:
    moves = []
    while taker is not first:
        chunk, giver = came[taker.place]
        moves.append((chunk, giver, taker))
        taker = giver
    return moves


def _without(place: int, places: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(other for other in places if other != place) if len(places) > 1 else ()
