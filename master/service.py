"""The gRPC face of the master: turns streams into events for the driver and writes what it queues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog

from common.datasets.base import Dataset
from common.errors import InvalidSpec, ProtocolError
from common.wire import codec, rpc
from common.wire import frames as wire
from master.access import Admission
from master.driver import Driver
from master.fetching import RowServer, refuse_fetch
from master.session import Session

HELLO_SECONDS = 10.0
"""So long a new link may take to say who it is."""

GOODBYE_SECONDS = 2.0
"""So long a closing link may take to read its goodbye."""

_CODES = {
    "wrong_version": grpc.StatusCode.FAILED_PRECONDITION,
    "wrong_name": grpc.StatusCode.PERMISSION_DENIED,
}

log = structlog.get_logger("gradcode.master")
Context = Any


class TrainingFace:
    """``TrainingService`` over a driver.

    Args:
        driver: the run. dataset: whose training rows workers may fetch. admission: who may do so.
    """

    def __init__(self, driver: Driver, dataset: Dataset, admission: Admission) -> None:
        self._driver = driver
        self._admission = admission
        limits = driver.limits
        self._rows = RowServer(dataset, limits.fetched_bytes, limits.patience_seconds)

    async def session(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """One worker's conversation."""
        try:
            hello = await self._hello(requests)
            self._admission.check_name(hello.worker_name, context)
        except ProtocolError as error:
            self._driver.count_error(error)
            await context.abort(_CODES.get(error.kind, grpc.StatusCode.INVALID_ARGUMENT), str(error))
            return
        session = self._driver.open_session(hello.worker_name, hello.protocol_minor)
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
        watching = asyncio.create_task(self._watch(session, context))
        crowding = asyncio.create_task(session.outbox.overfull.wait())
        tasks = {reading, writing, watching, crowding}
        reason = "the connection ended"
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
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
            for task in tasks:
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

    async def _watch(self, session: Session, context: Context) -> None:
        try:
            await self._admission.until_void(context)
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
            name = self._admission.fetcher(context)
            if name is not None:
                self._driver.permits.check(name, fetch, self._driver.training.members)
            await self._rows.send(fetch, context)
        except ProtocolError as error:
            self._driver.count_error(error)
            await refuse_fetch(error, context)


async def listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Bind a server's port, with TLS if there are credentials. Returns the address with the real port.

    Raises:
        InvalidSpec: the port is taken, or the host is not of this machine.
    """
    rpc.parse_address("listen", address)
    try:
        port = (
            server.add_insecure_port(address)
            if credentials is None
            else server.add_secure_port(address, credentials)
        )
    except RuntimeError:
        port = 0
    if port == 0:
        raise InvalidSpec("listen", "must be an address of this machine with a free port", address)
    return f"{address.rpartition(':')[0]}:{port}"
