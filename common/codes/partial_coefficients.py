"""Coefficients for finished work of any amount, when messages are l times shorter and weights are fixed.

Every worker has a row of l numbers, R. The master's weights are these rows, whatever happened. The workers
that finished a chunk mix its l parts such that, with those weights, each part comes out once: possible as
soon as l of them have finished it, since any l rows are independent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from common.codes.base import Message, Term
from common.codes.frames import Floats


def mixing_coefficients(rows: Floats) -> Floats:
    """The coefficients X with which the finishers of a chunk send its parts: X R is next to the identity.

    Exactly the identity if there are l finishers or more; otherwise a projection, which misses l - (number
    of finishers) in squared Frobenius norm, whatever the rows.

    Args:
        rows: R of the finishers, shape (finishers, l).

    Returns:
        X, shape (l, finishers): entry (k, j) is what finisher j multiplies part k by. Of least norm.

    Cost: O(finishers x l^2).

    Source: Ramamoorthy et al. 2024, the coefficients by least squares for every chunk.

    >>> mixing_coefficients(np.array([[1.0], [2.0]])).round(9).tolist()
    [[0.2, 0.4]]
    """
    return np.asarray(np.linalg.pinv(rows), dtype=np.float64)


def chunk_coefficients(R: Floats, finishers: Mapping[int, Collection[int]]) -> dict[int, Floats]:
    """X for every chunk that somebody finished, over all workers; shape (l, n), zero outside the finishers.

    >>> X = chunk_coefficients(np.array([[1.0], [2.0], [1.0]]), {0: {0, 2}, 1: ()})
    >>> X[0].round(9).tolist()
    [[0.5, 0.0, 0.5]]
    """
    found = {}
    for chunk, workers in finishers.items():
        if workers:
            own = sorted(workers)
            found[chunk] = np.zeros((R.shape[1], R.shape[0]))
            found[chunk][:, own] = mixing_coefficients(R[own])
    return found


def coefficient_error(copies: Iterable[int], n_parts: int) -> int:
    """``||E W - J||_F^2`` with so many finishers of every chunk: what is missing to l, summed over chunks.

    >>> coefficient_error([2, 2, 1, 1], 2)
    2
    """
    return sum(max(0, n_parts - number) for number in copies)


@dataclass(frozen=True, slots=True)
class AllFinishers:
    """Asks every worker that finished anything for one message, with the mixing coefficients of its chunks.

    Args:
        rows: R, l numbers for every worker.
        adaptive: where some chunk has fewer than l finishers, cut gradients into as many parts as it has:
            messages are longer, and the answer is exact all the same.

    Cost: O(finishers x l), and a pseudoinverse for every set of finishers that was not seen lately.
    """

    rows: tuple[tuple[float, ...], ...]
    adaptive: bool = False

    def choose(self, finishers: Mapping[int, Collection[int]]) -> tuple[Message, ...]:
        """Messages by ascending worker, terms by ascending chunk.

        >>> [(m.worker, len(m.terms)) for m in AllFinishers(((1.0,), (2.0,))).choose({0: {0, 1}, 1: {1}})]
        [(0, 1), (1, 2)]
        """
        terms: dict[int, list[Term]] = {}
        n_parts = len(self.rows[0])
        if self.adaptive:
            fewest = min((len(set(workers)) for workers in finishers.values() if workers), default=n_parts)
            n_parts = min(n_parts, fewest)
        for chunk in sorted(finishers):
            own = sorted(set(finishers[chunk]))
            if not own:
                continue
            X = _mixing(tuple(self.rows[worker][:n_parts] for worker in own))
            for worker, amounts in zip(own, X, strict=True):
                terms.setdefault(worker, []).extend(
                    Term(chunk, part, amount) for part, amount in enumerate(amounts)
                )
        return tuple(Message(worker, tuple(terms[worker])) for worker in sorted(terms))


@lru_cache(maxsize=65536)
def _mixing(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    """For every finisher its l coefficients."""
    return tuple(tuple(column) for column in mixing_coefficients(np.array(rows)).T.tolist())
