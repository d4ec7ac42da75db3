"""Pure: the run. Membership, rounds, policies, stopping; sees ids, coefficients and times, no payload.

Whoever owns the clock and the links calls ``handle(event, now)`` for every event, carries out the commands
it returns, and sends ``Tick`` when ``wakes_at(now)`` is reached. ``Solve``, ``Combine``, ``Step`` and
``Evaluate`` are answered by events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, get_args

from common.codes.base import GradientCode
from common.errors import InvalidSpec
from common.history import RoundRecord
from master import commands as cmd
from master import events as ev
from master.chronicle import Chronicle
from master.deadlines import sooner
from master.experience import Experience
from master.intake import Diverged, Intake, Unused, Violation
from master.joining import Begin, GiveUp, Joining, KeepWaiting, Open, Patience, Regathering, why_stuck
from master.keeping import Keeping
from master.membership import Link, Membership
from master.plans import Plans
from master.replanning import Change
from master.roster import Roster, Turn, addressed, stops
from master.round import Move, Round
from master.settings import RunSettings
from master.settling import Progress, Settling
from master.snapshot import Snapshot
from master.verification import Verification


class Training:
    """One run, from the first link to the last step.

    Args:
        settings: what to do. now: the master's monotonic clock, in seconds.
        resumed: where it goes on; None: with round 0. incarnations: those of this start are greater.

    Attributes:
        round: the round in hand or the last one of this plan; None before the first of a plan.
        next_round: number of the round that starts next.
        plans: the plan, and its ``replanning`` that knows the number of workers that is ``wanted``.
    """

    def __init__(
        self, settings: RunSettings, now: float, resumed: Snapshot | None = None, incarnations: int = 0
    ) -> None:
        self.settings = settings
        self.phase = "joining"
        self.round: Round | None = None
        self.chronicle = Chronicle(settings.n_rows)
        self.experience = Experience()
        n_places = settings.n_workers if resumed is None else resumed.n_places
        self.members = Membership(n_places, incarnations)
        self._roster = Roster(self.members)
        self.plans = Plans(settings, self.members, self._roster, self.chronicle, self.experience)
        self.verification = Verification(settings.verify, settings.verify_rate, settings.audit_seed)
        self._intake = Intake(self.members, self.chronicle, self.experience, self.verification.active)
        self._settling = Settling(settings, self.chronicle, self.experience, self.verification)
        parts = (self.plans, self.chronicle, self.experience, self.members, self._settling)
        self._keeping = Keeping(settings, *parts, now, resumed)
        self.next_round = self._keeping.first_round
        self.ending: tuple[str, int] | None = None
        n_before = None if resumed is None else resumed.n_linked
        self._joining = Joining(settings.join_timeout_seconds, settings.join_seconds, now, n_before)
        self._patience = Patience(settings.lost_seconds)
        self._stopping: tuple[str, int] | None = None
        self._handlers: dict[type, Callable[[Any, float], list[cmd.Command]]] = {
            kind: getattr(self, ev.method_of(kind)) for kind in get_args(ev.Event)
        }

    # ---- the interface ----------------------------------------------------------------------------------

    @property
    def code(self) -> GradientCode | None:
        """The code of the plan; None before the first plan."""
        return self.plans.code

    @property
    def epoch(self) -> int:
        """The version of the plan."""
        return self.plans.epoch

    def begin(self) -> list[cmd.Command]:
        """The first commands: the plan, where the number of workers is known beforehand."""
        n_places = self.members.n_places
        commands = self._plan(n_places) if n_places else []
        self._keeping.take_up()
        return commands

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        """Take one event; returns what is to be done, in order."""
        heard = ev.LinkUp | ev.LinkDown | ev.Evaluated
        if self.phase in ("closing", "ended") and not isinstance(event, heard):
            return [cmd.Discard(event.payload)] if isinstance(event, ev.MessageArrived) else []
        commands = self._handlers[type(event)](event, now) + self._look_around(now)
        running = self.phase in ("joining", "running")
        return commands + (self.plans.prepare(self.next_round) if running else [])

    def wakes_at(self, now: float) -> float | None:
        """When the next Tick is due; None if only events can change anything."""
        current, due = self._open_round, None
        if self.phase == "joining":
            begins_at = self._joining.wakes_at(self.code is None, len(self.members.links))
            due = begins_at if begins_at > now else None
        elif current is None:
            return self._settling.wakes_at if self.phase == "running" else None
        else:
            due = current.wakes_at(now)
        due = sooner(due, self.plans.replanning.wakes_at(self.members, now))
        stops_at = self.chronicle.at(self.settings.max_seconds)
        return sooner(sooner(due, self._patience.wakes_at), stops_at)

    @property
    def _open_round(self) -> Round | None:
        """The round in hand, while it has no outcome."""
        current, running = self.round, self.phase == "running"
        return current if running and current is not None and current.outcome is None else None

    def run_seconds(self, now: float) -> float:
        """Seconds since the first round started, without those between two starts of the master."""
        return self.chronicle.run_seconds(now)

    # ---- membership -------------------------------------------------------------------------------------

    def _link_up(self, event: ev.LinkUp, now: float) -> list[cmd.Command]:
        over = "the run is over" if self.phase in ("closing", "ended") else ""
        if refusal := over or self.verification.quarantined.get(event.name):
            return [cmd.CloseLink(event.link, refusal)]
        self._joining.newcomer_at = now
        return self._take_turn(self._roster.up(event, now), now)

    def _take_turn(self, turn: Turn, now: float, drained: bool = False) -> list[cmd.Command]:
        """Carry a change of membership into the round in hand."""
        commands = self.chronicle.tell(turn.commands)
        for place in turn.taken:
            # Whoever comes back after a restart of the master is as fast as it was.
            if not self._keeping.is_known(place):
                self.experience.forget(place)
        self.plans.mind(turn, now, drained)
        current = self._open_round
        if current is None:
            return commands
        for place in turn.lost:
            successor = self.members.name_at(place) if place in turn.taken else None
            commands += self._carry_out(current.lose(place, now, successor), now)
        for place in [each for each in turn.taken if each not in turn.lost]:
            current.expect(place, self.members.name_at(place))
        return commands

    def _link_ready(self, event: ev.LinkReady, now: float) -> list[cmd.Command]:
        link = self.members.links.get(event.link)
        if link is None or link.place is None or link.ready or event.incarnation != link.incarnation:
            return []
        self.members.can_compute(link)
        return [] if self._open_round is None else self._send_round([link], now)

    def _link_down(self, event: ev.LinkDown, now: float) -> list[cmd.Command]:
        return self._take_turn(self._roster.down(event.link, event.reason), now)

    def _link_draining(self, event: ev.LinkDraining, now: float) -> list[cmd.Command]:
        link = self.members.links.get(event.link)
        if link is None or link.draining:
            return []
        self.members.drain(link)
        commands = self.chronicle.note("draining", f"worker {link.name} leaves after this round", link.place)
        if self._open_round is None or link.place is None or not link.ready:
            commands += self._take_turn(self._roster.let_go(link), now, drained=True)
        return commands

    def _parameters_written(self, event: ev.ParametersWritten, now: float) -> list[cmd.Command]:
        self.members.wrote(event.link, event.round)
        return []

    # ---- progress ---------------------------------------------------------------------------------------

    def _chunk_finished(self, event: ev.ChunkFinished, now: float) -> list[cmd.Command]:
        taken = self._intake.chunk_finished(event, self.epoch, self.round, now)
        if isinstance(taken, Violation):
            return self._expel(taken.close, taken.detail, now)
        if isinstance(taken, Diverged):
            return self._diverge(taken.what)
        return self._carry_out(taken, now)

    def _message_arrived(self, event: ev.MessageArrived, now: float) -> list[cmd.Command]:
        taken = self._intake.message_arrived(event, self.epoch, self.round, now)
        drop = cmd.Discard(event.payload)
        if isinstance(taken, Violation):
            return [drop, *self._expel(taken.close, taken.detail, now)]
        if isinstance(taken, Unused):
            return [drop, *self._carry_out(taken.moves, now)]
        return self._carry_out(taken, now)

    def _expel(self, close: cmd.CloseLink, why: str, now: float) -> list[cmd.Command]:
        return [close, *self._take_turn(self._roster.down(close.link, why), now)]

    def _diverge(self, what: str) -> list[cmd.Command]:
        self._keeping.sound = False
        return self._end(f"{what}: the run diverged", 3, evaluate=False)

    def _solved(self, event: ev.Solved, now: float) -> list[cmd.Command]:
        assert self.round is not None
        return self._carry_out(self.round.solved(event.decoding, event.seconds, now), now)

    # ---- rounds -----------------------------------------------------------------------------------------

    def _start_round(self, now: float) -> list[cmd.Command]:
        assert self.code is not None
        number, self.next_round = self.next_round, self.next_round + 1
        live = [link.place for link in self.members.seated() if link.place is not None]
        rule, waits = self.settings.deadline, self.settings.on_shortfall == "wait"
        self.round = self.experience.new_round(number, rule, live, waits, self.settings.enough, now)
        self.chronicle.open_round(number, self.epoch, now, self.round.rules.deadline_seconds)
        self._settling.open()
        for place in live:
            self.round.expect(place, self.members.name_at(place))
        return self._send_round([link for link in self.members.seated() if link.ready], now)

    def _send_round(self, links: list[Link], now: float) -> list[cmd.Command]:
        assert self.round is not None
        for link in links:
            link.starts(self.round.number)
        n_bytes = self.settings.n_parameters * self.settings.item_bytes
        self.chronicle.ledger.bytes_sent += n_bytes * len(links)
        epoch, number, starts = self.epoch, self.round.number, list[cmd.Command]()
        starts += (cmd.StartRound(link.number, ev.Stamp(epoch, number, link.incarnation)) for link in links)
        places = [link.place for link in links if link.place is not None]
        return [*starts, *self._carry_out(self.round.start(places, now), now)]

    def _carry_out(self, moves: Iterable[Move], now: float) -> list[cmd.Command]:
        """Moves of the round, addressed to links; and what follows if the round has its outcome."""
        if self.round is None:
            return []  # what came was of a former plan
        commands = [addressed(move, self.members, self.epoch, self.round.number) for move in moves]
        if self.round.outcome is not None and not self._settling.under_way:
            commands += self._settle(now)
        return commands

    def _settle(self, now: float) -> list[cmd.Command]:
        """The round has its outcome: everybody stops, and the optimiser steps if the policy says so."""
        assert self.round is not None
        step = self._settling.judge(self.round, self.epoch, self.members, now)
        return [*step.commands, *(self._close_round(now) if step.done else [])]

    def _advance(self, event: Progress, now: float) -> list[cmd.Command]:
        """The step has come further: examined, disputed, combined, stepped."""
        if self.round is None:
            return []  # what came was of a former plan
        step = self._settling.advance(event, self.round, self.members, now)
        if step.diverged:
            return self._diverge(step.diverged)
        leaving = [self._expel(close, close.reason, now) for close in step.expelled]
        return [*step.commands, *chain(*leaving), *(self._close_round(now) if step.done else [])]

    _examined = _partial_sum = _combined = _stepped = _advance

    def _close_round(self, now: float) -> list[cmd.Command]:
        """Write the round down, let go whoever drains, and start the next or end the run."""
        record, commands = self._settling.close()
        return commands + self._let_go(now) + self._go_on(record, now)

    def _let_go(self, now: float) -> list[cmd.Command]:
        leaving = [link for link in self.members.links.values() if link.draining]
        turns = [self._take_turn(self._roster.let_go(link), now, drained=True) for link in leaving]
        return list(chain(*turns))

    def _go_on(self, record: RoundRecord, now: float) -> list[cmd.Command]:
        self._stopping = self._settling.ending(record) or self._stopping
        if restore := self._settling.returns(record):
            return [*self.chronicle.write_down(), restore]
        if self._stopping is not None:
            return self._end(*self._stopping)
        scored = self._settling.is_scored(record)
        kept = [] if scored else [*self.chronicle.write_down(), *self._keeping.between_rounds(now)]
        begun = self._begin_next(now)
        if scored:
            return [*begun, cmd.Evaluate(record.round)]
        return [*kept, *begun]

    def _begin_next(self, now: float) -> list[cmd.Command]:
        begun = self._replan(now)
        return begun + (self._start_round(now) if self.phase == "running" else [])

    def _restored(self, event: ev.Restored, now: float) -> list[cmd.Command]:
        return self._begin_next(now) if self._stopping is None else self._end(*self._stopping)

    def _evaluated(self, event: ev.Evaluated, now: float) -> list[cmd.Command]:
        commands = self.chronicle.write_down(event.score)
        closing = self.phase == "closing"
        return commands + (self._finish() if closing else self._keeping.between_rounds(now))

    # ---- beginning and ending ---------------------------------------------------------------------------

    def _plan(self, n_workers: int) -> list[cmd.Command]:
        try:
            return self.plans.first(n_workers)
        except InvalidSpec as error:
            return self._end(str(error), 2, evaluate=False)

    def _gather(self, now: float) -> list[cmd.Command]:
        """Before the first round of a plan: is there a plan, and may its rounds start?"""
        if self.code is None:
            wanted = self.plans.replanning.wanted
            return self._go_ahead(self._joining.leave_lobby(len(self.members.links), wanted, now), now)
        epoch, commands = self.epoch, self._replan(now)
        if self.epoch == epoch and self.chronicle.has_begun:
            commands += self._mind_stuck(why_stuck(self.members, None), now)
        if self.epoch != epoch or self.phase != "joining":
            return commands
        return commands + self._go_ahead(self._joining.begin(self.members, self.code, now), now)

    def _go_ahead(self, step: KeepWaiting | Open | Begin | GiveUp, now: float) -> list[cmd.Command]:
        if isinstance(step, KeepWaiting):
            return []
        if isinstance(step, GiveUp):
            return self._end(step.reason, 3, evaluate=False)
        if isinstance(step, Open):
            planned = self._plan(step.n_places)
            if self.code is not None:
                planned += self._take_turn(self._roster.open(step.n_places), now)
            return planned
        self.phase = "running"
        self.plans.replanning.begin(self.members, now)
        short = f"beginning without {step.missing} workers" if step.missing else ""
        return self.chronicle.note("short", short) + self._start_round(now)

    def _replan(self, now: float) -> list[cmd.Command]:
        """Another plan if it is time for one; rounds wait until its rows are loaded."""
        assert self.code is not None
        found = self.plans.replanning.look(self.members, self.code, now)
        if not isinstance(found, Change):
            return self.chronicle.note("replan", found)
        commands = self._drop_round(now)
        self.phase = "joining"
        if self.chronicle.has_begun:
            waits = self.settings.join_timeout_seconds, self.settings.join_seconds
            self._joining = Regathering(*waits, now)
        return commands + self.plans.follow(found, now)

    def _drop_round(self, now: float) -> list[cmd.Command]:
        """No round is in hand any more; one that has no outcome is played again under the next plan."""
        current, self.round = self._open_round, None
        if current is None:
            return []
        self.next_round = current.number
        commands: list[cmd.Command] = [cmd.Discard(payload) for payload in current.payloads()]
        commands += stops(self.members, self.epoch, current.number)
        commands += self._let_go(now)
        return commands + self.chronicle.note("again", f"round {current.number} begins again")

    def _look_around(self, now: float) -> list[cmd.Command]:
        """What follows from time and state alone."""
        current, stops_at = self._open_round, self.chronicle.at(self.settings.max_seconds)
        if self.phase != "joining" and current is None:
            return self._settling.look(now) if self.phase == "running" else []
        if stops_at is not None and now >= stops_at:
            return self._end(f"max_seconds = {self.settings.max_seconds:g} have passed", 0)
        if current is None:
            return self._gather(now)
        stuck = why_stuck(self.members, current)
        commands = self._replan(now) if stuck and self.members.n_linked else []
        return commands + (self._mind_stuck(stuck, now) if self.phase == "running" else [])

    def _mind_stuck(self, stuck: str, now: float) -> list[cmd.Command]:
        answer = self._patience.look(stuck, now)
        if isinstance(answer, GiveUp):
            return self._end(answer.reason, 3)
        return self.chronicle.note("stuck", answer)

    def _scale_requested(self, event: ev.ScaleRequested, now: float) -> list[cmd.Command]:
        return self.chronicle.note("scale", self.plans.replanning.ask(event.n_workers, self.code))

    def _tick(self, event: ev.Tick, now: float) -> list[cmd.Command]:
        return [] if self._open_round is None else self._carry_out(self._open_round.tick(now), now)

    def _stop_requested(self, event: ev.StopRequested, now: float) -> list[cmd.Command]:
        if self.round is not None and self.round.outcome is not None:
            self._stopping = (event.reason, event.exit_code)  # the step in hand is written down first
            return []
        return self._end(event.reason, event.exit_code)

    def _end(self, reason: str, exit_code: int, evaluate: bool = True) -> list[cmd.Command]:
        kept = () if self._open_round is None else self._open_round.payloads()
        dropped: list[cmd.Command] = [cmd.Discard(payload) for payload in kept]
        self.phase = "closing"
        self.ending = (reason, exit_code)
        if evaluate and self.settings.learning and self.code is not None:
            return [*dropped, cmd.Evaluate(self.next_round - 1)]
        return dropped + self.chronicle.write_down() + self._finish()

    def _finish(self) -> list[cmd.Command]:
        assert self.ending is not None
        self.phase = "ended"
        closing = (cmd.CloseLink(number, "the run is over") for number in self.members.links)
        return [*self._keeping.at_the_end(self.ending[1]), *closing, cmd.Finish(*self.ending)]
