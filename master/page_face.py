"""Serves the status page: its files, and what happens as server-sent events. Nothing can be changed here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from common.history import RoundRecord
from master.page_feed import PageFeed
from master.status import RunStatus

EVERY_SECONDS = 0.5
"""Between two events at least."""
COST_SHARE = 0.02
"""Of the master's time that making events may take: where they are dear, they become rare."""
PULSE_SECONDS = 5.0
"""Between two events at most, so that a page knows a dead line from a quiet run."""
QUEUED = 8
"""Events that wait for a slow viewer at most; then they are dropped, and a snapshot follows."""
MOST_VIEWERS = 64
PATIENCE_SECONDS = 30.0
"""So long one event may take to be sent."""

FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/run.js": ("run.js", "text/javascript"),
    "/drawing.js": ("drawing.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Viewer:
    """One open page, and the events that wait for it."""

    def __init__(self) -> None:
        self.lacks_snapshot = True
        self._waiting: deque[bytes] = deque()
        self._over = False
        self._stirred = asyncio.Event()

    def offer(self, event: bytes) -> None:
        """Have it sent; if too much waits already, all of that is dropped and a snapshot is due."""
        if len(self._waiting) >= QUEUED:
            self._waiting.clear()
            self.lacks_snapshot = True
        else:
            self._waiting.append(event)
            self._stirred.set()

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._over = True
        self._stirred.set()

    async def next(self) -> bytes | None:
        """The next event; None after the last."""
        while not self._waiting and not self._over:
            self._stirred.clear()
            await self._stirred.wait()
        return self._waiting.popleft() if self._waiting else None


class PageFace:
    """The page of one run. While nobody looks, it costs what remembering costs.

    Args:
        feed: what the page is told. status: how the run stands now.
        every_seconds: between two events at least.
    """

    def __init__(
        self, feed: PageFeed, status: Callable[[], RunStatus], every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._feed = feed
        self._status = status
        self._every_seconds = every_seconds
        self._viewers: set[Viewer] = set()
        self._pump: asyncio.Task[None] | None = None
        self._ended = False
        folder = Path(__file__).with_name("page")
        self._files = {path: (folder / name).read_bytes() for path, (name, _) in FILES.items()}

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        files = [web.get(path, self._file) for path in FILES]
        return [*files, web.get("/events", self._events, allow_head=False)]

    def hear_record(self, record: RoundRecord) -> None:
        """A round has ended."""
        self._feed.hear_record(record)

    async def end(self) -> None:
        """Tell all viewers how it ended, and let them go."""
        self._ended = True
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        if self._viewers:
            self._tell()
        for viewer in self._viewers:
            viewer.end()

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._files[request.path],
            content_type=FILES[request.path][1],
            charset="utf-8",
            headers=HEADERS,
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._ended or len(self._viewers) >= MOST_VIEWERS:
            why = "the run is over" if self._ended else "too many pages are open"
            return web.Response(status=503, text=why, headers={"Retry-After": "5"})
        kinds = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers={**HEADERS, **kinds, "Cache-Control": "no-store"})
        viewer = Viewer()
        self._viewers.add(viewer)
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            if self._pump is None or self._pump.done():
                self._pump = asyncio.create_task(self._pump_events(), name="status page")
            while (event := await viewer.next()) is not None:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await response.write(event)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._viewers.discard(viewer)
        return response

    async def _pump_events(self) -> None:
        """As long as somebody looks: what is new, not too often."""
        told_at = time.monotonic()
        while self._viewers:
            began = time.monotonic()
            if self._tell(pulse=began - told_at >= PULSE_SECONDS):
                told_at = began
            cost_seconds = time.monotonic() - began
            await asyncio.sleep(max(self._every_seconds, cost_seconds / COST_SHARE))

    def _tell(self, pulse: bool = False) -> bool:
        """One event for every viewer, if there is anything to tell. Returns whether there was."""
        news = self._feed.news(self._status())
        if news is None and pulse:
            news = self._feed.pulse()
        usual = None if news is None else as_event(news)
        newcomers = [viewer for viewer in self._viewers if viewer.lacks_snapshot]
        whole = as_event(self._feed.snapshot()) if newcomers else b""
        for viewer in self._viewers:
            if viewer.lacks_snapshot:
                viewer.lacks_snapshot = False
                viewer.offer(whole)
            elif usual is not None:
                viewer.offer(usual)
        return usual is not None


def as_event(told: dict[str, Any]) -> bytes:
    """As one server-sent event; JSON has no line ends of its own."""
    return b"data: " + json.dumps(told, separators=(",", ":"), allow_nan=False).encode() + b"\n\n"
