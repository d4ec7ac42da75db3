"""Plays the production ``Training`` with an agenda of events instead of a network.

Timing mode draws durations only; learning mode (with a ``Learning``) also computes real gradients, so that
parameters, losses and outcomes are those a real run would have. Same arguments, same history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from common.codes.base import GradientCode, Term, decode
from common.history import RoundRecord
from gradcode.lab.agenda import Agenda
from gradcode.lab.draws import DelaySource
from gradcode.lab.memory import ask_for_large_pages
from gradcode.lab.network import Network
from gradcode.lab.parts import NOTHING, Learning, SimulatedWorker
from master import commands as cmd
from master import events as ev
from master.arithmetic import Sum
from master.settings import RunSettings
from master.snapshot import ANEW, Origin, Snapshot
from master.training import Training

_SUMS = (cmd.Solve, cmd.Combine, cmd.Step, cmd.Evaluate, cmd.Examine, cmd.Restore)
_SENT = (cmd.NextChunk, cmd.StartRound, cmd.StopRound, cmd.Collect, cmd.AskPartialSum)
"""Most commands are of these kinds."""


class Simulator:
    """One simulated run.

    Args:
        settings: of the production run. delays: how long chunks take, and who freezes or dies when.
        n_workers: how many join at the start. network: what links cost.
        learning: real numbers, or None for timing only.
        tamper: every frame from a worker to the master passes through it; it returns the copies to deliver,
            each with an extra delay in seconds.
        on_record: takes every record as it comes; without it they are all kept in ``records``.
        origin: where the run begins. ``kept`` is the newest checkpoint: snapshot and optimiser's state.
    """

    def __init__(
        self,
        settings: RunSettings,
        delays: DelaySource,
        n_workers: int,
        network: Network | None = None,
        learning: Learning | None = None,
        tamper: Callable[[ev.Event], list[tuple[float, ev.Event]]] | None = None,
        on_record: Callable[[RoundRecord], None] | None = None,
        origin: Origin = ANEW,
    ) -> None:
        self.now = 0.0
        self.training = Training(settings, self.now, origin.snapshot, origin.incarnations)
        self.kept: tuple[Snapshot, Mapping[str, Any]] | None = None
        self.records: list[RoundRecord] = []
        self.on_record = on_record or self.records.append
        self.notes: list[tuple[float, cmd.Note]] = []
        self.violations: list[cmd.CloseLink] = []
        self.finished: cmd.Finish | None = None
        self.workers: dict[int, SimulatedWorker] = {}
        # Made once for each worker: what waits for every chunk in hand should be small and not be scattered.
        self._finishes: list[Callable[[], None]] = []
        self.watch: Callable[[ev.Event | cmd.Command], None] = lambda item: None
        self._settings = settings
        self._delays = delays
        self._network = network or Network()
        n_bytes = settings.n_parameters * settings.item_bytes
        self._parameter_seconds = n_bytes / self._network.bytes_per_second
        self.learning = learning
        self._tamper = tamper
        self._agenda = Agenda()
        self._payloads = 0
        self._idle_at = 0.0
        self._code: GradientCode | None = None
        self._wake_at: float | None = None
        self._carry_out(self.training.begin())
        self._set_timer()
        for number in range(n_workers):
            self.at(0.0, partial(self.join, f"w{number}"))

    @property
    def delays(self) -> DelaySource:
        """How long chunks take."""
        return self._delays

    @property
    def network(self) -> Network:
        """What links cost."""
        return self._network

    # ---- driving ----------------------------------------------------------------------------------------

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Have ``action`` happen at simulated time ``seconds``."""
        self._agenda.put(seconds, action)

    def _soon(self, action: Callable[[], object]) -> None:
        self._agenda.put_soon(self.now + self._network.latency_seconds, action)

    def play(self, until: float = float("inf"), most_events: int = 10**9) -> list[RoundRecord]:
        """Play until the run has ended, the agenda is empty, or a limit is reached; returns the records."""
        for _ in range(most_events):
            taken = None if self.finished is not None else self._agenda.take(until)
            if taken is None:
                break
            self.now, action = taken
            action()
        return self.records

    def feed(self, event: ev.Event) -> None:
        """Hand an event to the master now."""
        self.watch(event)
        self._carry_out(self.training.handle(event, self.now))
        self._set_timer()

    def _set_timer(self) -> None:
        wakes_at = self.training.wakes_at(self.now)
        if wakes_at is not None and wakes_at != self._wake_at:
            self._wake_at = wakes_at
            self.at(max(wakes_at, self.now), lambda: self._wake(wakes_at))

    def _wake(self, planned: float) -> None:
        if planned == self._wake_at:
            self._wake_at = None
            self.feed(ev.Tick())

    # ---- the master's commands --------------------------------------------------------------------------

    def _carry_out(self, commands: list[cmd.Command]) -> None:
        for command in commands:
            self.watch(command)
            if isinstance(command, _SENT):
                self._send(command)
            elif isinstance(command, _SUMS):
                # One sum at a time, in order, as in the master's one thread for them.
                self._idle_at = max(self.now, self._idle_at) + self._network.arithmetic_seconds
                self.at(self._idle_at, partial(self.feed, self._sum(command)))
            elif isinstance(command, cmd.Record):
                self.on_record(command.record)
                ask_for_large_pages(len(self.workers))
            elif isinstance(command, cmd.Checkpoint):
                learnt = {} if self.learning is None else self.learning.arithmetic.optimizer.state()
                self.kept = (command.snapshot, learnt)
            elif isinstance(command, cmd.Note):
                self.notes.append((self.now, command))
            elif isinstance(command, cmd.Planned):
                self._plan(command.code)
            elif isinstance(command, cmd.Finish):
                self.finished = command
            elif isinstance(command, cmd.Discard):
                if self.learning is not None:
                    self.learning.arithmetic.discard(command.payload)
            else:
                self._send(command)

    def _plan(self, code: GradientCode) -> None:
        self._code = code
        if self.learning is not None:
            self.learning.arithmetic.plan(code)

    def _sum(self, command: Sum) -> ev.Event:
        if self.learning is not None:
            return self.learning.arithmetic.answer(command, lambda: self.now)
        assert isinstance(command, cmd.Solve), "timing mode only solves"
        assert self._code is not None
        return ev.Solved(command.round, decode(self._code, command.received), 0.0)

    def _send(self, command: Any) -> None:
        if isinstance(command, cmd.CloseLink) and command.kind:
            self.violations.append(command)
        point: Any = b""
        if isinstance(command, cmd.Welcome):
            point = self._code
        elif isinstance(command, cmd.StartRound):
            worker = self.workers[command.link]
            worker.up_since = min(worker.up_since, self.training.run_seconds(self.now))
            point = b"" if self.learning is None else self.learning.arithmetic.point_bytes()
        self._soon(partial(self._receive, command, point))

    # ---- workers ----------------------------------------------------------------------------------------

    def join(self, name: str) -> SimulatedWorker:
        """A worker process called ``name`` opens a link now."""
        number = len(self.workers)
        worker = SimulatedWorker(number, name)
        self.workers[number] = worker
        self._finishes.append(partial(self._finish, worker, 0))
        self._deliver(worker, ev.LinkUp(number, name), tampered=False)
        return worker

    def living(self) -> Iterator[SimulatedWorker]:
        """Workers whose link is up as far as they know."""
        return (worker for worker in self.workers.values() if worker.alive)

    def cut(self, worker: SimulatedWorker, reason: str = "the connection was reset") -> None:
        """The worker's process or link ends now; the master hears of it one latency later."""
        if worker.alive:
            worker.alive = False
            event = ev.LinkDown(worker.link, reason)
            self.at(self.now + self._network.latency_seconds, lambda: self.feed(event))

    def drain(self, worker: SimulatedWorker) -> None:
        """The worker asks to leave."""
        self._deliver(worker, ev.LinkDraining(worker.link), tampered=False)

    def _deliver(
        self, worker: SimulatedWorker, event: ev.Event, data: bytes | None = None, tampered: bool = True
    ) -> None:
        """Send a frame from a worker to the master."""
        n_bytes = event.n_bytes if isinstance(event, ev.MessageArrived) else 0
        if self._tamper is None and not n_bytes:
            self._soon(partial(self._hear, worker, event, data))
            return
        wire = self._network.latency_seconds + n_bytes / self._network.bytes_per_second
        copies = self._tamper(event) if tampered and self._tamper else [(0.0, event)]
        for extra, copy in copies:
            self.at(self.now + wire + extra, partial(self._hear, worker, copy, data))

    def _hear(self, worker: SimulatedWorker, event: ev.Event, data: bytes | None) -> None:
        if not worker.alive:
            return
        if isinstance(event, ev.MessageArrived):
            # Every arrival is a payload of its own, a duplicate as well.
            self._payloads += 1
            event = replace(event, payload=self._payloads)
            if self.learning is not None:
                self.learning.arithmetic.receive(self._payloads, data)
        self.feed(event)

    def _receive(self, command: Any, point: Any) -> None:
        worker = self.workers[command.link]
        if not worker.alive:
            return
        if worker.frozen_until > self.now:
            self.at(worker.frozen_until, lambda: self._receive(command, point))
            return
        if isinstance(command, cmd.Welcome):
            prepared = worker.prepared if point is worker.code else {}
            worker.take_place(command.place, command.incarnation, point)
            self._finishes[worker.link] = partial(self._finish, worker, command.incarnation)
            if command.place is not None:
                ready = ev.LinkReady(worker.link, command.incarnation)
                loaded_at = prepared.get(command.place, self.now + self._network.ready_seconds)
                self.at(max(self.now, loaded_at), lambda: self._deliver(worker, ready, tampered=False))
        elif isinstance(command, cmd.StartRound):
            if command.stamp.incarnation != worker.incarnation:
                return  # it was sent before the last welcome
            assert worker.code is not None
            assert worker.place is not None
            alone = not worker.code.scheduled
            worker.waiting, worker.waiting_point = command.stamp, None
            worker.waiting_queue = list(worker.code.assignment.orders[worker.place]) if alone else []
            worker.heard, worker.heard_at = 0, self.now
            whole_at = self.now + self._parameter_seconds
            self.at(whole_at, partial(self._take_parameters, worker, command.stamp, point))
        elif isinstance(command, cmd.StopRound):
            worker.stopped = max(worker.stopped, command.stamp.round)
        elif isinstance(command, cmd.NextChunk):
            if command.stamp == worker.waiting:
                worker.heard, worker.heard_at = worker.heard + 1, self.now
                worker.waiting_queue = list(command.chunks)
            elif command.stamp == worker.stamp:
                worker.heard, worker.heard_at = worker.heard + 1, self.now
                had = {*worker.done, worker.hand}
                worker.queue = [chunk for chunk in command.chunks if chunk not in had]
                self._next(worker)
        elif isinstance(command, cmd.Collect | cmd.AskPartialSum):
            self._answer(worker, command)
        elif isinstance(command, cmd.Prefetch):
            worker.prepared = {command.places[0]: self.now + self._network.ready_seconds}
        elif isinstance(command, cmd.CloseLink):
            self.cut(worker, "the connection ended")

    def _take_parameters(self, worker: SimulatedWorker, stamp: ev.Stamp, point: bytes) -> None:
        """The last of a round's parameters; a frozen worker reads them when it wakes up."""
        if worker.frozen_until > self.now:
            self.at(worker.frozen_until, partial(self._take_parameters, worker, stamp, point))
        elif worker.alive and worker.waiting == stamp:
            worker.waiting_point = point
            self._deliver(worker, ev.ParametersWritten(worker.link, stamp.round), tampered=False)
            self._next(worker)

    def _answer(self, worker: SimulatedWorker, command: cmd.Collect | cmd.AskPartialSum) -> None:
        if worker.mute_until > self.now:
            self.at(worker.mute_until, lambda: self._receive(command, b""))
        elif command.stamp == worker.stamp and command.stamp.round > worker.stopped:
            assert {term.chunk for term in command.terms}.issubset(worker.done), "asked before it is finished"
            if isinstance(command, cmd.Collect):
                self._send_message(worker, command.request, command.terms, command.n_parts)
                return
            assert self.learning is not None, "without numbers nothing is disputed"
            value = self.learning.partial_sum(worker.link, command.terms, command.index, command.n_parts)
            self._deliver(worker, ev.PartialSum(worker.link, worker.stamp, command.number, value))

    def _next(self, worker: SimulatedWorker) -> None:
        """Between two chunks: take up the newest round, or the next chunk."""
        if worker.hand is not None or not worker.alive:
            return
        if worker.waiting is not None and worker.waiting_point is None:
            return  # its parameters are under way
        if worker.waiting is not None:
            worker.stamp, worker.waiting = worker.waiting, None
            worker.queue, worker.done = worker.waiting_queue, []
            if self.learning is not None:
                assert worker.waiting_point is not None
                assert worker.code is not None
                self.learning.start(worker.link, worker.waiting_point, worker.code)
        if worker.stamp is None or not worker.queue or worker.stamp.round <= worker.stopped:
            return
        worker.hand = worker.queue.pop(0)
        self._compute(worker, worker.hand)

    def _compute(self, worker: SimulatedWorker, chunk: int) -> None:
        stamp, place = worker.stamp, worker.place
        assert stamp is not None
        assert place is not None
        seconds = self._network.compute_seconds + self._delays.chunk_seconds(place, stamp.round, chunk)
        start = self.training.run_seconds(self.now)
        walk = self._delays.walk(place, worker.up_since, start, seconds, worker.served.get(place, 0))
        if walk.served:
            worker.served[place] = walk.served
        at = self.now
        for kind, piece in walk.pieces:
            if kind == "freeze":
                self.at(at, partial(self._freeze, worker, at + piece))
            at += piece
        if walk.dies:
            self.at(at, partial(self._die, worker, walk.returns_after))
        else:
            worker.hand_seconds = walk.seconds
            self.at(at, self._finishes[worker.link])

    def _die(self, worker: SimulatedWorker, returns_after: float | None) -> None:
        """The process ends, also in a freeze that cost it its link; another may come in its stead."""
        if worker.alive or worker.frozen_until == self.now:
            worker.dead = True
            self.cut(worker, "the process died")
            if returns_after is not None:
                self.at(self.now + returns_after, partial(self.join, worker.name))

    def _freeze(self, worker: SimulatedWorker, until: float) -> None:
        if not worker.alive:
            return
        worker.frozen_until = until
        if until - self.now > self._network.detect_seconds:
            self.at(self.now + self._network.detect_seconds, partial(self._miss, worker, until))

    def _miss(self, worker: SimulatedWorker, until: float) -> None:
        if worker.alive:
            self.cut(worker, "no answer to a ping")
            self.at(until, partial(self._dial_again, worker))

    def _dial_again(self, worker: SimulatedWorker) -> None:
        if worker.dead:
            return
        again = self.join(worker.name)
        again.up_since, again.served = worker.up_since, worker.served

    def _finish(self, worker: SimulatedWorker, incarnation: int) -> None:
        if not worker.alive or incarnation != worker.incarnation:
            return
        stamp, chunk, worker.hand = worker.stamp, worker.hand, None
        assert stamp is not None
        assert chunk is not None
        result = NOTHING if self.learning is None else self.learning.gradient(worker.link, chunk)
        worker.done.append(chunk)
        heard = (worker.heard, self.now - worker.heard_at)
        said = (result.loss, result.rows, result.finite, *heard, result.digest)
        report = ev.ChunkFinished(worker.link, stamp, chunk, worker.hand_seconds, *said)
        self._deliver(worker, report)
        code = worker.code
        assert code is not None
        if stamp.round > worker.stopped and worker.waiting is None and not code.on_request:
            for number, message in worker.due(chunk):
                self._send_message(worker, number, message.terms, code.n_parts)
        self._next(worker)

    def _send_message(
        self, worker: SimulatedWorker, number: int, terms: tuple[Term, ...], n_parts: int
    ) -> None:
        assert worker.stamp is not None
        n_bytes = -(-self._settings.n_parameters // n_parts) * self._settings.item_bytes
        data = None
        if self.learning is not None:
            data = self.learning.message(worker.link, terms, n_parts)
        self._deliver(worker, ev.MessageArrived(worker.link, worker.stamp, number, 0, n_bytes), data)
