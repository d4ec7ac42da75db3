"""Protobuf's bytes around an array's data, written and read without copying the data more than needed.

Only the canonical form is read here, which every protobuf library writes: one field, whose content ends with
the data. Anything else is left to protobuf's own parser.
"""

from __future__ import annotations

from common.wire.frames import Payload

DATA_FIELD = 15
"""Number of the data field in MessageFrame and ParametersFrame: the largest, so that it comes last."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def field_head(field: int, length: int) -> bytes:
    """Tag and length of a field of bytes.

    >>> field_head(15, 300).hex()
    '7aac02'
    """
    return _varint(field << 3 | _BYTES) + _varint(length)


def bulk_parts(field: int, header: bytes, data: Payload) -> tuple[bytes, bytes, bytes, Payload]:
    """A message with one field, made of the fields in ``header`` and then the data, in pieces."""
    data_head = field_head(DATA_FIELD, len(data))
    return field_head(field, len(header) + len(data_head) + len(data)), header, data_head, data


def whole_field(raw: bytes | memoryview, field: int) -> memoryview | None:
    """The content of ``raw`` when it is exactly one field of bytes with this number, as a view."""
    view = memoryview(raw)
    try:
        tag, at = _read_varint(view, 0)
        if tag != field << 3 | _BYTES:
            return None
        length, at = _read_varint(view, at)
    except IndexError:
        return None
    return view[at:] if at + length == len(view) else None


def split_bulk(raw: bytes | memoryview, field: int) -> tuple[memoryview, memoryview] | None:
    """Header and data of what ``bulk_parts`` made, as views; None when ``raw`` is something else."""
    content = whole_field(raw, field)
    if content is None:
        return None
    at = 0
    try:
        while at < len(content):
            begin = at
            tag, at = _read_varint(content, at)
            if tag == DATA_FIELD << 3 | _BYTES:
                length, at = _read_varint(content, at)
                return (content[:begin], content[at:]) if at + length == len(content) else None
            at = _skip(content, at, tag & 7)
    except IndexError:
        return None
    return None


def _skip(view: memoryview, at: int, wire_type: int) -> int:
    """Where the field ends whose value begins at ``at``."""
    if wire_type == _VARINT:
        return _read_varint(view, at)[1]
    if wire_type == _BYTES:
        length, at = _read_varint(view, at)
        return at + length
    if wire_type in (_FIXED64, _FIXED32):
        return at + (8 if wire_type == _FIXED64 else 4)
    raise IndexError("a field of a kind that is not written any more")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    """The number at ``at`` and where it ends. Raises IndexError when it does not end in time."""
    value = 0
    for shift in range(0, 64, 7):
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError("a number of more than ten bytes")
