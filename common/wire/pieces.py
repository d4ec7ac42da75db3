"""Arrays in pieces: cutting one into frames, and putting the frames of one together again."""

from __future__ import annotations

from collections.abc import Iterator

from common.errors import ProtocolError
from common.wire.frames import ITEM_BYTES, MAX_FRAME_BYTES, MessageFrame, ParametersFrame, Payload


def split_frames(
    array_bytes: Payload | bytearray, frame_bytes: int = MAX_FRAME_BYTES
) -> Iterator[tuple[int, memoryview]]:
    """Cut an array's bytes into pieces (offset, view) of at most ``frame_bytes``, in order; copies nothing.

    >>> [(offset, bytes(piece)) for offset, piece in split_frames(b"abcde", 2)]
    [(0, b'ab'), (2, b'cd'), (4, b'e')]
    """
    view = memoryview(array_bytes).cast("B")
    for offset in range(0, len(view), frame_bytes):
        yield offset, view[offset : offset + frame_bytes]


class Assembler:
    """Puts the frames of one array together, in order, and refuses what does not fit.

    Args:
        total_bytes: length of the array, at least 1.
        dtype: its dtype by name.
    """

    def __init__(self, total_bytes: int, dtype: str) -> None:
        self.total_bytes = total_bytes
        self.dtype = dtype
        self._received = 0
        self._bytes = bytearray(total_bytes)

    def add(self, frame: MessageFrame | ParametersFrame) -> bool:
        """Take the next frame in; True when the array is complete.

        Raises:
            ProtocolError: ``wrong_dtype``, ``wrong_length`` or ``wrong_order``; the assembler is as before.

        Cost: one copy of the frame's data.
        """
        if frame.dtype != self.dtype:
            raise ProtocolError("wrong_dtype", f"expected {self.dtype}, got {frame.dtype}")
        if frame.total_bytes != self.total_bytes:
            raise ProtocolError("wrong_length", f"expected {self.total_bytes} bytes, got {frame.total_bytes}")
        if frame.offset != self._received:
            raise ProtocolError("wrong_order", f"expected offset {self._received}, got {frame.offset}")
        end = frame.offset + len(frame.data)
        if not frame.offset < end <= self.total_bytes:
            raise ProtocolError("wrong_length", f"frame ends at byte {end} of {self.total_bytes}")
        self._bytes[frame.offset : end] = frame.data
        self._received = end
        return end == self.total_bytes

    @property
    def received(self) -> int:
        """Bytes taken in so far."""
        return self._received

    @property
    def array_bytes(self) -> memoryview:
        """The whole array's bytes, without a copy.

        Raises:
            ProtocolError: ``wrong_length``, the array is not complete.
        """
        if self._received != self.total_bytes:
            raise ProtocolError("wrong_length", f"{self._received} of {self.total_bytes} bytes are here")
        return memoryview(self._bytes)


def array_bytes_of(n_numbers: int, dtype: str) -> int:
    """Length in bytes of an array of so many numbers.

    >>> array_bytes_of(650, "float32")
    2600
    """
    return n_numbers * ITEM_BYTES[dtype]
