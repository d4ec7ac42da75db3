"""Blocks of chunks, each copied to s + 1 workers: exact, perfectly conditioned, decoded without a solve."""

from __future__ import annotations

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import FirstOfGroup
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CoverGroups
from common.errors import InvalidSpec


def fractional_repetition(n_workers: int, n_stragglers: int) -> GradientCode:
    """n / (s + 1) blocks of s + 1 chunks; worker w holds block w mod (number of blocks) and sends its sum.

    Exact with any s workers absent, and with more as long as one copy of every block answers. Copies of a
    block are far apart in the numbering, so that neighbours (which often share a rack) hold different ones.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        n_stragglers: s, 0 to n - 1; s + 1 must divide n.

    Raises:
        InvalidSpec: a parameter is out of range, or s + 1 does not divide n.

    Source: Tandon et al. 2017, section 3 (fractional repetition scheme).

    >>> fractional_repetition(6, 1).assignment.orders
    ((0, 1), (2, 3), (4, 5), (0, 1), (2, 3), (4, 5))
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    check_size(n, s + 1)
    if n % (s + 1):
        raise InvalidSpec("n_stragglers", f"n_stragglers + 1 must divide n_workers = {n}", s)
    n_blocks = n // (s + 1)
    groups = tuple(worker % n_blocks for worker in range(n))
    orders = tuple(tuple(range(block * (s + 1), (block + 1) * (s + 1))) for block in groups)
    return GradientCode(
        spec=canonical(fractional_repetition, n, s),
        assignment=Assignment(n, orders),
        messages=tuple(
            Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in order))
            for worker, order in enumerate(orders)
        ),
        decoder=FirstOfGroup(),
        stop_rule=CoverGroups(groups),
        n_stragglers=s,
    )
