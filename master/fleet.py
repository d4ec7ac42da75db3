"""What the records of rounds say of places and chunks, added up for metrics; shown when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from common.boundaries import SECONDS
from common.chunk_rows import ChunkRows, WorkerRows
from common.history import RoundRecord

WORK = ("used", "rescued", "duplicate", "late", "wasted")
"""What becomes of the seconds of finished chunks; ``rescued`` are those of stragglers that were used."""

_KINDS: dict[str, int] = {state: kind for kind, state in enumerate(WORK)}
_KINDS_OF_STRAGGLERS = {**_KINDS, "used": WORK.index("rescued")}

MOST_WAITING = 256
"""Rounds that wait to be added up at most: many at once cost less than each alone."""
WAITING_ROWS = 4096
"""Finished chunks in them at most."""


class Distribution:
    """A histogram that takes in all values of a round at once: there may be thousands.

    >>> chunks = Distribution((0.1, 1.0))
    >>> chunks.add([0.05, 0.1, 0.3, 7.0])
    >>> chunks.buckets()
    [('0.1', 2.0), ('1.0', 3.0), ('+Inf', 4.0)]
    """

    def __init__(self, boundaries: tuple[float, ...] = SECONDS) -> None:
        self.sum = 0.0
        self._boundaries = np.array(boundaries)
        self._counts = np.zeros(len(boundaries) + 1)

    def add(self, values: ArrayLike) -> None:
        """Take in values. Cost O(log boundaries) each."""
        slots = np.searchsorted(self._boundaries, values)
        self._counts += np.bincount(slots, minlength=len(self._counts))
        self.sum += float(np.sum(values))

    def buckets(self) -> list[tuple[str, float]]:
        """(upper boundary, number of values up to it), the last for all."""
        names = [*map(str, self._boundaries.tolist()), "+Inf"]
        return list(zip(names, np.cumsum(self._counts).tolist(), strict=True))

    def family(self, name: str, meaning: str) -> HistogramMetricFamily:
        """As Prometheus wants it."""
        return HistogramMetricFamily(name, meaning, buckets=self.buckets(), sum_value=self.sum)


class Fleet:
    """Sums over all rounds; a few numbers a place, so that nothing grows with the rounds.

    The newest rounds are added up when somebody asks, or when there are many of them.
    """

    def __init__(self) -> None:
        self._chunks = np.zeros(0)
        self._seconds = np.zeros(0)
        self._work = np.zeros(len(WORK))
        self._chunk_seconds = Distribution()
        self._arrival_seconds = Distribution()
        self._waiting: list[tuple[tuple[WorkerRows, ...], frozenset[int]]] = []
        self._n_waiting_rows = 0
        self._last: ChunkRows = ChunkRows()

    def record(self, record: RoundRecord) -> None:
        """A round has ended. Cost O(finished chunks), later."""
        self._last = ChunkRows.of(record.chunks)
        self._waiting.append((self._last.of_workers, frozenset(record.stragglers)))
        self._n_waiting_rows += len(self._last)
        if self._n_waiting_rows >= WAITING_ROWS or len(self._waiting) >= MOST_WAITING:
            self._add_up()

    def _add_up(self) -> None:
        """Take in the rounds that wait."""
        rows: list[WorkerRows] = []
        kinds: list[int] = []
        for of_workers, slow in self._waiting:
            rows += of_workers
            for each in of_workers:
                kind_of = _KINDS_OF_STRAGGLERS if each.place in slow else _KINDS
                kinds += [kind_of[state] for state in each.states]
        self._waiting, self._n_waiting_rows = [], 0
        if not kinds:
            return
        seconds = np.array([taken for each in rows for taken in each.seconds])
        self._chunk_seconds.add(seconds)
        self._arrival_seconds.add([arrived for each in rows for arrived in each.arrived_seconds])
        self._work += np.bincount(kinds, seconds, len(WORK))
        places = np.repeat([each.place for each in rows], [len(each) for each in rows])
        self._make_room(1 + int(places.max()))
        self._chunks += np.bincount(places, minlength=len(self._chunks))
        self._seconds += np.bincount(places, seconds, len(self._seconds))

    def _make_room(self, n_places: int) -> None:
        missing = n_places - len(self._chunks)
        if missing > 0:
            self._chunks, self._seconds = _longer(self._chunks, missing), _longer(self._seconds, missing)

    def of_places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each place the chunks that it has finished, and what they took by the worker's clock.

        Places that never finished any may be missing at the end.
        """
        self._add_up()
        return self._chunks, self._seconds

    def arrivals(self) -> dict[int, float]:
        """Place -> when it last reported, after its round's start, in the last round's record."""
        newest: dict[int, tuple[int, float]] = {}
        for each in self._last.of_workers:
            if each.chunks:
                report = (each.round, max(each.arrived_seconds))
                newest[each.place] = max(report, newest.get(each.place, report))
        return {place: arrived for place, (_, arrived) in newest.items()}

    def families(self) -> Iterator[Metric]:
        """What is of all places together."""
        self._add_up()
        yield self._chunk_seconds.family(
            "gradcode_chunk_seconds", "Time a chunk took, by its worker's clock, over all places."
        )
        yield self._arrival_seconds.family(
            "gradcode_arrival_seconds",
            "Time from the start of its round to the report of a chunk, over all places, late ones too.",
        )
        work = CounterMetricFamily(
            "gradcode_work_seconds",
            "Seconds that finished chunks took, by what became of them; rescued: of stragglers, and used.",
            labels=["state"],
        )
        for state, seconds in zip(WORK, self._work.tolist(), strict=True):
            work.add_metric([state], seconds)
        yield work


def _longer(numbers: NDArray[np.float64], n_more: int) -> NDArray[np.float64]:
    return np.concatenate([numbers, np.zeros(n_more)])
