"""Pure: the run. Membership, rounds, policies, stopping; sees ids, coefficients and times, no payload.

Whoever owns the clock and the links calls ``handle(event, now)`` for every event, carries out the commands
it returns, and sends ``Tick`` when ``wakes_at(now)`` is reached. ``Solve``, ``Combine``, ``Step`` and
``Evaluate`` are answered by events.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from common.codes.base import GradientCode
from common.errors import InvalidSpec
from common.history import RoundRecord
from master import events as ev
from master.chronicle import Chronicle
from master.collecting import CollectTimes
from master.deadlines import FinishingTimes
from master.intake import fate_of
from master.joining import GiveUp, Joining, KeepWaiting, Patience
from master.membership import Link, Membership
from master.policies import Verdict, judge, reason_to_stop
from master.roster import Roster, Turn, addressed
from master.round import Move, Round, RoundRules
from master.settings import RunSettings

SKIPS_IN_A_ROW = 10
"""So many rounds in a row without a step fail the run."""


class Training:
    """One run, from the first link to the last step.

    Args:
        settings: what to do. now: the master's monotonic clock, in seconds.
    """

    def __init__(self, settings: RunSettings, now: float) -> None:
        self.settings = settings
        self.phase = "joining"
        self.epoch = 0
        self.code: GradientCode | None = None
        self.round: Round | None = None
        self.chronicle = Chronicle(settings.n_rows)
        self.finishing = FinishingTimes()
        self.members = Membership(settings.n_workers)
        self._roster = Roster(self.members)
        self.ending: tuple[str, int] | None = None
        self._joining = Joining(settings.join_timeout_seconds, settings.join_seconds, now)
        self._collect_times = CollectTimes(0)
        self._skips = 0
        self._patience = Patience(settings.lost_seconds)
        self._settling: Verdict | None = None
        self._handlers: dict[type, Callable[[Any, float], list[ev.Command]]] = {
            ev.LinkUp: self._link_up,
            ev.LinkReady: self._link_ready,
            ev.LinkDown: self._link_down,
            ev.LinkDraining: self._link_draining,
            ev.ParametersWritten: self._parameters_written,
            ev.ChunkFinished: self._chunk_finished,
            ev.MessageArrived: self._message_arrived,
            ev.Solved: self._solved,
            ev.Combined: self._combined,
            ev.Stepped: self._stepped,
            ev.Evaluated: self._evaluated,
            ev.StopRequested: self._stop_requested,
            ev.Tick: self._tick,
        }

    # ---- the interface ----------------------------------------------------------------------------------

    def begin(self) -> list[ev.Command]:
        """The first commands: the plan, where the number of workers is known beforehand."""
        n_workers = self.settings.n_workers
        return [] if n_workers is None else self._plan(n_workers)

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Take one event; returns what is to be done, in order."""
        if self.phase in ("closing", "ended") and not isinstance(
            event, ev.LinkUp | ev.LinkDown | ev.Evaluated
        ):
            return [ev.Discard(event.payload)] if isinstance(event, ev.MessageArrived) else []
        commands = self._handlers[type(event)](event, now)
        return commands + self._look_around(now)

    def wakes_at(self, now: float) -> float | None:
        """When the next Tick is due; None if only events can change anything."""
        times: list[float | None] = []
        if self.phase == "joining":
            begins_at = self._joining.wakes_at(lobby=self.code is None)
            times.append(begins_at if begins_at > now else None)
        if self.phase == "running" and self.round is not None:
            times.append(self.round.wakes_at(now))
            times.append(self._patience.wakes_at)
            first = self.chronicle.first_started_at
            if self.settings.max_seconds is not None and first is not None:
                times.append(first + self.settings.max_seconds)
        return min((time for time in times if time is not None), default=None)

    def run_seconds(self, now: float) -> float:
        """Seconds since the first round started; 0 before."""
        first = self.chronicle.first_started_at
        return 0.0 if first is None else now - first

    def stamp(self, link: Link) -> ev.Stamp:
        """What frames to and from ``link`` carry in the current round."""
        return ev.Stamp(self.epoch, -1 if self.round is None else self.round.number, link.incarnation)

    # ---- membership -------------------------------------------------------------------------------------

    def _link_up(self, event: ev.LinkUp, now: float) -> list[ev.Command]:
        if self.phase in ("closing", "ended"):
            return [ev.CloseLink(event.link, "the run is over")]
        self._joining.newcomer_at = now
        return self._take_turn(self._roster.up(event, now), now)

    def _take_turn(self, turn: Turn, now: float) -> list[ev.Command]:
        """Carry a change of membership into the round in hand."""
        commands = self.chronicle.tell(turn.commands)
        for place in turn.taken:
            self.finishing.forget(place)
            self.chronicle.paces.forget(place)
        if self.phase != "running" or self.round is None or self.round.outcome is not None:
            return commands
        for place in turn.lost:
            commands += self._carry_out(self.round.lose(place, now, successor=place in turn.taken), now)
        for place in turn.taken:
            if place not in turn.lost:
                self.round.expect(place)
        return commands

    def _link_ready(self, event: ev.LinkReady, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        if link is None or link.place is None or event.incarnation != link.incarnation:
            return []
        link.ready = True
        if self.phase == "running" and self.round is not None and self.round.outcome is None:
            return self._send_round(link, now)
        return []

    def _link_down(self, event: ev.LinkDown, now: float) -> list[ev.Command]:
        return self._take_turn(self._roster.down(event.link, event.reason), now)

    def _link_draining(self, event: ev.LinkDraining, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        if link is None or link.draining:
            return []
        link.draining = True
        commands = self.chronicle.note("draining", f"worker {link.name} leaves after this round", link.place)
        if self.round is None or self.round.outcome is not None or link.place is None or not link.ready:
            commands += self._take_turn(self._roster.let_go(link), now)
        return commands

    def _parameters_written(self, event: ev.ParametersWritten, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        if link is not None:
            link.written_round = max(link.written_round, event.round)
        return []

    # ---- progress ---------------------------------------------------------------------------------------

    def _chunk_finished(self, event: ev.ChunkFinished, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        fate = fate_of(link, event.stamp, self.epoch, self.round)
        if fate == "stale" or link is None or link.place is None or self.round is None:
            self.chronicle.totals.stale_frames += 1
            return []
        link.seen_at = now
        if fate == "future" or link.place not in self._holders(event.chunk):
            detail = (
                f"chunk {event.chunk} of round {event.stamp.round} is nothing that place {link.place} has"
            )
            return self._violation(link, "foreign_chunk", detail)
        if not (event.finite and math.isfinite(event.loss)):
            what = f"worker {link.name}: the gradient of chunk {event.chunk} is not finite"
            return self._end(f"{what} in round {event.stamp.round}: the run diverged", 3, evaluate=False)
        self.chronicle.paces.observe(link.place, event.seconds)
        if fate == "late":
            self.chronicle.report_late(link.place, link.name, event, now)
            return []
        moves = self.round.chunk_finished(link.place, event.chunk, event.seconds, now)
        if moves is None:
            self.chronicle.totals.duplicate_frames += 1
            return []
        self.chronicle.ledger.report(event.chunk, event.loss, event.rows)
        return self._carry_out(moves, now)

    def _message_arrived(self, event: ev.MessageArrived, now: float) -> list[ev.Command]:
        drop: list[ev.Command] = [ev.Discard(event.payload)]
        link = self.members.links.get(event.link)
        fate = fate_of(link, event.stamp, self.epoch, self.round)
        if fate == "stale" or link is None or link.place is None or self.round is None:
            self.chronicle.totals.stale_frames += 1
            return drop
        link.seen_at = now
        self.chronicle.ledger.bytes_received += event.n_bytes
        if fate != "future" and event.stamp.round != self.round.number:
            self.chronicle.totals.stale_frames += 1
            return drop
        if fate == "future" or not self.round.owns(link.place, event.message):
            detail = f"message {event.message} of round {event.stamp.round} is not of place {link.place}"
            return drop + self._violation(link, "foreign_message", detail)
        moves = self.round.message_arrived(link.place, event.message, event.payload, now)
        if moves is None:
            self.chronicle.totals.duplicate_frames += 1
            return drop
        return self._carry_out(moves, now)

    def _violation(self, link: Link, kind: str, detail: str) -> list[ev.Command]:
        return [ev.CloseLink(link.number, f"{kind}: {detail}", kind)]

    def _solved(self, event: ev.Solved, now: float) -> list[ev.Command]:
        assert self.round is not None
        return self._carry_out(self.round.solved(event.decoding, event.seconds, now), now)

    # ---- rounds -----------------------------------------------------------------------------------------

    def _start_round(self, now: float) -> list[ev.Command]:
        assert self.code is not None
        number = 0 if self.round is None else self.round.number + 1
        live = [link.place for link in self.members.seated() if link.place is not None]
        rules = RoundRules(
            deadline_seconds=self.settings.deadline.seconds(self.finishing, live),
            waits=self.settings.on_shortfall == "wait",
            enough=self.settings.enough,
        )
        self.round = Round(number, self.code, rules, now, self._collect_times)
        self.chronicle.open_round(number, self.epoch, now, rules.deadline_seconds)
        self._settling = None
        commands: list[ev.Command] = []
        for link in list(self.members.seated()):
            if link.ready:
                commands += self._send_round(link, now)
            elif link.place is not None:
                self.round.expect(link.place)
        return commands

    def _send_round(self, link: Link, now: float) -> list[ev.Command]:
        assert self.round is not None
        assert link.place is not None
        link.starts(self.round.number)
        self.chronicle.ledger.bytes_sent += self.settings.n_parameters * self.settings.item_bytes
        start = ev.StartRound(link.number, self.stamp(link))
        return [start, *self._carry_out(self.round.start(link.place, now), now)]

    def _carry_out(self, moves: Iterable[Move], now: float) -> list[ev.Command]:
        """Moves of the round, addressed to links; and what follows if the round has its outcome."""
        assert self.round is not None
        commands = [addressed(move, self.members, self.epoch, self.round.number) for move in moves]
        if self.round.outcome is not None and self._settling is None:
            commands += self._settle(now)
        return commands

    def _settle(self, now: float) -> list[ev.Command]:
        """The round has its outcome: everybody stops, and the optimiser steps if the policy says so."""
        assert self.round is not None
        assert self.round.outcome is not None
        outcome = self.round.outcome
        self._settling = judge(outcome, self.settings)
        self.finishing.observe_round(self.round.works, self.round.started_at)
        names = {work.place: self.members.name_at(work.place) for work in self.round.works}
        self.chronicle.settle(self.round, names)
        commands: list[ev.Command] = [
            ev.StopRound(link.number, self.stamp(link)) for link in self.members.seated() if link.ready
        ]
        if self._settling.steps and self.settings.learning:
            return [*commands, ev.Combine(self.round.number, outcome.used)]
        dropped = [ev.Discard(payload) for payload in self.round.payloads()]
        return [*commands, *dropped, *self._close_round(now)]

    def _combined(self, event: ev.Combined, now: float) -> list[ev.Command]:
        assert self.round is not None
        if event.culprit is not None:
            place = self.round.owner_of(event.culprit)
            what = f"the message of worker {self.members.name_at(place)} is not finite"
            return self._end(f"{what} in round {event.round}: the run diverged", 3, evaluate=False)
        self.chronicle.ledger.gradient_norm = event.gradient_norm
        self.chronicle.ledger.combine_seconds = event.seconds
        return [ev.Step(event.round)]

    def _stepped(self, event: ev.Stepped, now: float) -> list[ev.Command]:
        if not event.finite:
            what = f"the parameters are not finite after round {event.round}"
            return self._end(f"{what}: the run diverged", 3, evaluate=False)
        self.chronicle.ledger.step_seconds = event.seconds
        return self._close_round(now)

    def _close_round(self, now: float) -> list[ev.Command]:
        """Write the round down, let go whoever drains, and start the next or end the run."""
        assert self._settling is not None
        record = self.chronicle.close_round(self._settling)
        self._skips = 0 if self._settling.steps else self._skips + 1
        commands: list[ev.Command] = []
        for link in [link for link in self.members.links.values() if link.draining]:
            commands += self._take_turn(self._roster.let_go(link), now)
        return commands + self._go_on(record, self._settling, now)

    def _go_on(self, record: RoundRecord, verdict: Verdict, now: float) -> list[ev.Command]:
        if verdict.fails:
            return self._end(f"round {record.round} failed: {verdict.reason}", 3)
        if self._skips >= SKIPS_IN_A_ROW:
            return self._end(f"{self._skips} rounds in a row had no step, the last one: {verdict.reason}", 3)
        stop = reason_to_stop(record, self.settings)
        if stop is not None:
            return self._end(stop, 0)
        every = self.settings.evaluate_every
        if self.settings.learning and every > 0 and (record.round + 1) % every == 0:
            return [*self._start_round(now), ev.Evaluate(record.round)]
        return [*self.chronicle.write_down(), *self._start_round(now)]

    def _evaluated(self, event: ev.Evaluated, now: float) -> list[ev.Command]:
        commands = self.chronicle.write_down(event.score)
        return commands + self._finish() if self.phase == "closing" else commands

    # ---- beginning and ending ---------------------------------------------------------------------------

    def _plan(self, n_workers: int) -> list[ev.Command]:
        try:
            self.code = self.settings.make_code(n_workers)
        except InvalidSpec as error:
            return self._end(str(error), 2, evaluate=False)
        length = -(-self.settings.n_parameters // self.code.n_parts)
        self._collect_times = CollectTimes(length * self.settings.item_bytes)
        return [ev.Planned(self.code, self.epoch)]

    def _try_to_begin(self, now: float) -> list[ev.Command]:
        if self.code is None:
            return self._leave_lobby(now)
        step = self._joining.begin(self.members, self.code, now)
        if isinstance(step, GiveUp):
            return self._end(step.reason, 3, evaluate=False)
        if isinstance(step, KeepWaiting):
            return []
        self.phase = "running"
        if not step.missing:
            return self._start_round(now)
        return self.chronicle.note("short", f"beginning without {step.missing} workers") + self._start_round(
            now
        )

    def _leave_lobby(self, now: float) -> list[ev.Command]:
        step = self._joining.leave_lobby(len(self.members.links), now)
        if isinstance(step, GiveUp):
            return self._end(step.reason, 3, evaluate=False)
        if isinstance(step, KeepWaiting):
            return []
        n_links = len(self.members.links)
        commands = self._plan(n_links)
        if self.code is not None:
            commands += self._take_turn(self._roster.open(n_links), now)
        return commands

    def _look_around(self, now: float) -> list[ev.Command]:
        """What follows from time and state alone."""
        if self.phase == "joining":
            return self._try_to_begin(now)
        if self.phase != "running" or self.round is None or self.round.outcome is not None:
            return []
        limit = self.settings.max_seconds
        if limit is not None and self.run_seconds(now) >= limit:
            return self._end(f"max_seconds = {limit:g} have passed", 0)
        return self._mind_stuck(now)

    def _mind_stuck(self, now: float) -> list[ev.Command]:
        assert self.round is not None
        stuck = ""
        if not any(True for _ in self.members.seated()):
            stuck = "no worker is left"
        elif self.round.rules.waits and self.round.exhausted:
            stuck = "the linked workers have delivered all they can"
        answer = self._patience.look(stuck, now)
        if isinstance(answer, GiveUp):
            return self._end(answer.reason, 3)
        return self.chronicle.note("stuck", answer) if answer else []

    def _tick(self, event: ev.Tick, now: float) -> list[ev.Command]:
        if self.phase != "running" or self.round is None or self.round.outcome is not None:
            return []
        return self._carry_out(self.round.tick(now), now)

    def _stop_requested(self, event: ev.StopRequested, now: float) -> list[ev.Command]:
        return self._end(event.reason, event.exit_code)

    def _end(self, reason: str, exit_code: int, evaluate: bool = True) -> list[ev.Command]:
        self.phase = "closing"
        self.ending = (reason, exit_code)
        if evaluate and self.settings.learning and self.code is not None:
            return [ev.Evaluate(-1 if self.round is None else self.round.number)]
        return self.chronicle.write_down() + self._finish()

    def _finish(self) -> list[ev.Command]:
        assert self.ending is not None
        self.phase = "ended"
        closing: list[ev.Command] = [ev.CloseLink(number, "the run is over") for number in self.members.links]
        return [*closing, ev.Finish(*self.ending)]

    def _holders(self, chunk: int) -> tuple[int, ...]:
        assert self.code is not None
        return self.code.assignment.holders[chunk] if 0 <= chunk < self.code.n_chunks else ()
