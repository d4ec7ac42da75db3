"""Frames to bytes and back. With ``orders``, ``fetching`` and ``control`` the only place that knows protobuf.

Encoding takes valid frames. Decoding takes anything: it returns a valid frame or raises ProtocolError.

Frames with an array's data are written and read by hand, byte for byte as protobuf would: its own classes
copy the data on construction, on serialising, on parsing and on every access; here encoding copies it once
and decoding not at all (``data`` is a view of the bytes that came in).

Every frame ends with its checksum (``common.wire.checksum``), which is looked at before anything else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from common.errors import ProtocolError
from common.wire import checks
from common.wire.bulk import bulk_parts, split_bulk
from common.wire.checksum import CHECKSUMS_SINCE, is_sealed, seal, unseal
from common.wire.fetching import decode_fetch as decode_fetch
from common.wire.fetching import decode_fetch_response as decode_fetch_response
from common.wire.fetching import encode_fetch as encode_fetch
from common.wire.fetching import encode_fetch_response as encode_fetch_response
from common.wire.frames import (
    PROTOCOL_MAJOR,
    Alive,
    AskPartialSum,
    ChunkFinished,
    Collect,
    Drain,
    Goodbye,
    Hello,
    MessageFrame,
    NextChunk,
    ParametersFrame,
    PartialSum,
    Payload,
    Prefetch,
    Ready,
    Request,
    Response,
    Stamp,
    StartRound,
    StopRound,
    Welcome,
)
from common.wire.gradcode.v1 import training_pb2 as pb
from common.wire.orders import (
    dtype_number,
    float_name,
    pack_order,
    pack_prefetch,
    pack_terms,
    unpack_order,
    unpack_prefetch,
    unpack_terms,
)
from common.wire.parsing import parse, unpack

_MESSAGE_FRAME = pb.SessionRequest.MESSAGE_FRAME_FIELD_NUMBER
_PARAMETERS_FRAME = pb.SessionResponse.PARAMETERS_FRAME_FIELD_NUMBER

# ---- from worker to master ------------------------------------------------------------------------------


def encode_request(frame: Request) -> bytes:
    """The bytes of a worker's frame.

    >>> decode_request(encode_request(Ready(incarnation=2, epoch=1)))
    Ready(incarnation=2, epoch=1)
    """
    match frame:
        case MessageFrame():
            header = pb.MessageFrame(stamp=_pack_stamp(frame.stamp), message=frame.message, **_array(frame))
            return seal(*bulk_parts(_MESSAGE_FRAME, header.SerializeToString(), frame.data))
        case ChunkFinished():
            packed = pb.SessionRequest(
                chunk_finished=pb.ChunkFinished(
                    stamp=_pack_stamp(frame.stamp),
                    chunk=frame.chunk,
                    seconds=frame.seconds,
                    loss_sum=frame.loss_sum,
                    rows=frame.rows,
                    finite=frame.finite,
                    heard=frame.heard,
                    heard_seconds=frame.heard_seconds,
                    digest=frame.digest,
                )
            )
        case Hello():
            packed = pb.SessionRequest(
                hello=pb.Hello(
                    protocol_major=frame.protocol_major,
                    protocol_minor=frame.protocol_minor,
                    package_version=frame.package_version,
                    worker_name=frame.worker_name,
                )
            )
        case PartialSum():
            partial_sum = pb.PartialSum(
                stamp=_pack_stamp(frame.stamp), number=frame.number, value=frame.value
            )
            packed = pb.SessionRequest(partial_sum=partial_sum)
        case Ready():
            packed = pb.SessionRequest(ready=pb.Ready(incarnation=frame.incarnation, epoch=frame.epoch))
        case Drain():
            packed = pb.SessionRequest(drain=pb.Drain())
        case Alive():
            packed = pb.SessionRequest(alive=pb.Alive())
        case Goodbye():
            packed = pb.SessionRequest(goodbye=_pack_goodbye(frame))
    return seal(packed.SerializeToString())


def decode_request(raw: bytes) -> Request:
    """The worker's frame in ``raw``; the data of a MessageFrame is a view of ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid frame; the kinds are listed in ``common.wire.checks``.
    """
    content = unseal(raw)
    bulk = split_bulk(content, _MESSAGE_FRAME)
    if bulk is not None:
        return _message_frame(parse(pb.MessageFrame, bulk[0]), bulk[1])
    packed = parse(pb.SessionRequest, content)
    frame: Request = unpack(packed, _REQUESTS)
    return frame


def decode_hello(raw: bytes) -> Request:
    """A link's first frame: as ``decode_request``, and besides the Hello of peers that know no checksums.

    Raises:
        ProtocolError: ``raw`` is no valid frame; ``wrong_version``, it is the Hello of such a peer.
    """
    _require_checksums("worker", pb.SessionRequest, "hello", raw)
    return decode_request(raw)


def _hello(packed: pb.Hello) -> Hello:
    return Hello(
        worker_name=checks.text("worker_name", packed.worker_name, least=1),
        package_version=checks.text("package_version", packed.package_version),
        protocol_major=packed.protocol_major,
        protocol_minor=packed.protocol_minor,
    )


def _chunk_finished(packed: pb.ChunkFinished) -> ChunkFinished:
    finite = packed.loss_sum - packed.loss_sum == 0.0
    checks.require(finite or not packed.finite, "bad_value", f"loss {packed.loss_sum} is called finite")
    return ChunkFinished(
        stamp=_unpack_stamp(packed.stamp),
        chunk=packed.chunk,
        seconds=checks.seconds("seconds", packed.seconds),
        loss_sum=packed.loss_sum,
        rows=packed.rows,
        finite=packed.finite,
        heard=packed.heard,
        heard_seconds=checks.seconds("heard_seconds", packed.heard_seconds),
        digest=checks.digest(packed.digest),
    )


def _message_frame(packed: pb.MessageFrame, data: Payload | None = None) -> MessageFrame:
    return MessageFrame(_unpack_stamp(packed.stamp), packed.message, *_checked_array(packed, data))


_REQUESTS: dict[str, Callable[[Any], Request]] = {
    "hello": _hello,
    "ready": lambda packed: Ready(packed.incarnation, packed.epoch),
    "chunk_finished": _chunk_finished,
    "message_frame": _message_frame,
    "partial_sum": lambda packed: PartialSum(_unpack_stamp(packed.stamp), packed.number, packed.value),
    "drain": lambda packed: Drain(),
    "alive": lambda packed: Alive(),
    "goodbye": lambda packed: Goodbye(checks.text("reason", packed.reason), packed.retry),
}

# ---- from master to worker ------------------------------------------------------------------------------


def encode_response(frame: Response) -> bytes:
    """The bytes of a master's frame.

    >>> decode_response(encode_response(Goodbye("the run ended")))
    Goodbye(reason='the run ended', retry=False)
    """
    match frame:
        case ParametersFrame():
            header = pb.ParametersFrame(stamp=_pack_stamp(frame.stamp), **_array(frame))
            return seal(*bulk_parts(_PARAMETERS_FRAME, header.SerializeToString(), frame.data))
        case NextChunk():
            next_chunk = pb.NextChunk(stamp=_pack_stamp(frame.stamp), chunks=frame.chunks)
            packed = pb.SessionResponse(next_chunk=next_chunk)
        case Collect():
            terms = pack_terms(frame.terms)
            collect = pb.Collect(
                stamp=_pack_stamp(frame.stamp), request=frame.request, terms=terms, n_parts=frame.n_parts
            )
            packed = pb.SessionResponse(collect=collect)
        case AskPartialSum():
            ask = pb.AskPartialSum(
                stamp=_pack_stamp(frame.stamp),
                number=frame.number,
                terms=pack_terms(frame.terms),
                n_parts=frame.n_parts,
                index=frame.index,
            )
            packed = pb.SessionResponse(ask_partial_sum=ask)
        case StartRound():
            packed = pb.SessionResponse(
                start_round=pb.StartRound(
                    stamp=_pack_stamp(frame.stamp),
                    run_seconds=frame.run_seconds,
                    total_bytes=frame.total_bytes,
                    dtype=dtype_number(frame.dtype),
                )
            )
        case Prefetch():
            packed = pb.SessionResponse(prefetch=pack_prefetch(frame))
        case StopRound():
            packed = pb.SessionResponse(stop_round=pb.StopRound(stamp=_pack_stamp(frame.stamp)))
        case Welcome():
            packed = pb.SessionResponse(welcome=_pack_welcome(frame))
        case Drain():
            packed = pb.SessionResponse(drain=pb.Drain())
        case Alive():
            packed = pb.SessionResponse(alive=pb.Alive())
        case Goodbye():
            packed = pb.SessionResponse(goodbye=_pack_goodbye(frame))
    return seal(packed.SerializeToString())


def decode_response(raw: bytes) -> Response:
    """The master's frame in ``raw``; the data of a ParametersFrame is a view of ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid frame; the kinds are listed in ``common.wire.checks``.
    """
    content = unseal(raw)
    bulk = split_bulk(content, _PARAMETERS_FRAME)
    if bulk is not None:
        return _parameters_frame(parse(pb.ParametersFrame, bulk[0]), bulk[1])
    packed = parse(pb.SessionResponse, content)
    frame: Response = unpack(packed, _RESPONSES)
    return frame


def decode_welcome(raw: bytes) -> Response:
    """A link's first frame: as ``decode_response``, and besides the Welcome of peers that know no checksums.

    Raises:
        ProtocolError: ``raw`` is no valid frame; ``wrong_version``, it is the Welcome of such a peer.
    """
    _require_checksums("master", pb.SessionResponse, "welcome", raw)
    return decode_response(raw)


def _pack_welcome(frame: Welcome) -> pb.Welcome:
    return pb.Welcome(
        run=frame.run,
        run_name=frame.run_name,
        protocol_major=frame.protocol_major,
        protocol_minor=frame.protocol_minor,
        place=frame.place,
        incarnation=frame.incarnation,
        order=None if frame.order is None else pack_order(frame.order),
    )


def _welcome(packed: pb.Welcome) -> Welcome:
    has_place, has_order = packed.HasField("place"), packed.HasField("order")
    checks.require(has_place == has_order, "bad_value", "a place without an order, or the reverse")
    return Welcome(
        run=checks.text("run", packed.run),
        run_name=checks.text("run_name", packed.run_name),
        incarnation=packed.incarnation,
        place=packed.place if has_place else None,
        order=unpack_order(packed.order) if has_order else None,
        protocol_major=packed.protocol_major,
        protocol_minor=packed.protocol_minor,
    )


def _start_round(packed: pb.StartRound) -> StartRound:
    dtype = float_name(packed.dtype)
    checks.array(packed.total_bytes, dtype)
    run_seconds = checks.seconds("run_seconds", packed.run_seconds)
    return StartRound(_unpack_stamp(packed.stamp), run_seconds, packed.total_bytes, dtype)


def _parameters_frame(packed: pb.ParametersFrame, data: Payload | None = None) -> ParametersFrame:
    return ParametersFrame(_unpack_stamp(packed.stamp), *_checked_array(packed, data))


def _next_chunk(packed: pb.NextChunk) -> NextChunk:
    checks.items("chunks", len(packed.chunks))
    return NextChunk(_unpack_stamp(packed.stamp), tuple(packed.chunks))


_RESPONSES: dict[str, Callable[[Any], Response]] = {
    "welcome": _welcome,
    "start_round": _start_round,
    "parameters_frame": _parameters_frame,
    "next_chunk": _next_chunk,
    "collect": lambda packed: Collect(
        _unpack_stamp(packed.stamp), packed.request, unpack_terms(packed.terms), packed.n_parts
    ),
    "ask_partial_sum": lambda packed: AskPartialSum(
        _unpack_stamp(packed.stamp),
        packed.number,
        unpack_terms(packed.terms),
        packed.index,
        packed.n_parts,
    ),
    "stop_round": lambda packed: StopRound(_unpack_stamp(packed.stamp)),
    "prefetch": unpack_prefetch,
    "drain": lambda packed: Drain(),
    "alive": lambda packed: Alive(),
    "goodbye": lambda packed: Goodbye(checks.text("reason", packed.reason), packed.retry),
}

# ---- shared ---------------------------------------------------------------------------------------------


def _pack_goodbye(frame: Goodbye) -> pb.Goodbye:
    return pb.Goodbye(reason=checks.printable(frame.reason), retry=frame.retry)


def _pack_stamp(stamp: Stamp) -> pb.Stamp:
    return pb.Stamp(run=stamp.run, epoch=stamp.epoch, round=stamp.round, incarnation=stamp.incarnation)


def _unpack_stamp(packed: pb.Stamp) -> Stamp:
    return Stamp(checks.text("run", packed.run), packed.epoch, packed.round, packed.incarnation)


def _array(frame: MessageFrame | ParametersFrame) -> dict[str, Any]:
    return {
        "offset": frame.offset,
        "total_bytes": frame.total_bytes,
        "dtype": dtype_number(frame.dtype),
    }


def _checked_array(
    packed: pb.MessageFrame | pb.ParametersFrame, data: Payload | None
) -> tuple[int, int, str, Payload]:
    data = packed.data if data is None else data
    dtype = float_name(packed.dtype)
    checks.array(packed.total_bytes, dtype)
    checks.piece(packed.offset, packed.total_bytes, len(data))
    return packed.offset, packed.total_bytes, dtype, data


def _require_checksums(peer: str, kind: type[Message], first: str, raw: bytes) -> None:
    """Tell a peer of an older minor version what it lacks, if that is what its first frame shows."""
    if is_sealed(raw):
        return
    packed: Any = kind()
    with contextlib.suppress(DecodeError):
        packed.ParseFromString(raw)
    if packed.WhichOneof("frame") != first:
        return
    said = getattr(packed, first)
    if said.protocol_major == PROTOCOL_MAJOR and said.protocol_minor < CHECKSUMS_SINCE:
        theirs, ours = f"{PROTOCOL_MAJOR}.{said.protocol_minor}", f"{PROTOCOL_MAJOR}.{CHECKSUMS_SINCE}"
        detail = f"the {peer} speaks protocol {theirs}, and frames have checksums since {ours}"
        raise ProtocolError("wrong_version", detail)
