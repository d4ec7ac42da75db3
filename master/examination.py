"""Pure: finds the wrong answers of a round, by comparing what workers claim and by computing again.

A value that differs from the master's own by more than rounding is a lie, whatever its cause. Workers on
other processors may round differently: that makes them no liars, and values that differ by no more agree.
Workers that claim different sums can be asked for parts of them; see `Dispute` and `Exposed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Term
from common.commitments import digest_of
from common.datasets.base import Dataset, chunk_range
from common.models.base import Model
from master.checked import Claim, Dispute, Exposed, Question

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
    _sizes: dict[tuple[int, int], float] = field(default_factory=dict, init=False, repr=False)

    def gradient(self, chunk: int, n_chunks: int, point: Vector) -> tuple[Vector, float]:
        """The gradient of a chunk at ``point``, shape (d,), and how far rounding may move a number of it.

        Cost: one pass over the chunk's rows.
        """
        dtype = np.dtype(self.compute_dtype)
        X, y = self._rows(chunk, n_chunks)
        gradient = self.model.loss_and_gradient(point.astype(dtype, copy=False), X, y)[1]
        return gradient, self.rounding(chunk, n_chunks, _largest(gradient))

    def rounding(self, chunk: int, n_chunks: int, size: float) -> float:
        """How far rounding may move a number of a chunk's gradient, the largest of which is about ``size``.

        Cost: one pass over the chunk's rows the first time.
        """
        begin, end = rows = chunk_range(chunk, n_chunks, self.dataset.n_rows)
        if rows not in self._sizes:
            X, y = self._rows(chunk, n_chunks)
            stored = X.data if hasattr(X, "indptr") else X
            largest = float(np.abs(stored).max(initial=0.0))
            self._sizes[rows] = largest * (1.0 + float(np.abs(y).max(initial=0.0)))
        eps = float(np.finfo(np.dtype(self.compute_dtype)).eps)
        return COMPUTE_ROUNDING * eps * (end - begin) * (self._sizes[rows] + size)

    def _rows(self, chunk: int, n_chunks: int) -> tuple[Any, Vector]:
        begin, end = chunk_range(chunk, n_chunks, self.dataset.n_rows)
        dtype = np.dtype(self.compute_dtype)
        y = self.dataset.y_train[begin:end]
        y = y.astype(dtype, copy=False) if np.issubdtype(y.dtype, np.floating) else y
        return self.dataset.X_train[begin:end].astype(dtype, copy=False), y


@dataclass(slots=True)
class Findings:
    """What an examination came to; see `master.events.Examined`.

    Attributes:
        disputes: what could not be answered before workers are asked for parts of their sums.
        corrections: payload -> the right value, for those that were used and wrong.
    """

    n_audited: int = 0
    n_compared: int = 0
    n_wrong: int = 0
    n_disputed: int = 0
    n_unsure: int = 0
    liars: dict[str, None] = field(default_factory=dict)
    disputes: list[Dispute] = field(default_factory=list)
    corrections: dict[int, Vector] = field(default_factory=dict)


class Examination:
    """The examination of one round, or of what is left of it after disputes.

    Args:
        payloads: what came, in the wire dtype.
        gradient: chunk -> its gradient and the rounding it may have.
        rounding: chunk, size of its gradient -> the rounding it may have, without computing the gradient.
        length: number of parts -> numbers in a message.
    """

    def __init__(
        self,
        payloads: dict[int, Vector],
        gradient: Callable[[int], tuple[Vector, float]],
        rounding: Callable[[int, float], float],
        length: Callable[[int], int],
    ) -> None:
        self._payloads = payloads
        self._gradient = gradient
        self._rounding = rounding
        self._length = length
        self._found = Findings()

    def answer(self, questions: tuple[Question, ...], exposed: tuple[Exposed, ...] = ()) -> Findings:
        """Answer all questions that can be answered; the others are disputes.

        A worker that lied once is not believed in anything else of the round, and where a used value is not
        finite nobody is.

        Args:
            exposed: what disputes about some of these questions have come to.
        """
        found = self._found
        unsettled = {each.question for each in exposed if not self._expose(questions, each)}
        standing = [question.without(found.liars) for question in questions]
        finite = all(_finite(self._payloads[question.used]) for question in questions)
        waiting = []
        for position, question in enumerate(standing):
            workers = {claim.worker for claim in question.claims}
            if question.audit or position in unsettled or not (finite and workers):
                self._audit(question)
            elif len(workers) > 1:
                self._compare(position, question)
            elif question.alone == "unsure":
                waiting.append(question)
            elif question.alone == "computed":
                self._audit(question)
            else:
                self._take(question)
        doubtful = [each for each in waiting if each.claims[0].worker in found.liars]
        for question in doubtful:
            self._audit(question)
        found.n_unsure = len(waiting) - len(doubtful)
        return found

    def _digests(self, claim: Claim) -> set[bytes]:
        """Two, if the worker sends another value than it is bound to."""
        digests = {claim.digest} if claim.digest else set()
        if claim.payload is not None:
            digests.add(digest_of(self._payloads[claim.payload].view(np.uint8).data))
        return digests

    def _compare(self, position: int, question: Question) -> None:
        """At least two workers claim the value: do they agree?"""
        found = self._found
        digests = [self._digests(claim) for claim in question.claims]
        unlike = [claim for claim, each in zip(question.claims, digests, strict=True) if each != digests[0]]
        if all(len(each) == 1 for each in digests) and all(claim.payload is not None for claim in unlike):
            disputes = (self._dispute(position, question, other) for other in unlike)
            dispute = next((each for each in disputes if each is not None), None)
            if dispute is None:
                found.n_compared += 1
                self._take(question)
                return
            found.n_disputed += 1
            if _is_bisectable(dispute):
                found.disputes.append(dispute)
                return
        else:
            found.n_disputed += 1
        self._audit(question)

    def _dispute(self, position: int, question: Question, other: Claim) -> Dispute | None:
        """Where the first claim and another differ by more than rounding explains, and by how much."""
        mine = question.claims[0]
        assert mine.payload is not None
        assert other.payload is not None
        values = self._payloads[mine.payload], self._payloads[other.payload]
        size = min(_largest(value) for value in values)
        slacks = [abs(each.coefficient) * self._rounding(each.chunk, size) for each in question.terms]
        slacks[-1] += WIRE_ROUNDING * float(np.finfo(values[0].dtype).eps) * size
        with np.errstate(invalid="ignore"):
            difference = np.abs(values[0].astype(np.float64) - values[1])
        difference[np.isnan(difference)] = np.inf
        index = int(difference.argmax())
        if difference[index] <= 2.0 * sum(slacks):
            return None
        totals = float(values[0][index]), float(values[1][index])
        return Dispute(position, (mine, other), index, totals, tuple(slacks))

    def _expose(self, questions: tuple[Question, ...], exposed: Exposed) -> bool:
        """Compute the one chunk that a dispute came down to; returns whether that told who lies."""
        found, question = self._found, questions[exposed.question]
        found.n_audited += 1
        term = question.terms[exposed.term]
        message, rounding = self._truth((term,), question.n_parts)
        truth, allowed = float(message[exposed.index]), max(exposed.slack, rounding)
        wrong = [
            worker
            for worker, value in zip(exposed.workers, exposed.values, strict=True)
            if abs(value - truth) > allowed and np.isfinite(truth)
        ]
        found.n_wrong += len(wrong)
        found.liars.update(dict.fromkeys(wrong))
        return bool(wrong)

    def _take(self, question: Question) -> None:
        """The first claim is right: so is what is used then, or it becomes so."""
        payload = question.claims[0].payload
        assert payload is not None
        if payload != question.used:
            self._found.corrections[question.used] = self._payloads[payload]

    def _audit(self, question: Question) -> None:
        """Compute the value again, and judge everybody who sent it."""
        found = self._found
        found.n_audited += 1
        truth, slack = self._truth(question.terms, question.n_parts)
        for claim in question.claims:
            if claim.payload is not None and not _alike(self._payloads[claim.payload], truth, slack):
                found.n_wrong += 1
                found.liars[claim.worker] = None
        used = self._payloads[question.used]
        if not _alike(used, truth, slack):
            found.corrections[question.used] = truth.astype(used.dtype)

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


def _is_bisectable(dispute: Dispute) -> bool:
    """Whether there is something to halve, and both workers can be asked about it."""
    askable = all(claim.place is not None for claim in dispute.claims)
    return askable and len(dispute.slacks) > 1 and bool(np.isfinite(dispute.totals).all())


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
