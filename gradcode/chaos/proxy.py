"""A gate: a TCP proxy on one worker's way to the master, through which bytes go as they are told to.

Most of the time a gate only passes bytes on. It can be told to cut its connections, to refuse new ones, to
keep silent (nothing goes through and nothing is closed, as when a cable is pulled), to delay, to be narrow,
and to mangle the next piece that comes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from common.wire.rpc import parse_address
from gradcode.chaos.mangling import mangle

PIECE_BYTES = 64 << 10
LEAST_MANGLED_BYTES = 48
"""Smaller pieces are mostly the transport's own pings, and are left alone."""
CONNECT_SECONDS = 5.0


class Gate:
    """Listens on a free port of 127.0.0.1 and passes everything on to ``target``.

    Args:
        target: HOST:PORT. seed: of where pieces are mangled.

    Attributes:
        address: HOST:PORT of the gate, once it is open.
        n_connections: at present. counts: pieces mangled, by kind.
    """

    def __init__(self, target: str, seed: int) -> None:
        self.address = ""
        self.counts: Counter[str] = Counter()
        self._target = parse_address("target", target)
        self._rng = random.Random(seed)
        self._writers: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._mangles: dict[bool, list[tuple[str, asyncio.Event]]] = {True: [], False: []}
        self._refuses = False
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._delay_seconds = 0.0
        self._bytes_per_second: float | None = None
        self._server: asyncio.Server

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        """Stop listening and end all connections."""
        self._server.close()
        tasks = list(self._writers)
        self.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def n_connections(self) -> int:
        """Connections at present."""
        return len(self._writers)

    # ---- what it can be told ----------------------------------------------------------------------------

    def cut(self) -> None:
        """End all connections at once, without a word (RST)."""
        for writers in list(self._writers.values()):
            for writer in writers:
                writer.transport.abort()

    def refuse(self, refuses: bool) -> None:
        """Whether new connections are ended at once."""
        self._refuses = refuses

    def keep_silent(self, silent: bool) -> None:
        """Whether nothing goes through, while connections stay open and new ones are accepted."""
        if silent:
            self._speaks.clear()
        else:
            self._speaks.set()

    def delay(self, seconds: float) -> None:
        """How much later every piece goes on; 0 for at once."""
        self._delay_seconds = seconds

    def narrow(self, bytes_per_second: float | None) -> None:
        """How many bytes a second go through in each direction; None for as many as come."""
        self._bytes_per_second = bytes_per_second

    def mangle_next(self, kind: str, upwards: bool) -> asyncio.Event:
        """Mangle the next piece to the target, or from it; the event says that it is done."""
        done = asyncio.Event()
        self._mangles[upwards].append((kind, done))
        return done

    def forget_mangles(self) -> None:
        """What has not come to be mangled yet goes through as it is."""
        for waiting in self._mangles.values():
            waiting.clear()

    # ---- passing on -------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers = self._writers[task] = [writer]
        try:
            if self._refuses:
                return
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, far_writer, upwards=True))
                both.create_task(self._pass_on(far_reader, writer, upwards=False))
        except* (OSError, TimeoutError, _Ended):
            pass  # one side is gone, so the other must be too
        finally:
            for each in writers:
                each.transport.abort()
            del self._writers[task]

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upwards: bool
    ) -> None:
        while piece := await reader.read(PIECE_BYTES):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._speaks.wait()
            kind, passed = self._mangled(piece, upwards)
            writer.write(passed)
            await writer.drain()
            if kind == "truncate":
                # What was written shall arrive before the connection ends.
                with contextlib.suppress(OSError):
                    writer.write_eof()
                raise _Ended
            if self._bytes_per_second:
                await asyncio.sleep(len(piece) / self._bytes_per_second)
        raise _Ended

    def _mangled(self, piece: bytes, upwards: bool) -> tuple[str, bytes]:
        waiting = self._mangles[upwards]
        if not waiting or len(piece) < LEAST_MANGLED_BYTES:
            return "", piece
        kind, done = waiting[0]
        mangled = mangle(kind, piece, self._rng)
        if mangled == piece:
            return "", piece
        waiting.pop(0)
        done.set()
        self.counts[kind] += 1
        return kind, mangled


class _Ended(Exception):
    """One direction has ended."""
