"""Rules that decoded frames keep, as functions that raise ProtocolError.

The kinds of ProtocolError, each a metric label: ``unreadable``, ``unknown_frame``, ``wrong_dtype``,
``wrong_length``, ``wrong_order``, ``too_large``, ``bad_terms``, ``bad_value``, ``corrupt``, ``silent``.
"""

from __future__ import annotations

import math

from common.commitments import DIGEST_BYTES
from common.errors import ProtocolError
from common.wire.frames import (
    ITEM_BYTES,
    MAX_ARRAY_BYTES,
    MAX_FRAME_BYTES,
    DataOrder,
    RowsHeader,
    Terms,
    WorkOrder,
)

MAX_TEXT = 1024
"""Longest text that a peer may send, in characters."""
MAX_ITEMS = 1_000_000
"""Most entries of one list: chunks of a place, terms of a message, messages of a place."""
_FLOATS = ("float32", "float64")


def require(holds: bool, kind: str, detail: str) -> None:
    """Raise ProtocolError unless ``holds``."""
    if not holds:
        raise ProtocolError(kind, detail)


def text(field: str, value: str, least: int = 0) -> str:
    """``value`` when its length is in range and no character of it can garble a log."""
    require(least <= len(value) <= MAX_TEXT, "bad_value", f"{field} has {len(value)} characters")
    require(value.isprintable(), "bad_value", f"{field} has characters that cannot be printed")
    return value


def printable(value: str) -> str:
    """``value`` as ``text`` lets it pass: cut, and with blanks for what cannot be printed.

    >>> printable("two\\nlines")
    'two lines'
    """
    return "".join(each if each.isprintable() else " " for each in value[:MAX_TEXT])


def seconds(field: str, value: float) -> float:
    """``value`` when it is finite and not negative."""
    require(math.isfinite(value) and value >= 0.0, "bad_value", f"{field} is {value}")
    return value


def digest(value: bytes) -> bytes:
    """``value`` when it is a digest of a gradient, or nothing."""
    require(len(value) in (0, DIGEST_BYTES), "bad_value", f"a digest of {len(value)} bytes")
    return value


def float_dtype(name: str) -> str:
    """``name`` when parameters and messages may have this dtype."""
    require(name in _FLOATS, "wrong_dtype", f"{name} is not a floating-point dtype")
    return name


def array(total_bytes: int, dtype: str) -> None:
    """An array that is announced: whole numbers, and not absurdly long."""
    require(total_bytes <= MAX_ARRAY_BYTES, "too_large", f"an array of {total_bytes} bytes")
    require(
        total_bytes > 0 and total_bytes % ITEM_BYTES[dtype] == 0,
        "wrong_length",
        f"{total_bytes} bytes are no array of {dtype}",
    )


def piece(offset: int, total_bytes: int, n_bytes: int) -> None:
    """A piece of an array: not empty, at most one frame, and within the array."""
    require(n_bytes <= MAX_FRAME_BYTES, "too_large", f"a frame with {n_bytes} bytes of data")
    require(n_bytes > 0, "wrong_length", "a frame without data")
    require(
        offset + n_bytes <= total_bytes,
        "wrong_length",
        f"a frame of {n_bytes} bytes at offset {offset} of {total_bytes}",
    )


def items(field: str, count: int) -> None:
    """A list that is not absurdly long."""
    require(count <= MAX_ITEMS, "too_large", f"{count} {field}")


def terms(value: Terms) -> Terms:
    """Terms with arrays of one length, at least 1, and finite coefficients."""
    lengths = {len(value.chunks), len(value.parts), len(value.coefficients)}
    require(len(lengths) == 1 and 0 not in lengths, "bad_terms", f"arrays of lengths {sorted(lengths)}")
    items("terms", len(value))
    require(all(map(math.isfinite, value.coefficients)), "bad_terms", "a coefficient is not finite")
    return value


def data_order(value: DataOrder) -> None:
    """Rows of a place: ranges that are not empty, and no chunk twice."""
    items("ranges", len(value.ranges))
    for each in value.ranges:
        require(each.begin < each.end, "bad_value", f"rows [{each.begin}, {each.end}) of chunk {each.chunk}")
    chunks = {each.chunk for each in value.ranges}
    require(len(chunks) == len(value.ranges), "bad_value", "a chunk has two ranges")


def work_order(value: WorkOrder) -> None:
    """A work order whose parts agree with each other."""
    data_order(value.data)
    items("messages", len(value.messages))
    shape = value.model
    require(
        value.n_parameters == shape.n_parameters and value.data.n_features == shape.n_features,
        "wrong_length",
        f"{value.n_parameters} parameters and {value.data.n_features} features for {shape}",
    )
    require(1 <= value.n_parts <= value.n_parameters, "bad_value", f"{value.n_parts} parts")
    require(
        1 <= value.max_frame_bytes <= MAX_FRAME_BYTES,
        "bad_value",
        f"frames of {value.max_frame_bytes} bytes",
    )
    require(not (value.on_request and value.messages), "bad_value", "messages of a code on request")
    require(value.on_request or not value.scheduled, "bad_value", "scheduled, and not on request")
    numbers = {each.number for each in value.messages}
    require(len(numbers) == len(value.messages), "bad_value", "a message has two orders")
    held = {each.chunk for each in value.data.ranges}
    for each in value.messages:
        require(held.issuperset(each.terms.chunks), "bad_terms", f"message {each.number} has a foreign chunk")
        require(
            max(each.terms.parts) < value.n_parts, "bad_terms", f"message {each.number} has a foreign part"
        )


def rows_header(value: RowsHeader) -> None:
    """A header whose length is what its shape makes it."""
    require(value.total_bytes <= MAX_ARRAY_BYTES, "too_large", f"rows of {value.total_bytes} bytes")
    require(value.n_rows > 0 and value.n_features > 0, "bad_value", "no rows or no features")
    require(value.sparse or value.n_nonzero == 0, "bad_value", "stored values of dense rows")
    require(len(value.sha256) == 32, "bad_value", f"a sha256 of {len(value.sha256)} bytes")
    expected = rows_bytes(value)
    require(
        value.total_bytes == expected, "wrong_length", f"rows of {value.total_bytes} bytes, not {expected}"
    )


def rows_bytes(value: RowsHeader) -> int:
    """Length of the payload that a header's shape makes."""
    number = ITEM_BYTES[value.x_dtype]
    labels = value.n_rows * ITEM_BYTES[value.y_dtype]
    if not value.sparse:
        return value.n_rows * value.n_features * number + labels
    return (
        (value.n_rows + 1) * ITEM_BYTES["int64"] + value.n_nonzero * (ITEM_BYTES["int32"] + number) + labels
    )
