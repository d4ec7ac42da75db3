"""Pure: what a bad network does to bytes."""

from __future__ import annotations

import random

MANGLES = ("drop", "duplicate", "truncate", "corrupt", "lengthen")
"""Bytes are left out, come twice, end in the middle, are altered; or the length before a message is."""

MOST_ALTERED_BYTES = 4
LONGER_BYTES = 50_000
_HEAD_BYTES, _DATA = 9, 0


def mangle(kind: str, data: bytes, rng: random.Random) -> bytes:
    """What arrives instead of ``data``. It always differs, but where nothing can be lengthened.

    Args:
        kind: one of MANGLES. data: at least 2 bytes. rng: chooses where.

    >>> [mangle(kind, b"abcdef", random.Random(1)) for kind in ("drop", "duplicate", "truncate")]
    [b'acdef', b'abbcdef', b'ab']
    """
    begin = rng.randrange(len(data) - 1)
    end = rng.randrange(begin + 1, len(data))
    if kind == "drop":
        return data[:begin] + data[end:]
    if kind == "duplicate":
        return data[:end] + data[begin:end] + data[end:]
    if kind == "truncate":
        return data[:end]
    if kind == "lengthen":
        return _lengthen(data)
    altered = bytearray(data)
    for at in rng.sample(range(len(data)), min(MOST_ALTERED_BYTES, len(data))):
        altered[at] ^= rng.randrange(1, 256)
    return bytes(altered)


def _lengthen(data: bytes) -> bytes:
    """The first message of gRPC that begins in ``data`` claims to be longer than it is.

    Of all bytes these are the worst to be altered: the transport finds nothing wrong, and waits for the rest.
    ``data`` is HTTP/2, from the beginning of a frame on.
    """
    at = 0
    while at + _HEAD_BYTES + 5 <= len(data):
        length = int.from_bytes(data[at : at + 3], "big")
        if data[at + 3] == _DATA and length >= 5:
            begin = at + _HEAD_BYTES + 1
            claimed = int.from_bytes(data[begin : begin + 4], "big") + LONGER_BYTES
            return data[:begin] + claimed.to_bytes(4, "big") + data[begin + 4 :]
        at += _HEAD_BYTES + length
    return data
