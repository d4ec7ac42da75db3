"""What no code can do better: the least load for exact and for partial recovery, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

from common.codes.parameters import whole
from common.errors import InvalidSpec

_MOST_DENOMINATOR = 10**9

Share = float | Fraction
"""A share of the chunks; a float stands for the nearest fraction with a denominator of at most 1e9."""


def least_load(n_workers: int, n_chunks: int, n_stragglers: int) -> Fraction:
    """So many chunks a worker, on average, needs any code that is exact with any s workers absent.

    Every chunk must be on s + 1 workers, so the workers together hold at least N (s + 1) chunks.

    Args:
        n_workers: n, at least 1.
        n_chunks: N, at least 1.
        n_stragglers: s, 0 to n - 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: Tandon et al. 2017, the lower bound on the density of B.

    >>> least_load(n_workers=12, n_chunks=12, n_stragglers=3)
    Fraction(4, 1)
    """
    n, s = _workers(n_workers, n_stragglers)
    return Fraction(whole("n_chunks", n_chunks, least=1) * (s + 1), n)


def missed_share(n_workers: int, n_stragglers: int, n_holders: int) -> Fraction:
    """The share of chunks that s stragglers hit on average when every chunk is on y workers: C(s,y) / C(n,y).

    Args:
        n_workers: n, at least 1. n_stragglers: s, 0 to n - 1. n_holders: y, 0 to n.

    >>> missed_share(5, 3, 2)
    Fraction(3, 10)
    """
    n, s = _workers(n_workers, n_stragglers)
    y = whole("n_holders", n_holders, least=0, most=n, most_is="n_workers")
    return Fraction(comb(s, y), comb(n, y))


def least_replication(n_workers: int, n_stragglers: int, recovered: Share) -> int:
    """The least y = ceil(n l) with C(s,y) / C(n,y) <= 1 - alpha: a load below y / n cannot recover alpha.

    Args:
        n_workers: n, at least 1.
        n_stragglers: s, 0 to n - 1.
        recovered: alpha, the share of the chunks that any n - s workers must recover, above 0 and at most 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: Sarmasarkar et al. 2023, the lower bound on the computation load. ``all_subsets`` achieves it.

    >>> [least_replication(10, 5, alpha) for alpha in (0.5, 0.75, 0.9, 1.0)]
    [1, 2, 3, 6]
    """
    return next(y for y in range(n_workers + 1) if _misses_at_most(n_workers, n_stragglers, y, recovered))


def least_partial_load(n_workers: int, n_stragglers: int, recovered: Share) -> Fraction:
    """n times the least computation load l that recovers alpha: the bound without rounding up.

    Let f(y) = C(s,y) / C(n,y), linear between whole y. Then n l >= f^-1(1 - alpha), and splitting the data
    between the designs of two consecutive y achieves it. A value below 1 means that data is left out.

    Args:
        n_workers: n, at least 1. n_stragglers: s, 0 to n - 1. recovered: alpha, above 0 and at most 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: a sharper form of the bound of Sarmasarkar et al. 2023: its own counting argument, averaged over
        all sets of stragglers without assuming equal replication.

    >>> least_partial_load(5, 3, 0.8)
    Fraction(5, 2)
    """
    n, s = _workers(n_workers, n_stragglers)
    missed = 1 - _share(recovered)
    above = least_replication(n, s, recovered)
    if not above:
        return Fraction(0)
    low, high = missed_share(n, s, above - 1), missed_share(n, s, above)
    return above - 1 + (low - missed) / (low - high)


def replications_suffice(
    n_workers: int, n_stragglers: int, replications: Sequence[int], recovered: Share
) -> bool:
    """Whether chunks that are on y_1, y_2, ... workers can be enough to recover alpha of them.

    Necessary, not sufficient: sum_i C(n - y_i, n - s) <= C(n, s) k (1 - alpha), where the left side counts
    the chunks of which no holder is left, over all sets of stragglers.

    Args:
        n_workers: n, at least 1. n_stragglers: s, 0 to n - 1.
        replications: y_i, 0 to n, for each of the k chunks.
        recovered: alpha, above 0 and at most 1.

    Source: Sarmasarkar et al. 2023, the step that the lower bound is derived from.
    """
    n, s = _workers(n_workers, n_stragglers)
    lost = sum(comb(n - whole("replications", y, least=0, most=n), n - s) for y in replications)
    return lost <= comb(n, s) * len(replications) * (1 - _share(recovered))


def least_low_load(n_workers: int, n_stragglers: int, n_recovered: int, n_messages: int) -> int | None:
    """The least number of chunks (of n) a worker must hold, where that is 1 or 2; None where it is more.

    One chunk suffices just for s <= n - beta. Two suffice just for s = n - beta + 1, and with one message a
    worker only if beta is even or beta = n: adjacent pairs on a circle, where a chunk more than the number of
    workers present needs one unpaired message, which the stragglers can prevent.

    Args:
        n_workers: n, also the number of chunks. n_stragglers: s, 0 to n - 1.
        n_recovered: beta, chunks that any n - s workers must recover, 1 to n.
        n_messages: messages a worker sends, at least 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: Sarmasarkar et al. 2023, the results on low computation loads.

    >>> [least_low_load(8, s, n_recovered=6, n_messages=1) for s in (2, 3, 4)]
    [1, 2, None]
    """
    n, s = _workers(n_workers, n_stragglers)
    beta = whole("n_recovered", n_recovered, least=1, most=n, most_is="n_workers")
    m = whole("n_messages", n_messages, least=1)
    if s <= n - beta:
        return 1
    if s == n - beta + 1 and (m > 1 or beta % 2 == 0 or beta == n):
        return 2
    return None


def _workers(n_workers: int, n_stragglers: int) -> tuple[int, int]:
    n = whole("n_workers", n_workers, least=1)
    return n, whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")


def _share(recovered: Share) -> Fraction:
    if (
        isinstance(recovered, bool)
        or not isinstance(recovered, int | float | Fraction)
        or not 0 < recovered <= 1
    ):
        raise InvalidSpec("recovered", "must be a share above 0 and at most 1", recovered)
    return Fraction(recovered).limit_denominator(_MOST_DENOMINATOR)


def _misses_at_most(n: int, s: int, y: int, recovered: Share) -> bool:
    return missed_share(n, s, y) <= 1 - _share(recovered)
