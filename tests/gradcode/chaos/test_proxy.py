"""A gate passes bytes on, and does to them what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from gradcode.chaos.mangling import MANGLES
from gradcode.chaos.proxy import Gate

PIECE = bytes(range(200))


class Echo:
    """A server that sends back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.got = b""
        self.address = ""

    async def serve(self) -> None:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def _accept(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                self.got += piece
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    await made.serve()
    yield made
    made.server.close()


@pytest.fixture
async def gate(echo) -> AsyncIterator[Gate]:
    made = Gate(echo.address, seed=1)
    await made.open()
    yield made
    await made.close()


async def dial(gate: Gate):
    host, _, port = gate.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def ended(reader) -> bool:
    """Whether the other side ends the connection, in one way or another."""
    try:
        async with asyncio.timeout(5):
            while await reader.read(65536):
                pass
    except ConnectionError:
        return True
    return True


async def test_bytes_go_there_and_back(gate, echo):
    reader, writer = await dial(gate)
    for _ in range(3):
        writer.write(PIECE)
        assert await reader.readexactly(len(PIECE)) == PIECE
    assert echo.got == 3 * PIECE
    assert gate.n_connections == 1
    writer.close()
    async with asyncio.timeout(5):
        while gate.n_connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", [kind for kind in MANGLES if kind != "lengthen"])
@pytest.mark.parametrize("upwards", [True, False])
async def test_one_piece_is_mangled_in_one_direction(gate, echo, kind, upwards):
    reader, writer = await dial(gate)
    writer.write(PIECE)
    await reader.readexactly(len(PIECE))
    done = gate.mangle_next(kind, upwards)
    writer.write(PIECE)
    async with asyncio.timeout(5):
        await done.wait()
    assert gate.counts == {kind: 1}
    if kind == "truncate":
        assert await ended(reader)
    else:
        # What comes after it is whole again.
        writer.write(b"THE END" * 10)
        async with asyncio.timeout(5):
            back = await reader.readuntil(b"THE END" * 10)
        assert back != PIECE + b"THE END" * 10
        assert (echo.got[len(PIECE) :] == PIECE + b"THE END" * 10) == (not upwards)


async def test_small_pieces_are_not_mangled_and_a_mangle_can_be_forgotten(gate, echo):
    reader, writer = await dial(gate)
    done = gate.mangle_next("drop", upwards=True)
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"
    gate.forget_mangles()
    writer.write(PIECE)
    assert await reader.readexactly(len(PIECE)) == PIECE
    assert not done.is_set()


async def test_a_cut_ends_connections_and_lets_new_ones_come(gate, echo):
    reader, _ = await dial(gate)
    while not gate.n_connections:
        await asyncio.sleep(0)
    gate.cut()
    assert await ended(reader)
    again, writer = await dial(gate)
    writer.write(PIECE)
    assert await again.readexactly(len(PIECE)) == PIECE


async def test_while_it_refuses_nobody_gets_through(gate, echo):
    gate.refuse(True)
    with contextlib.suppress(ConnectionError):
        reader, writer = await dial(gate)
        writer.write(PIECE)
        assert await ended(reader)
    assert echo.got == b""
    gate.refuse(False)
    reader, writer = await dial(gate)
    writer.write(PIECE)
    assert await reader.readexactly(len(PIECE)) == PIECE


async def test_silence_holds_bytes_back_and_nothing_is_lost(gate, echo):
    reader, writer = await dial(gate)
    gate.keep_silent(True)
    writer.write(PIECE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.read(1)
    assert echo.got == b""
    gate.keep_silent(False)
    assert await reader.readexactly(len(PIECE)) == PIECE


async def test_a_delay_and_a_narrow_way_take_their_time(gate, echo):
    reader, writer = await dial(gate)
    gate.delay(0.05)
    began = time.monotonic()
    writer.write(PIECE)
    await reader.readexactly(len(PIECE))
    assert time.monotonic() - began >= 0.1, "there and back"
    gate.delay(0.0)
    gate.narrow(2000.0)
    began = time.monotonic()
    for _ in range(3):
        writer.write(PIECE)
        await reader.readexactly(len(PIECE))
    assert time.monotonic() - began >= 0.2, "the third piece waits for two of 0.1 s"


async def test_without_a_target_connections_end(gate, echo):
    echo.server.close()
    await echo.server.wait_closed()
    reader, _ = await dial(gate)
    assert await ended(reader)
