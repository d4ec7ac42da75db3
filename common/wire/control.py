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
    n_wanted: int | None = None
    n_replans: int = 0
    verify: str = "none"
    quarantined: tuple[str, ...] = ()
    rounds_undone: int = 0


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


@dataclass(frozen=True, slots=True)
class Scaled:
    """Whether the number of workers will change; ``reason``: why not, or what it waits for."""

    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RoundsRequest:
    """What a watcher knows already: a run and the last round of it; nothing: ``""`` and None."""

    run: str = ""
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what its master's process ends with."""

    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class WatchedRounds:
    """An answer to a watcher: rounds of ``run`` as lines of its history; ``missed`` were left out before."""

    run: str
    records_json: tuple[str, ...] = ()
    missed: int = 0
    ending: Ending | None = None


def encode_status(status: RunStatus) -> bytes:
    """The answer to GetStatus."""
    return pb.GetStatusResponse(**asdict(status)).SerializeToString()


def decode_status(raw: bytes) -> RunStatus:
    """From the answer to GetStatus.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = _parse(pb.GetStatusResponse(), raw)
    held = _values(packed, RunStatus.__slots__)
    return RunStatus(**{**held, "quarantined": tuple(held["quarantined"])})


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


def encode_scale(n_workers: int) -> bytes:
    """The request ScaleRun."""
    return pb.ScaleRunRequest(n_workers=n_workers).SerializeToString()


def decode_scale(raw: bytes) -> int:
    """The number of workers in the request ScaleRun.

    Raises:
        ProtocolError: ``unreadable``.
    """
    return _parse(pb.ScaleRunRequest(), raw).n_workers


def encode_scaled(scaled: Scaled) -> bytes:
    """The answer to ScaleRun."""
    return pb.ScaleRunResponse(**asdict(scaled)).SerializeToString()


def decode_scaled(raw: bytes) -> Scaled:
    """From the answer to ScaleRun.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = _parse(pb.ScaleRunResponse(), raw)
    return Scaled(packed.accepted, packed.reason)


def encode_rounds_request(request: RoundsRequest) -> bytes:
    """The request WatchRounds."""
    return pb.WatchRoundsRequest(**asdict(request)).SerializeToString()


def decode_rounds_request(raw: bytes) -> RoundsRequest:
    """From the request WatchRounds.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = _parse(pb.WatchRoundsRequest(), raw)
    return RoundsRequest(**_values(packed, RoundsRequest.__slots__))


def encode_rounds(rounds: WatchedRounds) -> bytes:
    """One answer to WatchRounds."""
    ending = None if rounds.ending is None else pb.RunEnding(**asdict(rounds.ending))
    return pb.WatchRoundsResponse(
        run=rounds.run, records_json=rounds.records_json, missed=rounds.missed, ending=ending
    ).SerializeToString()


def decode_rounds(raw: bytes) -> WatchedRounds:
    """From one answer to WatchRounds.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = _parse(pb.WatchRoundsResponse(), raw)
    ending = Ending(packed.ending.reason, packed.ending.exit_code) if packed.HasField("ending") else None
    return WatchedRounds(packed.run, tuple(packed.records_json), packed.missed, ending)


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
