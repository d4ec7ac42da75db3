"""The vocabulary of the master's core: commands that go out. See `master.events` for what comes in.

``payload`` numbers only name bytes that the caller of ``Training.handle`` keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.codes.base import GradientCode, Message, Term
from common.history import RoundRecord
from master.checked import Exposed, Question
from master.events import Stamp
from master.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Welcome:
    """Tell the link its place and work order; ``place`` None makes it an idle spare."""

    link: int
    place: int | None
    incarnation: int


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Have a spare load the rows of ``places``, the first of which it is most likely to get."""

    link: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StartRound:
    """Send the order to start ``round`` and the current parameters to ``link``."""

    link: int
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class NextChunk:
    """Replace the link's queue of chunks by ``chunks``; the chunk in hand stays."""

    link: int
    stamp: Stamp
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Ask the link for the message with number ``request`` made of ``terms``."""

    link: int
    stamp: Stamp
    request: int
    terms: tuple[Term, ...]
    n_parts: int


@dataclass(frozen=True, slots=True)
class AskPartialSum:
    """Ask the link for one number, at ``index``, of the message that is made of ``terms``."""

    link: int
    stamp: Stamp
    number: int
    terms: tuple[Term, ...]
    n_parts: int
    index: int


@dataclass(frozen=True, slots=True)
class StopRound:
    """Tell the link that the round is over."""

    link: int
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class CloseLink:
    """End the link. ``kind`` is empty for a goodbye, otherwise the kind of protocol error to count."""

    link: int
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Discard:
    """Forget a payload."""

    payload: int


@dataclass(frozen=True, slots=True)
class Solve:
    """Find and certify weights for ``received``; answer with Solved."""

    round: int
    received: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Combine:
    """Add up the payloads with their weights (one a part); answer with Combined."""

    round: int
    weights: tuple[tuple[int, tuple[float, ...]], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Take the optimiser's step with the combined gradient; answer with Stepped.

    ``keep``: rounds whose optimiser, as it was before their step, is kept for Restore; others are forgotten.
    """

    round: int
    keep: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Examine:
    """Find the wrong answers among the payloads of a round and put them right; answer with Examined.

    ``exposed``: what disputes about some of these questions have come to.
    """

    round: int
    questions: tuple[Question, ...]
    exposed: tuple[Exposed, ...] = ()


@dataclass(frozen=True, slots=True)
class Restore:
    """Go back to the parameters before the step of ``round``, which is kept; answer with Restored."""

    round: int


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Score the current parameters on the held-out rows; answer with Evaluated."""

    round: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The run has a plan now (again): build work orders from this code."""

    code: GradientCode
    epoch: int


@dataclass(frozen=True, slots=True)
class Record:
    """Write down a finished round."""

    record: RoundRecord


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Keep this, with the optimiser's state as it is now, so that the run can go on from here."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Note:
    """Something an operator wants to know, in words; ``kind`` is a short constant word."""

    kind: str
    text: str
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over."""

    reason: str
    exit_code: int


Command = (
    Welcome
    | Prefetch
    | StartRound
    | NextChunk
    | Collect
    | AskPartialSum
    | StopRound
    | CloseLink
    | Discard
    | Solve
    | Combine
    | Step
    | Evaluate
    | Examine
    | Restore
    | Planned
    | Record
    | Checkpoint
    | Note
    | Finish
)
