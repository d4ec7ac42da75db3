from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ProtocolError
from common.wire.frames import MessageFrame, ParametersFrame, Stamp
from common.wire.pieces import Assembler, array_bytes_of, split_frames

STAMP = Stamp("run", 1, 2, 3)


def frames(data: bytes, frame_bytes: int) -> list[MessageFrame]:
    return [
        MessageFrame(STAMP, 5, offset, len(data), "float32", piece)
        for offset, piece in split_frames(data, frame_bytes)
    ]


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(1, 64))
def test_what_was_cut_is_put_together(data, frame_bytes):
    assembler = Assembler(len(data), "float32")
    done = [assembler.add(frame) for frame in frames(data, frame_bytes)]
    assert done == [False] * (len(done) - 1) + [True]
    assert assembler.array_bytes == data
    assert all(len(frame.data) <= frame_bytes for frame in frames(data, frame_bytes))


def test_cutting_copies_nothing():
    data = bytearray(b"abcd")
    (_, first), _ = split_frames(data, 2)
    data[0] = ord("z")
    assert bytes(first) == b"zb"


def refused(assembler: Assembler, frame: MessageFrame | ParametersFrame) -> str:
    before = assembler.received
    with pytest.raises(ProtocolError) as caught:
        assembler.add(frame)
    assert assembler.received == before
    return caught.value.kind


def test_what_does_not_fit_is_refused_and_changes_nothing():
    assembler = Assembler(12, "float32")
    first, second, third = frames(b"0123456789ab", 4)
    assert refused(assembler, second) == "wrong_order"
    assert not assembler.add(first)
    assert refused(assembler, first) == "wrong_order"
    assert refused(assembler, third) == "wrong_order"
    assert refused(assembler, ParametersFrame(STAMP, 4, 12, "float64", bytes(4))) == "wrong_dtype"
    assert refused(assembler, ParametersFrame(STAMP, 4, 16, "float32", bytes(4))) == "wrong_length"
    assert refused(assembler, ParametersFrame(STAMP, 4, 12, "float32", bytes(9))) == "wrong_length"
    assert refused(assembler, ParametersFrame(STAMP, 4, 12, "float32", b"")) == "wrong_length"
    with pytest.raises(ProtocolError, match="4 of 12 bytes"):
        assembler.array_bytes  # noqa: B018 - looking is what is refused
    assert not assembler.add(second)
    assert assembler.add(third)
    assert refused(assembler, ParametersFrame(STAMP, 12, 12, "float32", bytes(1))) == "wrong_length"
    assert assembler.array_bytes == b"0123456789ab"


def test_lengths_by_dtype():
    assert array_bytes_of(3, "float32") == 12
    assert array_bytes_of(3, "float64") == 24
