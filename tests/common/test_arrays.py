"""Archives from strangers: measured before they are unpacked, and nothing in them is run."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from common.arrays import read_arrays
from common.errors import InvalidData

MEBIBYTE = 1 << 20


def archive(**members: bytes) -> io.BytesIO:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.npy", content)
    return held


def npy(shape: str, descr: str = "<f8", data: bytes = b"") -> bytes:
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def peak_bytes(file: io.BytesIO, most_bytes: int = 64 * MEBIBYTE) -> int:
    """What was allocated at most while the archive was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData) as error:
            read_arrays(file, most_bytes)
        assert "\n" not in str(error.value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_was_saved_is_read():
    held = io.BytesIO()
    np.savez_compressed(held, X=np.arange(6.0).reshape(2, 3), y=np.array(["a", "b"]), order=np.ones((2, 2)).T)
    found = read_arrays(held, MEBIBYTE)
    assert list(found) == ["X", "y", "order"]
    assert found["X"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert read_arrays(held, MEBIBYTE, ["y", "z"])["y"].tolist() == ["a", "b"]


def test_a_bomb_is_not_unpacked():
    zeros = npy("(100000000,)", "|i1", bytes(100 * MEBIBYTE))
    assert len(archive(X=zeros).getvalue()) < MEBIBYTE
    assert peak_bytes(archive(X=zeros)) < 2 * MEBIBYTE


def test_a_member_that_lies_about_its_size_is_not_unpacked_further():
    bomb = bytearray(archive(X=npy("(100000000,)", "|i1", bytes(100 * MEBIBYTE))).getvalue())
    at = bomb.rindex(b"PK\x01\x02")
    bomb[at + 24 : at + 28] = struct.pack("<I", 1000)
    assert peak_bytes(io.BytesIO(bytes(bomb))) < 2 * MEBIBYTE


@pytest.mark.parametrize(
    ("shape", "descr"),
    [
        ("(1000000000000,)", "<f8"),
        ("(9223372036854775807, 9223372036854775807)", "<f8"),
        ("(-1,)", "<f8"),
        ("(1000000000000000,)", "<U0"),
        ("(1,)", "|V1000000000"),
        ("(3, 1000000000000)", "<f8"),
    ],
)
def test_memory_is_not_set_aside_for_what_is_not_there(shape, descr):
    assert peak_bytes(archive(X=npy(shape, descr, bytes(64)))) < MEBIBYTE


def test_objects_are_refused_unread():
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("it was unpickled",))

    content = npy("(1,)", "|O", pickle.dumps([Trap()]))
    with pytest.raises(InvalidData, match="Python objects"):
        read_arrays(archive(X=content), MEBIBYTE)


def test_other_kinds_of_archives_are_refused():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("X.npy", npy("(1,)", data=bytes(8)))
    with pytest.raises(InvalidData, match="stored or deflated"):
        read_arrays(held, MEBIBYTE)
    with pytest.raises(InvalidData, match="at most 256 arrays"):
        read_arrays(archive(**{f"x{number}": b"" for number in range(257)}), MEBIBYTE)
    for content in (b"", b"PK\x05\x06" + bytes(10), b"no archive at all"):
        with pytest.raises(InvalidData):
            read_arrays(io.BytesIO(content), MEBIBYTE)
