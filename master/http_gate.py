"""Limits of the web face: connections, how long one may be silent or read slowly, requests of one host.

aiohttp waits for ever for a request's head, and for a reader of its answer; here every connection that is not
being served has a time, after which it is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from master.limits import Buckets, Occupancy

MOST_CONNECTIONS = 256
MOST_FROM_HOST = 128
REQUESTS_PER_SECOND = 50.0
"""Of one host; twice as many may come at once."""
IDLE_SECONDS = 20.0
"""So long a connection may take to send a request, to read an answer, or to think of the next request."""
TARPIT_SECONDS = 1.0
"""A request beyond the limit is answered only after so long."""
MOST_HEAD_BYTES = 8190
MOST_BODY_BYTES = 1024
"""Nothing that is served here wants a body."""

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 23\r\n"
    b"Connection: close\r\n\r\ntoo many are connected\n"
)


class HttpGate:
    """Counts connections and requests.

    Args:
        count: told the kind of every refusal. idle_seconds: see IDLE_SECONDS. clock: monotonic seconds.
        most, most_from_host: connections at a time. requests_per_second: of one host.
    """

    def __init__(
        self,
        count: Callable[[str], None],
        idle_seconds: float = IDLE_SECONDS,
        most: int = MOST_CONNECTIONS,
        most_from_host: int = MOST_FROM_HOST,
        requests_per_second: float = REQUESTS_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._idle_seconds = idle_seconds
        self._connections = Occupancy(most, most_from_host)
        self._requests = Buckets(requests_per_second, 2.0 * requests_per_second)
        self._clock = clock
        self._open: dict[asyncio.BaseTransport, _Connection] = {}

    def runner(self, app: web.Application, shutdown_seconds: float) -> web.AppRunner:
        """What serves ``app`` behind this gate."""
        app.middlewares.insert(0, self._middleware())
        return _GatedRunner(
            app,
            self,
            access_log=None,
            shutdown_timeout=shutdown_seconds,
            keepalive_timeout=self._idle_seconds,
            max_line_size=MOST_HEAD_BYTES,
            max_field_size=MOST_HEAD_BYTES,
            lingering_time=1.0,
        )

    def enter(self, connection: _Connection) -> bool:
        """A connection is there; False if it is one too many."""
        if self._connections.enter(connection.host):
            self._count("too_many_links")
            return False
        self._open[connection.transport] = connection
        return True

    def leave(self, connection: _Connection) -> None:
        """A connection that entered is gone."""
        self._connections.leave(connection.host)
        del self._open[connection.transport]

    def _middleware(self) -> Any:
        @web.middleware
        async def gate(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            connection = None if request.transport is None else self._open.get(request.transport)
            if connection is None:  # it was closed meanwhile
                return web.Response(status=503)
            connection.serve()
            try:
                if not self._requests.take(connection.host, 1.0, self._clock()):
                    self._count("too_many_calls")
                    await asyncio.sleep(TARPIT_SECONDS)
                    refusal = web.Response(status=429, text="too many requests\n")
                    refusal.force_close()
                    return refusal
                return await handler(request)
            finally:
                connection.rest(self._idle_seconds)

        return gate

    def connection(self, inner: asyncio.Protocol) -> asyncio.Protocol:
        """The protocol ``inner`` behind the gate."""
        return _Connection(self, inner, self._idle_seconds)


class _GatedRunner(web.AppRunner):
    """Hands out gated connections to whoever listens."""

    def __init__(self, app: web.Application, gate: HttpGate, **options: Any) -> None:
        super().__init__(app, **options)
        self._gate = gate

    @property
    def server(self) -> Any:
        """Makes a protocol for every connection."""
        made = super().server
        return None if made is None else lambda: self._gate.connection(made())


class _Connection(asyncio.Protocol):
    """One connection: everything goes on to aiohttp's protocol, as long as it may."""

    def __init__(self, gate: HttpGate, inner: asyncio.Protocol, idle_seconds: float) -> None:
        self.host = ""
        self.transport: asyncio.Transport
        self._gate = gate
        self._inner = inner
        self._idle_seconds = idle_seconds
        self._entered = False
        self._timer: asyncio.TimerHandle | None = None

    def serve(self) -> None:
        """A request is being answered: however long that takes."""
        self._stop_timer()

    def rest(self, seconds: float) -> None:
        """Nothing is being answered; it may stay for so long."""
        self._stop_timer()
        if self._entered:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.host = str(peer[0]) if isinstance(peer, tuple) else ""
        self._entered = self._gate.enter(self)
        if not self._entered:
            transport.write(BUSY)
            transport.close()
            return
        self._inner.connection_made(transport)
        self.rest(self._idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._entered:
            self._entered = False
            self._gate.leave(self)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._entered:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._entered else None

    def pause_writing(self) -> None:
        if self._entered:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._entered:
            self._inner.resume_writing()
