"""The vocabulary of the master's core: events that come in. See `master.commands` for what goes out.

``Training.handle(event, now)`` takes one event and returns commands. Whoever calls it (the gRPC face, the
simulator) owns clock, sockets and payloads; ``payload`` numbers only name bytes that the caller keeps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.codes.base import Decoding
from master.checked import Dispute


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a frame belongs to; a frame with another stamp than the current one is stale."""

    epoch: int
    round: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A worker opened link number ``link`` and passed the handshake."""

    link: int
    name: str


@dataclass(frozen=True, slots=True)
class LinkReady:
    """The worker holds the rows of its place and can compute."""

    link: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link is gone, for whatever reason."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class LinkDraining:
    """The worker asks to leave after the round in hand."""

    link: int


@dataclass(frozen=True, slots=True)
class ParametersWritten:
    """The last parameters frame of ``round`` was handed to the transport of ``link``."""

    link: int
    round: int


@dataclass(frozen=True, slots=True)
class ChunkFinished:
    """The worker finished a chunk's gradient; ``seconds`` by the worker's clock.

    Until then it had received ``heard`` queues of chunks in this round, the last of them ``heard_seconds``
    ago; or only the start of the round, so long ago. ``digest`` binds the worker to the gradient, where the
    work order asks for it.
    """

    link: int
    stamp: Stamp
    chunk: int
    seconds: float
    loss: float
    rows: int
    finite: bool
    heard: int = 0
    heard_seconds: float = 0.0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A whole message arrived: ``message`` is its number (fixed codes) or its request (codes on request)."""

    link: int
    stamp: Stamp
    message: int
    payload: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class PartialSum:
    """Answer of a worker to AskPartialSum number ``number``; not finite if it cannot be had."""

    link: int
    stamp: Stamp
    number: int
    value: float


@dataclass(frozen=True, slots=True)
class Solved:
    """Answer to Solve."""

    round: int
    decoding: Decoding
    seconds: float


@dataclass(frozen=True, slots=True)
class Combined:
    """Answer to Combine. ``culprit`` is the payload that is not finite, if one is."""

    round: int
    gradient_norm: float
    culprit: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Stepped:
    """Answer to Step."""

    round: int
    finite: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Answer to Evaluate."""

    round: int
    score: float


@dataclass(frozen=True, slots=True)
class Examined:
    """Answer to Examine; values that were wrong have been put right.

    Attributes:
        n_audited: values that were computed again. n_compared: those that two workers agreed on.
        n_wrong: values that were wrong. liars: the workers they are from, in the order of questions.
        n_disputed: values that workers did not agree on. n_unsure: values that enter the gradient as they
            came.
        disputes: about questions that are still open; workers are to be asked for parts of their sums.
    """

    round: int
    n_audited: int
    n_compared: int
    n_wrong: int
    liars: tuple[str, ...]
    n_disputed: int
    n_unsure: int
    seconds: float
    disputes: tuple[Dispute, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """Answer to Restore."""

    round: int


@dataclass(frozen=True, slots=True)
class ScaleRequested:
    """An operator wants another number of workers, from the next round on."""

    n_workers: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """An operator or a signal asks the run to end; the folder stays whole."""

    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; sent when ``Training.wakes_at`` is reached."""


Event = (
    LinkUp
    | LinkReady
    | LinkDown
    | LinkDraining
    | ParametersWritten
    | ChunkFinished
    | MessageArrived
    | PartialSum
    | Solved
    | Combined
    | Stepped
    | Evaluated
    | Examined
    | Restored
    | ScaleRequested
    | StopRequested
    | Tick
)


def method_of(kind: type) -> str:
    """Name of the method that takes events of a kind.

    >>> method_of(LinkUp)
    '_link_up'
    """
    return re.sub(r"(?=[A-Z])", "_", kind.__name__).lower()
