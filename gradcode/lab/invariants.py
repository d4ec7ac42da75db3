"""What the witness of a simulated run holds, and what a round's record must say by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.codes.base import EXACT_TOLERANCE, Message, decoding_target
from common.datasets.base import Dataset, chunk_range
from common.history import RoundRecord
from common.models.base import Model

ROUNDING = 1e-9

Check = Callable[..., None]
"""``check(holds, rule, *seen)`` raises BrokenInvariant unless it holds."""


class BrokenInvariant(Exception):
    """Something that must hold in every run did not; the text says what, when, and what was seen."""


class Shadow:
    """The same descent in one process, with the coefficients that the witness found.

    Args:
        model: what is trained. dataset: its training rows.
        rate: of the descent. l2: weight of the L2 term.
    """

    def __init__(self, model: Model, dataset: Dataset, rate: float, l2: float) -> None:
        self.point: NDArray[np.float64] = model.initial()
        self._model = model
        self._dataset = dataset
        self._rate = rate
        self._l2 = l2
        self._before: dict[int, NDArray[np.float64]] = {}

    def restore(self, number: int) -> None:
        """Go back to before the step of round ``number``."""
        self.point = self._before[number]

    def step(self, number: int, n_chunks: int, achieved: NDArray[np.float64]) -> None:
        """The step of round ``number``: part t of chunk i counts ``achieved[t N + i]``, shape (m N, m)."""
        self._before[number] = self.point
        n_parts = achieved.shape[1]
        length = -(-self.point.size // n_parts)
        parts = np.zeros((n_parts * n_chunks, length))
        for chunk in range(n_chunks):
            first, end = chunk_range(chunk, n_chunks, self._dataset.n_rows)
            X, y = self._dataset.X_train[first:end], self._dataset.y_train[first:end]
            padded = np.zeros(n_parts * length)
            padded[: self.point.size] = self._model.loss_and_gradient(self.point, X, y)[1]
            parts[chunk::n_chunks] = padded.reshape(n_parts, length)
        total = (achieved.T @ parts).reshape(-1)[: self.point.size] / self._dataset.n_rows
        decay = self._l2 * np.where(self._model.regularised(), self.point, 0.0)
        self.point = self.point - self._rate * (total + decay)


@dataclass(slots=True)
class Seat:
    """A link with a place, and which of its links that is."""

    place: int
    incarnation: int


class Arrival(NamedTuple):
    """A message that arrived in time."""

    round: int
    message: Message


class Answer(NamedTuple):
    """The last decoding of a round, by the witness's own sums."""

    achieved: NDArray[np.float64]
    covered: set[int]
    given: set[tuple[int, int]]
    contributors: set[int]


class Row(NamedTuple):
    """A finished chunk as a record should hold it; ``late``: reported after the outcome."""

    place: int
    worker: str
    round: int
    chunk: int
    late: bool


@dataclass(slots=True)
class Limits:
    """How long a round with a deadline may last, by the master's clock."""

    deadline_seconds: float
    deadline_at: float
    until: float
    asked_at: set[float] = field(default_factory=set)
    left_alone: bool = False


def check_achieved(check: Check, record: RoundRecord, n_chunks: int, answer: Answer) -> None:
    """What the record says of the outcome is what the certified terms give."""
    rows, n_parts = answer.achieved.shape
    residual = float(np.linalg.norm(answer.achieved - decoding_target(n_chunks, n_parts)))
    recovered = max(0.0, 1.0 - residual**2 / rows)
    lenience = 10 * ROUNDING * (1.0 + record.noise_amplification)
    check(abs(record.residual - residual) <= lenience, "the residual is true", record, residual)
    check(
        abs(record.recovered_fraction - recovered) <= lenience * (1.0 + residual),
        "the recovered fraction is what the certified terms give",
        record.recovered_fraction,
        recovered,
    )
    if record.outcome == "exact":
        exact = record.residual <= EXACT_TOLERANCE * rows**0.5
        check(exact, "what is called exact is exact", record)
    check(record.stepped == (record.outcome != "failed"), "failed rounds have no step, others one", record)
    check(-ROUNDING <= record.loss_share <= 1 + ROUNDING, "a share is 0 to 1", record.loss_share)
    told = set(record.contributors)
    check(told == answer.contributors, "contributors are those whose messages count", told, answer)


def check_rows(check: Check, record: RoundRecord, expected: Counter[Row], answer: Answer) -> None:
    """Every chunk whose report came is in the record once, in the right state."""
    written = Counter(
        Row(row.place, row.worker, row.round, row.chunk, row.state == "late") for row in record.chunks
    )
    rule = "every finished chunk is in the record exactly once"
    check(written == expected, rule, f"missing {expected - written}", f"extra {written - expected}")
    for row in record.chunks:
        fits = {
            "used": (row.place, row.chunk) in answer.given,
            "duplicate": row.chunk in answer.covered,
            "wasted": row.chunk not in answer.covered,
            "late": True,
        }
        check(fits[row.state], "the record says rightly what became of a chunk", row)
    states = Counter(row.state for row in record.chunks)
    counts = {
        "used": record.chunks_used,
        "duplicate": record.chunks_duplicate,
        "late": record.chunks_late,
        "wasted": record.chunks_wasted,
    }
    check(+Counter(counts) == states, "the record counts its rows rightly", counts, states)


def check_duration(check: Check, record: RoundRecord, limits: Limits | None) -> None:
    """The round ended at its deadline, or when the collection that was under way then could end."""
    if limits is None or limits.left_alone:
        return
    over, allowed = record.seconds - limits.deadline_seconds, limits.until - limits.deadline_at
    check(
        over <= allowed + ROUNDING,
        "no round outlives its deadline by more than its collection may take",
        f"ended {over:.6f} s after the deadline, {allowed:.6f} s were allowed",
    )


def alike(found: NDArray[np.float64], expected: NDArray[np.float64], largest: float) -> bool:
    """Whether two sums agree but for rounding, where the largest weight in them is ``largest``."""
    if found.shape != expected.shape:
        return False
    return float(np.abs(found - expected).max(initial=0.0)) <= ROUNDING * (1.0 + largest)


def achieved_by(
    pairs: Iterable[tuple[Any, NDArray[np.float64]]], n_chunks: int, n_parts: int
) -> NDArray[np.float64]:
    """What messages of these terms achieve with these weights, one a part: shape (m N, m)."""
    achieved = np.zeros((n_parts * n_chunks, n_parts))
    for terms, row in pairs:
        for chunk, part, coefficient in terms:
            achieved[part * n_chunks + chunk] += coefficient * row
    return achieved
