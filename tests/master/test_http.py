from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.codes import CODES
from common.delays import Delays
from common.errors import InvalidSpec
from gradcode.lab.simulator import Simulator
from master.events import StopRequested
from master.http import HttpServer, LoopLag, start_http
from master.metrics import MasterMetrics
from master.settings import RunSettings
from master.status import RunStatus, run_status

WAITING = RunStatus("waiting", "2 of 4 workers are ready", -1, "", 0, None, 0.0, (), ())


@asynccontextmanager
async def serving(
    status: Callable[[], RunStatus],
    exit_code: Callable[[], int | None] = lambda: None,
    address: str = "127.0.0.1:0",
) -> AsyncIterator[tuple[HttpServer, aiohttp.ClientSession]]:
    server = await start_http(address, MasterMetrics(status), status, exit_code)
    try:
        async with aiohttp.ClientSession(f"http://{server.address}") as session:
            yield server, session
    finally:
        await server.stop()


def lag_value(metrics: MasterMetrics, name: str) -> float:
    for family in text_string_to_metric_families(metrics.expose().decode()):
        for sample in family.samples:
            if sample.name == name:
                return sample.value
    raise AssertionError(f"no sample of {name}")


async def test_metrics_are_in_prometheus_text_format():
    async with serving(lambda: WAITING) as (_, session), session.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = {each.name for each in text_string_to_metric_families(await answer.text())}
    assert {"gradcode_rounds", "gradcode_workers", "gradcode_round_duration_seconds"} <= families


async def test_health_while_workers_are_awaited():
    async with serving(lambda: WAITING) as (_, session), session.get("/healthz") as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "phase": "waiting",
            "detail": "2 of 4 workers are ready",
            "round": None,
            "exit_code": None,
        }


async def test_health_follows_a_run_from_its_first_worker_to_its_end():
    settings = RunSettings(lambda n: CODES["uncoded"](n), n_workers=2, rounds=1000, n_rows=8, learning=False)
    simulator = Simulator(settings, Delays("constant", seconds=0.02), n_workers=2)
    training = simulator.training

    def exit_code() -> int | None:
        return None if training.ending is None else training.ending[1]

    seen = []
    async with serving(lambda: run_status(training, simulator.now), exit_code) as (_, session):
        for until in (0.0, 0.1, 0.2):
            simulator.play(until)
            async with session.get("/healthz") as answer:
                seen.append((answer.status, (await answer.json())["phase"]))
                running = await answer.json()
        assert seen == [(200, "waiting"), (200, "running"), (200, "running")]
        assert running["round"] > 0
        assert running["detail"] == "2 of 2 places have a worker"
        simulator.feed(StopRequested("the disk is full", 3))
        async with session.get("/healthz") as answer:
            failed = await answer.json()
            assert answer.status == 503
    assert (failed["phase"], failed["detail"], failed["exit_code"]) == ("finished", "the disk is full", 3)


async def test_a_run_that_ended_well_is_healthy():
    done = replace(WAITING, phase="finished", detail="50 rounds are done", round=49)
    async with serving(lambda: done, lambda: 0) as (_, session), session.get("/healthz") as answer:
        assert answer.status == 200
        assert (await answer.json())["exit_code"] == 0


async def test_the_first_page_says_where_to_go_and_others_do_not_exist():
    async with serving(lambda: WAITING) as (_, session):
        async with session.get("/") as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type) == (200, "text/plain")
        for path in re.findall(r"^(/\S+)", text, re.MULTILINE):
            async with session.get(path) as answer:
                assert answer.status == 200
        async with session.get("/nothing") as answer:
            assert answer.status == 404
        async with session.post("/metrics") as answer:
            assert answer.status == 405
    assert "/metrics" in text
    assert "/healthz" in text


async def test_the_address_has_the_real_port_and_stopping_frees_it():
    async with serving(lambda: WAITING) as (server, _):
        host, port = server.address.rsplit(":", 1)
        assert host == "127.0.0.1"
        assert int(port) > 0
    async with serving(lambda: WAITING, address=server.address) as (again, session):
        assert again.address == server.address
        async with session.get("/healthz") as answer:
            assert answer.status == 200


async def test_stopping_does_not_wait_for_idle_connections():
    async with serving(lambda: WAITING) as (server, session):
        async with session.get("/healthz") as answer:
            assert answer.status == 200
        begin = time.monotonic()
        await server.stop()
        assert time.monotonic() - begin < 0.8


async def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InvalidSpec) as caught:
            await start_http(address, MasterMetrics(lambda: WAITING), lambda: WAITING)
    assert str(caught.value) == f"metrics address: must be free to listen on, got '{address}'"


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("9100", "must be HOST:PORT, such as 127.0.0.1:50051"),
        ("127.0.0.1:http", "must be HOST:PORT, such as 127.0.0.1:50051"),
        ("127.0.0.1:70000", "must be HOST:PORT, such as 127.0.0.1:50051"),
        ("192.0.2.1:9100", "must be one that this machine can listen on"),
        ("no-such-host.invalid:9100", "must be one that this machine can listen on"),
    ],
)
async def test_an_address_that_cannot_be_is_named(address: str, rule: str):
    with pytest.raises(InvalidSpec) as caught:
        await start_http(address, MasterMetrics(lambda: WAITING), lambda: WAITING)
    assert (caught.value.field, caught.value.rule, caught.value.value) == ("metrics address", rule, address)


async def test_a_blocked_loop_shows_as_lag():
    metrics = MasterMetrics(lambda: WAITING)
    lag = LoopLag(metrics)
    lag.start()
    await asyncio.sleep(0.12)
    time.sleep(0.3)
    await asyncio.sleep(0.06)
    await lag.stop()
    largest = lag_value(metrics, "gradcode_event_loop_lag_max_seconds")
    assert 0.25 <= largest < 5.0
    counted = lag_value(metrics, "gradcode_event_loop_lag_seconds_count")
    assert counted >= 3
    await asyncio.sleep(0.12)
    assert lag_value(metrics, "gradcode_event_loop_lag_seconds_count") == counted


async def test_stopping_what_was_never_started_or_is_stopped_does_nothing():
    lag = LoopLag(MasterMetrics(lambda: WAITING), every_seconds=0.01)
    await lag.stop()
    lag.start()
    await lag.stop()
    await lag.stop()
