"""Pure: what a frame from a worker is worth: current, late, stale, or more than the worker can know."""

from __future__ import annotations

from typing import Literal

from master.events import Stamp
from master.membership import Link
from master.round import Round

Fate = Literal["current", "late", "stale", "future"]


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
