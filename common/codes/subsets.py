"""A chunk for every set of y groups of workers: the placement that recovers the most for its load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from common.codes.base import Assignment
from common.codes.bounds import missed_share
from common.codes.parameters import whole
from common.errors import InvalidSpec

MOST_MESSAGES = 20_000
"""No such plan has more (worker, chunk) pairs, nearly all of which are messages of full length."""


@dataclass(frozen=True, slots=True)
class Subsets:
    """Where the chunks are and who owns them.

    Attributes:
        parameters: n, s, y and g as whole numbers.
        n_groups: groups of workers that hold the same; worker w is in group w mod n_groups.
        holders: for each chunk its y groups, ascending.
        owners: for each chunk one of its groups, every group owning about equally many.
        assignment: chunks of every worker.
        n_stragglers: any so many workers may be absent and every chunk is still held by somebody.
        recovered: the share of the chunks that is still held with s workers absent, whichever they are.
    """

    parameters: tuple[int, int, int, int]
    n_groups: int
    holders: tuple[tuple[int, ...], ...]
    owners: tuple[int, ...]
    assignment: Assignment
    n_stragglers: int
    recovered: float


def subsets(n_workers: int, n_stragglers: int, n_holders: int, group_size: int, own_first: bool) -> Subsets:
    """The placement for s stragglers: n / g groups of g workers, a chunk for every set of y groups.

    Args:
        n_workers: n. n_stragglers: s, 0 to n - 1. n_holders: y, 1 to n / g. group_size: g, divides n.
        own_first: workers compute the chunks that they own first; otherwise last. Of the holders of a chunk
            no two have it at the same stage, so that the cluster soon has a copy of everything.

    Raises:
        InvalidSpec: a parameter is out of range, or the plan is larger than ``MOST_MESSAGES``.
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    g = whole("group_size", group_size, least=1, most=n, most_is="n_workers")
    if n % g:
        raise InvalidSpec("group_size", f"must divide n_workers = {n}", g)
    y = whole("n_holders", n_holders, least=1, most=n // g, most_is="n_workers / group_size")
    check_subsets(n, y, g)
    holders = tuple(combinations(range(n // g), y))
    owners = balanced_owners(n // g, holders)
    held: list[list[tuple[int, int]]] = [[] for _ in range(n // g)]
    for chunk, (groups, owner) in enumerate(zip(holders, owners, strict=True)):
        first = groups.index(owner) + (not own_first)
        for position, group in enumerate(groups):
            held[group].append(((position - first) % y, chunk))
    orders = [tuple(chunk for _, chunk in sorted(own)) for own in held]
    return Subsets(
        parameters=(n, s, y, g),
        n_groups=n // g,
        holders=holders,
        owners=owners,
        assignment=Assignment(len(holders), tuple(orders[worker % len(orders)] for worker in range(n))),
        n_stragglers=g * y - 1,
        recovered=float(recovered_share(n, s, y, g)),
    )


def recovered_share(n_workers: int, n_stragglers: int, n_holders: int, group_size: int = 1) -> Fraction:
    """1 - C(s', y) / C(n', y), with n' = n / g groups and s' = floor(s / g) that s stragglers can wipe out.

    >>> recovered_share(5, 3, 2)
    Fraction(7, 10)
    """
    n_groups = n_workers // group_size
    return 1 - missed_share(n_groups, n_stragglers // group_size, n_holders)


def check_subsets(n: int, y: int, g: int) -> None:
    """Refuse plans with more (worker, chunk) pairs than ``MOST_MESSAGES``."""
    pairs = n * math.comb(n // g - 1, y - 1)
    if pairs > MOST_MESSAGES:
        raise InvalidSpec(
            "n_workers x chunks of a worker",
            f"must be at most {MOST_MESSAGES}; fewer holders, a group_size or cyclic_partial need fewer",
            pairs,
        )


def balanced_owners(n_groups: int, holders: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """One of its holders for every chunk, such that all own equally many.

    Sets that are turned into each other round the circle form an orbit; of its representative that contains
    0, turned by a, the owner is a. Only if n and y have a common factor some sets are mapped onto themselves
    by a part of a turn. The owners of such an orbit begin where fewest are owned, so that numbers differ by
    1 at most in all cases tried (n up to 12).

    Cost: O(sets x y).
    """
    number = {groups: chunk for chunk, groups in enumerate(holders)}
    owners = [-1] * len(holders)
    owned = [0] * n_groups
    for groups in holders:
        if groups[0] != 0:
            break
        if owners[number[groups]] >= 0:
            continue
        turned, turn = groups, 0
        orbit: list[int] = []
        while not orbit or turned != groups:
            orbit.append(number[turned])
            turn += 1
            turned = tuple(sorted((group + turn) % n_groups for group in groups))
        start = min(range(0, n_groups, turn), key=lambda first: owned[first])
        for step, chunk in enumerate(orbit):
            owners[chunk] = (step + start) % n_groups
            owned[owners[chunk]] += 1
    return tuple(owners)
