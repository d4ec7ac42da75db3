"""Frames to bytes and back. With ``orders`` and ``control`` the only place that knows protobuf.

Encoding takes valid frames. Decoding takes anything: it returns a valid frame or raises ProtocolError.

Frames with an array's data are written and read by hand, byte for byte as protobuf would: its own classes
copy the data on construction, on serialising, on parsing and on every access; here encoding copies it once
and decoding not at all (``data`` is a view of the bytes that came in).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from common.errors import ProtocolError
from common.wire import checks
from common.wire.bulk import encode_bulk, field_head, split_bulk, whole_field
from common.wire.frames import (
    ChunkFinished,
    Collect,
    Drain,
    FetchResponse,
    FetchRows,
    Goodbye,
    Hello,
    MessageFrame,
    NextChunk,
    ParametersFrame,
    Payload,
    Ready,
    Request,
    Response,
    RowsData,
    RowsHeader,
    Stamp,
    StartRound,
    StopRound,
    Welcome,
)
from common.wire.gradcode.v1 import training_pb2 as pb
from common.wire.orders import (
    dtype_name,
    dtype_number,
    float_name,
    pack_order,
    pack_terms,
    unpack_order,
    unpack_terms,
)

AnyMessage = TypeVar("AnyMessage", bound=Message)

_MESSAGE_FRAME = pb.SessionRequest.MESSAGE_FRAME_FIELD_NUMBER
_PARAMETERS_FRAME = pb.SessionResponse.PARAMETERS_FRAME_FIELD_NUMBER
_ROWS_DATA = pb.FetchRowsResponse.DATA_FIELD_NUMBER

# ---- from worker to master ------------------------------------------------------------------------------


def encode_request(frame: Request) -> bytes:
    """The bytes of a worker's frame.

    >>> decode_request(encode_request(Ready(incarnation=2, epoch=1)))
    Ready(incarnation=2, epoch=1)
    """
    match frame:
        case MessageFrame():
            header = pb.MessageFrame(stamp=_pack_stamp(frame.stamp), message=frame.message, **_array(frame))
            return encode_bulk(_MESSAGE_FRAME, header.SerializeToString(), frame.data)
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
        case Ready():
            packed = pb.SessionRequest(ready=pb.Ready(incarnation=frame.incarnation, epoch=frame.epoch))
        case Drain():
            packed = pb.SessionRequest(drain=pb.Drain())
        case Goodbye():
            packed = pb.SessionRequest(goodbye=_pack_goodbye(frame))
    return packed.SerializeToString()


def decode_request(raw: bytes) -> Request:
    """The worker's frame in ``raw``; the data of a MessageFrame is a view of ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid frame; the kinds are listed in ``common.wire.checks``.
    """
    bulk = split_bulk(raw, _MESSAGE_FRAME)
    if bulk is not None:
        return _message_frame(_parse(pb.MessageFrame, bulk[0]), bulk[1])
    packed = _parse(pb.SessionRequest, raw)
    frame: Request = _unpack(packed, _REQUESTS)
    return frame


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
    "drain": lambda packed: Drain(),
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
            return encode_bulk(_PARAMETERS_FRAME, header.SerializeToString(), frame.data)
        case NextChunk():
            next_chunk = pb.NextChunk(stamp=_pack_stamp(frame.stamp), chunks=frame.chunks)
            packed = pb.SessionResponse(next_chunk=next_chunk)
        case Collect():
            terms = pack_terms(frame.terms)
            collect = pb.Collect(
                stamp=_pack_stamp(frame.stamp), request=frame.request, terms=terms, n_parts=frame.n_parts
            )
            packed = pb.SessionResponse(collect=collect)
        case StartRound():
            packed = pb.SessionResponse(
                start_round=pb.StartRound(
                    stamp=_pack_stamp(frame.stamp),
                    run_seconds=frame.run_seconds,
                    total_bytes=frame.total_bytes,
                    dtype=dtype_number(frame.dtype),
                )
            )
        case StopRound():
            packed = pb.SessionResponse(stop_round=pb.StopRound(stamp=_pack_stamp(frame.stamp)))
        case Welcome():
            packed = pb.SessionResponse(welcome=_pack_welcome(frame))
        case Drain():
            packed = pb.SessionResponse(drain=pb.Drain())
        case Goodbye():
            packed = pb.SessionResponse(goodbye=_pack_goodbye(frame))
    return packed.SerializeToString()


def decode_response(raw: bytes) -> Response:
    """The master's frame in ``raw``; the data of a ParametersFrame is a view of ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid frame; the kinds are listed in ``common.wire.checks``.
    """
    bulk = split_bulk(raw, _PARAMETERS_FRAME)
    if bulk is not None:
        return _parameters_frame(_parse(pb.ParametersFrame, bulk[0]), bulk[1])
    packed = _parse(pb.SessionResponse, raw)
    frame: Response = _unpack(packed, _RESPONSES)
    return frame


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
    "stop_round": lambda packed: StopRound(_unpack_stamp(packed.stamp)),
    "drain": lambda packed: Drain(),
    "goodbye": lambda packed: Goodbye(checks.text("reason", packed.reason), packed.retry),
}

# ---- rows -----------------------------------------------------------------------------------------------


def encode_fetch(frame: FetchRows) -> bytes:
    """The bytes of a request for rows."""
    return pb.FetchRowsRequest(
        run=frame.run, digest=frame.digest, begin=frame.begin, end=frame.end
    ).SerializeToString()


def decode_fetch(raw: bytes) -> FetchRows:
    """The request for rows in ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid request.
    """
    packed = _parse(pb.FetchRowsRequest, raw)
    checks.require(packed.begin < packed.end, "bad_value", f"rows [{packed.begin}, {packed.end})")
    run, digest = checks.text("run", packed.run), checks.text("digest", packed.digest, least=1)
    return FetchRows(run, digest, packed.begin, packed.end)


def encode_fetch_response(frame: FetchResponse) -> bytes:
    """The bytes of a frame with rows."""
    if isinstance(frame, RowsData):
        return b"".join((field_head(_ROWS_DATA, len(frame.data)), frame.data))
    return pb.FetchRowsResponse(
        header=pb.RowsHeader(
            n_rows=frame.n_rows,
            n_features=frame.n_features,
            sparse=frame.sparse,
            x_dtype=dtype_number(frame.x_dtype),
            y_dtype=dtype_number(frame.y_dtype),
            n_nonzero=frame.n_nonzero,
            total_bytes=frame.total_bytes,
            sha256=frame.sha256,
        )
    ).SerializeToString()


def decode_fetch_response(raw: bytes) -> FetchResponse:
    """The frame with rows in ``raw``; the data of RowsData is a view of ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid frame.
    """
    data = whole_field(raw, _ROWS_DATA)
    if data is None:
        packed = _parse(pb.FetchRowsResponse, raw)
        frame: FetchResponse = _unpack(packed, _FETCH_RESPONSES)
        return frame
    return _rows_data(data)


def _rows_data(data: Payload) -> RowsData:
    checks.piece(0, len(data), len(data))
    return RowsData(data)


def _rows_header(packed: pb.RowsHeader) -> RowsHeader:
    header = RowsHeader(
        n_rows=packed.n_rows,
        n_features=packed.n_features,
        sparse=packed.sparse,
        x_dtype=float_name(packed.x_dtype),
        y_dtype=dtype_name(packed.y_dtype),
        n_nonzero=packed.n_nonzero,
        total_bytes=packed.total_bytes,
        sha256=packed.sha256,
    )
    checks.rows_header(header)
    return header


_FETCH_RESPONSES: dict[str, Callable[[Any], FetchResponse]] = {"header": _rows_header, "data": _rows_data}

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


def _parse(kind: type[AnyMessage], raw: bytes | memoryview) -> AnyMessage:
    packed = kind()
    try:
        packed.ParseFromString(bytes(raw))
    except DecodeError:
        raise ProtocolError("unreadable", f"{len(raw)} bytes are no {kind.__name__}") from None
    return packed


def _unpack(packed: Any, unpackers: dict[str, Callable[[Any], Any]]) -> Any:
    which = packed.WhichOneof("frame")
    if which is None:
        raise ProtocolError("unknown_frame", f"a {type(packed).__name__} without a frame that is known here")
    return unpackers[which](getattr(packed, which))
