"""Pure: reports and messages of workers: what each is worth, and what it means for the round in hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from master.chronicle import Chronicle
from master.commands import CloseLink
from master.events import ChunkFinished, MessageArrived, Stamp
from master.experience import Experience
from master.membership import Link, Membership
from master.round import Move, Round

Fate = Literal["current", "late", "stale", "future"]


@dataclass(frozen=True, slots=True)
class Violation:
    """The worker of ``link`` broke the protocol: ``kind`` in a word, ``detail`` in words."""

    link: Link
    kind: str
    detail: str

    @property
    def close(self) -> CloseLink:
        """The link ends, and says why."""
        return CloseLink(self.link.number, f"{self.kind}: {self.detail}", self.kind)


@dataclass(frozen=True, slots=True)
class Diverged:
    """A worker reports numbers that are not finite; ``what`` they are."""

    what: str


@dataclass(frozen=True, slots=True)
class Unused:
    """The message is not wanted, and its payload can go; the round may have moves nevertheless."""

    moves: tuple[Move, ...] = ()


class Intake:
    """Takes in what workers send.

    Args:
        members: who is there. chronicle: where things are counted. experience: what learns from them.
        doubts: a worker is not believed that its numbers are not finite; its answers are examined.
    """

    def __init__(
        self, members: Membership, chronicle: Chronicle, experience: Experience, doubts: bool = False
    ) -> None:
        self.doubts = doubts
        self._members = members
        self._chronicle = chronicle
        self._experience = experience

    def chunk_finished(
        self, event: ChunkFinished, epoch: int, current: Round | None, now: float
    ) -> list[Move] | Violation | Diverged:
        """A report: the moves it brings about, or what is wrong with it."""
        link = self._members.links.get(event.link)
        fate = fate_of(link, event.stamp, epoch, current)
        if fate == "stale" or link is None or link.place is None or current is None:
            self._chronicle.totals.stale_frames += 1
            return []
        link.seen_at = now
        if fate == "future" or not _holds(current, link.place, event.chunk):
            detail = (
                f"chunk {event.chunk} of round {event.stamp.round} is nothing that place {link.place} has"
            )
            return Violation(link, "foreign_chunk", detail)
        if not self.doubts and not (event.finite and math.isfinite(event.loss)):
            number = "loss" if event.finite else "gradient"
            what = f"worker {link.name}: the {number} of chunk {event.chunk} is not finite"
            return Diverged(f"{what} in round {event.stamp.round}")
        self._experience.paces.observe(link.place, event.seconds)
        if fate == "late":
            after_seconds = self._chronicle.report_late(link.place, link.name, event, now)
            self._experience.observe_late(event.stamp.round, link.place, after_seconds, event.seconds)
            current.schedule.free(link.place, now)
            return []
        current.schedule.heard(link.place, event.heard, event.heard_seconds, now)
        moves = current.chunk_finished(link.place, event.chunk, event.seconds, now, event.digest)
        if moves is None:
            self._chronicle.totals.duplicate_frames += 1
            return []
        self._chronicle.ledger.report(event.chunk, event.loss, event.rows)
        return moves

    def message_arrived(
        self, event: MessageArrived, epoch: int, current: Round | None, now: float
    ) -> list[Move] | Unused | Violation:
        """A whole message: the moves it brings about, or why its payload is of no use."""
        link = self._members.links.get(event.link)
        fate = fate_of(link, event.stamp, epoch, current)
        if fate == "stale" or link is None or link.place is None or current is None:
            self._chronicle.totals.stale_frames += 1
            return Unused()
        link.seen_at = now
        self._chronicle.ledger.bytes_received += event.n_bytes
        if fate == "late":
            self._chronicle.totals.stale_frames += 1
            return Unused()
        if fate == "future" or not current.owns(link.place, event.message):
            detail = f"message {event.message} of round {event.stamp.round} is not of place {link.place}"
            return Violation(link, "foreign_message", detail)
        moves = current.message_arrived(link.place, event.message, event.payload, now)
        if moves is None:
            self._chronicle.totals.duplicate_frames += 1
            return Unused(tuple(current.revive(link.place, now)))
        return moves


def fate_of(link: Link | None, stamp: Stamp, epoch: int, current: Round | None) -> Fate:
    """How a frame with ``stamp`` from ``link`` is to be taken in.

    ``stale``: of another epoch or incarnation of the link, or of a link without a place. ``late``: of a round
    that has its outcome. ``future``: of a round that has not started, which no honest worker can send.
    """
    if link is None or link.place is None or current is None:
        return "stale"
    if stamp.epoch != epoch or stamp.incarnation != link.incarnation:
        return "stale"
    if stamp.round > current.number:
        return "future"
    if stamp.round < current.number or current.outcome is not None:
        return "late"
    return "current"


def _holds(current: Round, place: int, chunk: int) -> bool:
    code = current.code
    return 0 <= chunk < code.n_chunks and place in code.assignment.holders[chunk]
