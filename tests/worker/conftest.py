"""A scripted master: real gRPC, and the test says what it sends."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from common.errors import ProtocolError
from common.models import ModelShape, make_model
from common.tokens import Token
from common.wire import codec
from common.wire import frames as wire
from common.wire.access import Access, Challenges, access_handler
from common.wire.pieces import Assembler, split_frames
from common.wire.rows import pack_rows
from common.wire.rpc import FETCH_ROWS, SESSION, server_options, training_handler
from worker.service import Worker

SHAPE = ModelShape("linear", n_features=3, n_outputs=1, intercept=True)
MODEL = make_model(SHAPE)
ROWS_PER_CHUNK = 5


class Data:
    """Rows of 6 chunks."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        self.X = random.normal(size=(30, 3))
        self.y = random.normal(size=30)

    def of(self, chunk: int) -> tuple[Any, Any]:
        rows = slice(ROWS_PER_CHUNK * chunk, ROWS_PER_CHUNK * (chunk + 1))
        return self.X[rows], self.y[rows]

    def gradient(self, chunk: int, parameters: Any) -> Any:
        return MODEL.loss_and_gradient(parameters, *self.of(chunk))[1]


class Link:
    """The master's end of one link."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.stamp = wire.Stamp("run", 1, 0, 1)

    async def send(self, *frames: wire.Response) -> None:
        for frame in frames:
            await self.context.write(codec.encode_response(frame))

    async def hear(self, kind: Any = None, seconds: float = 5.0) -> Any:
        """The next frame, which must be of ``kind``; None when the worker ended the stream."""
        async with asyncio.timeout(seconds):
            frame = await self.inbox.get()
        assert kind is None or isinstance(frame, kind), frame
        return frame

    async def hear_nothing(self, seconds: float = 0.1) -> None:
        await asyncio.sleep(seconds)
        assert self.inbox.empty(), self.inbox.get_nowait()

    async def hear_message(self) -> tuple[int, Any]:
        """Number and content of the next message, which must come next."""
        reports, messages, _ = await self.hear_work(0, 1)
        assert reports == []
        return next(iter(messages.items()))

    async def hear_work(self, n_reports: int, n_messages: int) -> tuple[list[Any], dict[int, Any], list[Any]]:
        """So many chunk reports, the numbers of so many messages, and in which order they came.

        Small frames may come between those of a message, so both are picked from one stream.
        """
        reports: list[Any] = []
        messages: dict[int, Any] = {}
        order: list[Any] = []
        assembler: Assembler | None = None
        while len(reports) < n_reports or len(messages) < n_messages:
            frame = await self.hear(wire.ChunkFinished | wire.MessageFrame)
            if isinstance(frame, wire.ChunkFinished):
                reports.append(frame)
                order.append(("chunk", frame.chunk))
                continue
            assembler = assembler or Assembler(frame.total_bytes, frame.dtype)
            if assembler.add(frame):
                messages[frame.message] = np.frombuffer(assembler.array_bytes, np.dtype(frame.dtype))
                order.append(("message", frame.message))
                assembler = None
        return reports, messages, order

    async def welcome(self, order: wire.WorkOrder, place: int = 0, incarnation: int = 1) -> None:
        """Give a place, and wait until the worker is ready."""
        self.stamp = wire.Stamp("run", order.epoch, 0, incarnation)
        await self.send(wire.Welcome("run", "test", incarnation, place, order))
        assert await self.hear(wire.Ready) == wire.Ready(incarnation, order.epoch)

    def at(self, number: int) -> wire.Stamp:
        return dataclasses.replace(self.stamp, round=number)

    async def start(self, number: int, parameters: Any, run_seconds: float = 0.0) -> wire.Stamp:
        """A round with its parameters, float32, in frames of 8 bytes."""
        stamp = self.at(number)
        raw = np.asarray(parameters, "<f4").tobytes()
        await self.send(wire.StartRound(stamp, run_seconds, len(raw), "float32"))
        shared = dataclasses.replace(stamp, incarnation=0)
        for offset, piece in split_frames(raw, max(8, len(raw) // 4)):
            await self.send(wire.ParametersFrame(shared, offset, len(raw), "float32", piece))
        return stamp


def access_with(token: str | None) -> Access:
    return Access(token=None if token is None else Token(token))


class Master:
    """Serves links until it is stopped."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.challenges = Challenges()
        self.data = Data()
        self.sparse = False
        self.answers = True
        self.port = 0
        self.links: asyncio.Queue[Link] = asyncio.Queue()
        self.fetched: list[tuple[int, int]] = []
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.spoil = lambda frame: frame
        self._server: Any = None
        self._workers: list[asyncio.Task[int]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self) -> None:
        self._server = grpc.aio.server(options=server_options())
        training = training_handler(self._session, self._fetch)
        self._server.add_generic_rpc_handlers((access_handler(self.challenges), training))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def work(self, **options: Any) -> tuple[Worker, asyncio.Task[int]]:
        """A worker in this process, running."""
        worker = Worker(self.address, options.pop("name", "w"), access=access_with(self.token), **options)
        task = asyncio.create_task(worker.run())
        self._workers.append(task)
        return worker, task

    async def link(self) -> Link:
        """The next link, after its Hello."""
        async with asyncio.timeout(10):
            link = await self.links.get()
        hello = await link.hear(wire.Hello)
        assert (hello.protocol_major, hello.protocol_minor) == (wire.PROTOCOL_MAJOR, wire.PROTOCOL_MINOR)
        link.hello = hello
        return link

    def order(self, chunks: tuple[int, ...] = (0, 1, 2), **changes: Any) -> wire.WorkOrder:
        """A work order on request for some chunks."""
        ranges = tuple(
            wire.RowRange(chunk, ROWS_PER_CHUNK * chunk, ROWS_PER_CHUNK * (chunk + 1)) for chunk in chunks
        )
        data = wire.DataOrder("digest", 3, self.sparse, ranges)
        plain = wire.WorkOrder(1, "code", SHAPE, SHAPE.n_parameters, 1, data, (), True, max_frame_bytes=8)
        return dataclasses.replace(plain, **changes)

    def fixed(self, *terms: list[tuple[int, int, float]], **changes: Any) -> wire.WorkOrder:
        """A work order with messages 10, 11, ... of these terms."""
        orders = tuple(wire.MessageOrder(10 + n, wire.Terms.of(each)) for n, each in enumerate(terms))
        return self.order(messages=orders, on_request=False, **changes)

    async def _session(self, requests: AsyncIterator[bytes], context: Any) -> None:
        hello = codec.decode_request(await anext(requests))
        if self.refusal is not None:
            await context.abort(*self.refusal)
        await self._check_token(SESSION, context)
        link = Link(context)
        link.inbox.put_nowait(hello)
        self.links.put_nowait(link)

        async def read() -> None:
            async for raw in requests:
                frame = codec.decode_request(raw)
                if not isinstance(frame, wire.Alive):
                    link.inbox.put_nowait(frame)
                elif self.answers:
                    await link.send(frame)
            link.inbox.put_nowait(None)

        reading = asyncio.create_task(read())
        ended = asyncio.create_task(link.ended.wait())
        try:
            await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            ended.cancel()
            link.inbox.put_nowait(None)

    async def _check_token(self, method: str, context: Any) -> None:
        if self.token is None:
            return
        try:
            self.challenges.check(context.invocation_metadata(), method, [self.token])
        except ProtocolError:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong token")

    async def _fetch(self, raw: bytes, context: Any) -> AsyncIterator[bytes]:
        await self._check_token(FETCH_ROWS, context)
        request = codec.decode_fetch(raw)
        assert (request.run, request.digest) == ("run", "digest")
        self.fetched.append((request.begin, request.end))
        X, y = self.data.X[request.begin : request.end], self.data.y[request.begin : request.end]
        if self.sparse:
            from scipy.sparse import csr_matrix

            X = csr_matrix(X)
        header, payload = pack_rows(X, y)
        yield codec.encode_fetch_response(self.spoil(header))
        for _, piece in split_frames(payload, max(100, len(payload) // 20)):
            yield codec.encode_fetch_response(wire.RowsData(piece))

    async def close(self) -> None:
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self.stop()


@pytest.fixture
async def master() -> AsyncIterator[Master]:
    serving = Master()
    await serving.serve()
    yield serving
    await serving.close()


@pytest.fixture
async def guarded() -> AsyncIterator[Master]:
    """A master with a token."""
    serving = Master(token="secret")
    await serving.serve()
    yield serving
    await serving.close()
