"""Settling disputes among workers that should have sent the same sum: find the lie by bisection.

With s liars a group of s + 1 workers that hold the same chunks is enough, where a majority vote would need
2 s + 1: at least one of them is honest, and the master recomputes single chunks until the rest agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a dispute came to.

    Attributes:
        honest: workers whose claims stand, ascending. liars: the others.
        n_recomputed: chunk gradients that the master computed itself, at most the number of liars.
        n_exchanges: digests of parts of lists that were asked for and compared, two a step of a bisection.
    """

    honest: tuple[int, ...]
    liars: tuple[int, ...]
    n_recomputed: int
    n_exchanges: int


def settle(
    claims: Mapping[int, Sequence[Floats]],
    recompute: Callable[[int], Floats],
    same: Callable[[Floats, Floats], bool] = np.array_equal,
) -> Settlement:
    """Find the workers of a group that lie; at least one must be honest.

    Every worker is committed to one value for each chunk of the group, in the same order. Two workers that
    are committed to different lists are asked for digests of halves, quarters, ... until one chunk is left on
    which they differ. That chunk is recomputed, and everybody who claims another value for it is a liar.

    Args:
        claims: worker -> the values it is committed to, one for each chunk.
        recompute: position of a chunk -> its true gradient.
        same: whether two values are the same; bitwise by default.

    Raises:
        ValueError: nobody is left, so nobody was honest.

    Cost: at most one recomputed chunk a liar, and 2 log2(chunks) digests for each.

    Source: Hofmeister et al. 2024 (liars are found by comparing and computing little); the protocol with
        replication s + 1 and bisection over committed values is this implementation's.

    >>> truth = [np.array([1.0]), np.array([2.0]), np.array([3.0])]
    >>> lie = [np.array([1.0]), np.array([2.5]), np.array([2.5])]
    >>> settle({4: truth, 7: lie}, lambda chunk: truth[chunk])
    Settlement(honest=(4,), liars=(7,), n_recomputed=1, n_exchanges=4)
    """
    trusted = sorted(claims)
    n_recomputed = n_exchanges = 0
    # Sums may agree where their parts do not, so what is compared are the values of the chunks, by halves.
    while (pair := _disagreement(claims, trusted, same)) is not None:
        chunk, steps = _first_difference(claims[pair[0]], claims[pair[1]], same)
        n_exchanges += 2 * steps
        truth = recompute(chunk)
        n_recomputed += 1
        trusted = [worker for worker in trusted if same(claims[worker][chunk], truth)]
    if not trusted:
        raise ValueError("a group needs an honest worker")
    liars = tuple(worker for worker in sorted(claims) if worker not in trusted)
    return Settlement(tuple(trusted), liars, n_recomputed, n_exchanges)


def _disagreement(
    claims: Mapping[int, Sequence[Floats]], trusted: Sequence[int], same: Callable[[Floats, Floats], bool]
) -> tuple[int, int] | None:
    """Two workers that are committed to different values, or None."""
    if not trusted:
        return None
    first = trusted[0]
    for other in trusted[1:]:
        if not _equal(claims[first], claims[other], same):
            return first, other
    return None


def _first_difference(
    mine: Sequence[Floats], theirs: Sequence[Floats], same: Callable[[Floats, Floats], bool]
) -> tuple[int, int]:
    """The position of a chunk on which two lists differ, and in how many steps it was found."""
    begin, end, steps = 0, len(mine), 0
    while end - begin > 1:
        middle = (begin + end) // 2
        steps += 1
        if _equal(mine[begin:middle], theirs[begin:middle], same):
            begin = middle
        else:
            end = middle
    return begin, steps


def _equal(mine: Sequence[Floats], theirs: Sequence[Floats], same: Callable[[Floats, Floats], bool]) -> bool:
    return all(same(a, b) for a, b in zip(mine, theirs, strict=True))
