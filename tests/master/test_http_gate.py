"""The web face against connections that say nothing, say too much, or read nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from master import http_gate
from master.http_gate import HttpGate

IDLE_SECONDS = 0.3


@asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[tuple[int, Counter[str]]]:
    """The port of a server behind a gate, and what it refused."""
    counted: Counter[str] = Counter()

    def count(kind: str) -> None:
        counted[kind] += 1

    async def small(request: web.Request) -> web.Response:
        return web.Response(text="small")

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bytes(64 << 20))

    async def body(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(2 * IDLE_SECONDS)
        return web.Response(text="slow")

    app = web.Application(client_max_size=http_gate.MOST_BODY_BYTES)
    app.add_routes(
        [web.get("/", small), web.get("/large", large), web.get("/slow", slow), web.post("/", body)]
    )
    runner = HttpGate(count, IDLE_SECONDS, **limits).runner(app, 1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1], counted
    finally:
        await runner.cleanup()


async def ask(port: int, text: str, read: int = 1 << 16) -> bytes:
    """The answer to a request, or to half of one, until the server closes or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text.encode())
        return await asyncio.wait_for(reader.read(read), 5.0)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


GET = "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_who_asks_is_answered_also_when_the_answer_takes_long():
    async with served() as (port, counted):
        assert b"small" in await ask(port, GET.format(path="/"))
        assert b"slow" in await ask(port, GET.format(path="/slow"))
        assert counted == {}


@pytest.mark.parametrize("said", ["", "GET / HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_who_says_nothing_or_half_of_something_is_closed(said):
    loop = asyncio.get_running_loop()
    async with served() as (port, _):
        began = loop.time()
        assert await ask(port, said) == b""
        assert loop.time() - began < 10 * IDLE_SECONDS


async def test_who_does_not_read_the_answer_is_closed():
    async with served() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.format(path="/large").encode())
        await asyncio.sleep(3 * IDLE_SECONDS)
        received = 0
        try:
            while piece := await asyncio.wait_for(reader.read(1 << 20), 5.0):
                received += len(piece)
        except ConnectionResetError:
            pass
        writer.close()
        assert received < 64 << 20


async def test_connections_are_limited_and_room_is_made():
    async with served(most=3, most_from_host=2) as (port, counted):
        first = await asyncio.open_connection("127.0.0.1", port)
        second = await asyncio.open_connection("127.0.0.1", port)
        assert b"503" in await ask(port, GET.format(path="/"))
        assert counted == {"too_many_links": 1}
        first[1].close()
        second[1].close()
        for _ in range(100):
            if b"small" in await ask(port, GET.format(path="/")):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("no room was made")


async def test_requests_of_one_host_are_limited(monkeypatch):
    monkeypatch.setattr(http_gate, "TARPIT_SECONDS", 0.0)
    async with served(requests_per_second=2.0) as (port, counted):
        answers = [await ask(port, GET.format(path="/")) for _ in range(8)]
        n_refused = sum(b" 429 " in answer for answer in answers)
        assert n_refused >= 3
        assert counted["too_many_calls"] == n_refused
        assert b"small" in answers[0]


async def test_heads_and_bodies_have_a_size():
    async with served() as (port, _):
        assert b" 400 " in await ask(port, f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {'a' * 20_000}\r\n\r\n")
        long = "a" * 5000
        post = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(long)}\r\n\r\n{long}"
        assert b" 413 " in await ask(port, post)
