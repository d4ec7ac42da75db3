"""What operators ask the master, answered from the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import InvalidSpec
from common.history import to_json
from common.wire.control import RunStatus, Scaled, WorkerStatus
from master.driver import Driver
from master.events import ScaleRequested, StopRequested
from master.status import run_status


@dataclass(frozen=True)
class RunFacts:
    """What does not change during a run."""

    rounds_planned: int
    run_folder: str
    started_unix_seconds: float
    package_version: str


class Control:
    """The calls of ``ControlService`` but WatchRounds, which `master.watchers` answers.

    Args:
        driver: the run. facts: what is fixed. clock: the master's monotonic clock.
    """

    def __init__(self, driver: Driver, facts: RunFacts, clock: Callable[[], float]) -> None:
        self._driver = driver
        self._facts = facts
        self._clock = clock

    def status(self) -> RunStatus:
        """How the run stands."""
        training = self._driver.training
        now = run_status(training, self._clock())
        rounds = training.chronicle.totals.rounds
        last, verification = training.chronicle.last_record, training.verification
        return RunStatus(
            run=self._driver.run,
            run_name=self._driver.name,
            phase=now.phase,
            detail=now.detail,
            round=None if now.round < 0 else now.round,
            rounds_planned=self._facts.rounds_planned + verification.n_undone,
            loss=None if last is None else last.loss,
            score=training.chronicle.score,
            rounds_exact=rounds["exact"],
            rounds_approximate=rounds["approximate"],
            rounds_failed=rounds["failed"],
            deadline_seconds=now.deadline_seconds,
            code=now.code,
            epoch=now.epoch,
            n_places=len(now.places),
            n_linked=sum(place.state != "lost" for place in now.places),
            n_spares=len(now.spares),
            run_folder=self._facts.run_folder,
            started_unix_seconds=self._facts.started_unix_seconds,
            elapsed_seconds=now.elapsed_seconds,
            package_version=self._facts.package_version,
            last_record_json="" if last is None else to_json(last),
            n_wanted=now.wanted,
            n_replans=sum(now.replans.values()),
            verify=verification.mode,
            quarantined=tuple(verification.quarantined),
            rounds_undone=verification.n_undone,
        )

    def workers(self) -> list[WorkerStatus]:
        """Every place and every spare."""
        now = run_status(self._driver.training, self._clock())
        n_rounds = sum(self._driver.training.chronicle.totals.rounds.values())
        return [
            WorkerStatus(
                place=each.place,
                worker_name=each.worker,
                state=each.state,
                chunks_finished=each.chunks_finished,
                load=each.load,
                seconds_per_chunk=each.seconds_per_chunk,
                last_seen_seconds=each.last_seen_seconds,
                straggles=each.straggles,
                rounds=n_rounds,
            )
            for each in (*now.places, *now.spares)
        ]

    async def scale(self, n_workers: int) -> Scaled:
        """Have so many workers from the next round on, or as soon as they are there."""
        training = self._driver.training
        if training.phase in ("closing", "ended"):
            return Scaled(False, "the run is over already")
        try:
            # Making a code may take seconds; it is remembered, so that the plan has it at once.
            await asyncio.to_thread(training.plans.replanning.check, n_workers)
        except InvalidSpec as error:
            return Scaled(False, str(error))
        self._driver.dispatch(ScaleRequested(n_workers))
        missing = n_workers - training.members.n_staying
        return Scaled(True, f"waits for {missing} more workers" if missing > 0 else "")

    async def stop(self, reason: str) -> bool:
        """End the run, its folder whole; False when it is over already."""
        if self._driver.training.phase in ("closing", "ended"):
            return False
        said = f"stopped by an operator: {reason}" if reason else "stopped by an operator"
        self._driver.dispatch(StopRequested(said, 0))
        return True
