"""The frames of FetchRows to bytes and back; a part of the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.wire import checks
from common.wire.bulk import field_head, whole_field
from common.wire.checksum import seal, unseal
from common.wire.frames import FetchResponse, FetchRows, Payload, RowsData, RowsHeader
from common.wire.gradcode.v1 import training_pb2 as pb
from common.wire.orders import dtype_name, dtype_number, float_name
from common.wire.parsing import parse, unpack

_ROWS_DATA = pb.FetchRowsResponse.DATA_FIELD_NUMBER


def encode_fetch(frame: FetchRows) -> bytes:
    """The bytes of a request for rows."""
    packed = pb.FetchRowsRequest(run=frame.run, digest=frame.digest, begin=frame.begin, end=frame.end)
    return seal(packed.SerializeToString())


def decode_fetch(raw: bytes) -> FetchRows:
    """The request for rows in ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid request.
    """
    packed = parse(pb.FetchRowsRequest, unseal(raw))
    checks.require(packed.begin < packed.end, "bad_value", f"rows [{packed.begin}, {packed.end})")
    run, digest = checks.text("run", packed.run), checks.text("digest", packed.digest, least=1)
    return FetchRows(run, digest, packed.begin, packed.end)


def encode_fetch_response(frame: FetchResponse) -> bytes:
    """The bytes of a frame with rows."""
    if isinstance(frame, RowsData):
        return seal(field_head(_ROWS_DATA, len(frame.data)), frame.data)
    packed = pb.FetchRowsResponse(
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
    )
    return seal(packed.SerializeToString())


def decode_fetch_response(raw: bytes) -> FetchResponse:
    """The frame with rows in ``raw``; the data of RowsData is a view of ``raw``.

    Raises:
        ProtocolError: ``raw`` is no valid frame.
    """
    content = unseal(raw)
    data = whole_field(content, _ROWS_DATA)
    if data is None:
        packed = parse(pb.FetchRowsResponse, content)
        frame: FetchResponse = unpack(packed, _FETCH_RESPONSES)
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
