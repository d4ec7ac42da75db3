"""Pure: workers come, go, take over and drain. Says what to tell them and what it means for places."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from master.collecting import Ask
from master.commands import CloseLink, Collect, Command, NextChunk, Note, Solve, StopRound, Welcome
from master.events import LinkUp, Stamp
from master.membership import Link, Membership
from master.round import Move


@dataclass(slots=True)
class Turn:
    """What a change of membership brings: commands, and places that lost or got their link."""

    commands: list[Command] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)


class Roster:
    """Turns links that come and go into turns of places.

    Args:
        members: who is there; the roster is the only one that changes it.
    """

    def __init__(self, members: Membership) -> None:
        self._members = members

    def up(self, event: LinkUp, now: float) -> Turn:
        """A new link; the same worker's older link is closed and its place handed over."""
        turn = Turn()
        old = self._members.same_name(event.name)
        if old is None:
            link = self._members.join(event.link, event.name, now)
        else:
            if old.place is not None:
                turn.lost.append(old.place)
            link = self._members.take_over(old, event.link, now)
            turn.commands.append(CloseLink(old.number, "another link of the same worker took over"))
        self.welcome(link, turn)
        return turn

    def welcome(self, link: Link, turn: Turn) -> None:
        """Tell ``link`` where it stands."""
        turn.commands.append(Welcome(link.number, link.place, link.incarnation))
        if link.place is None:
            where = "waits as a spare" if self._members.n_places else "waits for the run to begin"
        else:
            turn.taken.append(link.place)
            where = f"took place {link.place}"
        turn.commands.append(Note("joined", f"worker {link.name} {where}", link.place))

    def down(self, number: int, reason: str) -> Turn:
        """A link is gone; a spare takes its place."""
        turn = Turn()
        link, spare = self._members.leave(number)
        if link is not None:
            # A draining worker may hang up before it is let go; either way it has drained.
            why = "it has drained" if link.draining else reason
            turn.commands.append(Note("lost", f"worker {link.name}: {why}", link.place))
            if link.place is not None:
                turn.lost.append(link.place)
        if spare is not None:
            self.welcome(spare, turn)
        return turn

    def let_go(self, link: Link) -> Turn:
        """A draining worker may leave now."""
        turn = self.down(link.number, "drained")
        turn.commands.insert(0, CloseLink(link.number, "drained"))
        return turn

    def open(self, n_places: int) -> Turn:
        """Leave the lobby: seat those present."""
        turn = Turn()
        for link in self._members.open(n_places):
            self.welcome(link, turn)
        return turn

    def resize(self, n_places: int, seats: Mapping[int, int], now: float) -> tuple[Turn, dict[int, int]]:
        """Another plan: everybody is welcomed anew, to the place that ``seats`` gives its link.

        Returns what to tell them, and for the former places of links that have one still: former -> new.
        """
        former = {link.number: link.place for link in self._members.links.values()}
        self._members.resize(n_places, seats, now)
        turn, moves = Turn(), {}
        for link in self._members.links.values():
            before = former[link.number]
            if before is not None and link.place is not None:
                moves[before] = link.place
            if link.place == before:
                turn.commands.append(Welcome(link.number, link.place, link.incarnation))
            else:
                self.welcome(link, turn)
        turn.taken.clear()
        return turn, moves


def stops(members: Membership, epoch: int, number: int, but: Collection[int] = frozenset()) -> list[Command]:
    """Tell all that compute, ``but`` for these links, that round ``number`` is over."""
    ready = (link for link in members.seated() if link.ready and link.number not in but)
    return [StopRound(link.number, Stamp(epoch, number, link.incarnation)) for link in ready]


def addressed(move: Move, members: Membership, epoch: int, number: int) -> Command:
    """A move of round ``number`` as a command to the link at its place."""
    if isinstance(move, Solve):
        return move
    link = members.at(move.place)
    assert link is not None, "a place without a link is asked nothing"
    stamp = Stamp(epoch, number, link.incarnation)
    if isinstance(move, Ask):
        return Collect(link.number, stamp, move.request, move.terms, move.n_parts)
    return NextChunk(link.number, stamp, move.chunks)
