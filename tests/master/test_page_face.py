from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from master import page_face
from master.http import start_http
from master.metrics import MasterMetrics
from master.page_face import FILES, QUEUED, PageFace, Viewer
from master.page_feed import PageFacts, PageFeed
from master.status import PlaceStatus, RunStatus

PLACE = PlaceStatus(0, "<b>&amp;", "computing", 0, 4, 0.01, 0.1, 0)


class Board:
    """A run whose round goes up at every look."""

    def __init__(self, run: str = "r1") -> None:
        self.looks = 0
        self.still = False
        self.face = PageFace(PageFeed(PageFacts(run, "digits", 10, "0.1.0", 0.0)), self.status, 0.01)

    def status(self) -> RunStatus:
        self.looks += not self.still
        return RunStatus("running", "all", self.looks, "uncoded(1)", 0, None, 1.0, (PLACE,), ())


@asynccontextmanager
async def serving(board: Board) -> AsyncIterator[aiohttp.ClientSession]:
    server = await start_http("127.0.0.1:0", MasterMetrics(board.status), board.status, page=board.face)
    try:
        async with aiohttp.ClientSession(f"http://{server.address}") as session:
            yield session
    finally:
        await board.face.end()
        await server.stop()


async def event(answer: aiohttp.ClientResponse) -> dict:
    """The next event of a stream."""
    while True:
        line = await asyncio.wait_for(answer.content.readline(), 5)
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            return json.loads(line[6:])


async def test_every_file_is_served_under_a_strict_policy():
    async with serving(Board()) as session:
        for path, (_, kind) in FILES.items():
            async with session.get(path) as answer:
                assert answer.status == 200
                assert answer.content_type == kind
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                text = await answer.text()
                assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
                assert "https://" not in text
                assert "innerHTML" not in text


@pytest.mark.parametrize("path", [*FILES, "/events"])
async def test_nothing_can_be_written(path):
    async with serving(Board()) as session:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            async with session.request(method, path) as answer:
                assert answer.status == 405


async def test_a_snapshot_comes_first_and_then_news():
    async with serving(Board()) as session, session.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        first = await event(answer)
        assert (first["kind"], first["run"]["id"]) == ("snapshot", "r1")
        assert first["names"] == {"0": "<b>&amp;"}
        second = await event(answer)
        assert second["kind"] == "news"
        assert second["now"]["round"] > first["now"]["round"]
        assert "run" not in second
        # One who comes later gets a snapshot, and does not disturb those who are there.
        async with session.get("/events") as other:
            assert (await event(other))["kind"] == "snapshot"
            assert (await event(answer))["kind"] == "news"


async def test_events_are_not_too_many():
    board = Board()
    board.face = PageFace(PageFeed(PageFacts("r1", "x", 1, "0", 0.0)), board.status)
    async with serving(board) as session, session.get("/events") as answer:
        await event(answer)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await event(answer)
        assert asyncio.get_running_loop().time() - began > 0.5


async def test_while_nobody_looks_nobody_asks():
    board = Board()
    async with serving(board) as session:
        async with session.get("/events") as answer:
            await event(answer)
        await asyncio.sleep(0.1)
        looks = board.looks
        await asyncio.sleep(0.1)
        assert board.looks == looks


async def test_a_quiet_run_still_says_that_it_is_there(monkeypatch):
    monkeypatch.setattr(page_face, "PULSE_SECONDS", 0.05)
    board = Board()
    board.still = True
    async with serving(board) as session, session.get("/events") as answer:
        await event(answer)
        quiet = await event(answer)
        assert (quiet["kind"], quiet["places"], quiet["rounds"]) == ("news", [], [])


async def test_the_end_is_told_and_the_stream_closed():
    board = Board()
    async with serving(board) as session, session.get("/events") as answer:
        await event(answer)
        ended = replace(board.status(), phase="finished", detail="all rounds are done")
        board.face._status = lambda: ended
        await board.face.end()
        while (told := await event(answer))["now"]["phase"] != "finished":
            pass
        assert told["now"]["detail"] == "all rounds are done"
        assert await asyncio.wait_for(answer.content.read(), 5) == b"\n"
        async with session.get("/events") as late:
            assert late.status == 503


async def test_too_many_pages_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr(page_face, "MOST_VIEWERS", 2)
    async with serving(Board()) as session, session.get("/events") as one, session.get("/events") as two:
        await event(one)
        await event(two)
        async with session.get("/events") as third:
            assert (third.status, third.headers["Retry-After"]) == (503, "5")


async def test_a_slow_viewer_loses_old_events_and_gets_a_snapshot():
    viewer = Viewer()
    viewer.lacks_snapshot = False
    for number in range(QUEUED):
        viewer.offer(b"%d" % number)
    assert not viewer.lacks_snapshot
    viewer.offer(b"too much")
    assert viewer.lacks_snapshot
    viewer.offer(b"snapshot")
    assert await viewer.next() == b"snapshot"
    for number in range(10 * QUEUED):
        viewer.offer(b"%d" % number)
        assert len(viewer._waiting) <= QUEUED
    viewer.end()
    while await viewer.next() is not None:
        pass


async def test_a_viewer_that_never_reads_costs_nothing_but_its_queue(monkeypatch):
    monkeypatch.setattr(page_face, "COST_SHARE", 1.0)
    looks = iter(range(10**9))

    def status() -> RunStatus:
        name = f"{next(looks)} {'x' * 500}"
        places = tuple(replace(PLACE, place=place, worker=name) for place in range(300))
        return RunStatus("running", "all", 1, "c", 0, None, 1.0, places, ())

    board = Board()
    board.face = PageFace(PageFeed(PageFacts("r1", "x", 1, "0", 0.0)), status, 0.001)
    async with serving(board) as session:
        host, port = str(session._base_url.host), int(session._base_url.port or 0)
        _, writer = await asyncio.open_connection(host, port, limit=1)
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        was_full = fell_behind = False
        async with asyncio.timeout(20):
            while not fell_behind:
                await asyncio.sleep(0)
                for each in board.face._viewers:
                    assert len(each._waiting) <= QUEUED
                    was_full |= len(each._waiting) == QUEUED
                    fell_behind = was_full and each.lacks_snapshot
        async with session.get("/events") as other:
            assert (await event(other))["kind"] == "snapshot"
        writer.transport.abort()
