"""Pure: what the status page is told, as plain values for JSON: a snapshot for a newcomer, then news.

Both hold ``now`` (how the run stands), ``totals`` (rounds by outcome), ``places``, ``names``, ``rounds`` and
``notes``: a snapshot all that is remembered, news what is new since the last. Rows are short lists:

* a place: place, state (position in STATES), chunks finished, load, chunk in hand (0 or 1), seconds a chunk,
  rounds in which it straggled, chunks that came late;
* a round: round, first letter of its outcome, seconds, deadline, loss, recovered fraction, stragglers, cells.
  The cells are one character a place, see `round_cells`;
* a note: round, text.

All that is remembered is bounded, whatever the length of the run: CELLS cells of the newest rounds, CURVE
points of the loss, NOTES notes.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from common.chunk_rows import ChunkRows, WorkerRows
from common.history import RoundRecord
from master.status import STATES, PlaceStatus, RunStatus

CELLS = 200_000
"""Places times rounds of the map that are remembered at most."""
MOST_ROUNDS, FEWEST_ROUNDS = 200, 20
"""Rounds that are remembered with few places, and with very many."""
CURVE = 600
"""Points of the loss curve at most; when there are more, every second one is left out."""
NOTES = 30

LOST, SILENT, NOTHING = "x", "s", "-"
_IN_HAND = ("computing", "straggling", "link too slow")
_TEXT = 300


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What does not change during a run.

    Attributes:
        run: id of this start of the master. name: what people call the run. rounds: planned.
        version: of the package. started_unix_seconds: since 1970.
    """

    run: str
    name: str
    rounds: int
    version: str
    started_unix_seconds: float


class PageFeed:
    """Remembers what a page shows.

    Args:
        facts: what is fixed.
    """

    def __init__(self, facts: PageFacts) -> None:
        self._facts = facts
        self._rounds: deque[list[Any]] = deque()
        self._curve = Curve(CURVE)
        self._notes: deque[list[Any]] = deque(maxlen=NOTES)
        self._totals = {"exact": 0, "approximate": 0, "failed": 0}
        self._late: dict[int, int] = {}
        self._score: float | None = None
        self._reason = ""
        self._last: dict[str, Any] = {}
        self._n_new_rounds = self._n_new_notes = 0
        self._now: dict[str, Any] = {}
        self._places: dict[int, list[Any]] = {}
        self._names: dict[int, str] = {}

    def hear_record(self, record: RoundRecord) -> None:
        """A round has ended. Cost O(places + finished chunks)."""
        self._totals[record.outcome] += 1
        self._reason = f"round {record.round}: {record.reason}"[:_TEXT]
        self._score = record.score if record.score is not None else self._score
        if record.loss is not None and math.isfinite(record.loss):
            self._curve.add(record.round, record.loss)
        for each in ChunkRows.of(record.chunks).of_workers:
            n_late = each.n_late()
            if n_late:
                self._late[each.place] = self._late.get(each.place, 0) + n_late
        for text in record.events:
            self._notes.append([record.round, text[:_TEXT]])
        cells = round_cells(record, max(self._places, default=-1) + 1)
        self._rounds.append(_round_row(record, cells))
        while len(self._rounds) > rounds_kept(len(cells)):
            self._rounds.popleft()
        self._n_new_rounds = min(self._n_new_rounds + 1, len(self._rounds))
        self._n_new_notes = min(self._n_new_notes + len(record.events), NOTES)

    def news(self, status: RunStatus) -> dict[str, Any] | None:
        """What has changed since the last call; None if nothing has but the time. Cost O(places)."""
        now = self._describe(status)
        places, names = [], {}
        for each in status.places:
            assert each.place is not None
            row = _place_row(each, self._late.get(each.place, 0))
            if self._places.get(each.place) != row:
                self._places[each.place] = row
                places.append(row)
            if self._names.get(each.place) != each.worker:
                self._names[each.place] = names[each.place] = each.worker
        for place in [place for place in self._places if place >= len(status.places)]:
            # The plan has fewer places than the one before.
            del self._places[place]
            self._names.pop(place, None)
        rounds, notes = _newest(self._rounds, self._n_new_rounds), _newest(self._notes, self._n_new_notes)
        self._n_new_rounds = self._n_new_notes = 0
        still = {**now, "elapsed": 0} == {**self._now, "elapsed": 0}
        self._now = now
        if still and not (places or names or rounds or notes):
            return None
        return self._told("news", places, names, rounds, notes)

    def snapshot(self) -> dict[str, Any]:
        """All that was told up to the last news; before the first there is nothing to see."""
        places = list(self._places.values())
        told = self._told("snapshot", places, dict(self._names), list(self._rounds), list(self._notes))
        facts = self._facts
        run = {"id": facts.run, "name": facts.name[:_TEXT], "rounds": facts.rounds, "version": facts.version}
        run["started"] = facts.started_unix_seconds
        kept = rounds_kept(len(places))
        return {**told, "run": run, "states": STATES, "keep": kept, "curve": list(self._curve.points)}

    def pulse(self) -> dict[str, Any]:
        """News without anything new: the line is alive."""
        return self._told("news", [], {}, [], [])

    def _told(self, kind: str, places: Any, names: Any, rounds: Any, notes: Any) -> dict[str, Any]:
        told = {"kind": kind, "now": self._now, "totals": dict(self._totals), "places": places}
        return {**told, "names": names, "rounds": rounds, "notes": notes}

    def _describe(self, status: RunStatus) -> dict[str, Any]:
        return {
            "phase": status.phase,
            "detail": status.detail[:_TEXT],
            "round": status.round,
            "code": status.code[:_TEXT],
            "epoch": status.epoch,
            "deadline": short(status.deadline_seconds),
            "elapsed": short(status.elapsed_seconds),
            "score": short(self._score),
            "reason": self._reason,
            "n": len(status.places),
            "spares": len(status.spares),
        }


class Curve:
    """A course of at most ``most`` points however long it gets: every second one goes when it is full."""

    def __init__(self, most: int) -> None:
        self.points: list[tuple[int, float | None]] = []
        self._most = most
        self._every = 1
        self._n_heard = 0

    def add(self, at: int, value: float) -> None:
        """The next point, kept or not."""
        if self._n_heard % self._every == 0:
            self.points.append((at, short(value)))
            if len(self.points) >= self._most:
                self.points = self.points[::2]
                self._every *= 2
        self._n_heard += 1


def rounds_kept(n_places: int) -> int:
    """How many rounds the map shows of so many places.

    >>> rounds_kept(8), rounds_kept(1000), rounds_kept(2000), rounds_kept(100_000)
    (200, 200, 100, 20)
    """
    return max(FEWEST_ROUNDS, min(MOST_ROUNDS, CELLS // max(1, n_places)))


def round_cells(record: RoundRecord, n_places: int = 0) -> str:
    """What every place did in a round, one character each.

    ``x``: it had no link. ``-``: it finished nothing; ``s``: nothing, and it straggled. Otherwise how its
    seconds a chunk, up to its last report in time, compare to the round's median: ``0`` is half of it and
    less, ``2`` the same, ``4`` double, ``8`` eight times and more; stragglers have ``A`` to ``I`` instead.

    Args:
        record: of the round, with its chunks. n_places: how many there are at least.
    """
    finished: dict[int, tuple[int, float]] = {}
    for each in ChunkRows.of(record.chunks).of_workers:
        arrived = _in_time(each)
        if arrived:
            count, last = finished.get(each.place, (0, 0.0))
            finished[each.place] = (count + len(arrived), max(last, *arrived))
    paces = {place: last / count for place, (count, last) in finished.items()}
    usual = median(paces.values()) if paces else 0.0
    known = (paces, record.stragglers, record.lost)
    n = max(n_places, *(max(places, default=-1) + 1 for places in known))
    cells = [NOTHING] * n
    for place, pace in paces.items():
        cells[place] = _LEVELS[_level(pace, usual)]
    for place in record.stragglers:
        cells[place] = SILENT if cells[place] == NOTHING else _SLOW[int(cells[place])]
    for place in record.lost:
        cells[place] = LOST
    return "".join(cells)


_LEVELS, _SLOW = "012345678", "ABCDEFGHI"
_LIMITS = tuple(2.0 ** ((level - 2.5) / 2.0) for level in range(1, 9))
"""Of each level but the first: from so many times what is usual on."""


def _level(pace: float, usual: float) -> int:
    if not (usual > 0.0 and 0.0 < pace < math.inf):
        return 2
    return bisect(_LIMITS, pace / usual)


def _in_time(rows: WorkerRows) -> list[float]:
    """When the chunks arrived that came before the outcome."""
    n_late = rows.n_late()
    if not n_late:
        return rows.arrived_seconds
    pairs = zip(rows.arrived_seconds, rows.states, strict=True)
    return [] if n_late == len(rows) else [arrived for arrived, state in pairs if state != "late"]


def short(value: float | None) -> float | None:
    """A number with few digits; None for none and for what is not finite.

    >>> short(0.12345678), short(float("nan")), short(None)
    (0.123457, None, None)
    """
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _place_row(each: PlaceStatus, late: int) -> list[Any]:
    pace = each.seconds_per_chunk
    holds = int(each.state in _IN_HAND and each.chunks_finished < each.load)
    seconds = None if pace is None or not math.isfinite(pace) else float(f"{pace:.3g}")
    state = STATES.index(each.state)
    return [each.place, state, each.chunks_finished, each.load, holds, seconds, each.straggles, late]


def _round_row(record: RoundRecord, cells: str) -> list[Any]:
    seconds, deadline = short(record.seconds), short(record.deadline_seconds)
    ended = [record.round, record.outcome[0], seconds, deadline, short(record.loss)]
    return [*ended, short(record.recovered_fraction), len(record.stragglers), cells]


def _newest(held: Sequence[Any] | deque[Any], count: int) -> list[Any]:
    return [held[index] for index in range(len(held) - min(count, len(held)), len(held))]
