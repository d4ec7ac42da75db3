"""The master's web face: /metrics for Prometheus, /healthz for whoever starts it, and a page for people."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from aiohttp import web

from common.errors import InvalidSpec
from common.version import __version__
from common.wire.rpc import parse_address
from master.http_gate import HttpGate
from master.metrics import MasterMetrics
from master.page_face import PageFace
from master.page_security import PageSecurity
from master.status import RunStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus' text format; every version of Prometheus reads it."""

GRACE_SECONDS = 1.0
"""So long answers under way may take when the server stops."""

LAG_EVERY_SECONDS = 0.02

INDEX = f"""gradcode {__version__}: the master of a run

/metrics   for Prometheus
/healthz   the run's phase as JSON; 503 once the run has failed
"""


class HttpServer:
    """A server that runs; made by `start_http`.

    Attributes:
        address: HOST:PORT with the real port.
    """

    def __init__(self, runner: web.AppRunner, address: str) -> None:
        self.address = address
        self._runner = runner

    async def stop(self) -> None:
        """Free the port; answers under way may take GRACE_SECONDS."""
        await self._runner.cleanup()


async def start_http(
    address: str,
    metrics: MasterMetrics,
    status: Callable[[], RunStatus],
    exit_code: Callable[[], int | None] = lambda: None,
    page: PageFace | None = None,
    security: PageSecurity | None = None,
) -> HttpServer:
    """Serve in the running event loop until `HttpServer.stop`.

    Args:
        address: HOST:PORT to listen on; port 0 takes a free one, an IPv6 host is in brackets.
        metrics: what /metrics shows. status: how the run stands, for /healthz.
        exit_code: of the run, None before its end; any but 0 makes /healthz answer 503.
        page: the status page; without one, / only says where to go. security: who may look; None: everybody.

    Raises:
        InvalidSpec: the address is of another form, taken, or not of this machine; a certificate or a
            password cannot be used.
    """
    host, port = parse_address("metrics address", address)
    security = security or PageSecurity()
    app = _app(metrics, status, exit_code, page, security)
    context = security.context()
    runner = HttpGate(metrics.protocol_error).runner(app, GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except OSError as error:
        await runner.cleanup()
        taken = error.errno == errno.EADDRINUSE
        rule = "must be free to listen on" if taken else "must be one that this machine can listen on"
        raise InvalidSpec("metrics address", rule, address) from None
    real_port = runner.addresses[0][1]
    return HttpServer(runner, f"{address.rpartition(':')[0]}:{real_port}")


def _app(
    metrics: MasterMetrics,
    status: Callable[[], RunStatus],
    exit_code: Callable[[], int | None],
    page: PageFace | None,
    security: PageSecurity,
) -> web.Application:
    async def index(request: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    async def show_metrics(request: web.Request) -> web.Response:
        return web.Response(body=metrics.expose(), headers={"Content-Type": CONTENT_TYPE})

    async def health(request: web.Request) -> web.Response:
        return _health(status(), exit_code())

    app = web.Application(middlewares=security.middlewares())
    app.add_routes([web.get("/metrics", show_metrics), web.get("/healthz", health)])
    app.add_routes([web.get("/", index)] if page is None else page.routes())
    return app


def _health(now: RunStatus, exit_code: int | None) -> web.Response:
    """Waiting for workers is healthy: a master that waits must not be restarted."""
    body = {
        "phase": now.phase,
        "detail": now.detail,
        "round": None if now.round < 0 else now.round,
        "exit_code": exit_code,
    }
    return web.json_response(body, status=503 if exit_code else 200)


class LoopLag:
    """Measures how late the event loop is for a timer, and tells the metrics.

    A blocked loop shows unless it is free again before the next timer is due, so what is measured falls short
    of the time it was blocked by at most ``every_seconds``.

    Args:
        metrics: is told of every measurement. every_seconds: how often to measure, above 0.
    """

    def __init__(self, metrics: MasterMetrics, every_seconds: float = LAG_EVERY_SECONDS) -> None:
        self._metrics = metrics
        self._every_seconds = every_seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure from now on, in the running event loop."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._every_seconds, self._measure, loop)

    async def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _measure(self, loop: asyncio.AbstractEventLoop) -> None:
        # A timer and no task: at 50 a second, waking a task up would be half of what is measured.
        assert self._timer is not None
        now = loop.time()
        self._metrics.loop_lag(max(0.0, now - self._timer.when()))
        self._timer = loop.call_at(now + self._every_seconds, self._measure, loop)
