"""Pure: what a bad network does to bytes."""

from __future__ import annotations

import random

MANGLES = ("drop", "duplicate", "truncate", "corrupt")
"""Bytes are left out, come twice, end in the middle, or are altered."""

MOST_ALTERED_BYTES = 4


def mangle(kind: str, data: bytes, rng: random.Random) -> bytes:
    """What arrives instead of ``data``; it always differs.

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
    altered = bytearray(data)
    for at in rng.sample(range(len(data)), min(MOST_ALTERED_BYTES, len(data))):
        altered[at] ^= rng.randrange(1, 256)
    return bytes(altered)
