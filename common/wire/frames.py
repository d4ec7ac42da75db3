"""The frames that master and worker exchange, as plain values without protobuf.

What each frame means, and who may send it when, is said at the head of protos/gradcode/v1/training.proto.
Arrays are bytes-like, little-endian; dtypes go by name (``float32``, ``float64``, ``int32``, ``int64``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.delays import Delays
from common.models.base import ModelShape

PROTOCOL_MAJOR = 1
"""Both sides have the same, or the link ends."""
PROTOCOL_MINOR = 3
PARTIAL_SUMS_SINCE = 3
"""Workers of a smaller minor version are not asked for parts of their sums."""
MAX_FRAME_BYTES = 1 << 20
"""Largest payload (the ``data`` field) of one frame."""
MAX_MESSAGE_BYTES = 4 << 20
"""Largest frame that gRPC lets through, so that a bug fails loudly."""
MAX_ARRAY_BYTES = 1 << 36
"""Largest array that frames may announce."""
ITEM_BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8}
"""Size of one number, for every dtype that may travel."""

Payload = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a frame belongs to; a frame whose stamp is not the current one is stale."""

    run: str
    epoch: int
    round: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Terms:
    """A linear form: the sum of coefficient times part of the gradient of chunk; three equal lengths."""

    chunks: tuple[int, ...]
    parts: tuple[int, ...]
    coefficients: tuple[float, ...]

    @classmethod
    def of(cls, terms: Iterable[tuple[int, int, float]]) -> Terms:
        """From triples (chunk, part, coefficient).

        >>> Terms.of([(3, 0, 1.0), (4, 0, -0.5)])
        Terms(chunks=(3, 4), parts=(0, 0), coefficients=(1.0, -0.5))
        """
        chunks, parts, coefficients = [], [], []
        for chunk, part, coefficient in terms:
            chunks.append(int(chunk))
            parts.append(int(part))
            coefficients.append(float(coefficient))
        return cls(tuple(chunks), tuple(parts), tuple(coefficients))

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        return zip(self.chunks, self.parts, self.coefficients, strict=True)

    def __len__(self) -> int:
        return len(self.chunks)


# ---- both directions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drain:
    """From a worker: it leaves after the round in hand. From the master: please do."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The link is quiet, and frames come through: from a worker that wants to know, and from the master."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sender's last frame; from the master, ``retry`` tells the worker to dial again."""

    reason: str
    retry: bool = False


# ---- from worker to master ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Who calls; the worker's first frame."""

    worker_name: str
    package_version: str
    protocol_major: int = PROTOCOL_MAJOR
    protocol_minor: int = PROTOCOL_MINOR


@dataclass(frozen=True, slots=True)
class Ready:
    """The rows of the work order are loaded."""

    incarnation: int
    epoch: int


@dataclass(frozen=True, slots=True)
class ChunkFinished:
    """The gradient of a chunk is there; ``seconds`` by the worker's clock.

    Until then ``heard`` NextChunks of this round had come, the last ``heard_seconds`` ago; or if there was
    none, StartRound. ``digest``: see `common.commitments`; empty where the work order does not ask for it.
    """

    stamp: Stamp
    chunk: int
    seconds: float
    loss_sum: float
    rows: int
    finite: bool
    heard: int = 0
    heard_seconds: float = 0.0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """A piece of a message; ``message`` is its number, or the Collect's request."""

    stamp: Stamp
    message: int
    offset: int
    total_bytes: int
    dtype: str
    data: Payload


@dataclass(frozen=True, slots=True)
class PartialSum:
    """Answer to AskPartialSum ``number``."""

    stamp: Stamp
    number: int
    value: float


Request = Hello | Ready | ChunkFinished | MessageFrame | PartialSum | Drain | Alive | Goodbye

# ---- from master to worker ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowRange:
    """The training rows [begin, end) are ``chunk``."""

    chunk: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class DataOrder:
    """The rows of a place, its ranges in the order of computing; ``digest`` names the training set."""

    digest: str
    n_features: int
    sparse: bool
    ranges: tuple[RowRange, ...]


@dataclass(frozen=True, slots=True)
class MessageOrder:
    """A message of a fixed code."""

    number: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """All that a place needs to know to compute; ``code`` is for display, ``commits`` asks for digests."""

    epoch: int
    code: str
    model: ModelShape
    n_parameters: int
    n_parts: int
    data: DataOrder
    messages: tuple[MessageOrder, ...]
    on_request: bool
    compute_dtype: str = "float64"
    wire_dtype: str = "float32"
    delays: Delays | None = None
    max_frame_bytes: int = MAX_FRAME_BYTES
    memory_bytes: int = 0
    scheduled: bool = False
    commits: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the link is from now on: a place with its order, or a spare with neither."""

    run: str
    run_name: str
    incarnation: int
    place: int | None = None
    order: WorkOrder | None = None
    protocol_major: int = PROTOCOL_MAJOR
    protocol_minor: int = PROTOCOL_MINOR


@dataclass(frozen=True, slots=True)
class Prefetch:
    """To a spare: load these rows in the background, in this order; a place that needs them may follow."""

    run: str
    data: DataOrder
    compute_dtype: str = "float64"


@dataclass(frozen=True, slots=True)
class StartRound:
    """A round begins; its parameters follow. ``run_seconds`` by the master's clock, from the first round."""

    stamp: Stamp
    run_seconds: float
    total_bytes: int
    dtype: str


@dataclass(frozen=True, slots=True)
class ParametersFrame:
    """A piece of the parameters; its stamp's incarnation is 0, so that it serves every link."""

    stamp: Stamp
    offset: int
    total_bytes: int
    dtype: str
    data: Payload


@dataclass(frozen=True, slots=True)
class NextChunk:
    """These chunks instead of those that wait."""

    stamp: Stamp
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Send this linear form of finished chunks as message ``request``; ``n_parts`` 0 is the order's."""

    stamp: Stamp
    request: int
    terms: Terms
    n_parts: int = 0


@dataclass(frozen=True, slots=True)
class AskPartialSum:
    """Say the number at ``index`` of the message made of ``terms``; ``n_parts`` 0 is the order's."""

    stamp: Stamp
    number: int
    terms: Terms
    index: int
    n_parts: int = 0


@dataclass(frozen=True, slots=True)
class StopRound:
    """The round is over."""

    stamp: Stamp


Response = (
    Welcome
    | StartRound
    | ParametersFrame
    | NextChunk
    | Collect
    | AskPartialSum
    | StopRound
    | Drain
    | Alive
    | Goodbye
    | Prefetch
)

# ---- rows -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FetchRows:
    """The request for the training rows [begin, end)."""

    run: str
    digest: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class RowsHeader:
    """What the payload of FetchRows is: its shape, dtypes and sha256."""

    n_rows: int
    n_features: int
    sparse: bool
    x_dtype: str
    y_dtype: str
    n_nonzero: int
    total_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class RowsData:
    """A piece of the rows; pieces come in order, without gaps."""

    data: Payload


FetchResponse = RowsHeader | RowsData
