"""Use whatever every worker finished, also the slow ones: progress reports, then one small request."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from common.codes.base import Assignment, GradientCode
from common.codes.order_search import searched_order
from common.codes.ordering import q_max
from common.codes.parameters import canonical, check_size, whole
from common.codes.requested import code_on_request
from common.errors import InvalidSpec

MOST_SEARCHED = 1_000_000
"""Total load times largest load up to which the orders of a random placement are searched for: a second."""

MOST_GREEDY = 10_000_000
"""The same, up to which they are at least made by the search's greedy start: two seconds."""


def partial_stragglers(
    n_workers: int,
    replication: int = 3,
    chunks_per_worker: int = 1,
    n_parts: int = 1,
    frame: str = "cosine",
    seed: int = 0,
    adaptive: bool = False,
    placement: str = "cyclic",
) -> GradientCode:
    """Chunks on several workers; every finished chunk counts, and the answer is a plain sum.

    Worker j holds the blocks j .. j + replication - 1 (mod n) of ``chunks_per_worker`` chunks each, in this
    order, so that every block is somebody's first, second, ... As soon as every chunk is finished
    somewhere, each is asked of one finisher. No linear algebra, and no rounding beyond that of adding.

    With l = ``n_parts`` > 1 messages are l times shorter, and every chunk must be finished by l workers.
    All finishers are asked, and mix the parts of their chunks such that fixed weights, a row of a frame for
    every worker, give the sum.

    With ``placement="random"`` the holders of every chunk are drawn instead, so that loads differ: between
    workers by about the square root of the mean load, which is c times the replication. Each worker's order
    is searched for such that few computations, however they are spread, finish every chunk l times. With
    more parts, rows of the cosine frame are then less far apart, as more workers have a chunk in common:
    coefficients of messages grow to tens with 2 parts and hundreds with 3, at 100 workers.

    Args:
        n_workers: n, at least 1.
        replication: holders of every chunk, 1 to n.
        chunks_per_worker: c, chunks a block, at least 1; N is n times c. More chunks use partial work better.
        n_parts: l, 1 to the replication.
        frame: with more parts, ``cosine`` (best conditioned) or ``random`` (normal numbers).
        seed: of the random frame and the random placement, at least 0.
        adaptive: at the deadline, or when nothing more can come, cut gradients into fewer parts if some chunk
            is finished by fewer than l workers, so that the answer is exact all the same.
        placement: ``cyclic``, or ``random`` for distinct holders drawn for each chunk, at least one chunk on
            every worker.

    Raises:
        InvalidSpec: a parameter is out of range.

    Cost: O(n c replication). A random placement also takes O(n N) to draw and about a second at most to
        search for orders, as long as total load times largest load is at most 10^6 (1000 workers with 20
        chunks each, 40 with 120); up to 10^7 the search's greedy start alone is used, two seconds; above,
        holders of a chunk just take turns in coming to it early.

    Source: Ramamoorthy et al. 2024; for one part without its coefficients, as requests by the master make
        plain sums possible. The cosine frame is this implementation's, as is the direction in which the
        chunks of a block are computed.

    >>> partial_stragglers(4, replication=2, chunks_per_worker=2).assignment.orders[0]
    (0, 1, 3, 2)
    >>> partial_stragglers(4, replication=2, placement="random").assignment.orders
    ((2, 3), (1, 0), (3,), (0, 1, 2))
    """
    n = whole("n_workers", n_workers, least=1)
    copies = whole("replication", replication, least=1, most=n, most_is="n_workers")
    per_block = whole("chunks_per_worker", chunks_per_worker, least=1)
    parts = whole("n_parts", n_parts, least=1, most=copies, most_is="replication")
    seed = whole("seed", seed, least=0)
    check_size(n, copies * per_block * parts)
    if placement not in ("cyclic", "random"):
        raise InvalidSpec("placement", "must be cyclic or random", placement)
    if placement == "random":
        assignment = _ordered(random_placement(n, n * per_block, copies, seed), n * per_block, parts)
    else:
        orders = tuple(_order(worker, n, copies, per_block) for worker in range(n))
        assignment = Assignment(n * per_block, orders)
    spec = canonical(partial_stragglers, n, copies, per_block, parts, frame, seed, adaptive, placement)
    return code_on_request(spec, assignment, copies, parts, frame, seed, adaptive)


def random_placement(
    n_workers: int, n_chunks: int, replication: int, seed: int
) -> tuple[tuple[int, ...], ...]:
    """Every chunk on ``replication`` distinct workers, drawn uniformly and independently of other chunks.

    A worker that gets nothing takes a chunk over from one of those with most.

    Args:
        n_workers: n. n_chunks: N, such that N times the replication is at least n.
        replication: 1 to n. seed: at least 0.

    Returns:
        For each worker its chunks, ascending; at least one.

    Cost: O(n N).

    >>> random_placement(3, 3, 2, seed=4)
    ((0, 1, 2), (2,), (0, 1))
    """
    rng = np.random.default_rng((seed, 1))  # not the numbers that the random frame is made of
    held: list[list[int]] = [[] for _ in range(n_workers)]
    for chunk in range(n_chunks):
        for worker in rng.choice(n_workers, size=replication, replace=False).tolist():
            held[worker].append(chunk)
    most = [(-len(chunks), worker) for worker, chunks in enumerate(held)]
    heapq.heapify(most)
    for chunks in held:
        if not chunks:
            minus_load, giver = most[0]
            chunks.append(held[giver].pop())
            heapq.heapreplace(most, (minus_load + 1, giver))
    return tuple(tuple(chunks) for chunks in held)


def _ordered(held: tuple[tuple[int, ...], ...], n_chunks: int, n_copies: int) -> Assignment:
    """What workers hold, in an order with a Q_max as small as time allows, at most that of ``held``."""
    by_index = Assignment(n_chunks, held)
    size = sum(len(chunks) for chunks in held) * by_index.max_load
    if size <= MOST_SEARCHED:
        return Assignment(n_chunks, searched_order(held, n_chunks, n_copies))
    if size <= MOST_GREEDY:
        return Assignment(n_chunks, searched_order(held, n_chunks, n_copies, n_passes=0))
    taking_turns = Assignment(n_chunks, _taking_turns(held, by_index.holders))
    return min(taking_turns, by_index, key=lambda assignment: q_max(assignment, n_copies))


def _taking_turns(
    held: Sequence[Sequence[int]], holders: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    """Each chunk comes in a different share of the order of each holder: the first, the second, ...

    Whose first it is changes from chunk to chunk, and shares are forward and backward in turn.
    """
    shares: list[dict[int, int]] = [{} for _ in held]
    for chunk, workers in enumerate(holders):
        for k, worker in enumerate(workers):
            shares[worker][chunk] = (k + chunk) % len(workers)
    return tuple(
        tuple(sorted(own, key=lambda chunk: (own[chunk], chunk if own[chunk] % 2 == 0 else -chunk)))
        for own in shares
    )


def _order(worker: int, n_workers: int, n_blocks: int, per_block: int) -> tuple[int, ...]:
    """The worker's chunks: forward in its first, third, ... block, backward in its second, fourth, ...

    A block's holders are at different positions, so two of them that work on it at once start from
    different ends and meet in the middle instead of computing the same chunks.
    """
    order: list[int] = []
    for position in range(n_blocks):
        first = (worker + position) % n_workers * per_block
        chunks = range(first, first + per_block)
        order.extend(chunks if position % 2 == 0 else reversed(chunks))
    return tuple(order)
