"""Injected interruptions of a worker that shares its process with others: they befall its session only."""

from __future__ import annotations

import asyncio
import threading
from typing import Protocol


class Silenced(Protocol):
    """What can fall silent; called in the event loop."""

    def fall_silent(self) -> None:
        """Neither read nor write."""

    def wake_up(self) -> None:
        """Read and write again."""

    def die(self, for_seconds: float) -> None:
        """End without a word."""


class Silence:
    """Freezes and kills a session, as ``worker.injected`` says; made in the event loop, used by a thread."""

    def __init__(self, session: Silenced) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()

    def freeze(self, seconds: float, closed: threading.Event) -> None:
        """The session is silent for so long."""
        self._loop.call_soon_threadsafe(self._session.fall_silent)
        closed.wait(seconds)
        self._loop.call_soon_threadsafe(self._session.wake_up)

    def die(self, for_seconds: float) -> None:
        """The session ends, and comes back after so long if that is above 0."""
        self._loop.call_soon_threadsafe(self._session.die, for_seconds)
