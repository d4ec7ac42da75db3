"""Pure: the schedule of rounds in which the master hands out chunks: planned first, then mended.

A round begins with the shares that finish first for the remembered paces (`master.shares`). From then on
every place has a *list*: the chunk in hand, then those that it will compute. As reports come in, the time at
which each list will be finished is known better and better, and chunks move:

* a place that will soon have nothing left *pulls* the chunk that is finished latest otherwise;
* a place that falls behind what was planned, or whose chunk in hand is overdue, *pushes*: a chunk goes to
  another holder, and if all holders are full, one of theirs goes on to a third place, and so on;
* a chunk in hand cannot be taken away; when it is overdue a copy joins another list, at its end, and leaves
  it again if the chunk is finished in the meantime.

A chunk moves only where it is expected to be finished earlier by that. Workers hold the chunk in hand and a
few more, enough that none is idle while the master hears of a finished chunk and answers.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Mapping

from common.codes.base import Assignment
from master.lists import MARGIN, OVERDUE, Hand, Lists, expected_end
from master.paces import Paces
from master.schedule import Requeue
from master.shares import Pace, Planner

BEHIND = 0.35
"""A place pushes when it is behind the plan by so many times its seconds a chunk."""

MOST_LOOKS = 64
"""So often is the same chunk in hand looked at, every time when it has taken twice as long as the last."""

LEAST_WAIT = 0.05
"""Between two looks at a chunk in hand, in times of what it has taken so far."""

UNKNOWN_SECONDS = 1.0
"""Expected of a chunk before any place has reported one; only that all are equal matters."""

LEAST_SECONDS = 1e-9
"""A chunk that took no time at all by a worker's clock counts as so long."""


class Planned:
    """The schedule of one round.

    Args:
        planner: finds the shares; made once for a plan.
        assignment: who holds what.
        n_copies: l; a chunk is done when so many places have finished it.
        paces: what is remembered; round trips and leads are observed here.

    Cost: a few maximum flows at the start; O(load) for a report, more if chunks move.
    """

    def __init__(self, planner: Planner, assignment: Assignment, n_copies: int, paces: Paces) -> None:
        self._planner = planner
        self._assignment = assignment
        self._paces = paces
        self._typical = paces.typical()
        self._first_round, self._n_known = self._typical is None, 0
        self._lists = Lists(assignment, n_copies)
        self._carried: dict[int, float] = {}
        self._goal = 0.0
        self._due: list[tuple[float, int, float, int]] = []

    # ---- what the round asks ----------------------------------------------------------------------------

    @property
    def wakes_at(self) -> float | None:
        """When the first chunk in hand will be overdue."""
        while self._due:
            due, place, since, _ = self._due[0]
            hand = self._lists.hands[place]
            if hand.live and hand.todo and hand.since == since:
                return due
            heapq.heappop(self._due)
        return None

    def n_left(self, place: int) -> int:
        """The length of its list."""
        hand = self._lists.hands.get(place)
        return 0 if hand is None else len(hand.todo)

    def busy_since(self, now: float) -> dict[int, float]:
        """Place -> when the chunk in its hand was begun, if need be in an earlier round."""
        hands = self._lists.hands.values()
        begun = {hand.place: hand.since for hand in hands if hand.todo and hand.since <= now}
        return {**begun, **self._carried}

    def take_changes(self, now: float) -> list[Requeue]:
        """The queues that differ from what workers have; a worker leaves out what it has in hand."""
        changed: list[Requeue] = []
        if not self._lists.changed:
            return changed
        for place in self._lists.changed:
            hand = self._lists.hands[place]
            wanted = hand.todo[: 1 + hand.depth]
            if hand.live and wanted != hand.sent:
                hand.sent = wanted
                hand.told_at.append(now)
                changed.append(Requeue(place, tuple(wanted)))
        self._lists.changed = {}
        return changed

    # ---- places -----------------------------------------------------------------------------------------

    def begin(self, places: Iterable[int], now: float) -> None:
        """Places that begin a round together are planned together; later ones take over from others."""
        hands = self._lists.hands
        first = not hands
        new = list(places)
        for place in new:
            if place in hands:
                self.drop(place, now)
                self._carried.pop(place, None)
            hands[place] = self._hand(place, now)
            self._lists.changed[place] = None
        if first:
            self._plan(now)
        for hand in [hands[place] for place in new]:
            self._pull(hand, now)
            if first and not hand.todo:
                self._probe(hand, now)

    def drop(self, place: int, now: float) -> None:
        """What it should have computed goes to others."""
        hand = self._lists.hands.get(place)
        if hand is not None and hand.live:
            hand.live = False
            for chunk in self._lists.clear(hand):
                self._assign(chunk, now)

    def revive(self, place: int, chunks: Iterable[int], now: float) -> None:
        """What it finished counts again, and it takes chunks again."""
        hand = self._lists.hands[place]
        hand.live, hand.since = True, now
        for chunk in chunks:
            self._lists.count(chunk, place)
        self._pull(hand, now)
        self._lists.changed[place] = None

    def free(self, place: int, now: float) -> None:
        """The first chunk of the list is begun only now."""
        self._carried.pop(place, None)
        hand = self._lists.hands.get(place)
        if hand is not None:
            hand.since = now
            self._watch(hand)

    # ---- chunks -----------------------------------------------------------------------------------------

    def heard(self, place: int, n_queues: int, seconds: float, now: float) -> None:
        """Tells how long a small frame takes there and back."""
        told_at = self._lists.hands[place].told_at
        if 0 <= n_queues < len(told_at):
            self._paces.observe_echo(place, told_at[n_queues], seconds, now)

    def finished(self, place: int, chunk: int, seconds: float, now: float) -> None:
        """``place`` goes on with the next of its list."""
        hand = self._lists.hands[place]
        self._learn(hand, seconds, now)
        self._carried.pop(place, None)
        if chunk in hand.todo:
            self._lists.unlist(hand, chunk)
        if chunk in hand.sent:
            hand.sent.remove(chunk)
        hand.since = now
        self._watch(hand)
        if not hand.live:
            return
        self._lists.count(chunk, place)
        self._lists.changed[place] = None
        if len(hand.todo) <= hand.depth:
            self._pull(hand, now)
        elif hand.ends_at(now) > self._goal + BEHIND * hand.seconds:
            self._push(hand, now)

    def redo(self, finishers: Mapping[int, Collection[int]], now: float) -> None:
        """The chunks join lists again."""
        for chunk, places in finishers.items():
            self._lists.recount(chunk, places)
            self._assign(chunk, now)

    def tick(self, now: float) -> None:
        """Chunks in hand that are overdue get a copy elsewhere, and those behind them move on."""
        while (due := self.wakes_at) is not None and due <= now:
            _, place, since, looks = heapq.heappop(self._due)
            hand = self._lists.hands[place]
            self._push(hand, now)
            if looks < MOST_LOOKS:
                later = now + max(self._until_look(hand, now), LEAST_SECONDS)
                heapq.heappush(self._due, (later, place, since, looks + 1))

    # ---- planning ---------------------------------------------------------------------------------------

    def _hand(self, place: int, now: float) -> Hand:
        paces = self._paces
        seconds = max(paces.seconds.get(place, self._typical or UNKNOWN_SECONDS), LEAST_SECONDS)
        trip = paces.round_trip_seconds.get(place, 0.0)
        ready = now
        if place in paces.busy_since:
            self._carried[place] = paces.busy_since[place]
            ready = expected_end(self._carried[place], seconds, now)
        return Hand(
            place,
            held=self._assignment.orders[place],
            seconds=seconds,
            since=ready + paces.lead_seconds.get(place, 0.0),
            depth=min(max(1, math.ceil(trip / seconds)), len(self._assignment.orders[place])),
            fresh=place not in self._carried,
            told_at=[now],
        )

    def _plan(self, now: float) -> None:
        """Everybody's share; in each, first what would be finished latest elsewhere."""
        hands = self._lists.hands
        paces = {place: Pace(hand.seconds, max(0.0, hand.since - now)) for place, hand in hands.items()}
        shares = self._planner.shares(paces)
        self._goal = now + shares.seconds
        one_more = {
            place: pace.free_seconds + (1 + len(shares.chunks.get(place, ()))) * pace.seconds
            for place, pace in paces.items()
        }
        holders = self._assignment.holders
        for place, own in shares.chunks.items():
            elsewhere = {
                chunk: min(
                    (one_more.get(each, math.inf) for each in holders[chunk] if each != place),
                    default=math.inf,
                )
                for chunk in own
            }
            hand = hands[place]
            for chunk in sorted(own, key=elsewhere.__getitem__, reverse=True):
                self._lists.enlist(hand, chunk, now)
            self._watch(hand)

    def _learn(self, hand: Hand, seconds: float, now: float) -> None:
        """A report tells how fast its place is, and those of the first round how fast places are."""
        hand.seconds = max(self._paces.seconds.get(hand.place, hand.seconds), LEAST_SECONDS)
        if hand.fresh:
            hand.fresh = False
            self._paces.observe_lead(hand.place, max(0.0, now - hand.told_at[0] - seconds))
        if self._first_round:
            self._guess(now)

    def _guess(self, now: float) -> None:
        """Expect of places that have never reported what is usual among the others.

        The first that report are the fastest, so this is done again whenever twice as many are known.
        """
        n_known = len(self._paces.seconds)
        if n_known & (n_known - 1) or n_known == self._n_known:
            return
        self._n_known, self._typical = n_known, self._paces.typical()
        assert self._typical is not None, "one has reported"
        for other in self._lists.hands.values():
            if other.place not in self._paces.seconds:
                other.seconds = max(self._typical, LEAST_SECONDS)
                self._watch(other)
        self._goal = max(other.ends_at(now) for other in self._lists.hands.values())

    def _watch(self, hand: Hand) -> None:
        """Look again when the chunk in hand is overdue."""
        if hand.todo and self._typical is not None:
            heapq.heappush(self._due, (hand.since + OVERDUE * hand.seconds, hand.place, hand.since, 1))

    def _take(self, hand: Hand, chunk: int, now: float) -> None:
        """Put the chunk on a list."""
        self._lists.enlist(hand, chunk, now)
        if len(hand.todo) == 1:
            self._watch(hand)

    def _assign(self, chunk: int, now: float) -> None:
        """Put the chunk on as many lists as it needs, where it is finished first."""
        for _ in range(self._lists.n_missing(chunk)):
            taker = self._lists.earliest_taker(chunk, now)
            if taker is None:
                return
            self._take(taker, chunk, now)
            if taker.ends_at(now) > self._goal + BEHIND * taker.seconds:
                self._push(taker, now)

    # ---- mending ----------------------------------------------------------------------------------------

    def _pull(self, hand: Hand, now: float) -> None:
        """Fill the list up to its depth with chunks that are finished latest otherwise."""
        while len(hand.todo) <= hand.depth:
            found = self._latest_otherwise(hand, now)
            if found is None:
                return
            chunk, giver = found
            if giver is not None:
                self._lists.unlist(giver, chunk)
            self._take(hand, chunk, now)

    def _latest_otherwise(self, hand: Hand, now: float) -> tuple[int, Hand | None] | None:
        """The chunk that ``hand`` helps most, and the list that it leaves; None if it helps none."""
        latest = hand.ends_at(now, 1) + MARGIN * hand.seconds
        best: tuple[int, Hand | None] | None = None
        for chunk in self._lists.missing_from(hand) if hand.live else ():
            if self._lists.n_missing(chunk) > 0:
                return chunk, None
            needed = self._lists.last_needed(chunk, now)
            if needed is not None and needed[0] > latest:
                latest, other = needed
                best = chunk, None if other.todo[0] == chunk else other
        return best

    def _probe(self, hand: Hand, now: float) -> None:
        """A place that is too slow to be of use computes one chunk all the same, to be known better.

        It takes the one that would be finished latest if those who have it on their lists should fail.
        """
        chosen, latest = None, -math.inf
        for chunk in self._lists.missing_from(hand):
            if self._lists.n_missing(chunk) == 0:
                ends = (other.ends_at(now, 1) for other in self._lists.takers(chunk) if other is not hand)
                end = min(ends, default=math.inf)
                if end > latest:
                    chosen, latest = chunk, end
        if chosen is not None:
            self._take(hand, chosen, now)

    def _push(self, hand: Hand, now: float) -> None:
        """Move chunks off the list as long as that makes it, and no other, finished earlier."""
        if hand.is_overdue(now):
            self._copy(hand.todo[0], now)
        while len(hand.todo) > 1 and hand.ends_at(now) > self._goal:
            moves = self._lists.way_out(hand, now)
            if not moves:
                break
            for chunk, giver, taker in moves:
                self._lists.unlist(giver, chunk)
                self._take(taker, chunk, now)
        self._goal = max(self._goal, hand.ends_at(now))

    def _until_look(self, hand: Hand, now: float) -> float:
        """When to look at an overdue chunk in hand again: as soon as a copy helps, if all goes on as it does.

        With a copy on its way, or without anybody to take one, when it has taken twice as long as now.
        """
        chunk, elapsed = hand.todo[0], now - hand.since
        taker, needed = self._lists.earliest_taker(chunk, now), self._lists.last_needed(chunk, now)
        if taker is None or needed is None or needed[1] is not hand:
            return elapsed
        until = taker.ends_at(now, 1) + MARGIN * taker.seconds - now - elapsed
        return min(max(until, LEAST_WAIT * elapsed), elapsed)

    def _copy(self, chunk: int, now: float) -> None:
        """Have a chunk in hand computed once more, if that is expected to be finished first."""
        taker, needed = self._lists.earliest_taker(chunk, now), self._lists.last_needed(chunk, now)
        if taker is None or needed is None:
            return
        if taker.ends_at(now, 1) + MARGIN * taker.seconds < needed[0]:
            self._take(taker, chunk, now)
