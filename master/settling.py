"""Pure: a round from its outcome to its record: what the policy makes of it, the step, and what follows."""

from __future__ import annotations

from dataclasses import dataclass

from common.history import RoundRecord
from master.chronicle import Chronicle
from master.commands import CloseLink, Combine, Command, Discard, Examine, Restore, Step
from master.disputing import Disputing
from master.events import Combined, Examined, PartialSum, Stepped
from master.experience import Experience
from master.intake import Violation
from master.membership import Membership
from master.policies import Verdict, end_of_run, judge
from master.roster import stops
from master.round import Round
from master.settings import RunSettings
from master.verification import Verification

Progress = Examined | PartialSum | Combined | Stepped
"""What a step goes through."""


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a step has come.

    Attributes:
        commands: what comes next.
        expelled: links to close, of workers that answered wrongly.
        diverged: what is not finite, in words, which ends the run; otherwise empty.
        done: whether the round can be closed.
    """

    commands: tuple[Command, ...] = ()
    expelled: tuple[CloseLink, ...] = ()
    diverged: str = ""
    done: bool = False


class Settling:
    """Settles one round after the other.

    Args:
        settings: of the run. chronicle: writes the record. experience: learns from the round.
        verification: finds wrong answers before they are stepped with, or afterwards.
    """

    def __init__(
        self,
        settings: RunSettings,
        chronicle: Chronicle,
        experience: Experience,
        verification: Verification,
    ) -> None:
        self.verification = verification
        self._settings = settings
        self._chronicle = chronicle
        self._experience = experience
        self._verdict: Verdict | None = None
        self._disputing: Disputing | None = None
        self.skips = 0
        """Rounds in a row without a step."""

    @property
    def under_way(self) -> bool:
        """Whether the round in hand has its verdict."""
        return self._verdict is not None

    def open(self) -> None:
        """Another round starts."""
        self._verdict = self._disputing = None
        self.verification.open()

    @property
    def wakes_at(self) -> float | None:
        """When ``look`` has something to do; None if only events can change anything."""
        return None if self._disputing is None else self._disputing.wakes_at

    def judge(self, ended: Round, epoch: int, members: Membership, now: float) -> Advance:
        """The round has its outcome: add its messages up for a step, or let them go without one.

        Where answers are verified, they are examined before that. Everybody is told that the round is over,
        but for workers that may be asked about their sums.
        """
        assert ended.outcome is not None
        self._verdict = judge(ended.outcome, self._settings)
        self._experience.observe_round(ended, now)
        self._chronicle.settle(ended, self._experience.paces)
        if self._verdict.steps and self._settings.learning:
            if questions := self.verification.questions(ended):
                self._disputing = Disputing(ended.number, epoch, ended.code, questions, members)
                told = stops(members, epoch, ended.number, self._disputing.links)
                return Advance((*told, Examine(ended.number, questions)))
            return Advance((*stops(members, epoch, ended.number), _sum(ended)))
        dropped = (Discard(payload) for payload in ended.payloads())
        return Advance((*stops(members, epoch, ended.number), *dropped), done=True)

    def look(self, now: float) -> list[Command]:
        """Time has passed, or links have gone."""
        return [] if self._disputing is None else self._disputing.look(now)

    def advance(self, event: Progress, ended: Round, members: Membership, now: float) -> Advance:
        """The step has come further."""
        if isinstance(event, Examined):
            return self._examined(event, ended, members, now)
        if isinstance(event, PartialSum):
            return self._heard(event, members, now)
        if isinstance(event, Combined):
            if event.culprit is not None:
                name = members.name_at(ended.owner_of(event.culprit))
                what = f"the message of worker {name} is not finite in round {event.round}"
                return Advance(diverged=what)
            self._chronicle.ledger.gradient_norm = event.gradient_norm
            self._chronicle.ledger.combine_seconds = event.seconds
            return Advance((Step(event.round, self.verification.step(ended)),))
        self._chronicle.ledger.step_seconds = event.seconds
        if event.finite:
            return Advance(done=True)
        what = f"the parameters are not finite after round {event.round}"
        if not self.verification.doubt(event.round):
            return Advance(diverged=what)
        again = f"{what}: its step is undone, and the next round's answers are all verified"
        return Advance(tuple(self._chronicle.note("return", again)), done=True)

    def _heard(self, event: PartialSum, members: Membership, now: float) -> Advance:
        """A worker has answered about its sum."""
        link = members.links.get(event.link)
        if self._disputing is None or link is None:
            self._chronicle.totals.stale_frames += 1
            return Advance()
        link.seen_at = now
        follows = self._disputing.hear(event, link, now)
        if follows is None:
            detail = f"partial sum {event.number} of round {event.stamp.round} was not asked for"
            return Advance(expelled=(Violation(link, "foreign_message", detail).close,))
        return Advance(tuple(follows))

    def _examined(self, event: Examined, ended: Round, members: Membership, now: float) -> Advance:
        """Values that were wrong are right now; those of former rounds are not."""
        back = self.verification.judge(event)
        notes: list[Command] = []
        expelled = []
        for worker in event.liars:
            link, why = members.same_name(worker), self.verification.quarantined[worker]
            place = None if link is None else link.place
            notes += self._chronicle.note("quarantine", f"worker {worker} is quarantined: {why}", place)
            expelled += [] if link is None else [CloseLink(link.number, why)]
        assert self._disputing is not None
        if event.disputes:
            notes += self._disputing.open(event.disputes, event.liars, now)
            return Advance(tuple(notes), tuple(expelled))
        notes += self._disputing.dismiss()
        self._disputing = None
        if back is None:
            return Advance((*notes, _sum(ended)), tuple(expelled))
        who = ", ".join(event.liars)
        why = f"wrong answers of {who}: the run returns to the parameters before round {back}"
        notes += self._chronicle.note("return", why)
        self._verdict = Verdict("failed", False, False, why)
        dropped = (Discard(payload) for payload in ended.payloads())
        return Advance((*notes, *dropped), tuple(expelled), done=True)

    def close(self) -> tuple[RoundRecord, list[Command]]:
        """Write the round down: its record, and notes on it."""
        assert self._verdict is not None
        self._chronicle.ledger.checked = self.verification.checked
        record = self._chronicle.close_round(self._verdict)
        warning = self._experience.warning()
        self.skips = 0 if self._verdict.steps else self.skips + 1
        return record, self._chronicle.note("chunks", warning) if warning else []

    def ending(self, record: RoundRecord) -> tuple[str, int] | None:
        """The reason and exit code with which the run ends after this round; None if it goes on.

        As many more rounds are played as were undone.
        """
        assert self._verdict is not None
        n_undone = self.verification.n_undone
        if record.returned_to is not None:
            n_undone += record.round + 1 - record.returned_to
        return end_of_run(record, self._verdict, self.skips, self._settings, n_undone)

    def returns(self, record: RoundRecord) -> Restore | None:
        """The parameters to return to after this round; None if it goes on with those that it has."""
        back = self.verification.take_return(record.round)
        return None if back is None else Restore(back)

    def is_scored(self, record: RoundRecord) -> bool:
        """Whether the parameters are to be scored after this round."""
        every = self._settings.evaluate_every
        return self._settings.learning and every > 0 and (record.round + 1) % every == 0


def _sum(ended: Round) -> Combine:
    assert ended.outcome is not None
    return Combine(ended.number, ended.outcome.used)
