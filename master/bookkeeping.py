"""Pure: counts what happens during a round and turns it into the round's record."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Literal

from common.chunk_rows import ChunkRows, WorkerRows
from common.history import RoundRecord
from master.checked import Checked
from master.events import ChunkFinished
from master.outcome import Outcome, Work, chunk_rows, uncoded_seconds
from master.paces import Paces


@dataclass(slots=True)
class Totals:
    """What was counted over the whole run."""

    rounds: dict[str, int] = field(default_factory=lambda: {"exact": 0, "approximate": 0, "failed": 0})
    chunks: dict[str, int] = field(
        default_factory=lambda: {"used": 0, "duplicate": 0, "late": 0, "wasted": 0}
    )
    straggler_chunks_used: int = 0
    stale_frames: int = 0
    duplicate_frames: int = 0
    straggles: dict[int, int] = field(default_factory=dict)
    uncoded_seconds: float = 0.0
    uncoded_stuck: int = 0


class Ledger:
    """The counts of one round, from its start until its record is written."""

    def __init__(
        self, number: int, epoch: int, started_at: float, deadline_seconds: float | None, n_rows: int
    ) -> None:
        self.number = number
        self.bytes_sent = 0
        self.bytes_received = 0
        self.gradient_norm: float | None = None
        self.combine_seconds = 0.0
        self.step_seconds = 0.0
        self._epoch = epoch
        self._started_at = started_at
        self._deadline_seconds = deadline_seconds
        self._n_rows = n_rows
        self._late: list[WorkerRows] = []
        self._reported = bytearray()
        self._loss_sum, self._loss_rows = 0.0, 0
        self._outcome: Outcome | None = None
        self._rows = ChunkRows()
        self._uncoded: float | None = None
        self.checked = Checked()

    def take_late(self, former: Ledger) -> None:
        """The round begins again under another plan: what came late until now is written down with it."""
        self._late += former._late

    def report(self, chunk: int, loss: float, rows: int) -> None:
        """A chunk's loss sum; the first report of a chunk counts, if the loss is a number."""
        if not math.isfinite(loss):
            return
        if chunk >= len(self._reported):
            self._reported.extend(bytes(chunk + 1 - len(self._reported)))
        if not self._reported[chunk]:
            self._reported[chunk] = 1
            self._loss_sum += loss
            self._loss_rows += rows

    def report_late(self, place: int, worker: str, event: ChunkFinished, after_seconds: float) -> None:
        """A chunk that was finished after its round's outcome; it is written down with this round."""
        late = [event.chunk], [event.seconds], [after_seconds]
        self._late.append(WorkerRows(place, worker, event.stamp.round, *late, ["late"]))

    @property
    def loss(self) -> float | None:
        """Mean loss over the rows of distinct finished chunks."""
        return self._loss_sum / self._loss_rows if self._loss_rows else None

    @property
    def loss_share(self) -> float:
        """The share of the training rows that the loss covers."""
        return self._loss_rows / self._n_rows

    def close(
        self, outcome: Outcome, works: list[Work], left: list[Work], paces: Paces, chunks_each: float
    ) -> None:
        """The round has an outcome: fix what can be told only now.

        ``works`` are those of the links at the end, ``left`` those of links that lost their place.
        """
        self._outcome = outcome
        self._rows = chunk_rows([*works, *left], self.number, self._started_at, outcome)
        self._uncoded = uncoded_seconds(works, paces.seconds, chunks_each, self._started_at, outcome.ended_at)

    def record(
        self,
        kind: Literal["exact", "approximate", "failed"],
        reason: str,
        stepped: bool,
        first_started_at: float,
        events: tuple[str, ...],
    ) -> RoundRecord:
        """The finished record, without a score."""
        outcome = self._outcome
        assert outcome is not None, "a record needs an outcome"
        rows, slow = self._rows.of_workers, set(outcome.stragglers)
        counts = Counter(chain.from_iterable(each.states for each in rows))
        return RoundRecord(
            round=self.number,
            outcome=kind,
            end=outcome.end,
            reason=reason,
            stepped=stepped,
            loss=self.loss,
            loss_share=self.loss_share,
            residual=outcome.decoding.residual,
            recovered_fraction=outcome.decoding.recovered_fraction,
            noise_amplification=outcome.decoding.noise_amplification,
            deadline_seconds=self._deadline_seconds,
            start_seconds=self._started_at - first_started_at,
            seconds=outcome.ended_at - self._started_at,
            collect_seconds=outcome.collect_seconds,
            solve_seconds=outcome.solve_seconds,
            combine_seconds=self.combine_seconds,
            step_seconds=self.step_seconds,
            gradient_norm=self.gradient_norm,
            score=None,
            stragglers=outcome.stragglers,
            contributors=outcome.contributors,
            lost=outcome.lost,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            chunks_used=counts["used"],
            chunks_duplicate=counts["duplicate"],
            chunks_late=len(self._late),
            chunks_wasted=counts["wasted"],
            straggler_chunks_used=sum(each.states.count("used") for each in rows if each.place in slow),
            uncoded_seconds=self._uncoded,
            epoch=self._epoch,
            events=events,
            chunks=ChunkRows((*rows, *self._late)),
            **asdict(self.checked),
        )


def add_up(totals: Totals, record: RoundRecord) -> None:
    """Count a finished round into the run's totals."""
    totals.rounds[record.outcome] += 1
    totals.chunks["used"] += record.chunks_used
    totals.chunks["duplicate"] += record.chunks_duplicate
    totals.chunks["late"] += record.chunks_late
    totals.chunks["wasted"] += record.chunks_wasted
    totals.straggler_chunks_used += record.straggler_chunks_used
    for place in record.stragglers:
        totals.straggles[place] = totals.straggles.get(place, 0) + 1
    if record.uncoded_seconds is None:
        totals.uncoded_stuck += 1
    else:
        totals.uncoded_seconds += record.uncoded_seconds


def with_score(record: RoundRecord, score: float) -> RoundRecord:
    """The record with the held-out score after its step."""
    return replace(record, score=score)
