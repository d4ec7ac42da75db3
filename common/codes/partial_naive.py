"""For workers that are slow but not dead: some chunks are sent uncoded, so that slow ones are of use too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Assignment, GradientCode, Message, Tally, Term
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.decoders import FirstOfGroup, LeastSquares
from common.codes.fractional_repetition import fractional_repetition
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CoverGroups, MessageTally
from common.errors import InvalidSpec


def partial_naive_fractional(n_workers: int, n_stragglers: int, chunks_per_worker: int) -> GradientCode:
    """p - s - 1 chunks of its own a worker, then s + 1 chunks of a fractional repetition code: two messages.

    A worker sends the sum of its own chunks first. The answer needs all n first messages, and one second
    message of every block, so s workers may be up to ``tolerated_slowdown`` times slower without delaying
    it, but no worker may be absent altogether: ``n_stragglers`` of the code is 0.

    Args:
        n_workers: n, at least 1.
        n_stragglers: s, slow workers whose second message is not waited for, 0 to n - 1; s + 1 divides n.
        chunks_per_worker: p, at least s + 2. There are n (p - s) chunks.

    Raises:
        InvalidSpec: a parameter is out of range, or s + 1 does not divide n.

    Source: Tandon et al. 2017, section on partial stragglers.

    >>> partial_naive_fractional(4, 1, 3).assignment.orders
    ((0, 4, 5), (1, 6, 7), (2, 4, 5), (3, 6, 7))
    """
    n, s, p = _sizes(n_workers, n_stragglers, chunks_per_worker)
    coded = fractional_repetition(n, s)
    blocks = n // (s + 1)
    assignment, messages = _naive_then(coded, p - s - 1)
    return GradientCode(
        spec=canonical(partial_naive_fractional, n, s, p),
        assignment=assignment,
        messages=messages,
        decoder=FirstOfGroup(),
        stop_rule=CoverGroups(tuple(group for w in range(n) for group in (w, n + w % blocks))),
        n_stragglers=0,
    )


def partial_naive_cyclic(
    n_workers: int, n_stragglers: int, chunks_per_worker: int, variant: str = "auto", seed: int = 0
) -> GradientCode:
    """p - s - 1 chunks of its own a worker, then s + 1 chunks of a cyclic repetition code: two messages.

    As ``partial_naive_fractional``, for any n > s: the answer needs all n first messages, n - s second ones.

    Args:
        n_workers: n, at least 1.
        n_stragglers: s, slow workers whose second message is not waited for, 0 to n - 1.
        chunks_per_worker: p, at least s + 2. There are n (p - s) chunks.
        variant: of the cyclic repetition code: ``auto``, ``cyclic_mds`` or ``random``.
        seed: of its random variant, at least 0.

    Raises:
        InvalidSpec: a parameter is out of range, as for ``cyclic_repetition``.

    Cost: that of ``cyclic_repetition``, to build and to decode.

    Source: Tandon et al. 2017, section on partial stragglers.

    >>> partial_naive_cyclic(4, 1, 3).assignment.orders
    ((0, 4, 5), (1, 5, 6), (2, 6, 7), (3, 7, 4))
    """
    n, s, p = _sizes(n_workers, n_stragglers, chunks_per_worker)
    coded = cyclic_repetition(n, s, variant, seed)
    assignment, messages = _naive_then(coded, p - s - 1)
    return GradientCode(
        spec=canonical(partial_naive_cyclic, n, s, p, variant, seed),
        assignment=assignment,
        messages=messages,
        decoder=NaiveAndCoded(n * (p - s - 1), coded),
        stop_rule=AllNaiveAndCoded(n, n - s),
        n_stragglers=0,
    )


def tolerated_slowdown(n_stragglers: int, chunks_per_worker: int) -> Fraction:
    """alpha = p / (p - s - 1): a worker so many times slower still sends its own chunks in time.

    In time means before a worker of normal speed has finished all its p chunks.

    Args:
        n_stragglers: s, at least 0.
        chunks_per_worker: p, at least s + 2.

    >>> tolerated_slowdown(1, 4)
    Fraction(2, 1)
    """
    s = whole("n_stragglers", n_stragglers, least=0)
    p = whole("chunks_per_worker", chunks_per_worker, least=s + 2)
    return Fraction(p, p - s - 1)


def chunks_for_slowdown(n_stragglers: int, slowdown: float | Fraction) -> int:
    """The largest p that tolerates workers ``slowdown`` times slower, and so the least load that does.

    Args:
        n_stragglers: s, at least 0.
        slowdown: alpha, above 1 and at most s + 2, from where on one uncoded chunk is all there can be.

    >>> chunks_for_slowdown(1, 2.0), chunks_for_slowdown(4, 2.0)
    (4, 10)
    """
    s = whole("n_stragglers", n_stragglers, least=0)
    if not 1 < slowdown <= s + 2:
        raise InvalidSpec("slowdown", f"must be above 1 and at most n_stragglers + 2 = {s + 2}", slowdown)
    return s + 1 + math.floor(Fraction(s + 1) / (Fraction(slowdown).limit_denominator(10**9) - 1))


def partial_naive_load(n_workers: int, n_stragglers: int, chunks_per_worker: int) -> Fraction:
    """The share of the data on one worker, p / (n (p - s)), which is alpha (s + 1) / (n (s + alpha)).

    Between 1/n (alpha near 1: hardly slower workers need hardly any redundancy) and (s + 1) / n.

    Args:
        n_workers: n, at least 1. n_stragglers: s, 0 to n - 1. chunks_per_worker: p, at least s + 2.

    >>> partial_naive_load(12, 1, 4)
    Fraction(1, 9)
    """
    n, s, p = _sizes(n_workers, n_stragglers, chunks_per_worker)
    return Fraction(p, n * (p - s))


@dataclass(frozen=True, slots=True)
class NaiveAndCoded:
    """Weight 1 for sums of uncoded chunks; least squares for the others.

    Args:
        first_coded: chunks from this one on are coded.
        coded: their code. How much it amplifies rounding is how much the whole plan does.

    Cost: that of ``LeastSquares`` for the coded messages.
    """

    first_coded: int
    coded: GradientCode

    def weights(self, code: GradientCode, received: Sequence[Message]) -> NDArray[np.float64]:
        """Weights of shape (len(received), 1)."""
        weights = np.ones((len(received), 1))
        coded = [k for k, message in enumerate(received) if message.terms[0].chunk >= self.first_coded]
        weights[coded] = LeastSquares().weights(code, [received[k] for k in coded])
        return weights


@dataclass(frozen=True, slots=True)
class AllNaiveAndCoded:
    """Decoding may succeed with all n even messages and with k odd ones.

    >>> tally = AllNaiveAndCoded(n=2, k=1).start()
    >>> for message in (0, 1, 3): tally.arrived(message)
    >>> tally.may_suffice
    False
    >>> tally.arrived(2); tally.may_suffice
    True
    """

    n: int
    k: int

    def start(self) -> Tally:
        """A fresh tally."""
        return _AllNaiveAndCodedTally(self.n, self.k)


class _AllNaiveAndCodedTally(MessageTally):
    def __init__(self, n: int, k: int) -> None:
        self._needs = (n, k)
        self._arrived: tuple[set[int], set[int]] = (set(), set())

    def arrived(self, message: int) -> None:
        self._arrived[message % 2].add(message)

    @property
    def may_suffice(self) -> bool:
        return all(len(got) >= need for got, need in zip(self._arrived, self._needs, strict=True))


def _sizes(n_workers: int, n_stragglers: int, chunks_per_worker: int) -> tuple[int, int, int]:
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    p = whole("chunks_per_worker", chunks_per_worker, least=1)
    check_size(n, p)
    if p < s + 2:
        raise InvalidSpec(
            "chunks_per_worker",
            f"must be at least n_stragglers + 2 = {s + 2}, so that one chunk is uncoded; a code without "
            "uncoded chunks is fractional_repetition or cyclic_repetition",
            p,
        )
    return n, s, p


def _naive_then(coded: GradientCode, n_naive: int) -> tuple[Assignment, tuple[Message, ...]]:
    """Every worker's own chunks before those of ``coded``; its messages are 2 worker and 2 worker + 1."""
    n = coded.n_workers
    first = n * n_naive
    orders, messages = [], []
    for worker, message in enumerate(coded.messages):
        own = range(worker * n_naive, (worker + 1) * n_naive)
        orders.append((*own, *(first + chunk for chunk in coded.assignment.orders[worker])))
        messages.append(Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in own)))
        shifted = (Term(first + chunk, 0, coefficient) for chunk, _, coefficient in message.terms)
        messages.append(Message(worker, tuple(shifted)))
    return Assignment(first + coded.n_chunks, tuple(orders)), tuple(messages)
