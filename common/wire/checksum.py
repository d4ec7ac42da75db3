"""The checksum that ends every frame: four bytes that say whether those before them came as they were sent.

TCP's own checksum is weak, and says nothing of what a proxy, a driver or memory did. The checksum is an
ordinary protobuf field, the last one of every frame, so any library can read and write it; it is over all
bytes before its own tag, just as they travel.
"""

from __future__ import annotations

import zlib

from common.errors import ProtocolError
from common.wire.frames import Payload

CHECKSUM_FIELD = 15
"""Number of the checksum's field in every frame."""
CHECKSUMS_SINCE = 2
"""Peers of a smaller minor version send frames without checksums."""

_TAG = (CHECKSUM_FIELD << 3 | 5).to_bytes(1, "little")
_SEAL_BYTES = 5


def seal(*parts: Payload) -> bytes:
    """The parts one after the other, then the field with their CRC-32 (of zlib, little-endian).

    Cost: one copy, and 1 ms for 1 to 3 MB.

    >>> seal(b"ab", b"c").hex()
    '6162637dc2412435'
    """
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join((*parts, _TAG, checksum.to_bytes(4, "little")))


def is_sealed(raw: bytes) -> bool:
    """Whether ``raw`` ends with a checksum, right or wrong."""
    return len(raw) >= _SEAL_BYTES and raw[-_SEAL_BYTES] == _TAG[0]


def unseal(raw: bytes) -> memoryview:
    """What was sealed, as a view.

    Raises:
        ProtocolError: ``corrupt``, the checksum is absent or another.

    >>> bytes(unseal(seal(b"abc")))
    b'abc'
    """
    if not is_sealed(raw):
        raise ProtocolError("corrupt", f"{len(raw)} bytes without a checksum")
    content = memoryview(raw)[:-_SEAL_BYTES]
    if zlib.crc32(content) != int.from_bytes(raw[-4:], "little"):
        raise ProtocolError("corrupt", f"the checksum of {len(raw)} bytes is another")
    return content
