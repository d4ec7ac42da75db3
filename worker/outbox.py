"""What a worker has to write to its link: small frames first, then messages, one after the other.

A message waits as its terms only and is added up when its turn comes, so that a slow link never holds more
than one message, and a message whose round is over costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from common.wire import codec
from common.wire.frames import Goodbye, MessageFrame, Request, Stamp, Terms
from common.wire.pieces import split_frames


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that is to be sent; ``number`` is its own, or that of the request."""

    stamp: Stamp
    number: int
    terms: Terms
    n_parts: int
    dtype: str
    frame_bytes: int


class Outbox:
    """The queue of one link, filled and emptied by the event loop.

    Args:
        build: adds up a message; may raise.
    """

    def __init__(self, build: Callable[[Pending], Awaitable[memoryview]]) -> None:
        self._build = build
        self._control: deque[bytes] = deque()
        self._pending: deque[Pending] = deque()
        self._sending: Iterator[bytes] = iter(())
        self._filled = asyncio.Event()
        self._drops = 0
        self._closing = False

    def put(self, frame: Request) -> None:
        """A small frame; it goes before messages that are not yet written."""
        if not self._closing:
            self._control.append(codec.encode_request(frame))
            self._filled.set()

    def put_message(self, pending: Pending) -> None:
        """A message."""
        if not self._closing:
            self._pending.append(pending)
            self._filled.set()

    def drop_messages(self) -> None:
        """The round is over: messages, also the rest of one that is half written, are not sent."""
        self._drops += 1
        self._pending.clear()
        self._sending = iter(())

    def close(self, goodbye: Goodbye) -> None:
        """Write small frames and then ``goodbye``, the last frame."""
        self.drop_messages()
        self.put(goodbye)
        self._closing = True

    async def next(self) -> bytes | None:
        """The next frame, when there is one; None after the last.

        Raises:
            ProtocolError: the next message cannot be added up.
        """
        while True:
            if self._control:
                return self._control.popleft()
            if self._closing:
                return None
            raw = next(self._sending, None)
            if raw is not None:
                return raw
            if self._pending:
                await self._begin(self._pending.popleft())
            else:
                self._filled.clear()
                await self._filled.wait()

    async def _begin(self, pending: Pending) -> None:
        before = self._drops
        try:
            array_bytes = await self._build(pending)
        except Exception:
            # Gradients of a round that ended meanwhile are gone; nobody waits for the message.
            if self._drops == before:
                raise
            return
        if self._drops == before:
            self._sending = _frames(pending, array_bytes)


def _frames(pending: Pending, array_bytes: memoryview) -> Iterator[bytes]:
    for offset, piece in split_frames(array_bytes, pending.frame_bytes):
        frame = MessageFrame(pending.stamp, pending.number, offset, len(array_bytes), pending.dtype, piece)
        yield codec.encode_request(frame)
