"""Pure: what an outcome means for the run: step or not, go on or stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from common.history import OutcomeKind, RoundRecord
from master.outcome import ROUNDING, Outcome

SKIPS_IN_A_ROW = 10
"""So many rounds in a row without a step fail the run."""


class Policies(Protocol):
    """The part of the run's settings that decides about shortfalls and stops."""

    @property
    def on_shortfall(self) -> str:
        """``wait``, ``approximate``, ``skip`` or ``fail``."""

    @property
    def least_recovered(self) -> float:
        """Least recovered fraction for a step after a shortfall."""

    @property
    def rounds(self) -> int:
        """Rounds after which the run ends."""

    @property
    def target_loss(self) -> float | None:
        """Training loss that ends the run."""

    @property
    def gradient_tolerance(self) -> float | None:
        """Norm of the mean gradient that ends the run."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an outcome; ``fails`` ends the run."""

    kind: OutcomeKind
    steps: bool
    fails: bool
    reason: str


def judge(outcome: Outcome, policies: Policies) -> Verdict:
    """Apply ``on_shortfall`` to an outcome.

    Exact and good-enough outcomes step. After a shortfall (the deadline, or nothing more can come)
    ``approximate`` steps if enough was recovered, ``skip`` does not step, and ``fail`` ends the run.
    """
    if outcome.end == "exact":
        return Verdict("exact", True, False, outcome.reason)
    if outcome.end == "enough":
        return Verdict("approximate", True, False, outcome.reason)
    if policies.on_shortfall == "fail":
        return Verdict("failed", False, True, f"{outcome.reason}; on_shortfall = fail")
    if policies.on_shortfall == "skip":
        return Verdict("failed", False, False, f"{outcome.reason}; on_shortfall = skip")
    if outcome.decoding.recovered_fraction < policies.least_recovered - ROUNDING:
        short = f"{outcome.reason}, below least_recovered = {policies.least_recovered:g}"
        return Verdict("failed", False, False, short)
    return Verdict("approximate", True, False, outcome.reason)


def reason_to_stop(record: RoundRecord, policies: Policies, n_undone: int = 0) -> str | None:
    """Why the run has reached its end with this round; None if it goes on.

    As many more rounds are played as were undone.

    A loss counts only if it covers at least ``least_recovered`` of the rows, and a gradient only if it was
    stepped with.
    """
    if record.round + 1 - n_undone >= policies.rounds:
        return f"all {policies.rounds} rounds are done"
    if (
        policies.target_loss is not None
        and record.loss is not None
        and record.loss_share >= policies.least_recovered - ROUNDING
        and record.loss <= policies.target_loss
    ):
        return f"the training loss {record.loss:.6g} reached the target {policies.target_loss:g}"
    norm = record.gradient_norm
    if policies.gradient_tolerance is not None and norm is not None and norm <= policies.gradient_tolerance:
        return f"the gradient norm {norm:.3g} is within the tolerance {policies.gradient_tolerance:g}"
    return None


def end_of_run(
    record: RoundRecord, verdict: Verdict, n_skips: int, policies: Policies, n_undone: int = 0
) -> tuple[str, int] | None:
    """The reason and exit code with which the run ends after this round; None if it goes on.

    Args:
        record: the round. verdict: what became of its outcome.
        n_skips: rounds in a row without a step, this one included.
        policies: of the run. n_undone: rounds whose steps were undone.
    """
    if verdict.fails:
        return f"round {record.round} failed: {verdict.reason}", 3
    if n_skips >= SKIPS_IN_A_ROW:
        return f"{n_skips} rounds in a row had no step, the last one: {verdict.reason}", 3
    stop = reason_to_stop(record, policies, n_undone)
    return None if stop is None else (stop, 0)
