"""Pure: finds the wrong answers of a round, by comparing what workers claim and by computing again.

A value that differs from the master's own by more than rounding is a lie, whatever its cause. Workers on
other processors may round differently: that makes them neither liars nor trusted, as the value is computed
again then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Term
from common.commitments import digest_of
from common.datasets.base import Dataset, chunk_range
from common.models.base import Model
from master.checked import Claim, Question

WIRE_ROUNDING = 8.0
"""A value may differ by so many units in the last place of its largest number."""

COMPUTE_ROUNDING = 4.0
"""A chunk's gradient may differ by so many units in the last place of the numbers it is a sum of."""

Vector = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Recomputation:
    """Computes gradients of chunks at the master, as workers do.

    Args:
        model: what is trained. dataset: its training rows.
        compute_dtype: ``float64`` or ``float32``, as workers compute in.
    """

    model: Model
    dataset: Dataset
    compute_dtype: str = "float64"

    def gradient(self, chunk: int, n_chunks: int, point: Vector) -> tuple[Vector, float]:
        """The gradient of a chunk at ``point``, shape (d,), and how far rounding may move a number of it.

        Cost: one pass over the chunk's rows.
        """
        begin, end = chunk_range(chunk, n_chunks, self.dataset.n_rows)
        dtype = np.dtype(self.compute_dtype)
        X = self.dataset.X_train[begin:end].astype(dtype, copy=False)
        y = self.dataset.y_train[begin:end]
        if np.issubdtype(y.dtype, np.floating):
            y = y.astype(dtype, copy=False)
        gradient = self.model.loss_and_gradient(point.astype(dtype, copy=False), X, y)[1]
        stored = X.data if hasattr(X, "indptr") else X
        largest = float(np.abs(stored).max(initial=0.0)) * (1.0 + float(np.abs(y).max(initial=0.0)))
        size = largest + _largest(gradient)
        return gradient, COMPUTE_ROUNDING * float(np.finfo(dtype).eps) * (end - begin) * size


@dataclass(slots=True)
class Findings:
    """What an examination came to; see `master.events.Examined`.

    Attributes:
        corrections: payload -> the right value, for those that were used and wrong.
    """

    n_audited: int = 0
    n_compared: int = 0
    n_wrong: int = 0
    n_disputed: int = 0
    n_unsure: int = 0
    liars: dict[str, None] = field(default_factory=dict)
    corrections: dict[int, Vector] = field(default_factory=dict)


class Examination:
    """The examination of one round.

    Args:
        payloads: what came, in the wire dtype.
        gradient: chunk -> its gradient and the rounding it may have.
        length: number of parts -> numbers in a message.
    """

    def __init__(
        self,
        payloads: dict[int, Vector],
        gradient: Callable[[int], tuple[Vector, float]],
        length: Callable[[int], int],
    ) -> None:
        self._payloads = payloads
        self._gradient = gradient
        self._length = length
        self._found = Findings()

    def answer(self, questions: tuple[Question, ...]) -> Findings:
        """Answer all questions.

        A worker that lied once is not believed in anything else of the round, and where a used value is not
        finite nobody is.
        """
        found = self._found
        finite = all(_finite(self._value(question.claims[0])) for question in questions)
        waiting = []
        for question in questions:
            if question.audit or not finite:
                self._audit(question)
            elif len(question.claims) == 1:
                waiting.append(question)
            elif self._agreed(question):
                found.n_compared += 1
            else:
                found.n_disputed += 1
                self._audit(question)
        doubtful = [each for each in waiting if each.claims[0].worker in found.liars]
        for question in doubtful:
            self._audit(question)
        found.n_unsure = len(waiting) - len(doubtful)
        return found

    def _value(self, claim: Claim) -> Vector:
        assert claim.payload is not None
        return self._payloads[claim.payload]

    def _digests(self, claim: Claim) -> Iterator[bytes]:
        if claim.digest:
            yield claim.digest
        if claim.payload is not None:
            yield digest_of(self._value(claim).view(np.uint8).data)

    def _agreed(self, question: Question) -> bool:
        """Whether at least two workers claim the same value, and nobody another."""
        digests = {digest for claim in question.claims for digest in self._digests(claim)}
        return len(digests) == 1 and len({claim.worker for claim in question.claims}) > 1

    def _audit(self, question: Question) -> None:
        """Compute the value again, and judge everybody who sent it."""
        found = self._found
        found.n_audited += 1
        truth, slack = self._truth(question.terms, question.n_parts)
        for number, claim in enumerate(question.claims):
            if claim.payload is None or _alike(self._value(claim), truth, slack):
                continue
            found.n_wrong += 1
            found.liars[claim.worker] = None
            if number == 0:
                found.corrections[claim.payload] = truth.astype(self._value(claim).dtype)

    def _truth(self, terms: tuple[Term, ...], n_parts: int) -> tuple[Vector, float]:
        """The message of these terms in float64, and how far rounding may move a number of it."""
        length = self._length(n_parts)
        total, slack = np.zeros(length), 0.0
        for chunk, part, coefficient in terms:
            gradient, rounding = self._gradient(chunk)
            piece = gradient[part * length : (part + 1) * length]
            total[: len(piece)] += coefficient * piece.astype(np.float64, copy=False)
            slack += abs(coefficient) * rounding
        return total, slack


def _alike(value: Vector, truth: Vector, slack: float) -> bool:
    """Whether a value in the wire dtype is the truth but for rounding; what is not finite is in both."""
    rounded = truth.astype(value.dtype)
    finite = np.isfinite(rounded)
    if not np.array_equal(np.isfinite(value), finite):
        return False
    allowed = slack + WIRE_ROUNDING * float(np.finfo(value.dtype).eps) * _largest(rounded[finite])
    difference = value[finite].astype(np.float64) - truth[finite]
    return bool(np.abs(difference).max(initial=0.0) <= allowed)


def _largest(numbers: Vector) -> float:
    finite = numbers[np.isfinite(numbers)]
    return float(np.abs(finite).max(initial=0.0))


def _finite(numbers: Vector) -> bool:
    return bool(np.isfinite(numbers).all())
