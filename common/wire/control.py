"""What an operator asks the master: plain values, and their bytes. A part of the codec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from common.errors import ProtocolError
from common.wire.gradcode.v1 import control_pb2 as pb

AnyMessage = TypeVar("AnyMessage", bound=Message)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands; None for what is not known yet. What each field is, is said in control.proto."""

    run: str
    run_name: str
    phase: str
    detail: str
    round: int | None
    rounds_planned: int
    loss: float | None
    score: float | None
    rounds_exact: int
    rounds_approximate: int
    rounds_failed: int
    deadline_seconds: float | None
    code: str
    epoch: int
    n_places: int
    n_linked: int
    n_spares: int
    run_folder: str
    started_unix_seconds: float
    elapsed_seconds: float
    package_version: str
    last_record_json: str


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One place, taken or not, or one spare (whose ``place`` is None)."""

    place: int | None
    worker_name: str
    state: str
    chunks_finished: int
    load: int
    seconds_per_chunk: float | None
    last_seen_seconds: float | None
    straggles: int
    rounds: int


def encode_status(status: RunStatus) -> bytes:
    """The answer to GetStatus."""
    return pb.GetStatusResponse(**asdict(status)).SerializeToString()


def decode_status(raw: bytes) -> RunStatus:
    """From the answer to GetStatus.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = _parse(pb.GetStatusResponse(), raw)
    return RunStatus(**_values(packed, RunStatus.__slots__))


def encode_workers(workers: list[WorkerStatus]) -> bytes:
    """The answer to ListWorkers."""
    packed = [pb.WorkerStatus(**asdict(each)) for each in workers]
    return pb.ListWorkersResponse(workers=packed).SerializeToString()


def decode_workers(raw: bytes) -> list[WorkerStatus]:
    """From the answer to ListWorkers.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = _parse(pb.ListWorkersResponse(), raw)
    return [WorkerStatus(**_values(each, WorkerStatus.__slots__)) for each in packed.workers]


def encode_stop(reason: str) -> bytes:
    """The request StopRun."""
    return pb.StopRunRequest(reason=reason).SerializeToString()


def decode_stop(raw: bytes) -> str:
    """The reason in the request StopRun.

    Raises:
        ProtocolError: ``unreadable``.
    """
    return _parse(pb.StopRunRequest(), raw).reason


def encode_accepted(accepted: bool) -> bytes:
    """The answer to StopRun."""
    return pb.StopRunResponse(accepted=accepted).SerializeToString()


def decode_accepted(raw: bytes) -> bool:
    """From the answer to StopRun.

    Raises:
        ProtocolError: ``unreadable``.
    """
    return _parse(pb.StopRunResponse(), raw).accepted


def _parse(packed: AnyMessage, raw: bytes) -> AnyMessage:
    try:
        packed.ParseFromString(raw)
    except DecodeError:
        raise ProtocolError("unreadable", f"{len(raw)} bytes are no {type(packed).__name__}") from None
    return packed


def _values(packed: Message, names: Iterable[str]) -> dict[str, Any]:
    """Field values by name; None for optional fields that are absent."""
    fields = packed.DESCRIPTOR.fields_by_name
    return {
        name: None if fields[name].has_presence and not packed.HasField(name) else getattr(packed, name)
        for name in names
    }
