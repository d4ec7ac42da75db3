"""Worker i holds the chunks i .. i + r - 1: any n - s workers recover beta of n, with one message or two."""

from __future__ import annotations

import math
from itertools import combinations

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.intervals import ClosedWalk, Intervals, most_recovered
from common.codes.parameters import canonical, check_size, whole
from common.errors import InvalidSpec

MOST_TRIED = 60_000
"""Where beta is not known to be recovered always, sets of workers are tried, so many divided by n."""


def cyclic_partial(n_workers: int, n_stragglers: int, n_recovered: int) -> GradientCode:
    """Arcs of r = s + 1 + beta - n chunks; a worker sends their sum and, if r does not divide beta, one more.

    Any n - s arcs hold beta chunks between them, and no smaller r has that property. Where r divides beta,
    disjoint arcs with beta chunks can always be picked, and one message a worker is enough. Otherwise it
    is not, and the second message is the sum of the first beta mod r chunks. What is decoded is the largest
    possible set of chunks, often more than beta; a round ends when beta are there.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        n_stragglers: s, 0 to n - 1.
        n_recovered: beta, chunks that any n - s workers must recover, 1 to n.

    Raises:
        InvalidSpec: a parameter is out of range. Or r is above n / 2 and does not divide beta, and there are
            n - s workers whose messages do not determine the sum of any beta chunks, or too many sets of
            workers to try.

    Cost: O(n r) to build, and up to 0.5 s where sets must be tried; to decode, that of ``Intervals``
        (6 ms at n = 1,000).

    Source: Sarmasarkar et al. 2023, cyclic schemes. That two messages are always enough fails for 31 sets of
        parameters with n <= 12, as trying them all shows; these are refused.

    >>> code = cyclic_partial(7, 3, 6)
    >>> code.assignment.orders[6], len(code.messages)
    ((6, 0, 1), 7)
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    beta = whole("n_recovered", n_recovered, least=1, most=n, most_is="n_workers")
    load, head = _lengths(n, s, beta)
    check_size(n, load + head)
    _check_recovery(n, s, beta)
    intervals = tuple((worker, length) for worker in range(n) for length in (head, load) if length)
    orders = tuple(tuple((worker + k) % n for k in range(load)) for worker in range(n))
    return GradientCode(
        spec=canonical(cyclic_partial, n, s, beta),
        assignment=Assignment(n, orders),
        messages=tuple(
            Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in orders[worker][:length]))
            for worker, length in intervals
        ),
        decoder=Intervals(),
        stop_rule=ClosedWalk(n, intervals),
        # Steps of r go round in gcd(n, r) separate walks, each of which recovers everything.
        n_stragglers=s if beta == n else math.gcd(n, load) - 1,
        enough_recovered=beta / n,
    )


def _lengths(n: int, s: int, beta: int) -> tuple[int, int]:
    """Chunks in a worker's sum, and in the sum of the first of them (0 where that is not needed)."""
    load = max(1, s + 1 + beta - n)
    return load, beta % load


def _check_recovery(n: int, s: int, beta: int) -> None:
    """Refuse parameters for which some n - s workers recover fewer than beta chunks."""
    load, head = _lengths(n, s, beta)
    if not head or 2 * load <= n:
        return
    if _n_sets(n, s) * n > MOST_TRIED:
        reason = "there are too many sets of workers to try whether all recover so many"
    else:
        failing = _failing_set(n, s, beta)
        if failing is None:
            return
        reason = f"workers {failing} alone recover only {_recovered(n, load, head, failing)}"
    raise InvalidSpec(
        "n_recovered",
        f"every worker would hold {load} of {n} chunks, and {reason}; nearest possible: "
        f"{_nearest(n, s, beta)}, or use sum_and_non_owned or cyclic_repetition",
        beta,
    )


def _n_sets(n: int, s: int) -> int:
    return math.comb(n - 1, s)


def _failing_set(n: int, s: int, beta: int) -> tuple[int, ...] | None:
    """Workers from which fewer than beta chunks are recovered; all sets of n - s up to rotation are tried."""
    load, head = _lengths(n, s, beta)
    for others in combinations(range(1, n), n - s - 1):
        workers = (0, *others)
        if _recovered(n, load, head, workers) < beta:
            return workers
    return None


def _recovered(n: int, load: int, head: int, workers: tuple[int, ...]) -> int:
    lengths = (head, load) if head else (load,)
    return most_recovered(n, [(worker, length) for worker in workers for length in lengths])


def _nearest(n: int, s: int, beta: int) -> int:
    """The nearest number of chunks that is known or quickly found to be recovered; one always is."""
    for other in sorted(range(1, n + 1), key=lambda each: abs(each - beta)):
        load, head = _lengths(n, s, other)
        if not head or 2 * load <= n:
            return other
        if other != beta and _n_sets(n, s) * n <= MOST_TRIED // 10 and _failing_set(n, s, other) is None:
            return other
    return 1
