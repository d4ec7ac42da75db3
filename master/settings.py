"""What a run must know before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from common.codes.base import GradientCode
from master.deadlines import DeadlineRule, NoDeadline


@dataclass(frozen=True)
class RunSettings:
    """What a run must know beforehand.

    Attributes:
        make_code: number of workers -> code; may raise InvalidSpec.
        n_workers: number of places; None takes those present when ``join_seconds`` pass without a newcomer.
        rounds: stop after so many.
        n_rows: training rows, R. n_parameters: d. item_bytes: bytes of one number on the wire.
        deadline: the rule for rounds. on_shortfall: wait, approximate, skip or fail.
        least_recovered: least recovered fraction for a step after a shortfall.
        enough: recovered fraction that ends a round.
        join_timeout_seconds, join_seconds, lost_seconds: how long to wait for workers.
        on_empty: ``replan`` makes another plan when a place has been empty for ``empty_seconds``, for as many
            workers as are there; ``wait`` leaves it empty.
        target_loss, gradient_tolerance, max_seconds: further reasons to stop, or None.
        evaluate_every: score after every so many rounds; 0 scores only at the end.
        checkpoint_seconds, checkpoint_rounds: make a checkpoint after so much; both None: never.
        learning: False leaves out combining, steps and scores (timing only).
        verify: none, all or sample. verify_rate: of sample, in (0, 1].
        audit_seed: of what is sampled; workers must not know it.
    """

    make_code: Callable[[int], GradientCode]
    n_workers: int | None
    rounds: int
    n_rows: int
    n_parameters: int = 1
    item_bytes: int = 4
    deadline: DeadlineRule = field(default_factory=NoDeadline)
    on_shortfall: str = "approximate"
    least_recovered: float = 0.5
    enough: float = 1.0
    join_timeout_seconds: float = 60.0
    join_seconds: float = 2.0
    lost_seconds: float = 30.0
    on_empty: str = "wait"
    empty_seconds: float = 15.0
    target_loss: float | None = None
    gradient_tolerance: float | None = None
    max_seconds: float | None = None
    evaluate_every: int = 0
    checkpoint_seconds: float | None = None
    checkpoint_rounds: int | None = None
    learning: bool = True
    verify: str = "none"
    verify_rate: float = 0.05
    audit_seed: int = 0
