"""Notices that frames do not come through any more, though the connection looks well.

The transport's pings say that the other process is there. They do not say that frames arrive: one byte that
was altered in the length that gRPC writes before a frame makes it wait for a frame that is never complete,
and both sides would wait for each other for ever. So on a quiet link the worker says Alive, and the master
answers with the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ALIVE_SECONDS = 5.0
"""A link is quiet when nothing came for so long; then Alive is said, so often."""
UNANSWERED = 3
"""So many without an answer, and the link is given up."""
SLOWEST_BYTES_PER_SECOND = 10_000
"""An answer does not overtake what was sent before it; so slow a link is still waited for."""


class Liveness:
    """Watches one link.

    Args:
        awake: not set while this worker does not read, so that silence means nothing.
        say_alive: sends an Alive.
        give_up: called once when nothing comes through.
        expected_bytes: how many are on their way to this worker before an answer can be.
    """

    def __init__(
        self,
        awake: asyncio.Event,
        say_alive: Callable[[], None],
        give_up: Callable[[], None],
        expected_bytes: Callable[[], int],
    ) -> None:
        self._awake = awake
        self._say_alive = say_alive
        self._give_up = give_up
        self._expected_bytes = expected_bytes
        self._heard = False
        self._n_unanswered = 0
        self._sent_bytes = 0

    def heard(self) -> None:
        """A frame has come."""
        self._heard = True
        self._sent_bytes = 0

    def sent(self, n_bytes: int) -> None:
        """A frame was handed to the transport, and may be on its way for long."""
        self._sent_bytes += n_bytes

    async def watch(self) -> None:
        """Until it is cancelled, or the link given up."""
        await asyncio.sleep(ALIVE_SECONDS)
        while self.tick():
            await asyncio.sleep(ALIVE_SECONDS)

    def tick(self) -> bool:
        """Look at the time since the last tick; False when the link was given up.

        Ticks are counted and not seconds: a process that was frozen is not to take that for silence.
        """
        if self._heard or not self._awake.is_set():
            self._heard, self._n_unanswered = False, 0
            return True
        under_way = self._sent_bytes + self._expected_bytes()
        if self._n_unanswered >= UNANSWERED + under_way / (ALIVE_SECONDS * SLOWEST_BYTES_PER_SECOND):
            self._give_up()
            return False
        self._n_unanswered += 1
        self._say_alive()
        return True
