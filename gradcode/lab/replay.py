"""The chunk times of a recorded run, to be played again under another code."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from common.delays import Delays, Walk
from common.errors import InvalidData, InvalidSpec
from common.experiment import check_experiment, load_experiment
from common.folder import CHUNKS, EXPERIMENT, iter_history, read_chunks
from common.history import ChunkRow


class Replay:
    """A source of delays that repeats what chunks took in a recorded run.

    A place takes for a chunk what it took for it in that round. What it did not compute then takes as long
    as its other chunks of the round, in turn; without any, as those of its nearest earlier round that has
    some, else of its first one; a place that never reported takes the median of all. Rounds behind the end
    begin again at 0. Nothing is interrupted.

    Args:
        rows: of the run, in the order in which they were recorded; at least one.
        n_chunks: number of chunks of the recorded code.

    Raises:
        InvalidData: there are no rows, or one has an impossible number.

    Cost: O(log rounds) a draw.

    >>> row = ChunkRow(place=1, worker="a", round=0, chunk=3, seconds=0.5, arrived_seconds=0.6, state="used")
    >>> replay = Replay([row], n_chunks=4)
    >>> replay.chunk_seconds(place=1, round=7, chunk=0)
    0.5
    """

    def __init__(self, rows: Iterable[ChunkRow], n_chunks: int) -> None:
        self.n_chunks = n_chunks
        self._seconds: dict[tuple[int, int], dict[int, float]] = {}
        for row in rows:
            _check_row(row, n_chunks)
            self._seconds.setdefault((row.place, row.round), {})[row.chunk] = row.seconds
        if not self._seconds:
            raise InvalidData(CHUNKS, "must hold at least one chunk", 0)
        self.n_rounds = 1 + max(number for _, number in self._seconds)
        self._in_turn = {key: tuple(held.values()) for key, held in self._seconds.items()}
        self._usual = median(seconds for held in self._in_turn.values() for seconds in held)
        self._rounds = _rounds_of(self._seconds)

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002 - the word of the trade
        """How many seconds ``place`` took for ``chunk`` in ``round``, or what comes nearest to that."""
        number = round % self.n_rounds
        known = self._rounds.get(place)
        if known is None:
            return self._usual
        nearest = known[max(0, bisect_right(known, number) - 1)]
        if nearest == number and chunk in self._seconds[place, number]:
            return self._seconds[place, number][chunk]
        in_turn = self._in_turn[place, nearest]
        return in_turn[chunk % len(in_turn)]

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """Work without interruption."""
        return _UNDISTURBED.walk(place, up_since, start, work_seconds, served)


_UNDISTURBED = Delays()


def read_replay(folder: str | Path) -> Replay:
    """The replay of a run's folder; a run that was killed will do.

    Raises:
        InvalidData: the folder holds no run, or files that cannot be used.
        InvalidSpec: its experiment cannot be used.
    """
    path = Path(folder)
    rows = read_chunks(path)
    if not (path / EXPERIMENT).is_file():
        raise InvalidData("run folder", f"must hold {EXPERIMENT}", str(folder))
    try:
        experiment = load_experiment(path / EXPERIMENT)
        n_places = _n_places(path, rows) if experiment.workers == "joined" else experiment.workers
        code = check_experiment(experiment, n_places)
    except InvalidSpec as error:
        raise InvalidData(f"recorded {EXPERIMENT}", f"must be usable ({error})", str(path)) from None
    assert code is not None, "the number of places is known"
    return Replay(rows, code.n_chunks)


def _n_places(path: Path, rows: Sequence[ChunkRow]) -> int:
    """How many places there were: every one computed something, or was lost or slow in some round."""
    places = {row.place for row in rows}
    for record in iter_history(path):
        places.update(record.lost, record.stragglers, record.contributors)
    return 1 + max(places, default=0)


def _check_row(row: ChunkRow, n_chunks: int) -> None:
    if not 0 <= row.chunk < n_chunks:
        raise InvalidData(f"{CHUNKS} chunk", f"must be from 0 to {n_chunks - 1}", row.chunk)
    for field in ("place", "round"):
        if getattr(row, field) < 0:
            raise InvalidData(f"{CHUNKS} {field}", "must be at least 0", getattr(row, field))
    if not (math.isfinite(row.seconds) and row.seconds >= 0.0):
        raise InvalidData(f"{CHUNKS} seconds", "must be at least 0 and finite", row.seconds)


def _rounds_of(seconds: Mapping[tuple[int, int], object]) -> dict[int, list[int]]:
    """For each place the rounds in which it reported something, ascending."""
    found: dict[int, list[int]] = {}
    for place, number in sorted(seconds):
        found.setdefault(place, []).append(number)
    return found
