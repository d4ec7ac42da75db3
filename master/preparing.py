"""Pure: which places spares prepare for, by loading their rows before they are needed."""

from __future__ import annotations

from collections.abc import Iterable

from master.bookkeeping import Totals
from master.commands import Command, Prefetch
from master.membership import Membership
from master.paces import Paces

EVERY_ROUNDS = 16
"""So often the choice is looked at again when nobody comes or goes: stragglers are known better by then."""

MOST_PLACES = 32
"""A spare loads the rows of so many places at most, the likeliest first."""


class Preparing:
    """Gives every spare a place of its own to prepare for, and others to go on with.

    A place is likely to become free if its worker is about to leave; then if it was often lost, or its worker
    often straggled, or is slow.

    Args:
        members: who is there. totals: who straggled. paces: who is slow.
    """

    def __init__(self, members: Membership, totals: Totals, paces: Paces) -> None:
        self._members = members
        self._totals = totals
        self._paces = paces
        self._losses: dict[int, int] = {}
        self._seen = (-1, -1)

    def lost(self, places: Iterable[int]) -> None:
        """These places lost their link."""
        for place in places:
            self._losses[place] = self._losses.get(place, 0) + 1

    def forget(self) -> None:
        """Another plan: places are others."""
        self._losses.clear()

    def look(self, number: int) -> list[Command]:
        """What to tell spares in round ``number``. Cost O(1) while nobody comes or goes, else O(n log n)."""
        seen = (self._members.version, number // EVERY_ROUNDS)
        if seen == self._seen:
            return []
        self._seen = seen
        spares = list(self._members.spares())
        if not spares or not self._members.n_places:
            return []
        ranking = sorted(range(self._members.n_places), key=self._likelihood, reverse=True)
        wanted = ranking[: len(spares)]
        kept = {link.prepares for link in spares if link.prepares in wanted}
        fresh = iter([place for place in wanted if place not in kept])
        told: list[Command] = []
        for link in spares:
            if link.prepares not in kept:
                place = next(fresh, None)
                link.prepares = place
                if place is not None:
                    others = [each for each in ranking if each != place]
                    told.append(Prefetch(link.number, (place, *others[: MOST_PLACES - 1])))
        return told

    def _likelihood(self, place: int) -> tuple[float, ...]:
        link = self._members.at(place)
        leaves = link is None or link.draining
        straggles = self._totals.straggles.get(place, 0)
        pace = self._paces.seconds.get(place, 0.0)
        return leaves, self._losses.get(place, 0), straggles, pace, -place
