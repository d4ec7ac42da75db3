"""In which order workers compute their chunks, and how many computations then always suffice."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from common.codes.base import Assignment
from common.codes.parameters import whole
from common.errors import InvalidSpec


def matching_order(held: Sequence[Collection[int]]) -> tuple[tuple[int, ...], ...]:
    """An order for every worker such that each chunk occupies every position exactly once.

    A regular assignment always has a perfect matching of workers and chunks: the first one found gives the
    first position, and what remains is regular again.

    Args:
        held: for each of n workers the chunks it holds; n chunks 0..n-1, every worker holds equally many,
            and every chunk is on that many workers.

    Returns:
        For each worker the same chunks, ordered.

    Raises:
        InvalidSpec: the assignment is not regular.

    Cost: one maximum matching a position, each O(n x load x sqrt(n)).

    Source: Ramamoorthy et al. 2024, the ordering algorithm for regular assignments.

    >>> matching_order([{0, 1}, {1, 2}, {0, 2}])
    ((0, 1), (1, 2), (2, 0))
    """
    remaining = [sorted(chunks) for chunks in held]
    load = _regular_load(remaining)
    orders: list[list[int]] = [[] for _ in remaining]
    for _ in range(load):
        for worker, chunk in enumerate(_perfect_matching(remaining)):
            orders[worker].append(chunk)
            remaining[worker].remove(chunk)
    return tuple(tuple(order) for order in orders)


def q_max(assignment: Assignment, n_copies: int = 1) -> int:
    """So many computations, however they are spread over the workers, finish every chunk n_copies times.

    One more than the largest number of finished (worker, chunk) computations, every worker keeping to its
    order, that leaves some chunk with fewer than ``n_copies`` finishers. Smaller is better.

    Args:
        assignment: any assignment; its orders count.
        n_copies: l, 1 to the replication.

    Raises:
        InvalidSpec: a chunk has fewer than ``n_copies`` holders, so that no number suffices.

    Cost: O(total load), and sorting a chunk's holders.

    Source: Ramamoorthy et al. 2024, the metric Q_max.

    >>> cyclic = Assignment(4, ((0, 1, 2), (1, 2, 3), (2, 3, 0), (3, 0, 1)))
    >>> [q_max(cyclic, n_copies) for n_copies in (1, 2, 3)]
    [7, 10, 12]
    """
    copies = whole("n_copies", n_copies, least=1, most=assignment.replication, most_is="replication")
    # What a holder cannot have done while its chunk is missing: the chunk itself and all that comes later.
    kept_back: list[list[int]] = [[] for _ in range(assignment.n_chunks)]
    for order in assignment.orders:
        for position, chunk in enumerate(order):
            kept_back[chunk].append(len(order) - position)
    total = sum(len(order) for order in assignment.orders)
    return 1 + total - min(sum(sorted(amounts)[: len(amounts) - copies + 1]) for amounts in kept_back)


def _regular_load(held: Sequence[Sequence[int]]) -> int:
    n = len(held)
    load = len(held[0]) if held else 0
    copies = [0] * n
    for worker, chunks in enumerate(held):
        distinct = len(set(chunks)) == len(chunks) == load
        if not distinct or not all(0 <= chunk < n for chunk in chunks):
            rule = f"must be {load} distinct chunks of 0..{n - 1}, as on worker 0"
            raise InvalidSpec(f"chunks held by worker {worker}", rule, list(chunks))
        for chunk in chunks:
            copies[chunk] += 1
    for chunk, number in enumerate(copies):
        if number != load:
            raise InvalidSpec(
                f"holders of chunk {chunk}", f"must be as many as a worker's chunks ({load})", number
            )
    return load


def _perfect_matching(held: Sequence[Sequence[int]]) -> list[int]:
    """The chunk matched to each worker; exists because the assignment is regular."""
    n = len(held)
    starts = np.cumsum([0, *(len(chunks) for chunks in held)])
    chunks = np.concatenate([np.asarray(chunks, dtype=np.int32) for chunks in held])
    graph = csr_array((np.ones(len(chunks), dtype=np.int8), chunks, starts), shape=(n, n))
    matched: list[int] = maximum_bipartite_matching(graph, perm_type="column").tolist()
    assert min(matched) >= 0, "a regular bipartite graph has a perfect matching"
    return matched
