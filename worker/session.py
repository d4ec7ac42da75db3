"""One link to the master: the worker's side of the conversation, from Hello to Goodbye.

The rules of the conversation are at the head of protos/gradcode/v1/training.proto.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from common.errors import InvalidSpec, ProtocolError
from common.wire import codec
from common.wire import frames as wire
from common.wire.access import Access
from common.wire.rpc import SESSION, session_method
from worker.ahead import load_ahead
from worker.endings import Ended, closed
from worker.injected import Fate, OwnProcess, Victim
from worker.liveness import Liveness
from worker.logs import WorkerLog
from worker.memory import has_room, require_room
from worker.metrics import WorkerMetrics
from worker.outbox import Outbox, Pending
from worker.rows import fetch
from worker.rowstore import RowStore
from worker.seat import Seat
from worker.silence import Silence

DRAIN_SECONDS = 5.0
"""So long a worker that was asked to leave goes on at most, if its master does not let it go before."""
GOODBYE_SECONDS = 1.0
"""How long the last frame may take to reach the master."""
DIED = 128 + 9
"""Exit code of a worker that an injected death ended: what a shell shows for SIGKILL."""


@dataclass
class Memory:
    """What a worker keeps from one link to the next.

    Attributes:
        name: the worker's. package_version: of this installation. access: what it shows a master.
        own_process: whether injected freezes and deaths may befall the whole process.
        state: what the worker does, in a word. n_links: how many links brought a Welcome.
        log: where this worker's lines go, bound to run and round.
    """

    name: str
    package_version: str
    access: Access
    metrics: WorkerMetrics
    own_process: bool
    store: RowStore = field(default_factory=RowStore)
    fate: Fate = field(default_factory=Fate)
    state: str = "dialing"
    n_links: int = 0
    log: WorkerLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = WorkerLog(self.name)

    def forget(self) -> None:
        """Be as a worker that has just been started."""
        self.store, self.fate, self.n_links = RowStore(), Fate(), 0


class Session:
    """Talks over one link.

    Args:
        channel: connected to the master.
        kept: what this worker keeps from link to link.
        leaving: set when the worker was asked to leave.

    Attributes:
        welcomed: whether a Welcome came.
    """

    def __init__(self, channel: grpc.aio.Channel, kept: Memory, leaving: asyncio.Event) -> None:
        self.welcomed = False
        self._channel = channel
        self._kept = kept
        self._metrics = kept.metrics
        self._leaving = leaving
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Ended] = self._loop.create_future()
        self._farewell: Ended | None = None
        self._draining = False
        self._renewing = False
        self._awake = asyncio.Event()
        self._awake.set()
        self._outbox = Outbox(self._build)
        self._liveness = Liveness(
            self._awake,
            say_alive=lambda: self._outbox.put(wire.Alive()),
            give_up=lambda: self._end(Ended("nothing comes through any more")),
            expected_bytes=self._expected_bytes,
        )
        self._loading: asyncio.Task[None] | None = None
        self._seat: Seat | None = None
        # Typed loosely: the stubs know no stream of bytes whose ends are read and written one by one.
        self._call: Any = None  # from the first frame on
        self._hears: dict[type, Callable[[Any], None]] = {
            wire.Welcome: self._hear_welcome,
            wire.Drain: lambda _: self._drain("the master asked it to leave"),
            wire.Alive: lambda _: None,
            wire.Goodbye: lambda frame: self._end(Ended(f"goodbye: {frame.reason}", frame.retry)),
            wire.Prefetch: self._hear_prefetch,
            wire.StopRound: self._hear_stop,
            wire.StartRound: self._hear_start,
            wire.ParametersFrame: self._for_seat(Seat.take_parameters),
            wire.NextChunk: self._for_seat(Seat.next_chunk),
            wire.Collect: self._for_seat(Seat.collect),
            wire.AskPartialSum: self._for_seat(Seat.tell_partial_sum),
        }

    async def talk(self) -> Ended:
        """Say Hello and go on until the link ends; returns how it did.

        Raises:
            Exception: whatever the compute thread could not cope with.
        """
        self._outbox.put(wire.Hello(self._kept.name, self._kept.package_version))
        try:
            metadata = await self._kept.access.metadata(self._channel, SESSION)
        except grpc.aio.AioRpcError as error:
            return self._closed(error.code(), error.details())
        self._call = session_method(self._channel)(metadata=metadata)
        doing = (self._read(), self._write(), self._watch_leaving(), self._liveness.watch())
        tasks = [asyncio.create_task(each) for each in doing]
        try:
            return await self._ended
        finally:
            self._leave_seat()
            self._call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._metrics.linked.set(0)

    @property
    def queue_length(self) -> int:
        """Chunks that wait."""
        return 0 if self._seat is None else self._seat.queue_length

    @property
    def in_round(self) -> bool:
        """Whether a round was started and not stopped."""
        return self._seat is not None and self._seat.in_round

    def _expected_bytes(self) -> int:
        """Most that the frame under way to this worker may have, or the rows."""
        is_loading = self._loading is not None and not self._loading.done()
        return wire.MAX_FRAME_BYTES if is_loading else (self._seat.awaited_bytes if self._seat else 0)

    # ---- reading, writing, ending -----------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while (raw := await self._call.read()) is not grpc.aio.EOF:
                await self._awake.wait()
                self._liveness.heard()
                self._metrics.receive_bytes.inc(len(raw))
                if self._farewell is None:
                    self._hear(raw)
            self._end(self._closed(await self._call.code(), await self._call.details()))
        except grpc.aio.AioRpcError as error:
            self._end(self._closed(error.code(), error.details()))
        except Exception as error:
            self._fail(error)

    def _hear(self, raw: bytes) -> None:
        try:
            frame = (codec.decode_response if self.welcomed else codec.decode_welcome)(raw)
            self._hears[type(frame)](frame)
        except ProtocolError as error:
            self._protest(error)

    async def _write(self) -> None:
        try:
            while (raw := await self._next()) is not None:
                await self._awake.wait()
                begun = self._loop.time()
                await self._call.write(raw)
                self._metrics.send_seconds.observe(self._loop.time() - begun)
                self._metrics.send_bytes.inc(len(raw))
                self._liveness.sent(len(raw))
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader hears of it too, and of the reason
        except Exception as error:
            self._fail(error)

    async def _next(self) -> bytes | None:
        try:
            return await self._outbox.next()
        except ProtocolError as error:
            self._protest(error)
            return await self._outbox.next()

    async def _build(self, pending: Pending) -> memoryview:
        assert self._seat is not None
        return await self._seat.build(pending)

    def _closed(self, code: grpc.StatusCode, details: str | None) -> Ended:
        return closed(code, details, self.welcomed, self._kept.n_links > 0)

    def _end(self, ended: Ended) -> None:
        if not self._ended.done():
            self._ended.set_result(self._farewell or ended)

    def _fail(self, error: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)

    def _leave(self, goodbye: wire.Goodbye, farewell: Ended) -> None:
        """Say goodbye; the link ends when the master has heard it, or a little later."""
        if self._farewell is None:
            self._farewell = farewell
            self._leave_seat()
            self._outbox.close(goodbye)
            self._loop.call_later(GOODBYE_SECONDS, self._end, farewell)

    def _protest(self, error: ProtocolError) -> None:
        """The master broke the protocol: leave, and try again with a new link unless it is too old."""
        self._metrics.protocol_errors.inc()
        if error.kind == "wrong_version":
            self._refuse(error.detail)
            return
        reason = f"the master broke the protocol: {error}"
        self._leave(wire.Goodbye(reason, retry=True), Ended(reason))

    def _refuse(self, reason: str) -> None:
        """The work cannot be done here: leave for good."""
        self._leave(wire.Goodbye(reason), Ended(reason, again=False, exit_code=2))

    def _leave_seat(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        if self._seat is not None:
            self._seat.close()
            self._seat = None

    # ---- leaving in peace -------------------------------------------------------------------------------

    async def _watch_leaving(self) -> None:
        await self._leaving.wait()
        self._drain("it was asked to leave")

    def _drain(self, reason: str) -> None:
        """Tell the master, and go on until it says goodbye: only it knows which round is the last one."""
        if self._draining:
            return
        self._draining = True
        has_place = self._kept.state in ("loading", "ready")
        self._kept.state = "draining"
        if has_place:
            self._outbox.put(wire.Drain())
            self._loop.call_later(DRAIN_SECONDS, self._drained, reason)
        else:
            self._drained(reason)

    def _drained(self, reason: str) -> None:
        self._leave(wire.Goodbye(reason), Ended(reason, again=False))

    def renew(self) -> None:
        """Leave and come back with new certificates, as soon as no round is in hand."""
        self._renewing = True
        if not self.in_round and not self._draining:
            self._renewed()

    def _renewed(self) -> None:
        reason = "its certificates have changed"
        self._leave(wire.Goodbye(reason, retry=True), Ended(reason, at_once=True))

    # ---- frames -----------------------------------------------------------------------------------------

    def _hear_welcome(self, frame: wire.Welcome) -> None:
        if frame.protocol_major != wire.PROTOCOL_MAJOR:
            theirs, ours = frame.protocol_major, wire.PROTOCOL_MAJOR
            self._refuse(f"the master speaks protocol {theirs}, this worker speaks {ours}")
            return
        self._leave_seat()
        log = self._kept.log
        log.bind(run=frame.run, place=frame.place, round=None)
        if not self.welcomed:
            self.welcomed = True
            self._metrics.linked.set(1)
            self._metrics.reconnects.inc(1 if self._kept.n_links else 0)
            self._kept.n_links += 1
        if frame.order is None:
            self._kept.state = "spare"
            log.info("linked to run %s (%s), waiting for a place", frame.run, frame.run_name)
        else:
            self._kept.state = "loading"
            log.info("linked to run %s (%s) on place %s", frame.run, frame.run_name, frame.place)
            self._loading = self._loop.create_task(self._load(frame, frame.order))

    def _hear_prefetch(self, frame: wire.Prefetch) -> None:
        """A newer one replaces the one before; who has a place or is about to needs none."""
        if self._kept.state == "spare":
            self._leave_seat()
            self._loading = self._loop.create_task(self._prepare(frame))

    async def _prepare(self, frame: wire.Prefetch) -> None:
        try:
            kept = self._kept
            ended = await load_ahead(
                self._channel, kept.access, kept.name, frame, kept.store, self._count_rows
            )
            if ended:
                kept.log.info("%s", ended)
        except ProtocolError as error:
            self._protest(error)
        except Exception as error:
            self._fail(error)

    def _count_rows(self, n_rows: int) -> None:
        self._metrics.fetched_ranges.inc()
        self._metrics.fetched_rows.inc(n_rows)

    async def _load(self, welcome: wire.Welcome, order: wire.WorkOrder) -> None:
        """Get the rows of a place, and be ready."""
        try:
            kept, store, dtype = self._kept, self._kept.store, order.compute_dtype
            missing = store.missing(order.data, dtype)
            if not has_room(order, missing):
                store.forget_all_but(order.data)
            require_room(welcome, order, missing)
            for each in missing:
                rows = await fetch(self._channel, kept.access, kept.name, welcome.run, order.data, each)
                self._count_rows(each.end - each.begin)
                store.put(order.data, each, dtype, rows)
            if missing:
                n_rows = sum(each.end - each.begin for each in missing)
                self._kept.log.info("fetched %d rows for place %s", n_rows, welcome.place)
            rows_of = store.rows_of(order.data, dtype)
            victim: Victim = (
                OwnProcess(self._kept.log, lambda: self._draining)
                if self._kept.own_process
                else Silence(self)
            )
            self._seat = Seat(
                welcome, rows_of, self._outbox, self._metrics, self._kept.fate, victim, self._fail
            )
        except ProtocolError as error:
            self._protest(error)
        except InvalidSpec as error:
            self._refuse(str(error))
        except grpc.aio.AioRpcError as error:
            reason = f"the rows did not come: {error.details()}"
            self._leave(wire.Goodbye(reason, retry=True), Ended(reason))
        except Exception as error:
            self._fail(error)
        else:
            if not self._draining:
                self._kept.state = "ready"
            self._outbox.put(wire.Ready(welcome.incarnation, order.epoch))

    def _for_seat(self, obey: Callable[[Seat, Any], None]) -> Callable[[Any], None]:
        """Hand a frame of a round to the seat; without one it is stale."""

        def hear(frame: Any) -> None:
            if self._seat is None:
                self._metrics.stale_frames.inc()
            else:
                obey(self._seat, frame)

        return hear

    def _hear_start(self, frame: wire.StartRound) -> None:
        self._kept.log.bind(round=frame.stamp.round)
        self._for_seat(Seat.start)(frame)

    def _hear_stop(self, frame: wire.StopRound) -> None:
        self._for_seat(Seat.stop)(frame)
        if self._renewing and not self.in_round and not self._draining:
            self._renewed()

    # ---- injected interruptions of a worker that shares its process --------------------------------------

    def fall_silent(self) -> None:
        """Neither read nor write."""
        self._awake.clear()

    def wake_up(self) -> None:
        """Read and write again."""
        self._awake.set()

    def die(self, for_seconds: float) -> None:
        """End without a word, for ever if ``for_seconds`` is 0 or the worker was asked to leave."""
        self._farewell = None
        again = for_seconds > 0.0 and not self._draining
        self._end(Ended("an injected death", again, DIED, for_seconds if again else 0.0))
