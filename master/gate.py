"""The first to see a call: lets in as many as the limits allow, and refuses the others slowly.

Links and row fetches are counted while they are open, calls of operators as they come. A refused call is held
for a while before it gets its answer: a peer has few calls open on a connection, so that it cannot make the
master refuse faster than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog

from common.errors import ProtocolError
from common.wire.access import CHALLENGE
from common.wire.rpc import TRAINING
from master.limits import Buckets, Limits, Occupancy, TokenBucket, host_of

MOST_HELD = 2000
"""Refused calls that are held at a time; others are answered at once."""
LOG_SECONDS = 10.0
"""Between two log lines about refused calls of one kind."""
LONGEST_WAIT_SECONDS = 20.0
"""So long a row fetch, or a challenge, may wait for its turn."""

SESSION, FETCH = f"/{TRAINING}/Session", f"/{TRAINING}/FetchRows"

log = structlog.get_logger("gradcode.master")
Context = Any


class Gate(grpc.aio.ServerInterceptor):
    """Counts calls, and refuses those beyond the limits with RESOURCE_EXHAUSTED and one line.

    Args:
        limits: how much is allowed. count: told of every refusal. clock: monotonic seconds.
    """

    def __init__(
        self,
        limits: Limits,
        count: Callable[[ProtocolError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        now = clock()
        self._limits = limits
        self._count = count
        self._clock = clock
        self._links = Occupancy(limits.links, limits.links_per_host)
        self._new_links = TokenBucket(limits.links_per_second, limits.links, now)
        self._fetches = Occupancy(limits.links * limits.fetches_per_link, limits.fetches_per_link)
        self._fetching = asyncio.Semaphore(limits.fetches)
        self._new_fetches = TokenBucket(limits.fetches_per_second, limits.fetches_at_once, now)
        self._calls = Buckets(limits.calls_per_second, 2.0 * limits.calls_per_second)
        # Where there is a token, every other call comes after one of these: they wait, and are not refused.
        self._challenges = TokenBucket(
            limits.links_per_second + limits.fetches_per_second + limits.calls_per_second,
            limits.links + limits.fetches_at_once,
            now,
        )
        self._n_held = 0
        self._logged_at: dict[str, float] = {}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Put the gate before the call's handler."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        passages = {SESSION: self._link, FETCH: self._fetch, CHALLENGE: self._challenge}
        return _guarded(handler, passages.get(method, self._call))

    @contextlib.asynccontextmanager
    async def _link(self, context: Context) -> AsyncIterator[None]:
        host = host_of(context.peer())
        why = self._links.enter(host)
        if why:
            await self._refuse(context, "too_many_links", f"no more than {why} may be open")
        try:
            if not self._new_links.take(1.0, self._clock()):
                rate = f"no more than {self._limits.links_per_second:g} a second may be opened"
                await self._refuse(context, "too_many_links", rate)
            yield
        finally:
            self._links.leave(host)

    @contextlib.asynccontextmanager
    async def _fetch(self, context: Context) -> AsyncIterator[None]:
        # Every worker has a connection of its own: what gRPC calls the peer is one worker's connection.
        peer = context.peer()
        why = self._fetches.enter(peer)
        if why:
            await self._refuse(context, "too_many_fetches", f"no more than {why} may be under way")
        try:
            await self._wait(context, self._new_fetches, "too_many_fetches", "fetches")
            async with self._fetching:
                yield
        finally:
            self._fetches.leave(peer)

    @contextlib.asynccontextmanager
    async def _call(self, context: Context) -> AsyncIterator[None]:
        if not self._calls.take(host_of(context.peer()), 1.0, self._clock()):
            rate = f"no more than {self._limits.calls_per_second:g} calls a second from one host"
            await self._refuse(context, "too_many_calls", rate)
        yield

    @contextlib.asynccontextmanager
    async def _challenge(self, context: Context) -> AsyncIterator[None]:
        await self._wait(context, self._challenges, "too_many_calls", "challenges")
        yield

    async def _wait(self, context: Context, bucket: TokenBucket, kind: str, what: str) -> None:
        """Until it is the call's turn; returns at once unless many came lately."""
        seconds = bucket.owe(1.0, self._clock())
        if seconds > LONGEST_WAIT_SECONDS:
            bucket.owe(-1.0, self._clock())
            await self._refuse(context, kind, f"too many {what} wait already")
        if seconds:
            await asyncio.sleep(seconds)

    async def _refuse(self, context: Context, kind: str, why: str) -> None:
        """Count, wait, and end the call; never returns."""
        self._count(ProtocolError(kind, why))
        now = self._clock()
        if now - self._logged_at.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged_at[kind] = now
            log.warning("a call is refused", peer=context.peer(), kind=kind, reason=why)
        if self._n_held < MOST_HELD:
            self._n_held += 1
            try:
                await asyncio.sleep(self._limits.tarpit_seconds)
            finally:
                self._n_held -= 1
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{kind}: {why}")


def _guarded(handler: Any, passage: Callable[[Context], Any]) -> Any:
    """The same handler behind a passage, whichever kind it is."""
    codecs = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.response_streaming:
        inner = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def stream(request: Any, context: Context) -> None:
            async with passage(context):
                answers = inner(request, context)
                if not inspect.isasyncgen(answers):
                    await answers
                    return
                async with contextlib.aclosing(answers):
                    async for each in answers:
                        await context.write(each)

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(stream, **codecs)
        return grpc.unary_stream_rpc_method_handler(stream, **codecs)

    async def answer(request: Any, context: Context) -> Any:
        async with passage(context):
            return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(answer, **codecs)
