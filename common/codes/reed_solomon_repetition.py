"""Worker i holds the chunks i .. i + s and sends values of polynomials: exact, decoded by a formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Assignment, GradientCode, Message, Tally, Term
from common.codes.decoders import LeastSquares
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import MessageTally
from common.errors import InvalidSpec

MOST_NOISE_FLOAT64 = 1e9
"""Rounding of float64 coefficients, this many times amplified, still leaves a decoding exact to 1e-6."""

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def reed_solomon_repetition(n_workers: int, n_stragglers: int) -> GradientCode:
    """Worker i holds the chunks i .. i + s (mod n); any n - s workers determine the sum by a closed formula.

    Worker j stands for the point a_j = exp(2 pi i j / n). The coefficient of a chunk is the product of
    a_j - a_u over the n - s - 1 workers u that do not hold it: the value at a_j of a polynomial with leading
    coefficient 1, and n - s values give that coefficient without solving anything. Coefficients are complex,
    so a worker sends two real messages, one with their real and one with their imaginary parts: twice the
    traffic of ``cyclic_repetition``. With s = 0 or s = n - 1 coefficients are 1 and one message is enough.

    Weights are small but coefficients grow like n (n / 2 pi)^s / (s/2)!^2, and rounding with them: large
    clusters are better grouped.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        n_stragglers: s, 0 to n - 1.

    Raises:
        InvalidSpec: a parameter is out of range, or rounding would be amplified more than 1e9 times.

    Cost: O(n s) to build; to decode O((n - s) s) (1 ms at n = 100, 2 ms at n = 1,000 with s = 3). With fewer
        than n - s workers least squares takes over.

    Source: Halbawi et al. 2018, gradient codes from Reed-Solomon codes, at roots of unity.

    >>> real, imaginary = reed_solomon_repetition(4, 1).messages[:2]
    >>> [round(term.coefficient, 12) for term in (*real.terms, *imaginary.terms)]
    [2.0, 2.0, -2.0, 2.0]
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    check_size(n, 2 * (s + 1))
    noise = _contiguous_noise(n, s)
    if not noise <= MOST_NOISE_FLOAT64:
        raise InvalidSpec(
            "n_stragglers",
            f"must amplify rounding at most {MOST_NOISE_FLOAT64:.0e} times and does so {noise:.1e} times; "
            f"use fewer stragglers or groups, such as grouped(reed_solomon_repetition(q, {s}), {n})",
            s,
        )
    orders = tuple(tuple((worker + k) % n for k in range(s + 1)) for worker in range(n))
    messages = [
        Message(worker, tuple(map(Term, order, [0] * (s + 1), part.tolist())))
        for worker, order in enumerate(orders)
        for part in _parts(n, s, worker)
    ]
    per_worker = len(messages) // n
    return GradientCode(
        spec=canonical(reed_solomon_repetition, n, s),
        assignment=Assignment(n, orders),
        messages=tuple(messages),
        decoder=LeadingCoefficient(s),
        stop_rule=CountWorkers(n - s, tuple(message.worker for message in messages), per_worker),
        n_stragglers=s,
    )


@dataclass(frozen=True, slots=True)
class LeadingCoefficient:
    """Weights 1 / product of (a_j - a_u) over the other n - s - 1 workers that are used; no solve.

    Exactly n - s workers are used, since with more points the formula gives a coefficient that is zero; those
    to spare are left out at even distances, which keeps the weights small. The real part of a weight goes to
    the real message, and minus the imaginary part to the imaginary one. Cost: O((n - s) s).
    """

    n_stragglers: int

    def weights(self, code: GradientCode, received: Sequence[Message]) -> Floats:
        """Weights of shape (len(received), 1)."""
        n, s = code.n_workers, self.n_stragglers
        columns: dict[int, list[int]] = {}
        for column, message in enumerate(received):
            columns.setdefault(message.worker, []).append(column)
        present = sorted(w for w, own in columns.items() if len(own) == len(code.messages_of[w]))
        if len(present) < n - s:
            return LeastSquares().weights(code, received)
        to_spare = len(present) - (n - s)
        left_out = {int((k + 0.5) * len(present) / to_spare) for k in range(to_spare)}
        used = [worker for k, worker in enumerate(present) if k not in left_out]
        weights = np.zeros((len(received), 1))
        for worker, value in zip(used, _weights(n, s, np.array(used)).tolist(), strict=True):
            for column in columns[worker]:
                is_real = received[column] == code.messages[code.messages_of[worker][0]]
                weights[column] = value.real if is_real else -value.imag
        return weights


@dataclass(frozen=True, slots=True)
class CountWorkers:
    """Decoding may succeed when all messages of ``k`` workers have arrived.

    Args:
        k: workers needed. owners: the worker of each message of the code. per_worker: messages of a worker.

    >>> tally = CountWorkers(1, owners=(0, 0, 1, 1), per_worker=2).start()
    >>> tally.arrived(0); tally.arrived(3); tally.may_suffice
    False
    >>> tally.arrived(2); tally.may_suffice
    True
    """

    k: int
    owners: tuple[int, ...]
    per_worker: int

    def start(self) -> Tally:
        """A fresh tally."""
        return _CountWorkersTally(self)


class _CountWorkersTally(MessageTally):
    def __init__(self, rule: CountWorkers) -> None:
        self._rule = rule
        self._arrived: set[int] = set()
        self._count: dict[int, int] = {}
        self._complete = 0

    def arrived(self, message: int) -> None:
        if message in self._arrived:
            return
        self._arrived.add(message)
        owner = self._rule.owners[message]
        self._count[owner] = self._count.get(owner, 0) + 1
        self._complete += self._count[owner] == self._rule.per_worker

    @property
    def may_suffice(self) -> bool:
        return self._complete >= self._rule.k


def _is_plain(n: int, s: int) -> bool:
    """Whether coefficients and weights are all 1: nobody may be absent, or everybody holds everything."""
    return s in (0, n - 1)


def _parts(n: int, s: int, worker: int) -> list[Floats]:
    """Real and imaginary parts of the worker's coefficients of the chunks worker .. worker + s."""
    if _is_plain(n, s):
        return [np.ones(s + 1)]
    # Workers that do not hold chunk j + k are at distances k + 1 .. k + n - s - 1 from j. With distance d,
    # a_j - a_u = a_j 2 sin(pi d / n) exp(i (pi d / n - pi / 2)): all phases are multiples of pi / 2n.
    phases = (n - s - 1) * (2 * np.arange(s + 1) - s + 4 * worker)
    values = _magnitudes(n, s) * _units(n, phases)
    return [values.real, values.imag]


def _magnitudes(n: int, s: int) -> Floats:
    """|coefficient| of the chunks j .. j + s of any worker j; the product of all n - 1 chords is n."""
    chords = np.cumprod([1.0, *(2.0 * np.sin(np.pi * np.arange(1, s + 1) / n))])
    return np.asarray(n / (chords * chords[::-1]), dtype=np.float64)


def _weights(n: int, s: int, used: Indices) -> NDArray[np.complex128]:
    """The weight of each used worker: the product of a_j - a_u over the s unused u, times a_j / n."""
    if _is_plain(n, s):
        return np.ones(len(used), dtype=np.complex128)
    unused = np.setdiff1d(np.arange(n), used)
    distances = (unused - used[:, None]) % n
    sizes = np.prod(2.0 * np.sin(np.pi * distances / n), axis=1) / n
    phases = np.sum(2 * distances - n, axis=1) + 4 * used * (s + 1)
    return np.asarray(sizes * _units(n, phases), dtype=np.complex128)


def _units(n: int, phases: Indices) -> NDArray[np.complex128]:
    """exp(i pi phase / 2n), exact at the quarters of the circle."""
    cosines = np.cos(np.pi * np.arange(4 * n) / (2 * n))
    cosines[[n, 3 * n]] = 0.0
    units = cosines[phases % (4 * n)] + 1j * cosines[(phases - n) % (4 * n)]
    return np.asarray(units, dtype=np.complex128)


def _contiguous_noise(n: int, s: int) -> float:
    """||weights|| x largest coefficient when s neighbours are absent, which is the worst pattern."""
    if _is_plain(n, s):
        return math.sqrt(n - s)
    with np.errstate(all="ignore"):
        weights = np.abs(_weights(n, s, np.arange(s, n)))
        noise: float = np.linalg.norm(weights) * _magnitudes(n, s).max()
    return noise
