"""A real master in this process, and a peer that speaks the protocol by hand."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from common.experiment import load_experiment
from common.tls import TlsFiles
from common.tokens import Token
from common.wire import codec, rpc
from common.wire import frames as wire
from common.wire.access import Access
from master.run import Master, MasterOptions
from master.securing import Security

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster


@dataclass
class Running:
    """A master that serves, and its run as a task."""

    master: Master
    task: asyncio.Task[int]

    async def metrics(self) -> str:
        """What /metrics shows."""
        import aiohttp

        url = f"http://{self.master.metrics_address}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    async def metric(self, line: str) -> float:
        """The value of a sample such as ``gradcode_protocol_errors_total{kind="wrong_token"}``."""
        text = await self.metrics()
        for each in text.splitlines():
            if each.startswith(line + " "):
                return float(each.rsplit(" ", 1)[1])
        raise AssertionError(f"no sample {line} in\n{text}")


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """``await start("workers=2", token=...)``: a master in this process, on free ports of 127.0.0.1."""
    running: list[Running] = []

    async def begin(
        *overrides: str, token: str | None = None, tls: TlsFiles | None = None, **more: Any
    ) -> Running:
        experiment = load_experiment(None, ["data.source=synthetic(rows=60, features=4)", *overrides])
        security = more.pop("security", None) or Security(tls=tls, token=token)
        options = MasterOptions(
            "127.0.0.1:0", "127.0.0.1:0", runs=tmp_path / "runs", security=security, **more
        )
        master = Master(experiment, options)
        master.prepare()
        opened = asyncio.Event()
        task = asyncio.create_task(master.run(opened.set))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        running.append(Running(master, task))
        return running[-1]

    yield begin
    for each in running:
        if not each.task.done():
            each.master.interrupt()
        await asyncio.wait_for(each.task, 10)


class Peer:
    """One link, frame by frame; understands just enough to be an honest or a wicked worker."""

    def __init__(self, address: str, token: str | None = None, tls: TlsFiles | None = None) -> None:
        # The last option wins: this peer does not mind how much it sends.
        options = [*rpc.client_options(), ("grpc.max_send_message_length", -1)]
        self.access = Access(tls, None if token is None else Token(token))
        self.channel = self.access.channel(address, options)
        self.call: Any = None
        self.welcome: wire.Welcome
        self.start_round: wire.StartRound
        self.parameters = b""

    async def send(self, frame: wire.Request) -> None:
        await self.write(codec.encode_request(frame))

    async def write(self, raw: bytes) -> None:
        """Bytes that may be no frame; the first ones open the session."""
        if self.call is None:
            metadata = await self.access.metadata(self.channel, rpc.SESSION)
            self.call = rpc.session_method(self.channel)(metadata=metadata)
        await self.call.write(raw)

    async def receive(self, kind: type[Any]) -> Any:
        """The next frame of ``kind``; others are passed over."""
        while True:
            raw = await asyncio.wait_for(self.call.read(), 10)
            if raw is grpc.aio.EOF:
                raise ConnectionError(f"{await self.call.code()}: {await self.call.details()}")
            frame = codec.decode_response(raw)
            if isinstance(frame, wire.ParametersFrame):
                self.parameters = (self.parameters if frame.offset else b"") + bytes(frame.data)
            if isinstance(frame, kind):
                return frame

    async def join(self, name: str, minor: int = wire.PROTOCOL_MINOR) -> wire.Welcome:
        await self.send(wire.Hello(name, "test", protocol_minor=minor))
        self.welcome = await self.receive(wire.Welcome)
        if self.welcome.order is not None:
            await self.send(wire.Ready(self.welcome.incarnation, self.welcome.order.epoch))
        return self.welcome

    async def begin_round(self) -> wire.StartRound:
        self.start_round = await self.receive(wire.StartRound)
        return self.start_round

    async def report(self, chunk: int, **changes: Any) -> None:
        values: dict[str, Any] = {"stamp": self.start_round.stamp, "chunk": chunk, "seconds": 0.01}
        values |= {"loss_sum": 1.0, "rows": 1, "finite": True} | changes
        await self.send(wire.ChunkFinished(**values))

    async def message(self, number: int, values: np.ndarray, **changes: Any) -> None:
        data = values.tobytes()
        frame: dict[str, Any] = {"stamp": self.start_round.stamp, "message": number, "offset": 0}
        frame |= {"total_bytes": len(data), "dtype": "float32", "data": data} | changes
        await self.send(wire.MessageFrame(**frame))

    async def ended(self) -> str:
        """How the master ended this link: its goodbye or its status."""
        try:
            goodbye = await self.receive(wire.Goodbye)
        except (ConnectionError, grpc.aio.AioRpcError) as error:
            return str(error)
        assert isinstance(goodbye, wire.Goodbye)
        return goodbye.reason

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            self.call.cancel()
        await self.channel.close()


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Peer]]:
    """``dial(address)``: a peer, closed at the end."""
    peers: list[Peer] = []

    def connect(address: str, token: str | None = None, tls: TlsFiles | None = None) -> Peer:
        peers.append(Peer(address, token, tls))
        return peers[-1]

    yield connect
    for each in peers:
        await each.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Processes of a master and workers, none of them started yet."""
    made = Cluster(tmp_path)
    yield made
    made.close()
