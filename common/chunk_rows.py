"""The finished chunks of a round, kept by worker: there are hundreds, and few ask for single ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from common.history import ChunkRow, ChunkState


@dataclass(slots=True)
class WorkerRows:
    """What one worker finished at one place in one round.

    Attributes:
        place: seat of the worker. worker: its name. round: the round.
        chunks, seconds, arrived_seconds, states: of every chunk, all of the same length, as in ChunkRow.
    """

    place: int
    worker: str
    round: int
    chunks: list[int]
    seconds: list[float]
    arrived_seconds: list[float]
    states: list[ChunkState]

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[ChunkRow]:
        place, worker, number = self.place, self.worker, self.round
        columns = zip(self.chunks, self.seconds, self.arrived_seconds, self.states, strict=True)
        for chunk, seconds, arrived, state in columns:
            yield ChunkRow(place, worker, number, chunk, seconds, arrived, state)

    def n_late(self) -> int:
        """How many of the chunks came after the outcome of their round."""
        return self.states.count("late")


class ChunkRows(Sequence[ChunkRow]):
    """Rows as a sequence; each is made when it is asked for. Equal to any sequence of the same rows.

    Args:
        of_workers: the rows in their order.

    Attributes:
        of_workers: the same, for those who want many at once.

    >>> rows = ChunkRows([WorkerRows(2, "w", 0, [5, 6], [0.1, 0.2], [0.1, 0.3], ["used", "late"])])
    >>> len(rows), rows[1].chunk, [row.state for row in rows]
    (2, 6, ['used', 'late'])
    """

    __slots__ = ("of_workers",)

    def __init__(self, of_workers: Iterable[WorkerRows] = ()) -> None:
        self.of_workers = tuple(of_workers)

    @classmethod
    def of(cls, rows: Sequence[ChunkRow]) -> ChunkRows:
        """Any rows in this form; those that have it are returned as they are."""
        if isinstance(rows, ChunkRows):
            return rows
        found: list[WorkerRows] = []
        for row in rows:
            last = found[-1] if found else None
            if last is None or (last.place, last.worker, last.round) != (row.place, row.worker, row.round):
                last = WorkerRows(row.place, row.worker, row.round, [], [], [], [])
                found.append(last)
            last.chunks.append(row.chunk)
            last.seconds.append(row.seconds)
            last.arrived_seconds.append(row.arrived_seconds)
            last.states.append(row.state)
        return cls(found)

    def __len__(self) -> int:
        return sum(map(len, self.of_workers))

    def __iter__(self) -> Iterator[ChunkRow]:
        for each in self.of_workers:
            yield from each

    @overload
    def __getitem__(self, index: int) -> ChunkRow: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ChunkRow, ...]: ...

    def __getitem__(self, index: int | slice) -> ChunkRow | tuple[ChunkRow, ...]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
