"""Real calls through a real server with a gate."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from common.wire import rpc
from common.wire.access import ACCESS, CHALLENGE
from master.gate import Gate
from master.limits import Limits

LIMITS = Limits(links=3, links_per_host=2, links_per_second=1000.0, tarpit_seconds=0.0)
REFUSED = grpc.StatusCode.RESOURCE_EXHAUSTED


@asynccontextmanager
async def served(limits: Limits) -> AsyncIterator[tuple[Callable[[], grpc.aio.Channel], Counter[str]]]:
    """A server whose sessions echo and whose fetches last as long as asked; what dials it, and refusals."""
    counted: Counter[str] = Counter()

    async def session(requests: Any, context: Any) -> None:
        async for raw in requests:
            await context.write(raw)

    async def fetch(request: bytes, context: Any) -> None:
        await context.write(b"first")
        await asyncio.sleep(float(request))

    async def challenge(request: bytes, context: Any) -> bytes:
        return b"challenge"

    given = grpc.unary_unary_rpc_method_handler(challenge)

    def count(error: Any) -> None:
        counted[error.kind] += 1

    server = grpc.aio.server(interceptors=[Gate(limits, count)], options=rpc.server_options())
    server.add_generic_rpc_handlers((rpc.training_handler(session, fetch),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ACCESS, {"GetChallenge": given}),))
    add_HealthServicer_to_server(HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channels: list[grpc.aio.Channel] = []

    def dial() -> grpc.aio.Channel:
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=rpc.client_options()))
        return channels[-1]

    try:
        yield dial, counted
    finally:
        for channel in channels:
            await channel.close()
        await server.stop(None)


async def opened(channel: grpc.aio.Channel) -> Any:
    call = rpc.session_method(channel)()
    await call.write(b"hello")
    assert await call.read() == b"hello"
    return call


async def refusal(call: Any) -> str:
    assert await call.code() == REFUSED
    return str(await call.details())


async def test_links_of_one_host_are_limited_and_room_is_made():
    async with served(LIMITS) as (dial, counted):
        first, second = await opened(dial()), await opened(dial())
        assert await refusal(rpc.session_method(dial())()) == (
            "too_many_links: no more than 2 from one peer may be open"
        )
        first.cancel()
        await asyncio.wait({asyncio.ensure_future(first.code())})
        for _ in range(200):
            try:
                await opened(dial())
                break
            except (grpc.aio.AioRpcError, AssertionError):
                await asyncio.sleep(0.01)
        else:
            raise AssertionError("no room was made")
        assert counted["too_many_links"] >= 1
        assert await second.write(b"still there") is None


async def test_links_are_opened_only_so_fast():
    limits = replace(LIMITS, links=2, links_per_second=0.001)
    async with served(limits) as (dial, counted):
        for _ in range(2):
            call = await opened(dial())
            await call.done_writing()
            assert await call.code() == grpc.StatusCode.OK
        assert "a second may be opened" in await refusal(rpc.session_method(dial())())
        assert counted == {"too_many_links": 1}


async def test_fetches_of_one_connection_are_limited_and_others_wait_their_turn():
    limits = replace(LIMITS, fetches=1, fetches_per_link=2)
    async with served(limits) as (dial, counted):
        channel = dial()
        first = rpc.fetch_method(channel)(b"0.2")
        assert await first.read() == b"first"
        second = rpc.fetch_method(channel)(b"0")
        waiting = asyncio.ensure_future(second.read())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert "2 from one peer" in await refusal(rpc.fetch_method(channel)(b"0"))
        assert await waiting == b"first"
        assert counted == {"too_many_fetches": 1}


async def test_calls_of_one_host_are_limited():
    async with served(replace(LIMITS, calls_per_second=2.0)) as (dial, counted):
        asks = [HealthStub(dial()).Check(HealthCheckRequest()) for _ in range(6)]
        codes = Counter([await ask.code() for ask in asks])
        assert codes[grpc.StatusCode.OK] in (4, 5)
        assert codes[REFUSED] == counted["too_many_calls"] == 6 - codes[grpc.StatusCode.OK]


async def test_a_refusal_takes_its_time():
    """A peer that asks again at once costs the master little."""
    async with served(replace(LIMITS, links=1, tarpit_seconds=0.15)) as (dial, _):
        await opened(dial())
        loop = asyncio.get_running_loop()
        began = loop.time()
        await refusal(rpc.session_method(dial())())
        assert loop.time() - began > 0.12


async def test_calls_that_come_before_others_wait_their_turn():
    """With a token every call needs a challenge first: a crowd of workers gets them all, a little later."""
    limits = replace(LIMITS, links=1, fetches_at_once=1, links_per_second=20.0, fetches_per_second=20.0)
    async with served(replace(limits, calls_per_second=10.0)) as (dial, counted):
        loop = asyncio.get_running_loop()
        began = loop.time()
        asks = [dial().unary_unary(CHALLENGE)(b"") for _ in range(7)]
        assert await asyncio.gather(*asks) == [b"challenge"] * 7
        assert loop.time() - began > 0.08
        assert counted == {}
