"""Pure: changes valid bytes into nearly valid ones, which reach further into a decoder than noise does."""

from __future__ import annotations

import random
from collections.abc import Sequence

INTERESTING = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63,
    2**64 - 1,
)
"""Numbers at which something ends."""
LONGEST = 1 << 16
"""Bytes of an input at most."""

_VARINT, _BYTES = 0, 2


class Mutator:
    """Makes inputs from seeds.

    Args:
        seeds: valid encodings, at least one. tokens: pieces that the format knows, for texts.
        protobuf: whether seeds are protobuf messages, which are then changed field by field too.
    """

    def __init__(self, seeds: Sequence[bytes], tokens: Sequence[bytes] = (), protobuf: bool = False) -> None:
        self._seeds = list(seeds)
        self._tokens = list(tokens)
        self._protobuf = protobuf

    def make(self, rng: random.Random) -> bytes:
        """The next input; the same for the same state of ``rng``. Cost: some microseconds."""
        data = rng.choice(self._seeds)
        for _ in range(1 + int(rng.random() * rng.random() * 8)):
            chosen = rng.random()
            if self._protobuf and chosen < 0.5:
                data = change_field(data, rng)
            elif self._tokens and chosen < 0.5:
                data = _with_token(data, rng.choice(self._tokens), rng)
            elif chosen < 0.95:
                data = change_bytes(data, rng)
            else:
                data = _spliced(data, rng.choice(self._seeds), rng)
        return data[:LONGEST]


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """One change that knows nothing of the format: flip, overwrite, cut, insert, repeat."""
    if not data:
        return rng.randbytes(1 + rng.randrange(8))
    at = rng.randrange(len(data))
    kind = rng.randrange(7)
    if kind == 0:
        return data[:at] + bytes((data[at] ^ (1 << rng.randrange(8)),)) + data[at + 1 :]
    if kind == 1:
        return data[:at] + rng.randbytes(1) + data[at + 1 :]
    if kind == 2:
        return data[:at]
    end = min(len(data), at + 1 + rng.randrange(16))
    if kind == 3:
        return data[:at] + data[end:]
    if kind == 4:
        return data[:at] + rng.randbytes(1 + rng.randrange(16)) + data[at:]
    if kind == 5:
        return data[:at] + data[at:end] * (2 + rng.randrange(64)) + data[end:]
    number = rng.choice(INTERESTING).to_bytes(8, "little")[: rng.choice((1, 2, 4, 8))]
    return data[:at] + number + data[at + len(number) :]


def change_field(data: bytes, rng: random.Random) -> bytes:
    """One change of a protobuf message: a field is dropped, repeated, moved, renumbered or changed."""
    fields = split_fields(data)
    if not fields:
        return change_bytes(data, rng)
    at = rng.randrange(len(fields))
    number, kind, value = fields[at]
    choice = rng.randrange(6)
    if choice == 0:
        del fields[at]
    elif choice == 1:
        fields[at:at] = [fields[at]] * (1 + rng.randrange(3))
    elif choice == 2:
        rng.shuffle(fields)
    elif choice == 3:
        fields[at] = (rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 2**29 - 1)), kind, value)
    elif kind == _VARINT:
        fields[at] = (number, kind, varint(rng.choice(INTERESTING)))
    elif kind == _BYTES and choice == 4:
        fields[at] = (number, kind, change_field(value, rng))
    else:
        fields[at] = (number, kind, change_bytes(value, rng) if kind == _BYTES else rng.randbytes(len(value)))
    return join_fields(fields)


def split_fields(data: bytes) -> list[tuple[int, int, bytes]]:
    """Number, wire type and content of every field; what cannot be read is left out."""
    fields: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        begin, kind = at, tag & 7
        if kind == _VARINT:
            _, at = _read_varint(data, at)
        elif kind == _BYTES:
            length, begin = _read_varint(data, at)
            at = begin + length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            break
        if at > len(data):
            break
        fields.append((tag >> 3, kind, data[begin:at]))
    return fields


def join_fields(fields: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The message of these fields.

    >>> join_fields(split_fields(bytes.fromhex("0801120161"))).hex()
    '0801120161'
    """
    parts: list[bytes] = []
    for number, kind, value in fields:
        parts.append(varint(number << 3 | kind))
        parts += [varint(len(value)), value] if kind == _BYTES else [value]
    return b"".join(parts)


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return value, at
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, at


def _with_token(data: bytes, token: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.randrange(2) * rng.randrange(1, 12))
    times = 1 if rng.random() < 0.95 else rng.choice((10, 100, 3000))
    return data[:at] + token * times + data[end:]


def _spliced(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
