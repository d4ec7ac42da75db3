"""What the records of rounds say of places and chunks, added up for metrics; shown when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from common.boundaries import SECONDS
from common.history import ChunkRow, RoundRecord

WORK = ("used", "rescued", "duplicate", "late", "wasted")
"""What becomes of the seconds of finished chunks; ``rescued`` are those of stragglers that were used."""

_USED, _RESCUED = WORK.index("used"), WORK.index("rescued")
_KINDS = {state: kind for kind, state in enumerate(WORK)}


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
    """Sums over all rounds; a few numbers a place, so that nothing grows with the rounds."""

    def __init__(self) -> None:
        self._chunks = np.zeros(0)
        self._seconds = np.zeros(0)
        self._work = np.zeros(len(WORK))
        self._chunk_seconds = Distribution()
        self._arrival_seconds = Distribution()
        self._last: Sequence[ChunkRow] = ()

    def record(self, record: RoundRecord) -> None:
        """A round has ended. Cost O(finished chunks)."""
        self._last = rows = record.chunks
        if not rows:
            return
        places = np.array([row.place for row in rows])
        seconds = np.array([row.seconds for row in rows])
        self._chunk_seconds.add(seconds)
        self._arrival_seconds.add([row.arrived_seconds for row in rows])
        self._make_room(1 + max(places.max(), *record.stragglers, 0))
        self._chunks += np.bincount(places, minlength=len(self._chunks))
        self._seconds += np.bincount(places, seconds, len(self._seconds))
        kinds = np.array([_KINDS[row.state] for row in rows])
        slow = np.zeros(len(self._chunks), dtype=bool)
        slow[list(record.stragglers)] = True
        kinds[slow[places] & (kinds == _USED)] = _RESCUED
        self._work += np.bincount(kinds, seconds, len(WORK))

    def _make_room(self, n_places: int) -> None:
        missing = n_places - len(self._chunks)
        if missing > 0:
            self._chunks, self._seconds = _longer(self._chunks, missing), _longer(self._seconds, missing)

    def chunks(self, place: int) -> float:
        """Chunks that the place has finished."""
        return float(self._chunks[place]) if place < len(self._chunks) else 0.0

    def seconds(self, place: int) -> float:
        """What they took, by the worker's clock."""
        return float(self._seconds[place]) if place < len(self._seconds) else 0.0

    def arrivals(self) -> dict[int, float]:
        """Place -> when it last reported, after its round's start, in the last round's record."""
        newest = sorted(self._last, key=lambda row: (row.round, row.arrived_seconds))
        return {row.place: row.arrived_seconds for row in newest}

    def families(self) -> Iterator[Metric]:
        """What is of all places together."""
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
