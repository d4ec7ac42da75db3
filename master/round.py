"""Pure: one round as a state machine. Reports come in, moves go out, until there is an outcome.

::

    fixed codes        computing -> solving -> outcome, or computing again
    codes on request   computing -> collecting -> solving -> outcome, or computing again

A round ends at the first of: exact; enough (a fraction, or the code's first k messages); the deadline;
nothing more can come. A place that does not answer a request in time is gone until it does: its part is
asked of others, or computed again; if none answers in time at all, all get more time. After the deadline
there is one collection and at most one repair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.codes.base import Decoding, GradientCode, Message
from common.history import End
from master.collecting import Ask, CollectTimes
from master.commands import Solve
from master.deadlines import ASKS_AFTER_DEADLINE, RoundRules, sooner
from master.joint import make_collecting
from master.outcome import ROUNDING, Outcome, Work, acceptance, enough_messages, stragglers
from master.schedule import Requeue, Schedule

Move = Ask | Requeue | Solve


class Round:
    """One round of one code. Events cost O(1), except where something is asked, lost or solved.

    Args:
        number: the round.
        code: the plan's code.
        rules: when to stop waiting.
        now: the master's monotonic clock at the start, in seconds.
        schedule: what places compute next; a fresh one.
        collect_times: how long collections usually take; remembered from round to round.
    """

    def __init__(
        self,
        number: int,
        code: GradientCode,
        rules: RoundRules,
        now: float,
        schedule: Schedule,
        collect_times: CollectTimes,
    ) -> None:
        self.number = number
        self.code = code
        self.rules = rules
        self.schedule = schedule
        self.started_at = now
        self.outcome: Outcome | None = None
        self.works = [
            Work(place, len(order), code.shares[place]) for place, order in enumerate(code.assignment.orders)
        ]
        self.left: list[Work] = []
        self._enough = min(rules.enough, code.enough_recovered)
        self._tally = code.stop_rule.start()
        self._collecting = make_collecting(code, collect_times)
        self._received: dict[int, int] = {}
        self._covered: set[int] = set()
        self._present: set[int] = set()
        self._pending: set[int] = set()
        self._asks_after_deadline = 0
        self._solving: tuple[int, ...] | None = None
        self._solved: tuple[tuple[int, ...], Decoding] | None = None
        self._solve_seconds = 0.0

    # ---- what the run asks ------------------------------------------------------------------------------

    @property
    def deadline_at(self) -> float | None:
        """When the deadline passes; None without one that counts."""
        seconds = self.rules.deadline_seconds
        return None if seconds is None or self.rules.waits else self.started_at + seconds

    @property
    def exhausted(self) -> bool:
        """Whether no linked place can still deliver anything; places without a link may return."""
        return not self._pending and not self._busy

    @property
    def n_finished(self) -> int:
        """Number of distinct chunks that are in a message that arrived, or can be asked for."""
        return len(self._covered) if self._collecting is None else self._collecting.n_reached

    def wakes_at(self, now: float) -> float | None:
        """When ``tick`` has something to do; None if only events can change anything."""
        if self.outcome is not None:
            return None
        due = None if self._collecting is None else self._collecting.due_at
        # It may pass while an event is handled; with nothing under way nobody else would notice.
        passes = self.deadline_at is not None and (
            now < self.deadline_at or (self._present and not self._busy)
        )
        due = sooner(due, self.deadline_at) if passes else due
        return sooner(due, self.schedule.wakes_at)

    def owns(self, place: int, number: int) -> bool:
        """Whether message or request ``number`` belongs to ``place``."""
        if self._collecting is not None:
            return self._collecting.owner(number) == place
        return 0 <= number < len(self.code.messages) and self.code.messages[number].worker == place

    def parts_of(self, number: int) -> int:
        """Into how many parts gradients are cut for message or request ``number``."""
        return self.code.n_parts if self._collecting is None else self._collecting.n_parts(number)

    def owner_of(self, payload: int) -> int:
        """The place that sent ``payload``."""
        number = next(number for number, held in self._received.items() if held == payload)
        return self._columns([number])[0].worker

    def received(self) -> list[tuple[int, Message, int]]:
        """Everything that arrived: payload, message, and into how many parts gradients are cut for it."""
        numbers, payloads = self._received.keys(), self._received.values()
        parts = (self.parts_of(number) for number in numbers)
        return list(zip(payloads, self._columns(numbers), parts, strict=True))

    def payloads(self) -> tuple[int, ...]:
        """Everything that arrived and is kept."""
        return tuple(self._received.values())

    # ---- places come and go -----------------------------------------------------------------------------

    def expect(self, place: int, worker: str = "") -> None:
        """A link of ``worker`` has taken the place and is loading its rows."""
        former = self.works[place]
        if former.arrived:
            self.left.append(former)
        self.works[place] = Work(place, former.load, former.share, present=True, worker=worker)
        self._present.add(place)
        self._pending.add(place)
        self._update_pending(place)

    def start(self, places: Iterable[int], now: float) -> list[Move]:
        """The expected links at ``places`` are being sent the round."""
        starting = list(places)
        for place in starting:
            self.works[place].started_at = now
        self.schedule.begin(starting, now)
        for place in starting:
            self._update_pending(place)
        return self._go_on(now)

    def lose(self, place: int, now: float, successor: str | None = None) -> list[Move]:
        """The place's link is gone: its messages stay valid, what it has not sent is unfinished again.

        With a ``successor`` that worker's link has the place already and is loading its rows.
        """
        work = self.works[place]
        work.present = False
        self._present.discard(place)
        self._pending.discard(place)
        if successor is not None:
            self.expect(place, successor)
        return self._forsake([work], now)

    # ---- progress ---------------------------------------------------------------------------------------

    def chunk_finished(
        self, place: int, chunk: int, seconds: float, now: float, digest: bytes = b""
    ) -> list[Move] | None:
        """A report, within the worker's own ``seconds``. Returns None if it was reported before."""
        work = self.works[place]
        if chunk in work.arrived:
            return None
        work.arrived[chunk] = now
        work.seconds.append(seconds)
        if digest:
            work.digests[chunk] = digest
        self.schedule.finished(place, chunk, seconds, now)
        self._update_pending(place)
        if self._collecting is not None and not work.gone:
            self._tally.finished(place, chunk)
            self._collecting.finish(place, chunk, digest)
        return self._go_on(now)

    def message_arrived(self, place: int, number: int, payload: int, now: float) -> list[Move] | None:
        """A whole message. Returns None if it is not wanted: again, cancelled, or after the outcome."""
        if self.outcome is not None or number in self._received:
            return None
        if self._collecting is None:
            self._tally.arrived(number)
            self._covered.update(term.chunk for term in self.code.messages[number].terms)
        elif not self._collecting.answer(number, now):
            return None
        self._received[number] = payload
        self._revive(place, now)
        self.works[place].sent.append(payload)
        self._update_pending(place)
        return self._go_on(now)

    def revive(self, place: int, now: float) -> list[Move]:
        """A place that may have been given up has answered: what it finished can be asked for again."""
        self._revive(place, now)
        return self._go_on(now)

    def solved(self, decoding: Decoding, seconds: float, now: float) -> list[Move]:
        """Weights have been found for what was last handed to Solve."""
        assert self._solving is not None, "an answer without a question"
        numbers, self._solving = self._solving, None
        self._solved = (numbers, decoding)
        self._solve_seconds += seconds
        accepted = acceptance(self.code, self._enough, len(numbers), decoding)
        if accepted is not None:
            self._finish(*accepted, now)
            return []
        return self._go_on(now)

    def tick(self, now: float) -> list[Move]:
        """Time has passed: look at unanswered requests, at the deadline and at overdue chunks."""
        self.schedule.tick(now)
        overdue = () if self._collecting is None else sorted(self._collecting.overdue(now))
        self._pending.difference_update(overdue)
        return self._forsake([self.works[place] for place in overdue], now)

    # ---- decisions --------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> list[Move]:
        """Whatever changed: what follows for the outcome, and what places compute next."""
        changes = self.schedule.take_changes(now)
        for change in changes:
            self._update_pending(change.place)
        moves = self._consider(now)
        return moves if self.outcome is not None else [*moves, *changes]

    def _consider(self, now: float) -> list[Move]:
        """Whatever changed: does it call for asking, solving, or an end?"""
        if self.outcome is not None or self._busy:
            return []
        ending = self._ending(now)
        if ending is None and not self._promising:
            return []
        asks = self._ask(now)
        if asks:
            return list(asks)
        if ending is not None and ending[0] == "exhausted" and self._reopen(now):
            again: list[Move] = [*self._ask(now), *self.schedule.take_changes(now)]
            if self._busy or self._pending:
                return again
        numbers = self._at_hand
        if self._solved is None or self._solved[0] != numbers:
            self._solving = numbers
            return [Solve(self.number, self._columns(numbers))]
        if ending is not None:
            self._finish(*ending, now)
        return []

    @property
    def _busy(self) -> bool:
        """An answer is under way: of the solver, or of workers that were asked."""
        return self._solving is not None or (self._collecting is not None and self._collecting.n_open > 0)

    @property
    def _at_hand(self) -> tuple[int, ...]:
        """The messages that can be decoded; sorted, so that the order of arrival makes no other question."""
        if self._collecting is None:
            return tuple(sorted(self._received))
        return tuple(sorted(filter(self._collecting.counts, self._received)))

    @property
    def _promising(self) -> bool:
        """Whether what is there may be exact or enough."""
        if self._tally.may_suffice or enough_messages(self.code, len(self._received)):
            return True
        finished = self.n_finished
        # Where values are compared, those of one worker only will do when no more come.
        asked = self._collecting is not None if not self.code.copies else not self._pending
        return (asked and finished == self.code.n_chunks) or self._may_be_enough(finished)

    def _may_be_enough(self, n_chunks: int) -> bool:
        return self._enough < 1.0 and n_chunks >= (self._enough - ROUNDING) * self.code.n_chunks

    def _ending(self, now: float) -> tuple[End, str] | None:
        """Why the round cannot go on, in one word and in words; None if it can.

        With nobody linked it waits for somebody to return: deciding how long is the run's business.
        """
        if self.rules.waits or not self._present:
            return None
        if self.deadline_at is not None and now >= self.deadline_at:
            return "deadline", f"the deadline of {self.rules.deadline_seconds:.3g} s passed"
        if not self._pending:
            return "exhausted", "nothing more can come from the linked workers"
        return None

    @property
    def _not_tried_yet(self) -> bool:
        """Whether what is collected may be enough and has not been solved: asking for more can wait."""
        assert self._collecting is not None
        if not self._may_be_enough(len(self._collecting.collected)):
            return False
        return self._solved is None or self._solved[0] != self._at_hand

    def _ask(self, now: float) -> Sequence[Ask]:
        if self._collecting is None or self._not_tried_yet:
            return ()
        late = self.deadline_at is not None and now >= self.deadline_at
        if late and self._asks_after_deadline == ASKS_AFTER_DEADLINE:
            return ()
        asks = self._collecting.ask(now)
        if late and asks:
            self._asks_after_deadline += 1
        return asks

    def _reopen(self, now: float) -> bool:
        """Whether to wait on for places that were given up, as no place at all has answered in time yet."""
        silent = [work for work in self.works if work.gone and work.present]
        places, until = {work.place for work in silent}, self.deadline_at
        if self._collecting is None or not self._collecting.reopen(places, now, until):
            return False
        for work in silent:
            self._revive(work.place, now)
        return True

    def _finish(self, end: End, reason: str, now: float) -> None:
        assert self._solved is not None, "an outcome needs a decoding"
        numbers, decoding = self._solved
        used = tuple(
            (self._received[number], tuple(float(value) for value in weights))
            for number, weights in zip(numbers, decoding.weights, strict=True)
            if weights.any()
        )
        share = "" if decoding.exact else f": recovered fraction {decoding.recovered_fraction:.3f}"
        self.outcome = Outcome(
            end=end,
            reason=reason + share,
            decoding=decoding,
            used=used,
            messages=self._columns(numbers),
            stragglers=stragglers(self.works, self.started_at, now),
            lost=tuple(work.place for work in self.works if not work.present),
            ended_at=now,
            collect_seconds=0.0 if self._collecting is None else self._collecting.seconds,
            solve_seconds=self._solve_seconds,
        )

    # ---- bookkeeping ------------------------------------------------------------------------------------

    def _forsake(self, works: Iterable[Work], now: float) -> list[Move]:
        """Nothing more is expected of ``works``: ask others, and have done again what nobody else has."""
        if self._collecting is None:
            return self._go_on(now)
        redo: set[int] = set()
        repair = False
        for work in [work for work in works if not work.gone]:
            work.gone = True
            asked, unfinished = self._collecting.forsake(work.place, work.arrived, now)
            repair = repair or bool(asked)
            redo |= unfinished
            for chunk in work.arrived:
                if chunk not in self._collecting.collected:
                    self._tally.unfinished(work.place, chunk)
            self.schedule.drop(work.place, now)
        if self.outcome is not None:
            return []
        moves: list[Move] = list(self._ask(now)) if repair else []
        if redo:
            self.schedule.redo({chunk: self._collecting.finishers(chunk) for chunk in sorted(redo)}, now)
        return moves + self._go_on(now)

    def _revive(self, place: int, now: float) -> None:
        work = self.works[place]
        if self._collecting is None or not work.gone:
            return
        work.gone = False
        for chunk in work.arrived:
            self._tally.finished(place, chunk)
            self._collecting.finish(place, chunk, work.digests.get(chunk, b""))
        self.schedule.revive(place, work.arrived, now)
        self._update_pending(place)

    def _update_pending(self, place: int) -> None:
        """Whether the place can still deliver something in this round."""
        work = self.works[place]
        if self.code.scheduled and work.started_at is not None:
            work.idle = self.schedule.n_left(place) == 0
        if self.code.on_request:
            done = work.gone or work.idle or len(work.arrived) == work.load
        else:
            done = all(number in self._received for number in self.code.messages_of[place])
        if done:
            self._pending.discard(place)
        elif work.present:
            self._pending.add(place)

    def _columns(self, numbers: Iterable[int]) -> tuple[Message, ...]:
        if self._collecting is None:
            return tuple(self.code.messages[number] for number in numbers)
        return tuple(self._collecting.message(number) for number in numbers)
