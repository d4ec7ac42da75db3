"""The one model that all codes share: assignment, encoding, decoding.

The gradients of the N chunks, each cut into m parts, are stacked to G with m N rows; row ``t N + i`` is
part t of chunk i. A *message* is one column of the sparse encoding E: a list of terms and its owner. The
target is the sum over chunks of every part, ``J = I_m (x) 1_N``. A decoder finds weights W such that
``E_received W`` is close to J; what W achieves is always certified from the terms that were really used.

There are two kinds of code. A *fixed* code lists its messages beforehand, and a worker sends a message as
soon as the last chunk among its terms is finished. A code *on request* has a requester instead: workers
report finished chunks, and the master asks for messages when enough is finished.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidSpec

EXACT_TOLERANCE = 1e-6
"""A decoding is exact when its residual is at most this times sqrt(m N)."""


class Term(NamedTuple):
    """One nonzero entry of the encoding: ``coefficient`` times ``part`` of the gradient of ``chunk``."""

    chunk: int
    part: int
    coefficient: float


@dataclass(frozen=True, slots=True)
class Message:
    """One column of the encoding: what ``worker`` sends is the sum of its terms."""

    worker: int
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Assignment:
    """Which chunks each worker holds, in the order in which it computes them.

    Args:
        n_chunks: number of chunks N, at least 1.
        orders: for each worker its chunk ids; no id twice, every chunk on some worker.

    Raises:
        InvalidSpec: an id is out of range, repeated on a worker, or held by nobody.
    """

    n_chunks: int
    orders: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        held: set[int] = set()
        for worker, order in enumerate(self.orders):
            if len(set(order)) != len(order):
                raise InvalidSpec(f"assignment of worker {worker}", "holds a chunk at most once", order)
            held.update(order)
        if held != set(range(self.n_chunks)):
            odd = sorted(held ^ set(range(self.n_chunks)))[:5]
            raise InvalidSpec("assignment", f"covers exactly the chunks 0..{self.n_chunks - 1}", odd)

    @property
    def n_workers(self) -> int:
        """Number of workers n."""
        return len(self.orders)

    @property
    def max_load(self) -> int:
        """The largest number of chunks on one worker."""
        return max(len(order) for order in self.orders)

    @cached_property
    def holders(self) -> tuple[tuple[int, ...], ...]:
        """For each chunk the workers that hold it, ascending. Cost O(total load), once."""
        found: list[list[int]] = [[] for _ in range(self.n_chunks)]
        for worker, order in enumerate(self.orders):
            for chunk in order:
                found[chunk].append(worker)
        return tuple(tuple(workers) for workers in found)

    @property
    def replication(self) -> int:
        """The smallest number of workers that hold one chunk."""
        return min(len(workers) for workers in self.holders)


class Tally(Protocol):
    """Counts within one round whether it is worth trying to decode; O(1) for every event."""

    def arrived(self, message: int) -> None:
        """Message number ``message`` of a fixed code arrived (once each)."""

    def finished(self, worker: int, chunk: int) -> None:
        """``worker`` reported ``chunk`` as finished (once each)."""

    def unfinished(self, worker: int, chunk: int) -> None:
        """What ``worker`` finished of ``chunk`` is lost."""

    @property
    def may_suffice(self) -> bool:
        """Whether decoding exactly may be possible now; False is certain only for codes on request."""


class StopRule(Protocol):
    """Makes the tally of a round; a frozen value that belongs to the code."""

    def start(self) -> Tally:
        """A fresh tally."""


class Decoder(Protocol):
    """Finds decoding weights for the messages that arrived; a frozen value that belongs to the code."""

    def weights(self, code: GradientCode, received: Sequence[Message]) -> NDArray[np.float64]:
        """Weights of shape (len(received), n_parts); zero for messages that are not needed."""


class Requester(Protocol):
    """Chooses which messages to ask for; a frozen value that belongs to a code on request."""

    def choose(self, finishers: Mapping[int, Collection[int]]) -> tuple[Message, ...]:
        """Messages that together hold every chunk of ``finishers`` (chunk -> workers that can send it).

        At most one message a worker. Chunks without a finisher are left out. Deterministic.
        """


@dataclass(frozen=True)
class GradientCode:
    """A gradient code: a value, made by a function that is named as in the literature.

    Attributes:
        spec: the canonical notation, such as ``cyclic_repetition(8, 3)``; equal specs are equal codes.
        assignment: chunks of every worker, in order.
        decoder: finds weights for received messages.
        stop_rule: counts whether decoding may succeed.
        n_stragglers: any so many workers may be absent and decoding is still exact.
        messages: the encoding's columns, for fixed codes; empty for codes on request.
        requester: chooses messages, for codes on request; None for fixed codes.
        n_parts: m, the number of parts a gradient is cut into.
        enough_messages: the code itself ends a round after so many messages, exact or not; or None.
        enough_recovered: the code itself ends a round when the decoding recovers so much, as published for
            partial recovery; any n - s workers then do. 1.0 asks for everything.
        estimator: what an inexact decoding estimates: ``as published`` or ``rescaled`` to be unbiased.
        scheduled: the master hands out chunks while the round runs; workers do not go on by themselves.
        copies: workers that must finish a chunk, where that is more than ``n_parts``, so that they can be
            compared (`common.codes.verified`); 0 for as many as there are parts.
    """

    spec: str
    assignment: Assignment
    decoder: Decoder
    stop_rule: StopRule
    n_stragglers: int
    messages: tuple[Message, ...] = ()
    requester: Requester | None = None
    n_parts: int = 1
    enough_messages: int | None = None
    enough_recovered: float = 1.0
    estimator: str = "as published"
    scheduled: bool = False
    copies: int = 0

    def __post_init__(self) -> None:
        if bool(self.messages) == (self.requester is not None):
            raise InvalidSpec("code", "has either fixed messages or a requester", self.spec)
        if self.scheduled and self.requester is None:
            raise InvalidSpec("code", "is on request if it is scheduled", self.spec)

    @property
    def n_workers(self) -> int:
        """Number of places n."""
        return self.assignment.n_workers

    @property
    def n_chunks(self) -> int:
        """Number of chunks N."""
        return self.assignment.n_chunks

    @property
    def n_copies(self) -> int:
        """By how many workers a chunk must be finished."""
        return self.copies or self.n_parts

    @property
    def on_request(self) -> bool:
        """Whether the master chooses messages while the round runs."""
        return self.requester is not None

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """For each worker the chunks it computes in a round where nobody straggles: its load, or if the
        master hands out chunks, an equal part of all computations.
        """
        if self.scheduled:
            return (self.n_chunks * self.n_copies / self.n_workers,) * self.n_workers
        return tuple(float(len(order)) for order in self.assignment.orders)

    @cached_property
    def messages_of(self) -> tuple[tuple[int, ...], ...]:
        """For each worker the numbers of its fixed messages, in order."""
        found: list[list[int]] = [[] for _ in range(self.n_workers)]
        for number, message in enumerate(self.messages):
            found[message.worker].append(number)
        return tuple(tuple(numbers) for numbers in found)


@dataclass(frozen=True, eq=False)
class Decoding:
    """Weights for received messages, and the certificate of what they achieve.

    Attributes:
        weights: W, shape (messages, m), float64.
        coefficients: E W, shape (m N, m): the coefficient with which each part of each chunk enters.
        residual: ``||E W - J||_F``.
        recovered_fraction: ``max(0, 1 - residual^2 / (m N))``.
        noise_amplification: ``||W||_2``, the spectral norm; 0 without messages.
        exact: residual <= 1e-6 sqrt(m N).
    """

    weights: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    residual: float
    recovered_fraction: float
    noise_amplification: float
    exact: bool


class TermArrays(NamedTuple):
    """The terms of some messages as flat arrays of equal length; ``columns`` numbers the messages."""

    columns: NDArray[np.intp]
    chunks: NDArray[np.intp]
    parts: NDArray[np.intp]
    coefficients: NDArray[np.float64]


def term_arrays(received: Sequence[Message]) -> TermArrays:
    """All terms of ``received`` as flat arrays, in order. Cost O(total terms)."""
    numbers = chain.from_iterable(chain.from_iterable(message.terms for message in received))
    flat = np.fromiter(numbers, np.float64).reshape(-1, 3)
    lengths = np.fromiter((len(message.terms) for message in received), np.intp, len(received))
    return TermArrays(
        columns=np.repeat(np.arange(len(received)), lengths),
        chunks=flat[:, 0].astype(np.intp),
        parts=flat[:, 1].astype(np.intp),
        coefficients=flat[:, 2],
    )


def decoding_target(n_chunks: int, n_parts: int) -> NDArray[np.float64]:
    """The target J of every decoding, ``I_m (x) 1_N``, shape (m N, m)."""
    return np.repeat(np.eye(n_parts), n_chunks, axis=0)


def certify(
    n_chunks: int, n_parts: int, received: Sequence[Message], weights: NDArray[np.float64]
) -> Decoding:
    """What ``weights`` achieve for the terms of ``received``; never takes a decoder's word for it.

    Args:
        n_chunks: N. n_parts: m.
        received: the messages, with the terms their workers really used.
        weights: shape (len(received), m).

    Cost: O(total terms x m + m N).

    >>> received = [Message(0, (Term(0, 0, 1.0),)), Message(1, (Term(1, 0, 2.0),))]
    >>> certify(2, 1, received, np.array([[1.0], [0.5]])).exact
    True
    """
    rows = n_parts * n_chunks
    terms = term_arrays(received)
    positions = terms.parts * n_chunks + terms.chunks
    amounts = terms.coefficients[:, None] * weights[terms.columns]
    achieved = np.empty((rows, n_parts))
    for part in range(n_parts):
        achieved[:, part] = np.bincount(positions, weights=amounts[:, part], minlength=rows)
    residual = float(np.linalg.norm(achieved - decoding_target(n_chunks, n_parts)))
    return Decoding(
        weights=weights,
        coefficients=achieved,
        residual=residual,
        recovered_fraction=max(0.0, 1.0 - residual**2 / rows),
        noise_amplification=_spectral_norm(weights),
        exact=residual <= EXACT_TOLERANCE * rows**0.5,
    )


def _spectral_norm(weights: NDArray[np.float64]) -> float:
    if weights.shape[1] == 1 or not weights.size or not np.isfinite(weights).all():
        return float(np.linalg.norm(weights))
    return float(np.linalg.norm(weights, 2))


def parts_of(code: GradientCode, received: Iterable[Message]) -> int:
    """Into how many parts gradients are cut for these messages: m, or fewer where a requester chose so.

    The messages of one collection all name every part.
    """
    if not code.on_request or code.n_parts == 1:
        return code.n_parts
    return 1 + max((term.part for message in received for term in message.terms), default=code.n_parts - 1)


def decode(code: GradientCode, received: Sequence[Message]) -> Decoding:
    """Weights of the code's own decoder for ``received``, certified."""
    n_parts = parts_of(code, received)
    if n_parts != code.n_parts:
        code = replace(code, n_parts=n_parts)
    return certify(code.n_chunks, code.n_parts, received, code.decoder.weights(code, received))
