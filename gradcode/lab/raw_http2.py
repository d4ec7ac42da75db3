"""Just enough of HTTP/2 to speak to a gRPC server as no honest library would: frame by frame, by hand."""

from __future__ import annotations

import asyncio
import contextlib
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
FRAME_BYTES = 16_384
INITIAL_WINDOW = 65_535
INITIAL_WINDOW_SIZE = 4
"""Number of the setting that says it."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame.

    >>> frame(PING, ACK, 0, bytes(8)).hex()
    '0000080601000000000000000000000000'
    """
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def call_headers(path: str, authority: str) -> bytes:
    """The header block of a gRPC call, written without compression."""
    block = b"\x83\x86" + b"\x04" + _text(path) + b"\x01" + _text(authority)
    block += b"\x0f\x10" + _text("application/grpc")
    return block + b"\x00" + _text("te") + _text("trailers")


def message(content: bytes, announced: int | None = None) -> bytes:
    """A gRPC message; ``announced`` bytes are claimed instead of those that are there."""
    return b"\x00" + struct.pack(">I", len(content) if announced is None else announced) + content


def _text(value: str) -> bytes:
    raw = value.encode()
    assert len(raw) < 127, "longer texts need a longer length"
    return bytes([len(raw)]) + raw


class RawLink(asyncio.Protocol):
    """One connection that answers what keeps it open (settings, pings) and counts the rest.

    Attributes:
        lost: set when the server has closed it. n_resets: streams that the server ended.
        n_bytes: of data that came; they are never acknowledged, as by a peer that does not read.
    """

    def __init__(self, authority: str) -> None:
        self.lost = asyncio.Event()
        self.n_resets = 0
        self.n_bytes = 0
        self._authority = authority
        self._transport: asyncio.Transport
        self._received = bytearray()
        # Of the connection, and of every stream, as far as the server has opened them.
        self._windows: dict[int, int] = {0: INITIAL_WINDOW}
        self._initial_window = INITIAL_WINDOW
        self._room = asyncio.Event()
        self._streams = -1

    @classmethod
    async def dial(cls, address: str, greet: bool = True) -> RawLink:
        """Connect to HOST:PORT; without ``greet`` nothing is said.

        Raises:
            OSError: nobody answers.
        """
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: cls(address), host, int(port))
        if greet:
            link.write(PREFACE + frame(SETTINGS, 0, 0))
        return link

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not self.lost.is_set():
            self._transport.write(data)

    def open_call(self, path: str, content: bytes = b"", end: bool = False) -> int:
        """Begin a call, with some of its data. Returns the number of its stream."""
        self._streams += 2
        head = frame(HEADERS, END_HEADERS, self._streams, call_headers(path, self._authority))
        flags = END_STREAM if end else 0
        self._spend(self._streams, len(content))
        self.write(head + (frame(DATA, flags, self._streams, content) if content or end else b""))
        return self._streams

    def reset(self, stream: int) -> None:
        """Cancel a call."""
        self.write(frame(RESET, 0, stream, struct.pack(">I", 8)))

    async def send(self, stream: int, data: bytes) -> bool:
        """Send data as the server's windows allow; False once the connection is lost."""
        for at in range(0, len(data), FRAME_BYTES):
            piece = data[at : at + FRAME_BYTES]
            while self._room_for(stream) < len(piece) and not self.lost.is_set():
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), 0.2)
            self._spend(stream, len(piece))
            self.write(frame(DATA, 0, stream, piece))
            await asyncio.sleep(0)
        return not self.lost.is_set()

    def _room_for(self, stream: int) -> int:
        return min(self._windows[0], self._windows.setdefault(stream, self._initial_window))

    def _spend(self, stream: int, n_bytes: int) -> None:
        self._windows[0] -= n_bytes
        self._windows[stream] = self._windows.get(stream, self._initial_window) - n_bytes

    def close(self) -> None:
        """Hang up without a word."""
        self._transport.abort()

    # ---- what comes in ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.lost.set()
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._received += data
        while len(self._received) >= 9:
            length = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + length:
                return
            kind, flags, stream = struct.unpack(">BBI", self._received[3:9])
            payload = bytes(self._received[9 : 9 + length])
            del self._received[: 9 + length]
            self._hear(kind, flags, stream, payload)

    def _hear(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload) - 5, 6):
                number, value = struct.unpack_from(">HI", payload, at)
                if number == INITIAL_WINDOW_SIZE:
                    grown, self._initial_window = value - self._initial_window, value
                    for each in self._windows.keys() - {0}:
                        self._windows[each] += grown
            self.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            grown = struct.unpack(">I", payload)[0] & 0x7FFFFFFF
            self._windows[stream] = self._windows.get(stream, self._initial_window) + grown
            self._room.set()
        elif kind == RESET or (kind == HEADERS and flags & END_STREAM):
            self.n_resets += 1
        elif kind == DATA:
            self.n_bytes += len(payload)
