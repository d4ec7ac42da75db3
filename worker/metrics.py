"""What a worker counts, and the small HTTP server that shows it: ``/metrics`` and ``/healthz``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from common.boundaries import SECONDS, SHORT_SECONDS


class WorkerMetrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self.chunk_seconds = self._histogram(
            "chunk_compute",
            "Time from taking a chunk in hand to its gradient, injected delays included.",
            SECONDS,
        )
        self.queue_seconds = self._histogram(
            "queue",
            "Time a chunk that was then computed had waited since the parameters were there.",
            SECONDS,
        )
        self.encode_seconds = self._histogram(
            "encode", "Time to add up a message and to make it ready to be sent.", SHORT_SECONDS
        )
        self.send_seconds = self._histogram(
            "send",
            "Time to write a frame to the link; a link that is full makes writing wait.",
            SHORT_SECONDS,
        )
        self.chunks = self._counter("chunks", "Chunks finished, late ones included.")
        self.late_chunks = self._counter("late_chunks", "Chunks finished after their round was over.")
        self.messages = self._counter("messages", "Messages added up to be sent.")
        self.send_bytes = self._counter("send_bytes", "Bytes of frames written to the master.")
        self.receive_bytes = self._counter("receive_bytes", "Bytes of frames read from the master.")
        self.fetched_ranges = self._counter("fetched_ranges", "Ranges of training rows fetched.")
        self.fetched_rows = self._counter("fetched_rows", "Training rows fetched, also ahead of time.")
        self.stale_frames = self._counter("stale_frames", "Frames dropped because of their stamp.")
        self.protocol_errors = self._counter("protocol_errors", "Links ended because the master broke rules.")
        self.reconnects = self._counter("reconnects", "Links made after the first.")
        self.queue_length = Gauge(
            "gradcode_worker_queue_length", "Chunks waiting in the round in hand.", registry=self.registry
        )
        self.linked = Gauge(
            "gradcode_worker_linked", "1 while there is a link to the master.", registry=self.registry
        )

    def _histogram(self, name: str, what: str, boundaries: tuple[float, ...]) -> Histogram:
        return Histogram(f"gradcode_worker_{name}_seconds", what, buckets=boundaries, registry=self.registry)

    def _counter(self, name: str, what: str) -> Counter:
        return Counter(f"gradcode_worker_{name}", what, registry=self.registry)


class MetricsServer:
    """Serves ``/metrics`` and ``/healthz`` from a thread of its own.

    Args:
        host, port: where to listen; port 0 takes a free one.
        metrics: what to show.
        health: gives whether the worker is well, and its state as JSON values.

    Raises:
        OSError: the address cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        metrics: WorkerMetrics,
        health: Callable[[], tuple[bool, dict[str, object]]],
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = _answer(self.path, metrics, health)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Requests are not logged."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(
    path: str, metrics: WorkerMetrics, health: Callable[[], tuple[bool, dict[str, object]]]
) -> tuple[int, str, bytes]:
    """Status, content type and body for a path."""
    path = path.partition("?")[0]
    if path == "/metrics":
        return 200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry)
    if path == "/healthz":
        well, state = health()
        return 200 if well else 503, "application/json", json.dumps(state).encode() + b"\n"
    return 404, "text/plain; charset=utf-8", b"here are /metrics and /healthz\n"
