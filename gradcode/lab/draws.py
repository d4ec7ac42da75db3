"""Pure: where chunk seconds come from, and the same draws for codes whose chunks are of another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from common.delays import Walk
from common.errors import InvalidSpec


class DelaySource(Protocol):
    """How long every place takes for every chunk, and what interrupts it; `common.delays.Delays` is one."""

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002 - the word of the trade
        """How many seconds ``place`` works on ``chunk`` in ``round``; the same whenever it is asked."""

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """What a process on ``place`` goes through from ``start`` until the chunk is finished or it dies."""


@dataclass(frozen=True)
class SameRows:
    """The draws of a source for a code that cuts the same rows into another number of chunks.

    Chunk k of N covers the share [k/N, (k+1)/N) of the rows. It takes as long as those drawn chunks that it
    covers, each in proportion to the part that is covered. So codes are compared on the same draws, and the
    seconds of all rows together stay the same.

    Args:
        source: draws for ``n_drawn`` chunks.
        n_drawn: chunks of the source, at least 1.
        n_chunks: chunks of the code, at least 1.

    Raises:
        InvalidSpec: a number of chunks is below 1.

    Cost: a draw costs n_drawn / n_chunks + 2 draws of the source at most.

    >>> from common.delays import Delays
    >>> halves = SameRows(Delays("constant", seconds=1.0), n_drawn=4, n_chunks=8)
    >>> thirds = SameRows(Delays("constant", seconds=1.0), n_drawn=4, n_chunks=3)
    >>> halves.chunk_seconds(0, 0, 5), round(thirds.chunk_seconds(0, 0, 1), 9)
    (0.5, 1.333333333)
    """

    source: DelaySource
    n_drawn: int
    n_chunks: int

    def __post_init__(self) -> None:
        for field in ("n_drawn", "n_chunks"):
            if getattr(self, field) < 1:
                raise InvalidSpec(field, "must be at least 1", getattr(self, field))

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002
        """How many seconds ``place`` works in ``round`` on the rows of ``chunk``."""
        # In units of 1 / (n_drawn n_chunks) of the rows both kinds of chunk begin at whole numbers.
        width, end = self.n_chunks, (chunk + 1) * self.n_drawn
        at, seconds = chunk * self.n_drawn, 0.0
        while at < end:
            drawn = at // width
            until = min(end, (drawn + 1) * width)
            seconds += (until - at) / width * self.source.chunk_seconds(place, round, drawn)
            at = until
        return seconds

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """As the source says: interruptions know no chunks."""
        return self.source.walk(place, up_since, start, work_seconds, served)


def same_rows(source: DelaySource, n_drawn: int, n_chunks: int) -> DelaySource:
    """The draws of ``source`` for ``n_chunks`` chunks; ``source`` itself where the chunks are the same."""
    return source if n_drawn == n_chunks else SameRows(source, n_drawn, n_chunks)
