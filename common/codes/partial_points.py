"""What there is to choose from for partial recovery: less load for more messages, and the other way round."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from common.codes.bounds import Share, least_replication
from common.codes.cyclic_partial import cyclic_partial
from common.codes.parameters import whole
from common.codes.subsets import MOST_MESSAGES, balanced_owners
from common.errors import InvalidSpec


@dataclass(frozen=True, slots=True)
class Point:
    """A way to recover the share asked for.

    Attributes:
        spec: how to ask for the code.
        load: share of the data on one worker.
        n_messages: messages of full length that a worker sends.
    """

    spec: str
    load: Fraction
    n_messages: int


def partial_points(n_workers: int, n_stragglers: int, recovered: Share) -> tuple[Point, ...]:
    """Codes that recover at least ``recovered`` of the chunks with any s workers absent; least load first.

    All subsets, as they are and with sums, for all sizes of groups whose members hold the same; the cyclic
    scheme; and exact codes, which recover everything.

    Args:
        n_workers: n, at least 1. n_stragglers: s, 0 to n - 1. recovered: alpha, above 0 and at most 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Cost: that of building what there is to choose from: up to 0.5 s for plans with 20,000 messages.

    Source: Sarmasarkar et al. 2023; the groups follow from their subsets with n / g groups of workers of
        which s stragglers wipe out floor(s / g).

    >>> for point in undominated(partial_points(12, 5, 0.8)):
    ...     print(f"{point.spec:28} load {point.load}, messages {point.n_messages}")
    sum_and_non_owned(12, 5, 2)  load 1/6, messages 7
    cyclic_partial(12, 5, 10)    load 1/3, messages 2
    fractional_repetition(12, 5) load 1/2, messages 1
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    least_replication(n, s, recovered)  # refuses a share out of range
    exact = "fractional_repetition" if n % (s + 1) == 0 else "cyclic_repetition"
    points = [Point(f"{exact}({n}, {s})", Fraction(s + 1, n), 1)]
    points += [*_cyclic_points(n, s, recovered), *_subset_points(n, s, recovered)]
    return tuple(sorted(points, key=lambda point: (point.load, point.n_messages)))


def undominated(points: Iterable[Point]) -> tuple[Point, ...]:
    """Those that no other point equals or betters in both load and messages; of equal ones the first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.load, point.n_messages)):
        if not best or point.n_messages < best[-1].n_messages:
            best.append(point)
    return tuple(best)


def _subset_points(n: int, s: int, recovered: Share) -> Iterator[Point]:
    for g in (each for each in range(1, n + 1) if n % each == 0):
        groups = n // g
        y = max(1, least_replication(groups, s // g, recovered))
        size = f", group_size={g}" if g > 1 else ""
        load = math.comb(groups - 1, y - 1)
        if n * load > MOST_MESSAGES:
            continue
        yield Point(f"all_subsets({n}, {s}, {y}{size})", Fraction(y, groups), load)
        if load > 1:
            owned = Counter(balanced_owners(groups, tuple(combinations(range(groups), y))))
            messages = 1 + load - min(owned[group] for group in range(groups))
            yield Point(f"sum_and_non_owned({n}, {s}, {y}{size})", Fraction(y, groups), messages)


def _cyclic_points(n: int, s: int, recovered: Share) -> Iterator[Point]:
    beta = math.ceil(Fraction(recovered).limit_denominator(10**9) * n)
    try:
        code = cyclic_partial(n, s, beta)
    except InvalidSpec:
        return
    yield Point(code.spec, Fraction(code.assignment.max_load, n), len(code.messages) // n)
