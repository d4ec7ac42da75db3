"""Pure: what the run remembers and writes down: notes, the ledger of the round in hand, totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from common.history import RoundRecord, record_from_json, to_json
from master.bookkeeping import Ledger, Totals, add_up, with_score
from master.commands import Command, Note, Record
from master.events import ChunkFinished
from master.paces import Paces
from master.policies import Verdict
from master.round import Round
from master.snapshot import by_place

REMEMBERED_STARTS = 1000
"""For so many rounds back a late chunk can be told how late it is."""

MOST_TOLD = 20_000
"""So many notes enter the record of a round; of more only the number is kept."""


class Chronicle:
    """Writes one record a round; a record whose score is being computed waits for it.

    Args:
        n_rows: training rows, R.
    """

    def __init__(self, n_rows: int) -> None:
        self.totals = Totals()
        self.last_record: RoundRecord | None = None
        self.score: float | None = None
        self.first_started_at: float | None = None
        self.seconds_before = 0.0
        """Seconds that the run had lasted when this process took it up."""
        self.ledger = Ledger(-1, 0, 0.0, None, n_rows)
        self._n_rows = n_rows
        self._told: list[str] = []
        self._n_untold = 0
        self._waiting: RoundRecord | None = None
        self._starts: dict[int, float] = {}

    @property
    def has_begun(self) -> bool:
        """Whether the first round has started."""
        return self.first_started_at is not None

    def run_seconds(self, now: float) -> float:
        """Seconds since the first round started, in this process or another; 0 before."""
        return self.seconds_before if self.first_started_at is None else now - self.first_started_at

    def at(self, run_seconds: float | None) -> float | None:
        """When that many seconds of the run have passed; None if never, or if no round has started."""
        first = self.first_started_at
        return None if first is None or run_seconds is None else first + run_seconds

    def note(self, kind: str, text: str, place: int | None = None) -> list[Command]:
        """Something an operator wants to know; it also enters the record of the round in hand.

        An empty text is nothing to tell.
        """
        if not text:
            return []
        return self.tell([Note(kind, text, place)])

    def tell(self, commands: list[Command]) -> list[Command]:
        """Notes made elsewhere enter the record as well."""
        for text in (command.text for command in commands if isinstance(command, Note)):
            # Links that come and go in a round that never ends must not fill the memory.
            if len(self._told) < MOST_TOLD:
                self._told.append(text)
            else:
                self._n_untold += 1
        return commands

    def _events(self) -> tuple[str, ...]:
        more = [f"and {self._n_untold} notes more"] if self._n_untold else []
        return (*self._told, *more)

    def open_round(self, number: int, epoch: int, now: float, deadline_seconds: float | None) -> None:
        """A round starts."""
        if self.first_started_at is None:
            self.first_started_at = now - self.seconds_before
        former, self.ledger = self.ledger, Ledger(number, epoch, now, deadline_seconds, self._n_rows)
        if former.number == number:
            self.ledger.take_late(former)
        self._starts[number] = now
        self._starts.pop(number - REMEMBERED_STARTS, None)

    def report_late(self, place: int, worker: str, event: ChunkFinished, now: float) -> float:
        """A chunk arrived after the outcome of its round. Returns the seconds since that round's start."""
        after_seconds = now - self._starts.get(event.stamp.round, now)
        self.ledger.report_late(place, worker, event, after_seconds)
        return after_seconds

    @property
    def n_closed(self) -> int:
        """Rounds that are done."""
        return 0 if self.last_record is None else self.last_record.round + 1

    @property
    def closed_seconds(self) -> float:
        """Seconds from the start of the run's first round to the last outcome."""
        last = self.last_record
        return 0.0 if last is None else last.start_seconds + last.seconds

    def state(self) -> dict[str, Any]:
        """What is remembered, for a checkpoint; of the round in hand nothing."""
        last = None if self.last_record is None else to_json(self.last_record)
        return {"totals": asdict(self.totals), "score": self.score, "last_record": last}

    def restore(self, state: Mapping[str, Any], run_seconds: float) -> None:
        """Remember what `state` gave, after JSON; the run had lasted so long."""
        totals = dict(state["totals"])
        self.totals = Totals(**{**totals, "straggles": by_place(totals["straggles"])})
        self.score = state["score"]
        last = state["last_record"]
        self.last_record = None if last is None else record_from_json(last)
        self.seconds_before = run_seconds

    def settle(self, ended: Round, paces: Paces) -> None:
        """The round in hand has its outcome."""
        assert ended.outcome is not None
        chunks_each = ended.code.n_chunks / ended.code.n_workers
        self.ledger.close(ended.outcome, ended.works, ended.left, paces, chunks_each)

    def close_round(self, verdict: Verdict) -> RoundRecord:
        """The round is over, step included; ``write_down`` brings its record out."""
        assert self.first_started_at is not None
        record = self.ledger.record(
            verdict.kind, verdict.reason, verdict.steps, self.first_started_at, self._events()
        )
        self._told, self._n_untold = [], 0
        add_up(self.totals, record)
        self.last_record = self._waiting = record
        return record

    def write_down(self, score: float | None = None) -> list[Command]:
        """The record that waits, if one does, with its score."""
        if score is not None:
            self.score = score
        record, self._waiting = self._waiting, None
        if record is None:
            return []
        if score is not None:
            record = self.last_record = with_score(record, score)
        return [Record(record)]
