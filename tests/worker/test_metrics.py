from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.metrics import MetricsServer, WorkerMetrics
from worker.service import Worker


def get(port: int, path: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture
def served():
    """Port, metrics, and what the worker says of its health."""
    metrics = WorkerMetrics()
    health = [True, {"state": "dialing"}]
    server = MetricsServer("127.0.0.1", 0, metrics, lambda: tuple(health))
    yield server.port, metrics, health
    server.close()


def test_metrics_are_served_with_their_names_and_types(served):
    port, metrics, _ = served
    metrics.chunk_seconds.observe(0.02)
    metrics.send_bytes.inc(100)
    status, kind, text = get(port, "/metrics?x=1")
    assert status == 200
    assert kind.startswith("text/plain")
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    own = {name: kind for name, kind in families.items() if name.startswith("gradcode_")}
    assert own == {
        "gradcode_worker_chunk_compute_seconds": "histogram",
        "gradcode_worker_chunks": "counter",
        "gradcode_worker_encode_seconds": "histogram",
        "gradcode_worker_fetched_ranges": "counter",
        "gradcode_worker_fetched_rows": "counter",
        "gradcode_worker_late_chunks": "counter",
        "gradcode_worker_linked": "gauge",
        "gradcode_worker_messages": "counter",
        "gradcode_worker_protocol_errors": "counter",
        "gradcode_worker_queue_length": "gauge",
        "gradcode_worker_queue_seconds": "histogram",
        "gradcode_worker_receive_bytes": "counter",
        "gradcode_worker_reconnects": "counter",
        "gradcode_worker_send_bytes": "counter",
        "gradcode_worker_send_seconds": "histogram",
        "gradcode_worker_stale_frames": "counter",
    } | {name: "gauge" for name in own if name.endswith("_created")}
    assert "gradcode_worker_send_bytes_total 100.0" in text
    assert 'gradcode_worker_chunk_compute_seconds_bucket{le="0.02"} 1.0' in text


def test_health_is_a_status_and_a_state(served):
    port, _, health = served
    assert get(port, "/healthz")[:2] == (200, "application/json")
    assert json.loads(get(port, "/healthz")[2]) == {"state": "dialing"}
    health[:] = [False, {"state": "ended"}]
    assert get(port, "/healthz")[0] == 503
    assert get(port, "/")[0] == 404


def test_a_worker_that_dials_is_well():
    worker = Worker("[::1]:50051", "w")
    assert worker.address == "[::1]:50051"
    assert worker.health() == (
        True,
        {"worker": "w", "master": "[::1]:50051", "state": "dialing", "linked": False},
    )


def test_two_workers_count_apart():
    one, other = WorkerMetrics(), WorkerMetrics()
    one.chunks.inc()
    assert other.registry.get_sample_value("gradcode_worker_chunks_total") == 0


def test_a_port_that_is_taken_is_an_error(served):
    port, metrics, _ = served
    with pytest.raises(OSError, match="in use"):
        MetricsServer("127.0.0.1", port, metrics, lambda: (True, {}))
