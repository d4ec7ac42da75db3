from __future__ import annotations

from contextlib import asynccontextmanager

import grpc
import pytest

from common.errors import InvalidSpec, ProtocolError
from common.wire import rpc
from common.wire.control import (
    Ending,
    RoundsRequest,
    RunStatus,
    Scaled,
    WatchedRounds,
    WorkerStatus,
    decode_accepted,
    decode_rounds,
    decode_rounds_request,
    decode_status,
    decode_stop,
    decode_workers,
)

STATUS = RunStatus(
    run="r1",
    run_name="digits",
    phase="running",
    detail="",
    round=7,
    rounds_planned=100,
    loss=0.0,
    score=None,
    rounds_exact=5,
    rounds_approximate=1,
    rounds_failed=0,
    deadline_seconds=0.25,
    code="uncoded(4)",
    epoch=1,
    n_places=4,
    n_linked=3,
    n_spares=0,
    run_folder="runs/r1",
    started_unix_seconds=1.5e9,
    elapsed_seconds=3.25,
    package_version="0.1.0",
    last_record_json="{}",
    n_wanted=6,
    n_replans=2,
    verify="sample",
    quarantined=("w-3", "w-5"),
    rounds_undone=4,
)
WORKERS = [
    WorkerStatus(0, "a", "computing", 1, 3, 0.5, 0.0, 2, 7),
    WorkerStatus(None, "spare", "spare", 0, 0, None, None, 0, 0),
]


class Run:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def stop(self, reason: str) -> bool:
        self.reasons.append(reason)
        return len(self.reasons) == 1

    async def scale(self, n_workers: int) -> Scaled:
        return Scaled(True, "waits") if n_workers <= 12 else Scaled(False, f"{n_workers} are too many")

    def watch(self, known):
        return None if known.run == "crowded" else self.answers(known)

    async def answers(self, known):
        yield WatchedRounds(f"after {known.after}", ("{}", "[]"), 3)
        yield WatchedRounds("r1", ending=Ending("all rounds are done", 0))


@asynccontextmanager
async def control_of(run: Run):
    server = grpc.aio.server(options=rpc.server_options())
    handler = rpc.control_handler(lambda: STATUS, lambda: WORKERS, run.stop, run.scale, run.watch)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=rpc.client_options()) as channel:
        yield rpc.ControlClient(channel)
    await server.stop(None)


async def test_an_operator_asks_and_stops():
    run = Run()
    async with control_of(run) as control:
        assert await control.get_status() == STATUS
        assert await control.list_workers() == WORKERS
        assert await control.stop_run("enough") is True
        assert await control.stop_run("again") is False
        assert await control.scale_run(12) == Scaled(True, "waits")
        assert await control.scale_run(13) == Scaled(False, "13 are too many")
    assert run.reasons == ["enough", "again"]


async def test_rounds_are_watched_to_their_end():
    async with control_of(Run()) as control:
        answers = [each async for each in control.watch_rounds(RoundsRequest("r1", 0))]
        assert answers == [
            WatchedRounds("after 0", ("{}", "[]"), 3),
            WatchedRounds("r1", ending=Ending("all rounds are done", 0)),
        ]
        assert (await anext(control.watch_rounds(RoundsRequest()))).run == "after None"
        with pytest.raises(grpc.aio.AioRpcError, match="too many watch already") as caught:
            await anext(control.watch_rounds(RoundsRequest("crowded")))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "decode",
    [decode_status, decode_workers, decode_stop, decode_accepted, decode_rounds, decode_rounds_request],
)
def test_garbage_is_unreadable(decode):
    with pytest.raises(ProtocolError, match="unreadable"):
        decode(b"\x0a\xff")


def test_both_ends_notice_a_dead_peer_within_four_seconds():
    for options in (dict(rpc.server_options()), dict(rpc.client_options())):
        assert options["grpc.keepalive_time_ms"] + options["grpc.http2.ping_timeout_ms"] <= 4_000
    assert dict(rpc.server_options())["grpc.http2.min_recv_ping_interval_without_data_ms"] < 1_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        ":80",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "a b:1",
        "::1:80",
        "http://h:1",
        "h:\u0663",
        "[]:1",
    ],
)
def test_what_is_no_address_is_told_in_one_line(text):
    with pytest.raises(InvalidSpec, match="--master: must be HOST:PORT") as caught:
        rpc.parse_address("--master", text)
    assert "\n" not in str(caught.value)
