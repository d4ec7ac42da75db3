"""Carries out what the pure core decides: owns clock, timers, payloads, the arithmetic thread, the folder."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import structlog

from common.errors import ProtocolError
from common.folder import RunFolder
from common.history import RoundRecord
from common.wire import codec
from common.wire import frames as wire
from common.wire.pieces import Assembler, array_bytes_of
from master import commands as cmd
from master import events as ev
from master.arithmetic import Arithmetic, Sum
from master.counters import Counters
from master.limits import Allowance, Limits
from master.orders import OrderBook
from master.outbox import Outbox
from master.parameters import SharedParameters
from master.permits import RowPermits
from master.scribe import Scribe
from master.session import Session
from master.settings import RunSettings
from master.snapshot import ANEW, Origin, Snapshot
from master.traffic import Traffic
from master.training import Training

WORRYING = ("lost", "short", "stuck", "chunks", "disk", "quarantine", "return")
"""Kinds of notes that are logged as warnings."""

log = structlog.get_logger("gradcode.master")


class Driver:
    """Plays a run for real.

    Args:
        run: id of the run; name: what people call it. settings, arithmetic, orders: its parts.
        folder: where records go. counters: where counts go.
        listeners: are told of every record, after the folder has it. limits: of what workers may send.
        origin: where the run begins. keep: makes a checkpoint; must not block.
    """

    def __init__(
        self,
        run: str,
        name: str,
        settings: RunSettings,
        arithmetic: Arithmetic,
        orders: OrderBook,
        folder: RunFolder,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
        listeners: Sequence[Callable[[RoundRecord], None]] = (),
        limits: Limits | None = None,
        origin: Origin = ANEW,
        keep: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> None:
        self.run = run
        self.name = name
        self.settings = settings
        self.clock = clock
        self.limits = limits or Limits()
        self.training = Training(settings, clock(), origin.snapshot, origin.incarnations)
        self.finished: asyncio.Future[cmd.Finish] = asyncio.get_running_loop().create_future()
        self.permits = RowPermits()
        self._arithmetic = arithmetic
        self._orders = orders
        self._counters = counters
        self._log = log.bind(run=run)
        self._scribe = Scribe(folder, counters, listeners, self._log)
        self._sessions: dict[int, Session] = {}
        self._events: deque[ev.Event] = deque()
        self._origin = origin
        self._broken = False
        self._traffic = Traffic()
        self._n_links = 0
        self._n_payloads = 0
        self._parameters = SharedParameters(arithmetic, orders.wire_dtype)
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, "arithmetic")
        self._handlers: dict[type, Callable[[Any], None]] = {
            cmd.Welcome: self._welcome,
            cmd.Prefetch: self._prefetch,
            cmd.StartRound: self._start_round,
            cmd.NextChunk: self._next_chunk,
            cmd.Collect: self._collect,
            cmd.AskPartialSum: self._ask_partial_sum,
            cmd.StopRound: self._stop_round,
            cmd.CloseLink: self._close_link,
            cmd.Discard: lambda command: self._arithmetic.discard(command.payload),
            **dict.fromkeys(get_args(Sum), self._calculate),
            cmd.Planned: lambda command: self._arithmetic.plan(command.code),
            cmd.Record: self._record,
            cmd.Checkpoint: lambda command: keep(command.snapshot),
            cmd.Note: self._note,
            cmd.Finish: self._finish,
        }

    # ---- events -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make the plan, and from now on wake up in time."""
        self._carry_out(self.training.begin())
        for text in self._origin.told:
            self._carry_out(self.training.chronicle.note("resumed", text))
        # What was dropped before this start is counted already.
        totals = self.training.chronicle.totals
        self._traffic = Traffic(stale=-totals.stale_frames, duplicate=-totals.duplicate_frames)
        self._set_timer()

    def dispatch(self, event: ev.Event) -> None:
        """Hand an event to the core and carry out what it decides. Never blocks, and never raises.

        An event that a command brings about is handled after all commands before it. What cannot be carried
        out, such as writing to a broken disk, ends the run: nobody else would hear of it.
        """
        self._events.append(event)
        if len(self._events) > 1 or self._broken:
            return
        try:
            while self._events:
                self._carry_out(self.training.handle(self._events[0], self.clock()))
                self._events.popleft()
            self._set_timer()
        except Exception as error:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """The run cannot go on; whoever waits for its end gets the error."""
        self._broken = True
        if not self.finished.done():
            self.finished.set_exception(error)

    @property
    def traffic(self) -> Traffic:
        """What went over the links since this start."""
        own, totals = self._traffic, self.training.chronicle.totals
        stale, duplicate = own.stale + totals.stale_frames, own.duplicate + totals.duplicate_frames
        return Traffic(own.received, own.sent, stale, duplicate)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self.clock()
        wakes_at = self.training.wakes_at(now)
        if wakes_at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, wakes_at - now), self.dispatch, ev.Tick())

    def open_session(self, name: str, minor: int = wire.PROTOCOL_MINOR) -> Session:
        """A link has passed the handshake; its worker speaks this minor version of the protocol."""
        self._n_links += 1
        allowance = Allowance(self.limits.frames_per_second, self.clock())
        session = Session(self._n_links, allowance, Outbox(self.limits.queued_bytes), minor)
        self._sessions[session.number] = session
        self._counters.link_opened()
        self.dispatch(ev.LinkUp(session.number, name))
        return session

    def close_session(self, session: Session, reason: str) -> None:
        """A link is gone; nothing happens if it was closed on purpose."""
        if self._sessions.pop(session.number, None) is not None:
            self._counters.link_lost()
            self.dispatch(ev.LinkDown(session.number, reason))

    def hear(self, session: Session, frame: wire.Request, n_bytes: int = 0) -> None:
        """A frame of a worker, which came as so many bytes.

        Raises:
            ProtocolError: the frame is not one that this link may send, or one too many.
        """
        link = session.number
        if not session.allowance.take(n_bytes, self.clock()):
            raise ProtocolError("too_many_frames", "more came than anything called for")
        if isinstance(frame, wire.ChunkFinished):
            if self._is_ours(frame.stamp):
                stamp = _core_stamp(frame.stamp)
                report = (frame.chunk, frame.seconds, frame.loss_sum, frame.rows, frame.finite)
                heard = (frame.heard, frame.heard_seconds)
                self.dispatch(ev.ChunkFinished(link, stamp, *report, *heard, frame.digest))
        elif isinstance(frame, wire.MessageFrame):
            self._assemble(session, frame)
        elif isinstance(frame, wire.PartialSum):
            if self._is_ours(frame.stamp):
                self.dispatch(ev.PartialSum(link, _core_stamp(frame.stamp), frame.number, frame.value))
        elif isinstance(frame, wire.Ready):
            if frame.epoch == self.training.epoch:
                self.dispatch(ev.LinkReady(link, frame.incarnation))
        elif isinstance(frame, wire.Drain):
            self.dispatch(ev.LinkDraining(link))
        elif isinstance(frame, wire.Alive):
            self._send(link, frame)
        elif isinstance(frame, wire.Goodbye):
            self.close_session(session, f"it said goodbye: {frame.reason}")
        else:
            raise ProtocolError("wrong_order", "Hello is said once")

    def written(self, session: Session, number: int) -> None:
        """The whole parameters of round ``number`` were handed to the transport."""
        if session.number in self._sessions:
            self.dispatch(ev.ParametersWritten(session.number, number))

    def _is_ours(self, stamp: wire.Stamp) -> bool:
        if stamp.run == self.run:
            return True
        self._traffic.stale += 1
        return False

    def _assemble(self, session: Session, frame: wire.MessageFrame) -> None:
        """Put a message together; when it is whole, it is a payload."""
        self._traffic.received += len(frame.data)
        link = self.training.members.links.get(session.number)
        # Spares have no messages: nothing is set aside for what they call one.
        seated = link is not None and link.place is not None
        mine = link is not None and seated and frame.stamp.incarnation == link.incarnation
        if not self._is_ours(frame.stamp) or not mine or frame.stamp.epoch != self.training.epoch:
            if frame.stamp.run == self.run:
                self._traffic.stale += 1
            return
        key = (frame.stamp, frame.message)
        if session.assembling != key or session.assembler is None:
            expected = self._message_bytes(self._parts_of(session, frame))
            session.assembling = key
            session.assembler = Assembler(expected, self._orders.wire_dtype)
        if session.assembler.add(frame):
            data, session.assembling = session.assembler.array_bytes, None
            session.assembler = None
            self._n_payloads += 1
            self._arithmetic.receive(self._n_payloads, data)
            stamp = _core_stamp(frame.stamp)
            self.dispatch(
                ev.MessageArrived(session.number, stamp, frame.message, self._n_payloads, len(data))
            )

    def _parts_of(self, session: Session, frame: wire.MessageFrame) -> int:
        current, code = self.training.round, self.training.code
        assert code is not None, "a link with a place has a plan"
        place = self.training.members.links[session.number].place
        if current is None or frame.stamp.round != current.number or place is None:
            return code.n_parts
        return current.parts_of(frame.message) if current.owns(place, frame.message) else code.n_parts

    # ---- commands ---------------------------------------------------------------------------------------

    def _carry_out(self, commands: list[cmd.Command]) -> None:
        for command in commands:
            self._handlers[type(command)](command)

    def _send(self, link: int, frame: wire.Response, number: int | None = None) -> None:
        session = self._sessions.get(link)
        if session is not None:
            self.permits.note(link, frame, self.training.members)
            session.outbox.put(codec.encode_response(frame), number)

    def _stamp(self, stamp: ev.Stamp, shared: bool = False) -> wire.Stamp:
        return wire.Stamp(self.run, stamp.epoch, stamp.round, 0 if shared else stamp.incarnation)

    def _welcome(self, command: cmd.Welcome) -> None:
        code = self.training.code
        order = None
        if command.place is not None and code is not None:
            order = self._orders.order(code, self.training.epoch, command.place)
        self._send(command.link, wire.Welcome(self.run, self.name, command.incarnation, command.place, order))

    def _prefetch(self, command: cmd.Prefetch) -> None:
        assert self.training.code is not None, "who prepares for a place has a plan"
        data = self._orders.ahead(self.training.code, command.places)
        self._send(command.link, wire.Prefetch(self.run, data, self._orders.compute_dtype))

    def _start_round(self, command: cmd.StartRound) -> None:
        session = self._sessions.get(command.link)
        if session is None:
            return
        total_bytes, pieces = self._parameters.of(self._stamp(command.stamp, shared=True))
        start = wire.StartRound(
            self._stamp(command.stamp),
            self.training.run_seconds(self.clock()),
            total_bytes,
            self._orders.wire_dtype,
        )
        session.outbox.start_round(command.stamp.round, codec.encode_response(start), pieces)
        session.called_for_round(self.training, self._message_bytes, self.clock())
        self._traffic.sent += total_bytes

    def _message_bytes(self, n_parts: int) -> int:
        return array_bytes_of(self._arithmetic.message_length(n_parts), self._orders.wire_dtype)

    def _next_chunk(self, command: cmd.NextChunk) -> None:
        stamp = self._stamp(command.stamp)
        self._send(command.link, wire.NextChunk(stamp, command.chunks), command.stamp.round)

    def _collect(self, command: cmd.Collect) -> None:
        session, code = self._sessions.get(command.link), self.training.code
        if session is not None and code is not None:
            n_bytes = self._message_bytes(command.n_parts or code.n_parts)
            session.called_for_message(n_bytes, self.clock())
        terms = wire.Terms.of(command.terms)
        frame = wire.Collect(self._stamp(command.stamp), command.request, terms, command.n_parts)
        self._send(command.link, frame, command.stamp.round)

    def _ask_partial_sum(self, command: cmd.AskPartialSum) -> None:
        session = self._sessions.get(command.link)
        if session is None:
            return
        if session.minor < wire.PARTIAL_SUMS_SINCE:
            self.dispatch(ev.PartialSum(command.link, command.stamp, command.number, math.nan))
            return
        session.allowance.call_for(1.0, self.clock())
        asked = (command.number, wire.Terms.of(command.terms), command.index, command.n_parts)
        self._send(command.link, wire.AskPartialSum(self._stamp(command.stamp), *asked), command.stamp.round)

    def _stop_round(self, command: cmd.StopRound) -> None:
        session = self._sessions.get(command.link)
        if session is not None:
            raw = codec.encode_response(wire.StopRound(self._stamp(command.stamp)))
            session.outbox.stop_round(command.stamp.round, raw)

    def _close_link(self, command: cmd.CloseLink) -> None:
        session = self._sessions.get(command.link)
        if session is None:
            return
        goodbye = wire.Goodbye(command.reason, retry=bool(command.kind))
        session.outbox.close(codec.encode_response(goodbye))
        if command.kind:
            self.refuse(session, ProtocolError(command.kind, command.reason))
        else:
            del self._sessions[command.link]

    def refuse(self, session: Session, error: ProtocolError) -> None:
        """The peer of ``session`` broke the protocol: count it, end that link; the run goes on."""
        self.count_error(error)
        link = self.training.members.links.get(session.number)
        who = {} if link is None else {"worker": link.name}
        self._log.warning("a link ends", link=session.number, **who, **self._in_round(), reason=str(error))
        session.outbox.close(codec.encode_response(wire.Goodbye(str(error), retry=True)))
        self.close_session(session, str(error))

    def count_error(self, error: ProtocolError) -> None:
        """A peer broke the protocol."""
        self._counters.protocol_error(error.kind)

    def _calculate(self, command: Sum) -> None:
        """Have the arithmetic thread do it; one thing at a time, in order."""
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._arithmetic.answer, command, time.perf_counter)
        done.add_done_callback(self._calculated)

    def _calculated(self, done: asyncio.Future[ev.Event]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self.dispatch(done.result())
        else:
            self._break(error)

    def _record(self, command: cmd.Record) -> None:
        self._scribe.record(command.record)
        if told := self._scribe.news_of_the_disk():
            self._carry_out(self.training.chronicle.note("disk", told))

    def _note(self, command: cmd.Note) -> None:
        tell = self._log.warning if command.kind in WORRYING else self._log.info
        where: dict[str, object] = {}
        if command.place is not None:
            where = {"place": command.place, "worker": self.training.members.name_at(command.place)}
        tell(command.text, kind=command.kind, **where, **self._in_round())

    def _in_round(self) -> dict[str, int]:
        number = self.training.next_round - 1
        return {} if number < 0 else {"round": number}

    def _finish(self, command: cmd.Finish) -> None:
        if not self.finished.done():
            self.finished.set_result(command)

    def close(self) -> None:
        """No more timers, no more arithmetic."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _core_stamp(stamp: wire.Stamp) -> ev.Stamp:
    return ev.Stamp(stamp.epoch, stamp.round, stamp.incarnation)
