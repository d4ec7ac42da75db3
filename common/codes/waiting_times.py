"""How long a round waits, on average, when workers answer after independent exponential times."""

from __future__ import annotations

from fractions import Fraction
from math import comb

from common.codes.erasures import check_groups, erasures
from common.codes.parameters import whole


def harmonic(k: int) -> Fraction:
    """1 + 1/2 + ... + 1/k.

    >>> harmonic(3)
    Fraction(11, 6)
    """
    return sum((Fraction(1, i) for i in range(1, whole("k", k, least=0) + 1)), Fraction(0))


def wait_for(n_workers: int, n_messages: int, mean_seconds: float) -> float:
    """Seconds until ``n_messages`` of n workers have answered: mean (H_n - H_(n - k)).

    With k = n this is the uncoded wait, with k = n - s that of ``cyclic_repetition``.

    Args:
        n_workers: n, at least 1. n_messages: k, 0 to n. mean_seconds: of every worker's time.

    >>> round(wait_for(30, 29, 0.5), 4)
    1.4975
    """
    n = whole("n_workers", n_workers, least=1)
    k = whole("n_messages", n_messages, least=0, most=n, most_is="n_workers")
    return mean_seconds * float(harmonic(n) - harmonic(n - k))


def wait_for_groups(n_workers: int, copies: int, mean_seconds: float) -> float:
    """Seconds until a copy of every block has answered, each on c workers: mean / c x H_(n/c).

    >>> round(wait_for_groups(30, 2, 0.5), 4)
    0.8296
    """
    n, c = check_groups(n_workers, copies)
    return mean_seconds * float(harmonic(n // c)) / c


def wait_for_erasurehead(
    n_workers: int, copies: int, collect: int, mean_seconds: float
) -> tuple[float, float]:
    """Seconds until r messages or a copy of every block have come, and the mean share of blocks then covered.

    Who answers next is as likely any worker as any other, independently of when, so that the time is the sum
    over k up to r of mean / (n - k + 1), times the probability that k - 1 answers do not cover all blocks.

    Args:
        n_workers: n, at least 1. copies: c, divides n. collect: r, 1 to n. mean_seconds: of a worker's time.

    Source: the waiting times that Wang, Charles, Papailiopoulos 2019 compare, in closed form.

    >>> seconds, covered = wait_for_erasurehead(30, copies=2, collect=15, mean_seconds=0.5)
    >>> round(seconds, 3), round(covered, 3)
    (0.338, 0.759)
    """
    n, c = check_groups(n_workers, copies)
    r = whole("collect", collect, least=1, most=n, most_is="n_workers")
    total = sum((_uncovered(n, c, k - 1) / (n - k + 1) for k in range(1, r + 1)), Fraction(0))
    return mean_seconds * float(total), float(erasures(n, c, r).contraction)


def _uncovered(n: int, c: int, k: int) -> Fraction:
    """The probability that k of n workers, any k alike, do not cover all n / c blocks."""
    q = n // c
    covering = sum((-1) ** i * comb(q, i) * comb(n - i * c, k) for i in range(q + 1))
    return 1 - Fraction(covering, comb(n, k))
