"""What waits to be written to one link: control frames first, then the newest round's parameters.

At most one round is under way on a link: a newer one replaces what was not yet written of the older one, so
a link that is slow or stuck never holds more than one set of parameters (shared by all links) and a few
control frames. Where a peer does not read and control frames pile up nevertheless, the outbox says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One frame to write. ``completes`` is the round whose parameters are whole with it, or None."""

    raw: bytes
    completes: int | None = None


class Outbox:
    """The queue of one link; filled by the event loop, emptied by the link's writer.

    Args:
        most_bytes: of control frames that may wait; more sets ``overfull`` and is not kept.
    """

    def __init__(self, most_bytes: int = 8 << 20) -> None:
        self.overfull = asyncio.Event()
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._control: deque[tuple[int | None, bytes]] = deque()
        self._parameters: deque[bytes] = deque()
        self._round = -1
        self._filled = asyncio.Event()
        self._closing = False

    @property
    def closing(self) -> bool:
        """Whether the last frame is in."""
        return self._closing

    def put(self, raw: bytes, number: int | None = None) -> None:
        """A control frame; ``number`` is the round it belongs to, None if it outlives rounds."""
        if self._closing:
            return
        if self._control and self._n_bytes + len(raw) > self._most_bytes:
            self.overfull.set()
            return
        self._control.append((number, raw))
        self._n_bytes += len(raw)
        self._filled.set()

    def start_round(self, number: int, raw: bytes, parameters: Sequence[bytes]) -> None:
        """A round begins: forget frames of older rounds; then ``raw`` and the ``parameters`` frames."""
        self._control = deque(entry for entry in self._control if entry[0] is None)
        self._n_bytes = sum(len(waiting) for _, waiting in self._control)
        self._parameters = deque(parameters)
        self._round = number
        self.put(raw, number)

    def stop_round(self, number: int, raw: bytes) -> None:
        """The round is over: what is left of its parameters need not be written."""
        if number == self._round:
            self._parameters.clear()
        self.put(raw, number)

    def close(self, raw: bytes) -> None:
        """Write ``raw`` as the last frame; nothing else is accepted."""
        self._parameters.clear()
        if self.overfull.is_set():
            self._control.clear()
            self._n_bytes = 0
        self.put(raw)
        self._closing = True

    async def next(self) -> Outgoing | None:
        """The next frame, when there is one; None after the last."""
        while not self._control and not self._parameters:
            if self._closing:
                return None
            self._filled.clear()
            await self._filled.wait()
        if self._control:
            control = self._control.popleft()[1]
            self._n_bytes -= len(control)
            return Outgoing(control)
        raw = self._parameters.popleft()
        return Outgoing(raw, None if self._parameters else self._round)
