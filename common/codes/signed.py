"""What the communication-efficient approximate codes share: sums of chunks, their parts folded with signs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.codes.approximate_decoders import FixedWeights
from common.codes.base import Assignment, Decoder, GradientCode, Message, Term
from common.codes.designs import Placement
from common.codes.frames import balanced_signs, random_signs
from common.codes.parameters import whole
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec

MOST_SOLVED_TERMS = 40_000
MOST_SOLVED_WORKERS = 1000
"""With more, solving the least squares of a round takes longer than 50 ms."""

MOST_CERTIFIED_TERMS = 100_000
"""With more, certifying a decoding in closed form takes longer than 50 ms."""

Floats = NDArray[np.float64]


def check_parts(n_parts: object, most: int | None = None, most_is: str = "") -> int:
    """The number of parts as an int of at least 1."""
    return whole("n_parts", n_parts, least=1, most=most, most_is=most_is)


def check_solvable(n_workers: int, load: int, n_parts: int) -> None:
    """Refuse plans whose rounds need least squares that take longer than 50 ms."""
    if n_workers > MOST_SOLVED_WORKERS:
        rule = f"must be at most {MOST_SOLVED_WORKERS} where every round is solved by least squares"
        raise InvalidSpec("n_workers", rule, n_workers)
    check_terms(n_workers * load * n_parts, MOST_SOLVED_TERMS)


def check_terms(n_terms: int, most: int = MOST_CERTIFIED_TERMS) -> None:
    """Refuse plans with so many terms that a round's decoding would take longer than 50 ms."""
    if n_terms > most:
        rule = f"must be at most {most}, so that decoding takes at most 50 ms"
        raise InvalidSpec("n_workers x load x n_parts", rule, n_terms)


def draw_signs(kind: str, n_parts: int, n_workers: int, seed: int) -> Floats:
    """Signs for every worker, shape (n_workers, n_parts): ``balanced`` or ``random``, by ``seed``."""
    rng = np.random.default_rng([seed, n_workers, n_parts])
    if kind == "balanced":
        return balanced_signs(n_parts, n_workers, rng).T
    if kind == "random":
        return random_signs(n_parts, n_workers, rng).T
    raise InvalidSpec("signs", "must be balanced or random", kind)


def folded_messages(
    placement: Placement, columns: Floats, divisors: Floats | None = None
) -> tuple[Message, ...]:
    """One message a worker: part t of each of its chunks i with coefficient columns[w, t] / divisors[i, t].

    Args:
        placement: the chunks of every worker.
        columns: shape (n_workers, m).
        divisors: shape (N, m); None for 1.
    """
    messages = []
    n_parts = columns.shape[1]
    for worker, chunks in enumerate(placement):
        own = np.tile(columns[worker], (len(chunks), 1))
        if divisors is not None:
            own /= divisors[list(chunks)]
        rows = own.tolist()
        terms = tuple(
            Term(chunk, part, row[part])
            for part in range(n_parts)
            for chunk, row in zip(chunks, rows, strict=True)
        )
        messages.append(Message(worker, terms))
    return tuple(messages)


def folded_code(
    spec: str,
    n_chunks: int,
    placement: Placement,
    messages: tuple[Message, ...],
    decoder: Decoder,
    n_survived: int,
    n_ignored: int,
    n_parts: int,
    ever_exact: bool = True,
) -> GradientCode:
    """A code of one message a worker that ends a round without ``n_ignored`` > 0 of them.

    One that is never exact ends it with the last message at the latest: there is nothing to wait for.
    """
    n = len(placement)
    return GradientCode(
        spec=spec,
        assignment=Assignment(n_chunks, placement),
        messages=messages,
        decoder=decoder,
        stop_rule=CountMessages(n - n_survived),
        n_stragglers=n_survived,
        n_parts=n_parts,
        enough_messages=n - n_ignored if n_ignored or not ever_exact else None,
        estimator="rescaled" if isinstance(decoder, FixedWeights) else "as published",
    )


def rows_of(columns: Floats) -> tuple[tuple[float, ...], ...]:
    """An array as the tuples that a decoder holds."""
    return tuple(tuple(row) for row in columns.tolist())


def incidence(placement: Sequence[Sequence[int]], n_chunks: int) -> Floats:
    """The incidence matrix A of a placement: A[i, w] = 1 where worker w holds chunk i; shape (N, n)."""
    A = np.zeros((n_chunks, len(placement)))
    for worker, chunks in enumerate(placement):
        A[list(chunks), worker] = 1.0
    return A
