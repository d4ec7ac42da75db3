"""Use whatever every worker finished, also the slow ones: progress reports, then one small request."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import PlainSum
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CoverChunks


@dataclass(frozen=True, slots=True)
class FewestWorkers:
    """Asks each chunk of one of its finishers, with coefficient 1, and few workers altogether.

    Greedy set cover: the worker that can send most of the chunks not yet asked for comes next, ties going
    to the lowest number. At most 1 + ln(largest load) times as many workers as necessary.

    Cost: O(finishers), times the logarithm of the number of workers.
    """

    def choose(self, finishers: Mapping[int, Collection[int]]) -> tuple[Message, ...]:
        """Messages in the order in which they were chosen, terms by ascending chunk.

        >>> requester = FewestWorkers()
        >>> [(message.worker, [term.chunk for term in message.terms])
        ...  for message in requester.choose({0: {0, 3}, 1: {1, 3}, 2: {1}, 3: {3}})]
        [(3, [0, 1, 3]), (1, [2])]
        """
        can_send: dict[int, list[int]] = {}
        for chunk in sorted(finishers):
            for worker in set(finishers[chunk]):
                can_send.setdefault(worker, []).append(chunk)
        open_chunks = {worker: len(chunks) for worker, chunks in can_send.items()}
        queue = [(-count, worker) for worker, count in open_chunks.items()]
        heapq.heapify(queue)
        asked: set[int] = set()
        chosen = []
        while queue:
            count, worker = heapq.heappop(queue)
            if open_chunks[worker] != -count:  # stale: some of its chunks have been asked of others since
                if open_chunks[worker]:
                    heapq.heappush(queue, (-open_chunks[worker], worker))
                continue
            own = [chunk for chunk in can_send[worker] if chunk not in asked]
            for chunk in own:
                for finisher in set(finishers[chunk]):
                    open_chunks[finisher] -= 1
            asked.update(own)
            chosen.append(Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in own)))
        return tuple(chosen)


def partial_stragglers(n_workers: int, replication: int = 3, chunks_per_worker: int = 1) -> GradientCode:
    """Chunks on several workers; every finished chunk counts, and the answer is a plain sum.

    Worker j holds the blocks j .. j + replication - 1 (mod n) of ``chunks_per_worker`` chunks each, in this
    order, so that every block is somebody's first, second, ... As soon as every chunk is finished
    somewhere, each is asked of one finisher. No linear algebra, and no rounding beyond that of adding.

    Args:
        n_workers: n, at least 1.
        replication: holders of every chunk, 1 to n.
        chunks_per_worker: c, chunks a block, at least 1; N is n times c. More chunks use partial work better.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: Ramamoorthy et al. 2024 (assignment, order, and use of partial work, without communication
        reduction). Requests by the master and plain sums are this implementation's, as is the direction in
        which the chunks of a block are computed.

    >>> partial_stragglers(4, replication=2, chunks_per_worker=2).assignment.orders[0]
    (0, 1, 3, 2)
    """
    n = whole("n_workers", n_workers, least=1)
    copies = whole("replication", replication, least=1, most=n, most_is="n_workers")
    per_block = whole("chunks_per_worker", chunks_per_worker, least=1)
    check_size(n, copies * per_block)
    orders = tuple(_order(worker, n, copies, per_block) for worker in range(n))
    return GradientCode(
        spec=canonical(partial_stragglers, n, copies, per_block),
        assignment=Assignment(n * per_block, orders),
        requester=FewestWorkers(),
        decoder=PlainSum(),
        stop_rule=CoverChunks(n * per_block),
        n_stragglers=copies - 1,
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
