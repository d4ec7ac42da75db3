"""The gRPC face of the master: turns streams into events for the driver and writes what it queues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog

from common.datasets.base import Dataset
from common.errors import InvalidSpec, ProtocolError
from common.wire import codec, rpc
from common.wire import frames as wire
from master.driver import Driver
from master.fetching import RowServer, refuse_fetch
from master.session import Session

HELLO_SECONDS = 10.0
"""So long a new link may take to say who it is."""

GOODBYE_SECONDS = 2.0
"""So long a closing link may take to read its goodbye."""

log = structlog.get_logger("gradcode.master")
Context = Any


class TrainingFace:
    """``TrainingService`` over a driver.

    Args:
        driver: the run. dataset: whose training rows workers may fetch.
    """

    def __init__(self, driver: Driver, dataset: Dataset) -> None:
        self._driver = driver
        limits = driver.limits
        self._rows = RowServer(dataset, limits.fetched_bytes, limits.patience_seconds)

    async def session(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """One worker's conversation."""
        try:
            hello = await self._hello(requests)
        except ProtocolError as error:
            self._driver.count_error(error)
            wrong_version = error.kind == "wrong_version"
            code = grpc.StatusCode.FAILED_PRECONDITION if wrong_version else grpc.StatusCode.INVALID_ARGUMENT
            await context.abort(code, str(error))
            return
        session = self._driver.open_session(hello.worker_name)
        await self._converse(session, requests, context)

    async def _hello(self, requests: AsyncIterator[bytes]) -> wire.Hello:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                raw = await anext(aiter(requests), b"")
        except TimeoutError:
            raise ProtocolError("too_slow", f"no Hello came within {HELLO_SECONDS:g} s") from None
        hello = codec.decode_hello(raw)
        if not isinstance(hello, wire.Hello):
            raise ProtocolError("wrong_order", "the first frame must be Hello")
        if hello.protocol_major != wire.PROTOCOL_MAJOR:
            theirs, ours = hello.protocol_major, wire.PROTOCOL_MAJOR
            raise ProtocolError("wrong_version", f"the worker speaks protocol {theirs}, the master {ours}")
        return hello

    async def _converse(self, session: Session, requests: AsyncIterator[bytes], context: Context) -> None:
        """Read and write until one side is done."""
        reading = asyncio.create_task(self._read(session, requests))
        writing = asyncio.create_task(self._write(session, context))
        crowding = asyncio.create_task(session.outbox.overfull.wait())
        reason = "the connection ended"
        try:
            await asyncio.wait({reading, writing, crowding}, return_when=asyncio.FIRST_COMPLETED)
            if crowding.done():
                self._driver.refuse(
                    session, ProtocolError("too_slow", "too much waits to be read by this peer")
                )
            if reading.done():
                reason = "the connection broke" if reading.exception() else "the connection ended"
                # A last goodbye may still be on its way out.
                await asyncio.wait({writing}, timeout=GOODBYE_SECONDS if session.outbox.closing else 0)
        except asyncio.CancelledError:
            reason = "the connection was lost"
            raise
        finally:
            for task in (reading, writing, crowding):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            self._driver.close_session(session, reason)

    async def _read(self, session: Session, requests: AsyncIterator[bytes]) -> None:
        try:
            async for raw in requests:
                self._driver.hear(session, codec.decode_request(raw), len(raw))
        except ProtocolError as error:
            self._driver.refuse(session, error)

    async def _write(self, session: Session, context: Context) -> None:
        patience = self._driver.limits.patience_seconds
        while (outgoing := await session.outbox.next()) is not None:
            try:
                # Not wait_for: cancelled at the moment of the write's end, it would go on.
                async with asyncio.timeout(patience):
                    await context.write(outgoing.raw)
            except TimeoutError:
                self._driver.refuse(
                    session, ProtocolError("too_slow", f"a frame was not read within {patience:g} s")
                )
                return
            if outgoing.completes is not None:
                self._driver.written(session, outgoing.completes)

    async def fetch_rows(self, request: bytes, context: Context) -> None:
        """Send the rows of a range."""
        try:
            fetch = codec.decode_fetch(request)
            self._rows.check(fetch, self._driver.run)
            await self._rows.send(fetch, context)
        except ProtocolError as error:
            self._driver.count_error(error)
            await refuse_fetch(error, context)


class TokenCheck(grpc.aio.ServerInterceptor):
    """Refuses calls without the run's token; health checks need none.

    Args:
        token: what every call must carry as ``authorization: Bearer <token>``.
        count: told of every refusal.
    """

    def __init__(self, token: str, count: Callable[[ProtocolError], None]) -> None:
        self._token = token
        self._count = count

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Pass the call on, or answer UNAUTHENTICATED."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith("/grpc.health.v1."):
            return handler
        metadata = handler_call_details.invocation_metadata
        if rpc.authorised(metadata, self._token):
            return handler
        given = any(key == "authorization" for key, _ in metadata or ())
        said = "a wrong token was sent" if given else "no token was sent"
        self._count(ProtocolError("wrong_token", said))
        return _refusal(handler, f"{said}: give the token file of this run")


def _refusal(handler: Any, detail: str) -> Any:
    """A handler of the same kind that only says no."""

    async def refuse(request: Any, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, detail)

    async def refuse_stream(requests: AsyncIterator[bytes], context: Context) -> None:
        # Without reading a frame first, gRPC loses the status now and then, and the peer dials again.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(anext(aiter(requests), b""), HELLO_SECONDS)
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, detail)

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host in ("localhost", "::1") or host.startswith("127.")


async def listen(server: grpc.aio.Server, address: str) -> str:
    """Bind a server's port. Returns the address with the real port.

    Raises:
        InvalidSpec: the port is taken, or the host is not of this machine.
    """
    rpc.parse_address("listen", address)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise InvalidSpec("listen", "must be an address of this machine with a free port", address)
    return f"{address.rpartition(':')[0]}:{port}"
