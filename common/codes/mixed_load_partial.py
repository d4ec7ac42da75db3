"""Workers with three and with two chunks: recovers an odd number of chunks with one message a worker."""

from __future__ import annotations

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.intervals import ClosedWalk, Intervals
from common.codes.parameters import canonical, check_size, whole
from common.errors import InvalidSpec


def mixed_load_partial(n_workers: int, n_recovered: int) -> GradientCode:
    """Any beta - 1 workers recover beta chunks, for odd n and beta: one plain sum a worker, of 3 or 2 chunks.

    With n = 2a + 1, worker i <= a holds the chunks 2i, 2i + 1, 2i + 2 (mod n), and worker a + 1 + j holds
    2j + 1, 2j + 2. Pairs alone cannot do this for odd beta. There must be enough stragglers,
    s = n - beta + 1 > n / 4: fewer can take away every other pair of a stretch, so that disjoint sums no
    longer fit together.

    Args:
        n_workers: n, odd, at least 5; also the number of chunks.
        n_recovered: beta, odd, 3 to n - 2 and below 3n / 4 + 1.

    Raises:
        InvalidSpec: a parameter is out of range, or even.

    Cost: O(n) to build; to decode, that of ``Intervals``.

    Source: Sarmasarkar et al. 2023, notes on loads between 2/n and 3/n, without the condition on s.
        It is needed: from n = 4s + 1 on some s stragglers leave fewer chunks. Up to n = 19 it suffices.

    >>> mixed_load_partial(5, 3).assignment.orders
    ((0, 1, 2), (2, 3, 4), (4, 0, 1), (1, 2), (3, 4))
    """
    n = whole("n_workers", n_workers, least=5)
    check_size(n, 3)
    if n % 2 == 0:
        raise InvalidSpec("n_workers", f"must be odd, such as {n - 1}", n)
    largest = _largest_recovered(n)
    beta = whole("n_recovered", n_recovered, least=3, most=largest, most_is="what n_workers allows")
    if beta % 2 == 0:
        raise InvalidSpec("n_recovered", "must be odd; even ones need pairs only, see cyclic_partial", beta)
    half = n // 2
    intervals = tuple([(2 * i, 3) for i in range(half + 1)] + [(2 * j + 1, 2) for j in range(half)])
    orders = tuple(tuple((first + k) % n for k in range(length)) for first, length in intervals)
    return GradientCode(
        spec=canonical(mixed_load_partial, n, beta),
        assignment=Assignment(n, orders),
        messages=tuple(
            Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in order))
            for worker, order in enumerate(orders)
        ),
        decoder=Intervals(),
        stop_rule=ClosedWalk(n, intervals),
        n_stragglers=0,
        enough_recovered=beta / n,
    )


def _largest_recovered(n: int) -> int:
    """The largest odd beta for which s = n - beta + 1 is above n / 4, and at least 3."""
    fewest = max(3, n // 4 + 1)
    return n + 1 - (fewest + 1 - fewest % 2)
