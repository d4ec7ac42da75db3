"""What a worker does on the place that one Welcome gave it: rounds, from their start to their stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import ProtocolError
from common.wire import frames as wire
from common.wire.checks import require
from common.wire.pieces import Assembler, array_bytes_of
from worker.engine import Engine, Report
from worker.injected import Fate, RunClock, Victim
from worker.metrics import WorkerMetrics
from worker.outbox import Outbox, Pending
from worker.rowstore import Rows

_BRIEF_WORK = 200_000  # so many numbers are added up sooner than another thread would begin to


class Seat:
    """Obeys the frames of rounds. Everything but the computing runs in the event loop.

    Args:
        welcome: with place and order.
        rows: for each chunk of the order its rows.
        outbox: where reports and messages go.
        metrics: where counts go.
        fate, victim: what injected interruptions have done, and what they befall.
        failed: called in the event loop when the compute thread ends with an exception.

    Raises:
        InvalidSpec: the order's model is not known here.
    """

    def __init__(
        self,
        welcome: wire.Welcome,
        rows: Mapping[int, Rows],
        outbox: Outbox,
        metrics: WorkerMetrics,
        fate: Fate,
        victim: Victim,
        failed: Callable[[BaseException], None],
    ) -> None:
        assert welcome.place is not None
        assert welcome.order is not None
        self._welcome = welcome
        self._order = order = welcome.order
        self._held = frozenset(each.chunk for each in order.data.ranges)
        self._messages = {each.number: each.terms for each in order.messages}
        self._outbox = outbox
        self._metrics = metrics
        self._fate = fate
        self._round: wire.Stamp | None = None
        self._last_round = -1
        self._heard, self._heard_at = 0, 0.0
        self._assembler: Assembler | None = None
        self._closed = False
        loop = asyncio.get_running_loop()
        self._engine = Engine(
            order,
            welcome.place,
            rows,
            fate,
            victim,
            report=lambda report: _soon(loop, self._finished, report),
            failed=lambda error: _soon(loop, failed, error),
        )

    @property
    def in_round(self) -> bool:
        """Whether a round was started and not stopped."""
        return self._round is not None

    @property
    def awaited_bytes(self) -> int:
        """Bytes of the frame of parameters that is under way, at most."""
        missing = 0 if self._assembler is None else self._assembler.total_bytes - self._assembler.received
        return min(missing, wire.MAX_FRAME_BYTES)

    @property
    def queue_length(self) -> int:
        """Chunks that wait."""
        return self._engine.queue_length

    def close(self) -> None:
        """The place is left: nothing is computed, reported or sent any more."""
        self._closed = True
        self._round = None
        self._outbox.drop_messages()
        self._engine.close()

    # ---- frames of rounds -------------------------------------------------------------------------------

    def start(self, frame: wire.StartRound) -> None:
        """A newer round replaces the one in hand."""
        stamp, welcome = frame.stamp, self._welcome
        ours = (stamp.run, stamp.epoch, stamp.incarnation)
        if ours != (welcome.run, self._order.epoch, welcome.incarnation) or stamp.round <= self._last_round:
            self._metrics.stale_frames.inc()
            return
        dtype = self._order.wire_dtype
        expected = array_bytes_of(self._order.n_parameters, dtype)
        require(frame.dtype == dtype, "wrong_dtype", f"parameters of {frame.dtype}, not {dtype}")
        require(
            frame.total_bytes == expected,
            "wrong_length",
            f"parameters of {frame.total_bytes} bytes, not {expected}",
        )
        self._assembler = Assembler(expected, dtype)
        self._outbox.drop_messages()
        self._round = stamp
        self._last_round = stamp.round
        self._heard, self._heard_at = 0, time.monotonic()
        self._fate.began(stamp.run, frame.run_seconds)
        self._engine.begin(stamp, RunClock(frame.run_seconds, time.monotonic()))

    def take_parameters(self, frame: wire.ParametersFrame) -> None:
        """A piece of the parameters; with the last one, computing starts."""
        # The same bytes serve every link, so the incarnation says nothing.
        stamp, current = frame.stamp, self._round
        if (
            current is None
            or self._assembler is None
            or (stamp.run, stamp.epoch, stamp.round) != (current.run, current.epoch, current.round)
            or stamp.incarnation not in (0, current.incarnation)
        ):
            self._metrics.stale_frames.inc()
        elif self._assembler.add(frame):
            self._engine.give(self._assembler.array_bytes)
            self._assembler = None

    def next_chunk(self, frame: wire.NextChunk) -> None:
        """These chunks wait instead."""
        if self._is_current(frame.stamp):
            self._require_held(frame.chunks)
            self._heard, self._heard_at = self._heard + 1, time.monotonic()
            self._engine.replace_queue(frame.chunks)

    def collect(self, frame: wire.Collect) -> None:
        """A message of finished chunks is asked for."""
        if self._is_current(frame.stamp):
            self._require_possible(frame.terms, frame.n_parts)
            self._send(frame.request, frame.terms, frame.n_parts)

    def tell_partial_sum(self, frame: wire.AskPartialSum) -> None:
        """One number of a message of finished chunks is asked for."""
        if self._is_current(frame.stamp):
            self._require_possible(frame.terms, frame.n_parts)
            value = self._engine.partial_sum(frame.terms, frame.index, frame.n_parts)
            self._outbox.put(wire.PartialSum(frame.stamp, frame.number, value))

    def stop(self, frame: wire.StopRound) -> None:
        """The round is over."""
        if self._is_current(frame.stamp):
            self._round = None
            self._assembler = None
            self._outbox.drop_messages()
            self._engine.stop()

    def _is_current(self, stamp: wire.Stamp) -> bool:
        if stamp == self._round:
            return True
        self._metrics.stale_frames.inc()
        return False

    def _require_possible(self, terms: wire.Terms, n_parts: int) -> None:
        self._require_held(terms.chunks)
        most = self._order.n_parts
        require(n_parts <= most, "bad_terms", f"{n_parts} parts, at most {most}")

    def _require_held(self, chunks: tuple[int, ...]) -> None:
        foreign = [chunk for chunk in chunks if chunk not in self._held]
        if foreign:
            raise ProtocolError("foreign_chunk", f"chunk {foreign[0]} is not on place {self._welcome.place}")

    # ---- what is sent -----------------------------------------------------------------------------------

    def _finished(self, report: Report) -> None:
        if self._closed:
            return
        result = report.result
        self._metrics.chunks.inc()
        self._metrics.chunk_seconds.observe(report.seconds)
        self._metrics.queue_seconds.observe(report.waited_seconds)
        heard_seconds = time.monotonic() - self._heard_at
        frame = wire.ChunkFinished(
            stamp=report.stamp,
            chunk=report.chunk,
            seconds=report.seconds,
            loss_sum=result.loss,
            rows=result.rows,
            finite=result.finite,
            heard=self._heard,
            heard_seconds=heard_seconds,
            digest=result.digest,
        )
        self._outbox.put(frame)
        if report.late:
            self._metrics.late_chunks.inc()
        elif report.stamp == self._round:
            for number in report.due:
                self._send(number, self._messages[number])

    def _send(self, number: int, terms: wire.Terms, n_parts: int = 0) -> None:
        assert self._round is not None
        order = self._order
        pending = Pending(self._round, number, terms, n_parts, order.wire_dtype, order.max_frame_bytes)
        self._outbox.put_message(pending)

    async def build(self, pending: Pending) -> memoryview:
        """Add up a message.

        Raises:
            ProtocolError: its terms are not finished, or not possible.
        """
        begun = time.monotonic()
        if self._engine.work_of(pending.terms) <= _BRIEF_WORK:
            array_bytes = self._engine.combine(pending.terms, pending.n_parts)
        else:
            array_bytes = await asyncio.to_thread(self._engine.combine, pending.terms, pending.n_parts)
        self._metrics.messages.inc()
        self._metrics.encode_seconds.observe(time.monotonic() - begun)
        return array_bytes


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[Any], None], value: Any) -> None:
    """Have the event loop make a call; it may be gone already when a process ends."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, value)
