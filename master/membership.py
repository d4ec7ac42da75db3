"""Pure: who is there. A *link* is a connection, a *place* a seat 0..n-1 in the code.

A name gets its former place if that is free, otherwise the lowest free one; links beyond n are idle spares
and take the next place that becomes free, in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SLOW_LINK_ROUNDS = 5
"""A place whose link did not take whole parameters in so many rounds is shown as having too slow a link."""


@dataclass(slots=True)
class Link:
    """One connection of a worker."""

    number: int
    name: str
    incarnation: int
    place: int | None = None
    ready: bool = False
    draining: bool = False
    seen_at: float = 0.0
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
    """Seats links at places. ``n_places`` None means a lobby: nobody is seated until ``open`` is called."""

    def __init__(self, n_places: int | None) -> None:
        self.links: dict[int, Link] = {}
        self._seats: list[int | None] = [None] * (n_places or 0)
        self._open = n_places is not None
        self._former: dict[str, int] = {}
        self._last_name: dict[int, str] = {}
        self._incarnations = 0

    @property
    def n_places(self) -> int:
        """Number of places; 0 in the lobby."""
        return len(self._seats)

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
        return next((link for link in self.links.values() if link.name == name), None)

    def join(self, number: int, name: str, now: float) -> Link:
        """A new link; it is seated if a place is free, else it is a spare."""
        self._incarnations += 1
        link = Link(number, name, self._incarnations, seen_at=now)
        self.links[number] = link
        free = self._free_place(name)
        if free is not None:
            self._seat(link, free)
        return link

    def take_over(self, old: Link, number: int, now: float) -> Link:
        """A second link of the same worker replaces the ``old`` one, place and all."""
        del self.links[old.number]
        self._incarnations += 1
        link = Link(number, old.name, self._incarnations, seen_at=now)
        self.links[number] = link
        if old.place is not None:
            self._seat(link, old.place)
        return link

    def leave(self, number: int) -> tuple[Link | None, Link | None]:
        """A link is gone. Returns it and the spare that took its place, each if there is one."""
        link = self.links.pop(number, None)
        if link is None or link.place is None:
            return link, None
        self._seats[link.place] = None
        spare = next(
            (other for other in self.links.values() if other.place is None and not other.draining), None
        )
        if spare is not None:
            self._incarnations += 1
            spare.incarnation = self._incarnations
            self._seat(spare, link.place)
        return link, spare

    def open(self, n_places: int) -> list[Link]:
        """Leave the lobby: seat the present links in the order they came. Returns those seated."""
        self._seats = [None] * n_places
        self._open = True
        seated = []
        for link in list(self.links.values()):
            free = self._free_place(link.name)
            if free is not None:
                self._incarnations += 1
                link.incarnation = self._incarnations
                self._seat(link, free)
                seated.append(link)
        return seated

    def _free_place(self, name: str) -> int | None:
        if not self._open:
            return None
        former = self._former.get(name)
        if former is not None and former < len(self._seats) and self._seats[former] is None:
            return former
        return next((place for place, number in enumerate(self._seats) if number is None), None)

    def _seat(self, link: Link, place: int) -> None:
        link.place = place
        link.ready = False
        self._seats[place] = link.number
        self._former[link.name] = place
        self._last_name[place] = link.name
