"""Pure: a round from its outcome to its record: what the policy makes of it, the step, and what follows."""

from __future__ import annotations

from common.history import RoundRecord
from master.chronicle import Chronicle
from master.events import Combine, Combined, Command, Discard, Step, Stepped
from master.experience import Experience
from master.policies import Verdict, end_of_run, judge
from master.round import Round
from master.settings import RunSettings


class Settling:
    """Settles one round after the other.

    Args:
        settings: of the run. chronicle: writes the record. experience: learns from the round.
    """

    def __init__(self, settings: RunSettings, chronicle: Chronicle, experience: Experience) -> None:
        self._settings = settings
        self._chronicle = chronicle
        self._experience = experience
        self._verdict: Verdict | None = None
        self.skips = 0
        """Rounds in a row without a step."""

    @property
    def under_way(self) -> bool:
        """Whether the round in hand has its verdict."""
        return self._verdict is not None

    def open(self) -> None:
        """Another round starts."""
        self._verdict = None

    def judge(self, ended: Round, now: float) -> Combine | list[Command]:
        """The round has its outcome: add its messages up for a step, or let them go without one."""
        assert ended.outcome is not None
        self._verdict = judge(ended.outcome, self._settings)
        self._experience.observe_round(ended, now)
        self._chronicle.settle(ended, self._experience.paces)
        if self._verdict.steps and self._settings.learning:
            return Combine(ended.number, ended.outcome.used)
        return [Discard(payload) for payload in ended.payloads()]

    def combined(self, event: Combined) -> Step:
        """The gradient is there."""
        self._chronicle.ledger.gradient_norm = event.gradient_norm
        self._chronicle.ledger.combine_seconds = event.seconds
        return Step(event.round)

    def stepped(self, event: Stepped) -> None:
        """The step has been taken."""
        self._chronicle.ledger.step_seconds = event.seconds

    def close(self) -> tuple[RoundRecord, list[Command]]:
        """Write the round down: its record, and notes on it."""
        assert self._verdict is not None
        record = self._chronicle.close_round(self._verdict)
        warning = self._experience.warning()
        self.skips = 0 if self._verdict.steps else self.skips + 1
        return record, self._chronicle.note("chunks", warning) if warning else []

    def ending(self, record: RoundRecord) -> tuple[str, int] | None:
        """The reason and exit code with which the run ends after this round; None if it goes on."""
        assert self._verdict is not None
        return end_of_run(record, self._verdict, self.skips, self._settings)

    def is_scored(self, record: RoundRecord) -> bool:
        """Whether the parameters are to be scored after this round."""
        every = self._settings.evaluate_every
        return self._settings.learning and every > 0 and (record.round + 1) % every == 0
