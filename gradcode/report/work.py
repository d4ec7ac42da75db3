"""Pure: the chunks of a run folded together row by row, so that no row is kept."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from common.history import ChunkRow, ChunkState, RoundRecord

STATES: tuple[ChunkState, ...] = get_args(ChunkState)
MOST_CELLS = 2_000_000
MOST_COLUMNS = 1_500
"""The map of places and rounds has at most so many cells and columns; more rounds share a column."""
MOST_ARRIVALS = 200_000


class Sample:
    """A fair sample of a stream: every value has the same chance, which is halved when there are too many.

    Args:
        most: values to keep at most, at least 2. seed: of the choice.

    Attributes:
        weight: so many values of the stream stand behind each that is kept, on average.

    >>> sample = Sample(most=100)
    >>> for value in range(1000):
    ...     sample.add(value, value % 2)
    >>> sample.weight >= 10, len(sample.values) <= 100
    (True, True)
    """

    def __init__(self, most: int = MOST_ARRIVALS, seed: int = 0) -> None:
        self.weight = 1
        self.values: list[float] = []
        self.kinds: list[int] = []
        self._most = most
        # No stride: chunks come in patterns, and a stride would keep one kind of them only.
        self._draw = random.Random(seed).random

    def add(self, value: float, kind: int) -> None:
        """One more value, of some kind."""
        if self.weight > 1 and self._draw() * self.weight >= 1.0:
            return
        while len(self.values) >= self._most:
            kept = [index for index in range(len(self.values)) if self._draw() < 0.5]
            self.values = [self.values[index] for index in kept]
            self.kinds = [self.kinds[index] for index in kept]
            self.weight *= 2
        self.values.append(float(value))
        self.kinds.append(kind)


class Work:
    """What became of the chunks of a run.

    Args:
        records: all rounds of the run, in order. n_places: seats.
        chunks_each: the share of one place in a round without redundancy, N / n; None where unknown.
        n_ignored: how many stragglers a run would leave out that ignores them, 0 to n_places - 1.

    Attributes:
        per_column: rounds that share a column of the map.
        seconds, counts: sums of chunk seconds and numbers of chunks, shape (n_places, columns).
        by_state: seconds of chunks in each round by state, shape (4, rounds), in the order of STATES.
        rescued: seconds of used chunks that stragglers computed, for each round.
        of_place: (place, state) -> chunks. workers: place -> names of its workers, in order.
        arrivals: sample of (seconds since the round's start, index of the state).
        ignoring: what each round would have waited when the slowest ``n_ignored`` places are not waited
            for; NaN where more were lost, or nothing is known.

    Cost: O(1) a row, and O(n log n) a round.
    """

    def __init__(
        self, records: Sequence[RoundRecord], n_places: int, chunks_each: float | None, n_ignored: int
    ) -> None:
        n_rounds = len(records)
        columns = max(1, min(n_rounds, MOST_COLUMNS, MOST_CELLS // max(1, n_places)))
        self.per_column = max(1, -(-n_rounds // columns))
        shape = (n_places, max(1, -(-n_rounds // self.per_column)))
        self.seconds: NDArray[np.float64] = np.zeros(shape)
        self.counts: NDArray[np.int64] = np.zeros(shape, dtype=np.int64)
        self.by_state: NDArray[np.float64] = np.zeros((len(STATES), n_rounds))
        self.rescued: NDArray[np.float64] = np.zeros(n_rounds)
        self.ignoring: NDArray[np.float64] = np.full(n_rounds, math.nan)
        self.of_place: Counter[tuple[int, ChunkState]] = Counter()
        self.workers: dict[int, dict[str, None]] = {}
        self.arrivals = Sample()
        self._records = records
        self._chunks_each = chunks_each
        self._n_ignored = n_ignored
        self._usual: dict[int, float] = {}
        self._current: tuple[int, dict[int, list[float]]] = (-1, {})

    def add(self, row: ChunkRow) -> None:
        """Fold in a row. Rows of rounds that are not over yet, or of no place, are passed over."""
        n_places, n_rounds = len(self.seconds), len(self._records)
        sound = 0 <= row.place < n_places and 0 <= row.round < n_rounds
        if not sound or not (math.isfinite(row.seconds) and math.isfinite(row.arrived_seconds)):
            return
        state, column = STATES.index(row.state), row.round // self.per_column
        self.seconds[row.place, column] += row.seconds
        self.counts[row.place, column] += 1
        self.by_state[state, row.round] += row.seconds
        if row.state == "used" and row.place in self._records[row.round].stragglers:
            self.rescued[row.round] += row.seconds
        self.of_place[row.place, row.state] += 1
        self.workers.setdefault(row.place, {})[row.worker] = None
        self.arrivals.add(row.arrived_seconds, state)
        if row.state != "late":
            if row.round != self._current[0]:
                self._settle()
                self._current = (row.round, {})
            self._current[1].setdefault(row.place, []).append(row.seconds)

    def close(self) -> None:
        """No row comes any more."""
        self._settle()

    def place_seconds(self) -> NDArray[np.float64]:
        """The typical seconds per chunk of every place, shape (n_places,); NaN for those without chunks."""
        means = np.divide(self.seconds, self.counts, out=np.full_like(self.seconds, math.nan),
                          where=self.counts > 0)  # fmt: skip
        return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else math.nan
                         for row in means])  # fmt: skip

    def _settle(self) -> None:
        """What the round that was added would have waited with the slowest places left out."""
        number, held = self._current
        if number < 0 or self._chunks_each is None:
            return
        record = self._records[number]
        self._usual.update({place: median(seconds) for place, seconds in held.items()})
        times = waits(held, self._usual, record, len(self.seconds), self._chunks_each)
        waited = sorted(times)[len(times) - self._n_ignored - 1]
        self.ignoring[number] = waited if math.isfinite(waited) else math.nan


def waits(
    held: Mapping[int, Sequence[float]],
    usual: Mapping[int, float],
    record: RoundRecord,
    n_places: int,
    chunks_each: float,
) -> list[float]:
    """What each place would have needed for its share without redundancy; infinite for a lost one.

    Args:
        held: place -> seconds of its chunks in the round. usual: place -> its newest seconds per chunk.

    """
    times = []
    for place in range(n_places):
        seconds = held.get(place, ())
        if place in record.lost:
            times.append(math.inf)
            continue
        # A place that did not finish its share in the round would have been waited for at least so long.
        waited = 0.0 if len(seconds) >= chunks_each else record.seconds
        times.append(max(chunks_each * usual.get(place, 0.0), waited))
    return times
