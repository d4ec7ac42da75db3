"""Pure: the run. Membership, rounds, policies, stopping; sees ids, coefficients and times, no payload.

Whoever owns the clock and the links calls ``handle(event, now)`` for every event, carries out the commands
it returns, and sends ``Tick`` when ``wakes_at(now)`` is reached. ``Solve``, ``Combine``, ``Step`` and
``Evaluate`` are answered by events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from common.codes.base import GradientCode
from common.errors import InvalidSpec
from common.history import RoundRecord
from master import events as ev
from master.chronicle import Chronicle
from master.deadlines import sooner
from master.experience import Experience
from master.intake import Diverged, Intake, Unused, Violation
from master.joining import GiveUp, Joining, KeepWaiting, Patience
from master.membership import Link, Membership
from master.roster import Roster, Turn, addressed
from master.round import Move, Round
from master.settings import RunSettings
from master.settling import Settling
from master.verification import Verification


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
        self.experience = Experience()
        self.members = Membership(settings.n_workers)
        self._roster = Roster(self.members)
        self.verification = Verification(settings.verify, settings.verify_rate, settings.audit_seed)
        self._intake = Intake(self.members, self.chronicle, self.experience, self.verification.active)
        self._settling = Settling(settings, self.chronicle, self.experience)
        self.ending: tuple[str, int] | None = None
        self._joining = Joining(settings.join_timeout_seconds, settings.join_seconds, now)
        self._patience = Patience(settings.lost_seconds)
        self._stopping: tuple[str, int] | None = None
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
            ev.Examined: self._examined,
            ev.Restored: self._restored,
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
        if self.phase == "joining":
            begins_at = self._joining.wakes_at(self.code is None, len(self.members.links))
            return begins_at if begins_at > now else None
        current = self._open_round
        if current is None:
            return None
        return sooner(sooner(current.wakes_at(now), self._patience.wakes_at), self._stops_at)

    @property
    def _open_round(self) -> Round | None:
        """The round in hand, while it has no outcome."""
        current = self.round
        running = current is not None and self.phase == "running" and current.outcome is None
        return current if running else None

    @property
    def _stops_at(self) -> float | None:
        """When ``max_seconds`` have passed."""
        first, limit = self.chronicle.first_started_at, self.settings.max_seconds
        return None if first is None or limit is None else first + limit

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
        if event.name in self.verification.quarantined:
            return [ev.CloseLink(event.link, self.verification.refusal(event.name))]
        self._joining.newcomer_at = now
        return self._take_turn(self._roster.up(event, now), now)

    def _take_turn(self, turn: Turn, now: float) -> list[ev.Command]:
        """Carry a change of membership into the round in hand."""
        commands = self.chronicle.tell(turn.commands)
        for place in turn.taken:
            self.experience.forget(place)
        current = self._open_round
        if current is None:
            return commands
        for place in turn.lost:
            successor = self.members.name_at(place) if place in turn.taken else None
            commands += self._carry_out(current.lose(place, now, successor), now)
        for place in turn.taken:
            if place not in turn.lost:
                current.expect(place, self.members.name_at(place))
        return commands

    def _link_ready(self, event: ev.LinkReady, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        if link is None or link.place is None or link.ready or event.incarnation != link.incarnation:
            return []
        self.members.can_compute(link)
        return [] if self._open_round is None else self._send_round([link], now)

    def _link_down(self, event: ev.LinkDown, now: float) -> list[ev.Command]:
        return self._take_turn(self._roster.down(event.link, event.reason), now)

    def _link_draining(self, event: ev.LinkDraining, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        if link is None or link.draining:
            return []
        link.draining = True
        commands = self.chronicle.note("draining", f"worker {link.name} leaves after this round", link.place)
        if self._open_round is None or link.place is None or not link.ready:
            commands += self._take_turn(self._roster.let_go(link), now)
        return commands

    def _parameters_written(self, event: ev.ParametersWritten, now: float) -> list[ev.Command]:
        link = self.members.links.get(event.link)
        if link is not None:
            link.written_round = max(link.written_round, event.round)
        return []

    # ---- progress ---------------------------------------------------------------------------------------

    def _chunk_finished(self, event: ev.ChunkFinished, now: float) -> list[ev.Command]:
        taken = self._intake.chunk_finished(event, self.epoch, self.round, now)
        if isinstance(taken, Violation):
            return self._violation(taken, now)
        if isinstance(taken, Diverged):
            return self._diverge(taken.what)
        return self._carry_out(taken, now)

    def _message_arrived(self, event: ev.MessageArrived, now: float) -> list[ev.Command]:
        taken = self._intake.message_arrived(event, self.epoch, self.round, now)
        drop = ev.Discard(event.payload)
        if isinstance(taken, Violation):
            return [drop, *self._violation(taken, now)]
        if isinstance(taken, Unused):
            return [drop, *self._carry_out(taken.moves, now)]
        return self._carry_out(taken, now)

    def _violation(self, found: Violation, now: float) -> list[ev.Command]:
        number = found.link.number
        close = ev.CloseLink(number, f"{found.kind}: {found.detail}", found.kind)
        return [close, *self._take_turn(self._roster.down(number, found.detail), now)]

    def _diverge(self, what: str) -> list[ev.Command]:
        return self._end(f"{what}: the run diverged", 3, evaluate=False)

    def _solved(self, event: ev.Solved, now: float) -> list[ev.Command]:
        assert self.round is not None
        return self._carry_out(self.round.solved(event.decoding, event.seconds, now), now)

    # ---- rounds -----------------------------------------------------------------------------------------

    def _start_round(self, now: float) -> list[ev.Command]:
        assert self.code is not None
        number = 0 if self.round is None else self.round.number + 1
        live = [link.place for link in self.members.seated() if link.place is not None]
        rule, waits = self.settings.deadline, self.settings.on_shortfall == "wait"
        self.round = self.experience.new_round(number, rule, live, waits, self.settings.enough, now)
        self.chronicle.open_round(number, self.epoch, now, self.round.rules.deadline_seconds)
        self._settling.open()
        self.verification.open()
        for place in live:
            self.round.expect(place, self.members.name_at(place))
        return self._send_round([link for link in self.members.seated() if link.ready], now)

    def _send_round(self, links: list[Link], now: float) -> list[ev.Command]:
        assert self.round is not None
        for link in links:
            link.starts(self.round.number)
        n_bytes = self.settings.n_parameters * self.settings.item_bytes
        self.chronicle.ledger.bytes_sent += n_bytes * len(links)
        starts: list[ev.Command] = [ev.StartRound(link.number, self.stamp(link)) for link in links]
        places = [link.place for link in links if link.place is not None]
        return [*starts, *self._carry_out(self.round.start(places, now), now)]

    def _carry_out(self, moves: Iterable[Move], now: float) -> list[ev.Command]:
        """Moves of the round, addressed to links; and what follows if the round has its outcome."""
        assert self.round is not None
        commands = [addressed(move, self.members, self.epoch, self.round.number) for move in moves]
        if self.round.outcome is not None and not self._settling.under_way:
            commands += self._settle(now)
        return commands

    def _settle(self, now: float) -> list[ev.Command]:
        """The round has its outcome: everybody stops, and the optimiser steps if the policy says so."""
        assert self.round is not None
        stops: list[ev.Command] = [
            ev.StopRound(link.number, self.stamp(link)) for link in self.members.seated() if link.ready
        ]
        follows = self._settling.judge(self.round, now)
        if not isinstance(follows, ev.Combine):
            return [*stops, *follows, *self._close_round(now)]
        questions = self.verification.questions(self.round)
        return [*stops, ev.Examine(self.round.number, questions) if questions else follows]

    def _examined(self, event: ev.Examined, now: float) -> list[ev.Command]:
        """The values of the round are as right as they will be: step with them, unless others were wrong."""
        assert self.round is not None
        assert self.round.outcome is not None
        judgement = self.verification.judge(event)
        commands: list[ev.Command] = []
        for worker in judgement.liars:
            commands += self._quarantine(worker, now)
        if judgement.returns_to is None:
            return [*commands, ev.Combine(event.round, self.round.outcome.used)]
        why = self.verification.reason(judgement)
        commands += [*self.chronicle.note("return", why), *self._settling.revoke(self.round, why)]
        return [*commands, *self._close_round(now)]

    def _quarantine(self, worker: str, now: float) -> list[ev.Command]:
        why = self.verification.refusal(worker)
        link = self.members.same_name(worker)
        place = None if link is None else link.place
        commands = self.chronicle.note("quarantine", f"worker {worker} is quarantined: {why}", place)
        if link is None:
            return commands
        leaving = self._take_turn(self._roster.down(link.number, "it is quarantined"), now)
        return [*commands, ev.CloseLink(link.number, why), *leaving]

    def _restored(self, event: ev.Restored, now: float) -> list[ev.Command]:
        return self._end(*self._stopping) if self._stopping else self._start_round(now)

    def _combined(self, event: ev.Combined, now: float) -> list[ev.Command]:
        assert self.round is not None
        if event.culprit is not None:
            name = self.members.name_at(self.round.owner_of(event.culprit))
            return self._diverge(f"the message of worker {name} is not finite in round {event.round}")
        return [self._settling.combined(event, self.verification.step(self.round))]

    def _stepped(self, event: ev.Stepped, now: float) -> list[ev.Command]:
        if not event.finite:
            what = f"the parameters are not finite after round {event.round}"
            if not self.verification.doubt(event.round):
                return self._diverge(what)
            notes = self.chronicle.note("return", f"{what}: it is played again, and every answer audited")
            return [*notes, *self._close_round(now)]
        self._settling.stepped(event)
        return self._close_round(now)

    def _close_round(self, now: float) -> list[ev.Command]:
        """Write the round down, let go whoever drains, and start the next or end the run."""
        self.chronicle.ledger.checked = self.verification.checked
        record, commands = self._settling.close()
        for link in [link for link in self.members.links.values() if link.draining]:
            commands += self._take_turn(self._roster.let_go(link), now)
        return commands + self._go_on(record, now)

    def _go_on(self, record: RoundRecord, now: float) -> list[ev.Command]:
        back = self.verification.take_return(record.round)
        ending = self._settling.ending(record, self.verification.n_undone) or self._stopping
        if back is not None:
            self._stopping = ending
            return [*self.chronicle.write_down(), ev.Restore(back)]
        if ending is not None:
            return self._end(*ending)
        if self._settling.is_scored(record):
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
        self.experience.plan(self.code, length * self.settings.item_bytes)
        return [ev.Planned(self.code, self.epoch)]

    def _try_to_begin(self, now: float) -> list[ev.Command]:
        n_links = len(self.members.links)
        if self.code is None:
            step = self._joining.leave_lobby(n_links, now)
        else:
            step = self._joining.begin(self.members, self.code, now)
        if isinstance(step, GiveUp):
            return self._end(step.reason, 3, evaluate=False)
        if isinstance(step, KeepWaiting):
            return []
        if self.code is None:
            planned = self._plan(n_links)
            return planned + ([] if self.code is None else self._take_turn(self._roster.open(n_links), now))
        self.phase = "running"
        short = f"beginning without {step.missing} workers"
        notes = self.chronicle.note("short", short) if step.missing else []
        return notes + self._start_round(now)

    def _look_around(self, now: float) -> list[ev.Command]:
        """What follows from time and state alone."""
        if self.phase == "joining":
            return self._try_to_begin(now)
        current, stops_at = self._open_round, self._stops_at
        if current is None:
            return []
        if stops_at is not None and now >= stops_at:
            return self._end(f"max_seconds = {self.settings.max_seconds:g} have passed", 0)
        return self._mind_stuck(current, now)

    def _mind_stuck(self, current: Round, now: float) -> list[ev.Command]:
        stuck = ""
        if self.members.n_linked == 0:
            stuck = "no worker is left"
        elif current.rules.waits and current.exhausted:
            stuck = "the linked workers have delivered all they can"
        answer = self._patience.look(stuck, now)
        if isinstance(answer, GiveUp):
            return self._end(answer.reason, 3)
        return self.chronicle.note("stuck", answer) if answer else []

    def _tick(self, event: ev.Tick, now: float) -> list[ev.Command]:
        return [] if self._open_round is None else self._carry_out(self._open_round.tick(now), now)

    def _stop_requested(self, event: ev.StopRequested, now: float) -> list[ev.Command]:
        if self.round is not None and self.round.outcome is not None:
            self._stopping = (event.reason, event.exit_code)  # the step in hand is written down first
            return []
        return self._end(event.reason, event.exit_code)

    def _end(self, reason: str, exit_code: int, evaluate: bool = True) -> list[ev.Command]:
        kept = () if self._open_round is None else self._open_round.payloads()
        dropped: list[ev.Command] = [ev.Discard(payload) for payload in kept]
        self.phase = "closing"
        self.ending = (reason, exit_code)
        if evaluate and self.settings.learning and self.code is not None:
            return [*dropped, ev.Evaluate(-1 if self.round is None else self.round.number)]
        return dropped + self.chronicle.write_down() + self._finish()

    def _finish(self) -> list[ev.Command]:
        assert self.ending is not None
        self.phase = "ended"
        closing: list[ev.Command] = [ev.CloseLink(number, "the run is over") for number in self.members.links]
        return [*closing, ev.Finish(*self.ending)]
