"""A witness of a simulated run: sees every event and command, keeps its own books, and says what is wrong.

It shares no rule with the master: which frames count, what was asked of whom, what weights achieve, what a
step does and what a record must say is worked out here anew, the plain way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from common.codes.base import GradientCode, Message
from common.history import RoundRecord
from gradcode.lab.invariants import (
    Answer,
    Arrival,
    BrokenInvariant,
    Limits,
    Row,
    Seat,
    Shadow,
    achieved_by,
    alike,
    check_achieved,
    check_duration,
    check_rows,
)
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from gradcode.lab.witness_plans import PlanBooks
from master import commands as cmd
from master import events as ev

MOST_TICKS = 10
"""At one moment; a timer that wakes the master more often spins."""
ASKS_AFTER_DEADLINE = 2
"""The collection that the deadline starts, and one repair."""
SUMS_AHEAD = 3
"""So many sums can be waiting for the master's one thread when another is ordered."""


class Witness:
    """Watches one simulated run; set as ``sim.watch`` by itself.

    Args:
        sim: not yet played.
        network: the simulator's. shadow: for learning mode.
        loses_frames: reports may vanish, or come after their messages.

    Raises:
        BrokenInvariant: from whatever plays the simulator.
    """

    def __init__(
        self, sim: Simulator, network: Network, shadow: Shadow | None = None, loses_frames: bool = False
    ) -> None:
        self.sim = sim
        self.shadow = shadow
        self.code: GradientCode | None = sim.training.code
        self.records: list[RoundRecord] = []
        self.outcomes: set[int] = set()
        self.forgotten: set[int] = set()
        self.payloads: set[int] = set()
        self.finish_seen = False
        self._network = network
        self._loses_frames = loses_frames
        self._handlers: dict[type, Callable[[Any], None]] = {
            kind: getattr(self, "_see" + ev.method_of(kind)) for kind in _SEEN
        }
        self._names: dict[int, str] = {}
        self._linked: set[int] = set()
        self._seats: dict[int, Seat] = {}
        self._started: set[tuple[int, ev.Stamp]] = set()
        self._reported: set[tuple[int, ev.Stamp, int]] = set()
        self._asked: dict[tuple[int, int, int], tuple[int, cmd.Collect]] = {}
        self._asking = (-1, -1)
        self._started_last = -1
        self._plans = PlanBooks(self._check, sim.training.epoch)
        self._unanswered: dict[int, int] = {}
        self._arrivals: dict[int, Arrival] = {}
        self._question: cmd.Solve | None = None
        self._answers: dict[int, Answer] = {}
        self._rows: dict[int, Counter[Row]] = {}
        self._limits: dict[int, Limits] = {}
        self._ticks: tuple[float, int] = (-1.0, 0)
        self._steps: set[int] = set()
        sim.watch = self

    def __call__(self, item: ev.Event | cmd.Command) -> None:
        """See ``item``: an event that the master is about to take, or a command that it has given."""
        self._check(not self.finish_seen, "nothing happens after the end", item)
        self._mind_deadline()
        current = self.sim.training.round
        if current is not None and current.outcome is not None:
            self.outcomes.add(current.number)
        if not isinstance(item, cmd.Welcome | cmd.Note):
            self._check(not self._plans.unwelcome, "a new plan welcomes everybody", item)
        handler = self._handlers.get(type(item))
        if isinstance(item, _TO_LINKS):
            late_guest = isinstance(item, cmd.CloseLink) and item.reason == "the run is over"
            self._check(item.link in self._linked or late_guest, "commands go to links that are there", item)
        if handler is not None:
            handler(item)

    def _check(self, holds: bool | np.bool_, rule: str, *seen: object) -> None:
        if not holds:
            current = self.sim.training.round
            where = "before the first round" if current is None else f"in round {current.number}"
            shown = "; ".join(str(each) for each in seen)
            raise BrokenInvariant(f"{rule} ({where}, at {self.sim.now:.6f} s): {shown}")

    # ---- events -----------------------------------------------------------------------------------------

    def _see_link_up(self, event: ev.LinkUp) -> None:
        self._linked.add(event.link)
        self._names[event.link] = event.name

    def _see_link_down(self, event: ev.LinkDown) -> None:
        self._forget_link(event.link)

    def _see_tick(self, event: ev.Tick) -> None:
        at, count = self._ticks
        self._ticks = (self.sim.now, count + 1 if at == self.sim.now else 1)
        self._check(self._ticks[1] < MOST_TICKS, "the timer does not spin", f"{self._ticks[1]} ticks")

    def _see_chunk_finished(self, event: ev.ChunkFinished) -> None:
        fate = self._fate(event.link, event.stamp)
        if fate is None:
            return
        seat = self._seats[event.link]
        key = (event.link, event.stamp, event.chunk)
        if fate == "current":
            if key in self._reported:
                return
            self._reported.add(key)
        row = Row(seat.place, self._names[event.link], event.stamp.round, event.chunk, fate == "late")
        current = self.sim.training.round
        assert current is not None
        self._rows.setdefault(current.number, Counter())[row] += 1

    def _see_message_arrived(self, event: ev.MessageArrived) -> None:
        self.payloads.add(event.payload)
        assert self.code is not None
        if self._fate(event.link, event.stamp) != "current":
            return
        if not self.code.on_request:
            message = self.code.messages[event.message]
        else:
            link, asked = self._asked[event.stamp.epoch, event.stamp.round, event.message]
            self._unanswered.pop(event.message, None)
            self._check(link == event.link, "requests are answered by who was asked", event, asked)
            message = Message(self._seats[link].place, asked.terms)
        self._arrivals[event.payload] = Arrival(event.stamp.round, message)

    def _see_solved(self, event: ev.Solved) -> None:
        """What the weights achieve, summed up from the terms that workers used."""
        question, self._question = self._question, None
        assert question is not None and self.code is not None  # noqa: PT018 - no test
        decoding, n_chunks = event.decoding, self.code.n_chunks
        n_parts = decoding.weights.shape[1]
        self._check(
            len(decoding.weights) == len(question.received), "every message has its weights", decoding
        )
        pairs = list(zip(question.received, decoding.weights, strict=True))
        achieved = achieved_by(((message.terms, row) for message, row in pairs), n_chunks, n_parts)
        self._check(
            alike(achieved, decoding.coefficients, decoding.noise_amplification),
            "a decoding claims the coefficients that its weights achieve",
            achieved.tolist(),
            decoding.coefficients.tolist(),
        )
        used = [
            message for message, row in zip(question.received, decoding.weights, strict=True) if row.any()
        ]
        given = {(message.worker, term.chunk) for message in used for term in message.terms}
        covered = {chunk for _, chunk in given}
        workers = {message.worker for message in used}
        self._answers[question.round] = Answer(achieved, covered, given, workers)

    # ---- commands ---------------------------------------------------------------------------------------

    def _see_planned(self, command: cmd.Planned) -> None:
        """A plan: nothing of the former one is kept, and whoever is linked is told."""
        self.code = command.code
        if command.epoch == 0:
            return
        wanted = self.sim.training.plans.replanning.wanted or 0
        self._plans.planned(command, wanted, self._linked, self.payloads - self.forgotten)
        self._seats.clear()
        self._arrivals.clear()
        self._unanswered.clear()

    def _see_note(self, command: cmd.Note) -> None:
        """A round that is played again: what was finished for it is not in its record; what came late is."""
        if command.kind != "again":
            return
        number = self._started_last
        self._check(
            number not in self._answers or number == len(self.records), "a round has one record", number
        )
        self.outcomes.discard(number)
        rows = self._rows.get(number, Counter())
        self._rows[number] = Counter({row: n for row, n in rows.items() if row.late})
        self._limits.pop(number, None)

    def _see_welcome(self, command: cmd.Welcome) -> None:
        n_places = 0 if self.code is None else self.code.n_workers
        self._plans.welcomed(command, command.link in self._seats, n_places)
        if command.place is None:
            return
        taken = {seat.place for link, seat in self._seats.items() if link != command.link}
        self._check(command.place not in taken, "a place has one link", command, self._seats)
        self._seats[command.link] = Seat(command.place, command.incarnation)

    def _see_prefetch(self, command: cmd.Prefetch) -> None:
        assert self.code is not None
        self._plans.told(command, command.link in self._seats, self.code.n_workers)

    def _see_close_link(self, command: cmd.CloseLink) -> None:
        self._forget_link(command.link)

    def _see_start_round(self, command: cmd.StartRound) -> None:
        key = (command.link, command.stamp)
        self._check(key not in self._started, "a link is sent a round once", command)
        seat = self._seats.get(command.link)
        self._plans.started(command, None if seat is None else seat.incarnation)
        self._started.add(key)
        self._started_last = command.stamp.round

    def _see_next_chunk(self, command: cmd.NextChunk) -> None:
        assert self.code is not None
        held = self.code.assignment.orders[self._seats[command.link].place]
        self._check((command.link, command.stamp) in self._started, "queues are for a started round", command)
        self._check(set(command.chunks) <= set(held), "a place computes the chunks it holds", command, held)
        self._check(
            len(set(command.chunks)) == len(command.chunks), "a queue has a chunk at most once", command
        )

    def _see_collect(self, command: cmd.Collect) -> None:
        key = (command.stamp.epoch, command.stamp.round, command.request)
        self._check(key not in self._asked, "requests have numbers of their own", command)
        self._check(bool(command.terms), "a request asks for something", command)
        unreported = [
            term.chunk
            for term in command.terms
            if (command.link, command.stamp, term.chunk) not in self._reported
        ]
        self._check(not unreported, "only finished chunks are asked for", command)
        self._asked[key] = (command.link, command)
        if key[:2] != self._asking:
            self._asking = key[:2]
            self._unanswered.clear()
        self._unanswered[command.request] = command.link
        limits = self._limits.get(command.stamp.round)
        if limits is not None and self.sim.now >= limits.deadline_at:
            limits.asked_at.add(self.sim.now)
            few = len(limits.asked_at) <= ASKS_AFTER_DEADLINE
            self._check(few, "after the deadline there is one collection and one repair", command)

    def _see_stop_round(self, command: cmd.StopRound) -> None:
        self.outcomes.add(command.stamp.round)

    def _see_discard(self, command: cmd.Discard) -> None:
        known = command.payload in self.payloads
        self._check(known, "what is discarded has arrived", command)
        again = command.payload in self.forgotten
        self._check(not again, "a payload is used or discarded once", command)
        self.forgotten.add(command.payload)

    def _see_solve(self, command: cmd.Solve) -> None:
        """The solver is handed what arrived in this round, and nothing twice."""
        self._check(self._question is None, "one question at a time", command)
        here = Counter(each.message for each in self._arrivals.values() if each.round == command.round)
        extra = Counter(command.received) - here
        self._check(not extra, "what is decoded has arrived in time in its round", extra)
        self._question = command
        limits = self._limits.get(command.round)
        if limits is not None:
            ahead = SUMS_AHEAD * self._network.arithmetic_seconds
            limits.until = max(limits.until, self.sim.now + ahead)

    def _see_combine(self, command: cmd.Combine) -> None:
        """No payload counts twice, and the sum is the one that was certified."""
        assert self.code is not None
        payloads = [payload for payload, _ in command.weights]
        self._check(len(set(payloads)) == len(payloads), "a payload is added once", command)
        self._check(self.forgotten.isdisjoint(payloads), "a payload is used or discarded once", command)
        self.forgotten.update(payloads)
        foreign = [
            each
            for each in payloads
            if each not in self._arrivals or self._arrivals[each].round != command.round
        ]
        self._check(not foreign, "what is added has arrived in time in its round", foreign)
        # Whatever else of the round is kept is forgotten by the sum.
        self.forgotten.update(
            payload for payload, each in self._arrivals.items() if each.round == command.round
        )
        answer = self._answers[command.round]
        n_parts = answer.achieved.shape[1]
        pairs = [(self._arrivals[payload].message.terms, np.array(row)) for payload, row in command.weights]
        achieved = achieved_by(pairs, self.code.n_chunks, n_parts)
        largest = max((abs(value) for _, row in command.weights for value in row), default=0.0)
        self._check(
            alike(achieved, answer.achieved, largest),
            "what is added achieves what was decided",
            achieved.tolist(),
            answer.achieved.tolist(),
        )

    def _see_step(self, command: cmd.Step) -> None:
        assert self.code is not None
        self._check(command.round not in self._steps, "a round has one step", command)
        self._steps.add(command.round)
        if self.shadow is not None:
            self.shadow.step(command.round, self.code.n_chunks, self._answers[command.round].achieved)

    def _see_restore(self, command: cmd.Restore) -> None:
        if self.shadow is not None:
            self.shadow.restore(command.round)

    def _see_record(self, command: cmd.Record) -> None:
        """One record a round, in order, that says what was achieved and what became of every chunk."""
        record = command.record
        self._check(record.round == len(self.records), "records come in order, one a round", record.round)
        self.records.append(record)
        answer = self._answers[record.round]
        rows, n_parts = answer.achieved.shape
        n_chunks = rows // n_parts
        check_achieved(self._check, record, n_chunks, answer)
        check_rows(self._check, record, self._rows.pop(record.round, Counter()), answer)
        check_duration(self._check, record, self._limits.pop(record.round, None))
        checked = record.verified or self.sim.training.settings.verify != "all" or not record.stepped
        self._check(checked or self.shadow is None, "with all, every step is verified", record)
        if self.shadow is not None:
            told = record.stepped == (record.round in self._steps)
            self._check(told, "the record tells of the step", record)
        if record.stepped and not self._loses_frames:
            least = record.recovered_fraction * n_chunks - 1e-6
            self._check(record.chunks_used >= least, "what is recovered was computed by somebody", record)

    def _see_finish(self, command: cmd.Finish) -> None:
        self.finish_seen = True

    # ---- books ------------------------------------------------------------------------------------------

    def _forget_link(self, link: int) -> None:
        self._linked.discard(link)
        self._seats.pop(link, None)
        self._plans.forget(link)

    def _fate(self, link: int, stamp: ev.Stamp) -> str | None:
        """``current``, ``late``, or None for what must not count, by the books about links and rounds."""
        training, seat = self.sim.training, self._seats.get(link)
        current = training.round
        if training.phase in ("closing", "ended") or seat is None or current is None:
            return None
        if (link, stamp) not in self._started or stamp.incarnation != seat.incarnation:
            return None
        return "current" if stamp.round == current.number and current.outcome is None else "late"

    def _mind_deadline(self) -> None:
        """While a round is past its deadline, whatever it waits for has an end, or nobody is there."""
        current = self.sim.training.round
        if current is None or self.sim.training.settings.on_shortfall == "wait":
            return
        seconds = current.rules.deadline_seconds
        if seconds is None or current.outcome is not None:
            return
        at = current.started_at + seconds
        limits = self._limits.setdefault(current.number, Limits(seconds, at, at))
        limits.left_alone = limits.left_alone or self.sim.training.members.n_ready == 0
        if self.sim.now >= at and any(link in self._linked for link in self._unanswered.values()):
            limits.until = max(limits.until, current.wakes_at(self.sim.now) or at)


_SEEN: tuple[type, ...] = (
    ev.LinkUp, ev.LinkDown, ev.Tick, ev.ChunkFinished, ev.MessageArrived, ev.Solved, cmd.Planned, cmd.Discard,
    cmd.Welcome, cmd.CloseLink, cmd.StartRound, cmd.NextChunk, cmd.Collect, cmd.StopRound, cmd.Solve,
    cmd.Combine, cmd.Step, cmd.Restore, cmd.Record, cmd.Note, cmd.Prefetch, cmd.Finish,
)  # fmt: skip
_TO_LINKS = (
    cmd.Welcome, cmd.Prefetch, cmd.StartRound, cmd.NextChunk, cmd.Collect, cmd.StopRound, cmd.CloseLink,
)  # fmt: skip
