"""What a simulated run is made of besides the master: workers, and real numbers if it learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from common.codes.base import GradientCode, Message, Term
from master import events as ev
from master.arithmetic import Arithmetic
from worker.compute import ChunkResult

NOTHING = ChunkResult(loss=0.0, rows=1, finite=True)
"""What a chunk comes to in timing mode."""


class Learning(Protocol):
    """Real numbers for learning mode: one value for the whole run. Workers go by the numbers of links."""

    @property
    def arithmetic(self) -> Arithmetic:
        """The master's numbers."""

    def start(self, worker: int, point: bytes, code: GradientCode) -> None:
        """A worker takes up a round of ``code`` with these parameters and forgets the one before."""

    def gradient(self, worker: int, chunk: int) -> ChunkResult:
        """Compute a chunk's gradient at a worker."""

    def message(self, worker: int, terms: tuple[Term, ...], n_parts: int) -> bytes:
        """Combine finished chunks of a worker."""

    def partial_sum(self, worker: int, terms: tuple[Term, ...], index: int, n_parts: int) -> float:
        """One number of such a message."""


@dataclass(slots=True)
class SimulatedWorker:
    """One worker process as the simulator sees it.

    Attributes:
        incarnation: of its last welcome. code: of the plan then.
        prepared: as a spare, the place whose rows it loads, and when they will be there.
        mute_until: it answers no request before.
        stamp: of the round it works on. waiting: of a newer one, which it takes up after the chunk in hand.
        stopped: the newest round that was stopped.
        heard: queues it received in the round it was sent last, the newest of them at ``heard_at``.
        hand: the chunk it computes, which takes ``hand_seconds``, freezes included.
        up_since: the run's time when it was told of its first round.
        served: for each place how many interruptions lie behind it. dead: its process is no more.
    """

    link: int
    name: str
    incarnation: int = 0
    code: GradientCode | None = None
    prepared: dict[int, float] = field(default_factory=dict)
    up_since: float = float("inf")
    place: int | None = None
    alive: bool = True
    dead: bool = False
    frozen_until: float = 0.0
    mute_until: float = 0.0
    served: dict[int, int] = field(default_factory=dict)
    heard: int = 0
    heard_at: float = 0.0
    stamp: ev.Stamp | None = None
    waiting: ev.Stamp | None = None
    waiting_queue: list[int] = field(default_factory=list)
    waiting_point: bytes | None = None
    stopped: int = -1
    hand: int | None = None
    hand_seconds: float = 0.0
    queue: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)

    def take_place(self, place: int | None, incarnation: int, code: GradientCode | None) -> None:
        """It is welcomed: whatever it was doing is over, the chunk in hand as well."""
        self.place, self.incarnation, self.code = place, incarnation, code
        self.stamp = self.waiting = self.waiting_point = self.hand = None
        self.queue, self.done, self.stopped, self.prepared = [], [], -1, {}

    def due(self, chunk: int) -> Iterator[tuple[int, Message]]:
        """Messages of a fixed code that ``chunk`` completes, with their numbers."""
        assert self.code is not None
        assert self.place is not None
        for number in self.code.messages_of[self.place]:
            message = self.code.messages[number]
            chunks = {term.chunk for term in message.terms}
            if chunk in chunks and chunks.issubset(self.done):
                yield number, message
