"""Pure: who is there. A *link* is a connection, a *place* a seat 0..n-1 in the code.

A name gets its former place if that is free, otherwise the lowest free one; links beyond n are spares. A
place that becomes free goes to the spare that has loaded its rows, otherwise to the one that came first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from master.snapshot import by_place

SLOW_LINK_ROUNDS = 5
"""A place whose link did not take whole parameters in so many rounds is shown as having too slow a link."""

MOST_FORMER = 4096
"""Beside two for each place, so many names are remembered with their former places, the newest."""


@dataclass(slots=True)
class Link:
    """One connection of a worker.

    Attributes:
        spare_since: when it became a spare. prepares: the place whose rows it loads as a spare.
    """

    number: int
    name: str
    incarnation: int
    place: int | None = None
    ready: bool = False
    draining: bool = False
    seen_at: float = 0.0
    spare_since: float = 0.0
    prepares: int | None = None
    behind_rounds: int = 0
    started_round: int = -1
    written_round: int = -1

    @property
    def too_slow(self) -> bool:
        """Whether the link never takes whole parameters in time."""
        return self.behind_rounds >= SLOW_LINK_ROUNDS

    def starts(self, number: int) -> None:
        """Round ``number`` is being sent over this link; counts rounds whose parameters never got through."""
        if self.started_round >= 0:
            self.behind_rounds = 0 if self.written_round >= self.started_round else self.behind_rounds + 1
        self.started_round = number


class Membership:
    """Seats links at places. ``n_places`` None means a lobby: nobody is seated until ``open`` is called.

    The links' incarnations begin above ``incarnations``.

    Cost: O(log n) for a link that comes, O(number of spares) for one that goes.

    Attributes:
        links: all links by number.
        n_linked: places that have a link. n_ready: those whose link can compute.
        n_draining: links that are about to leave.
        version: grows whenever a link comes, goes, moves or is about to leave.
    """

    def __init__(self, n_places: int | None, incarnations: int = 0) -> None:
        self.links: dict[int, Link] = {}
        self.n_linked = 0
        self.n_ready = 0
        self.n_draining = 0
        self.version = 0
        self._seats: list[int | None] = [None] * (n_places or 0)
        self._free = list(range(n_places or 0))
        self._spares: dict[int, Link] = {}
        self._by_name: dict[str, int] = {}
        self._former: dict[str, int] = {}
        self._last_name: dict[int, str] = {}
        self._incarnations = incarnations

    @property
    def n_places(self) -> int:
        """Number of places; 0 in the lobby."""
        return len(self._seats)

    @property
    def n_staying(self) -> int:
        """Links that are not about to leave, spares included."""
        return len(self.links) - self.n_draining

    def spares(self) -> Iterator[Link]:
        """Links without a place that are not about to leave, in the order in which they came."""
        return (link for link in self._spares.values() if not link.draining)

    def at(self, place: int) -> Link | None:
        """The link at a place, if there is one."""
        number = self._seats[place]
        return None if number is None else self.links[number]

    def seated(self) -> Iterator[Link]:
        """All links that hold a place, by place."""
        return (self.links[number] for number in self._seats if number is not None)

    def name_at(self, place: int) -> str:
        """Name of the worker at a place, or of the last one that was there; empty if nobody ever was."""
        return self._last_name.get(place, "")

    def same_name(self, name: str) -> Link | None:
        """The link of a worker with this name, if it is connected."""
        number = self._by_name.get(name)
        return None if number is None else self.links[number]

    def join(self, number: int, name: str, now: float) -> Link:
        """A new link; it is seated if a place is free, else it is a spare."""
        self._incarnations += 1
        link = self._add(Link(number, name, self._incarnations, seen_at=now, spare_since=now))
        free = self._free_place(name)
        if free is not None:
            self._seat(link, free)
        return link

    def take_over(self, old: Link, number: int, now: float) -> Link:
        """A second link of the same worker replaces the ``old`` one, place and all."""
        self._remove(old)
        self._incarnations += 1
        since = old.spare_since if old.place is None else now
        link = self._add(Link(number, old.name, self._incarnations, seen_at=now, spare_since=since))
        if old.place is not None:
            self._seat(link, old.place)
        return link

    def leave(self, number: int) -> tuple[Link | None, Link | None]:
        """A link is gone. Returns it and the spare that took its place, each if there is one."""
        link = self.links.get(number)
        if link is None:
            return None, None
        self._remove(link)
        if link.place is None:
            return link, None
        spare = min(self.spares(), key=lambda other: other.prepares != link.place, default=None)
        if spare is None:
            heapq.heappush(self._free, link.place)
        else:
            self._incarnations += 1
            spare.incarnation = self._incarnations
            self._seat(spare, link.place)
        return link, spare

    def open(self, n_places: int) -> list[Link]:
        """Leave the lobby: seat the present links in the order they came. Returns those seated."""
        self._seats = [None] * n_places
        self._free = list(range(n_places))
        seated = []
        for link in list(self.links.values()):
            free = self._free_place(link.name)
            if free is not None:
                self._incarnations += 1
                link.incarnation = self._incarnations
                self._seat(link, free)
                seated.append(link)
        return seated

    def state(self) -> dict[str, Any]:
        """Who had which place, for a checkpoint."""
        return {"former": dict(self._former), "names": dict(self._last_name)}

    def restore(self, state: Mapping[str, Any]) -> dict[int, str]:
        """Whoever had a place, by `state` after JSON, gets it again. Returns the last name at each place."""
        self._former = dict(state["former"])
        self._last_name = by_place(state["names"])
        return dict(self._last_name)

    def resize(self, n_places: int, seats: Mapping[int, int], now: float) -> None:
        """Another number of places: every link gets a new incarnation and loads rows anew.

        Args:
            n_places: how many there are from now on.
            seats: number of a link -> its place; links left out are spares. now: the master's clock.

        Cost: O(places + links).
        """
        self._seats = [None] * n_places
        self._free = list(range(n_places))
        self._last_name.clear()
        self.version += 1
        self.n_linked = self.n_ready = 0
        for link in self.links.values():
            self._incarnations += 1
            link.incarnation = self._incarnations
            if link.place is not None:
                link.spare_since = now
            link.place, link.ready, link.prepares = None, False, None
            self._spares[link.number] = link
        for number, place in seats.items():
            self._seat(self.links[number], place)

    def drain(self, link: Link) -> None:
        """The link is about to leave."""
        link.draining = True
        self.n_draining += 1
        self.version += 1

    def wrote(self, number: int, round_number: int) -> None:
        """The whole parameters of a round went out over a link."""
        link = self.links.get(number)
        if link is not None:
            link.written_round = max(link.written_round, round_number)

    def can_compute(self, link: Link) -> None:
        """The link holds the rows of its place."""
        link.ready = True
        self.n_ready += 1

    def _add(self, link: Link) -> Link:
        self.links[link.number] = self._spares[link.number] = link
        self._by_name[link.name] = link.number
        self.version += 1
        return link

    def _remove(self, link: Link) -> None:
        del self.links[link.number]
        del self._by_name[link.name]
        self._spares.pop(link.number, None)
        self.n_draining -= link.draining
        self.version += 1
        if link.place is not None:
            self._seats[link.place] = None
            self.n_linked -= 1
            self.n_ready -= link.ready

    def _free_place(self, name: str) -> int | None:
        # A former place that was taken again is still on the heap: such entries are passed over.
        while self._free and self._seats[self._free[0]] is not None:
            heapq.heappop(self._free)
        former = self._former.get(name)
        if former is not None and former < len(self._seats) and self._seats[former] is None:
            return former
        return self._free[0] if self._free else None

    def _seat(self, link: Link, place: int) -> None:
        del self._spares[link.number]
        link.place, link.prepares = place, None
        self.version += 1
        self.n_linked += 1
        self._seats[place] = link.number
        self._former.pop(link.name, None)
        self._former[link.name] = place
        if len(self._former) > MOST_FORMER + 2 * len(self._seats):
            del self._former[next(iter(self._former))]
        self._last_name[place] = link.name
