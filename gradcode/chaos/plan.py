"""Pure: which fault when, to whom, for how long; all of it from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcode.chaos.mangling import MANGLES

MASTER_KINDS = ("kill master", "fill disk")
LINK_KINDS = ("kill", "freeze", "leave", "cut", "refuse", "silence")
"""What ends a worker's link, if it lasts long enough."""

KINDS = (*LINK_KINDS, "delay", "narrow", *MANGLES, *MASTER_KINDS)
"""All faults:

``kill`` (SIGKILL, started again later), ``freeze`` (SIGSTOP, SIGCONT), ``leave`` (SIGTERM, started again),
``cut`` (connections end), ``refuse`` (and no new one comes about), ``silence`` (nothing goes through, nothing
is closed), ``delay``, ``narrow`` (few bytes a second); ``drop``, ``duplicate``, ``truncate``, ``corrupt``
some bytes; ``lengthen``
the length before a message; ``kill master`` (SIGKILL, started again with the same command), ``fill disk``.
"""

_SECONDS = {
    "kill": (0.3, 3.0),
    "freeze": (1.0, 6.0),
    "leave": (0.3, 3.0),
    "refuse": (1.0, 5.0),
    "silence": (1.0, 7.0),
    "delay": (2.0, 5.0),
    "narrow": (2.0, 5.0),
    "kill master": (0.2, 2.0),
    "fill disk": (2.0, 5.0),
}
MASTER_IN_PEACE = 0.7
"""From this share of the time on the master lives, long enough to see whether it leaks."""
_AMOUNTS = {"delay": (0.1, 0.4), "narrow": (500.0, 5000.0)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: one of KINDS. at_seconds: since the start. worker: its number; None for faults of the master.
        for_seconds: how long it lasts; 0 where that means nothing.
        amount: seconds of a delay, bytes a second of a narrow link.
        upwards: whether bytes to the master are mangled, or those from it.
    """

    kind: str
    at_seconds: float
    worker: int | None = None
    for_seconds: float = 0.0
    amount: float = 0.0
    upwards: bool = True


def make_plan(
    seed: int, seconds: float, n_workers: int, every_seconds: float, kinds: Sequence[str] = KINDS
) -> tuple[Fault, ...]:
    """Faults in order of time: all kinds equally often, in random order, one every so often on average.

    Only the master is not killed any more towards the end.

    Args:
        seed: of everything. seconds: none begins later. n_workers: at least 1.
        every_seconds: mean time from one to the next; times vary by half of it.
    """
    rng = random.Random(seed)
    order = _in_cycles(rng, kinds)
    faults, at = [], every_seconds
    while at < seconds:
        kind = next(order)
        while kind == "kill master" and at > MASTER_IN_PEACE * seconds and set(kinds) != {kind}:
            kind = next(order)
        faults.append(
            Fault(
                kind,
                at,
                worker=None if kind in MASTER_KINDS else rng.randrange(n_workers),
                for_seconds=rng.uniform(*_SECONDS.get(kind, (0.0, 0.0))),
                amount=rng.uniform(*_AMOUNTS.get(kind, (0.0, 0.0))),
                upwards=rng.random() < 0.5,
            )
        )
        at += every_seconds * rng.uniform(0.5, 1.5)
    return tuple(faults)


def _in_cycles(rng: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    while True:
        yield from rng.sample(list(kinds), len(kinds))
