"""Use whatever every worker finished, also the slow ones: progress reports, then one small request."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from common.codes.approximate_decoders import FixedWeights
from common.codes.base import Assignment, Decoder, GradientCode, Message, Requester, Term
from common.codes.decoders import PlainSum
from common.codes.frames import colours, cosine_frame, random_frame
from common.codes.parameters import canonical, check_size, whole
from common.codes.partial_coefficients import AllFinishers
from common.codes.signed import rows_of
from common.codes.tallies import CoverChunks
from common.errors import InvalidSpec


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


def partial_stragglers(
    n_workers: int,
    replication: int = 3,
    chunks_per_worker: int = 1,
    n_parts: int = 1,
    frame: str = "cosine",
    seed: int = 0,
    adaptive: bool = False,
) -> GradientCode:
    """Chunks on several workers; every finished chunk counts, and the answer is a plain sum.

    Worker j holds the blocks j .. j + replication - 1 (mod n) of ``chunks_per_worker`` chunks each, in this
    order, so that every block is somebody's first, second, ... As soon as every chunk is finished
    somewhere, each is asked of one finisher. No linear algebra, and no rounding beyond that of adding.

    With l = ``n_parts`` > 1 messages are l times shorter, and every chunk must be finished by l workers.
    All finishers are asked, and mix the parts of their chunks such that fixed weights, a row of a frame for
    every worker, give the sum.

    Args:
        n_workers: n, at least 1.
        replication: holders of every chunk, 1 to n.
        chunks_per_worker: c, chunks a block, at least 1; N is n times c. More chunks use partial work better.
        n_parts: l, 1 to the replication.
        frame: with more parts, ``cosine`` (best conditioned) or ``random`` (normal numbers).
        seed: of the random frame, at least 0.
        adaptive: at the deadline, or when nothing more can come, cut gradients into fewer parts if some chunk
            is finished by fewer than l workers, so that the answer is exact all the same.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: Ramamoorthy et al. 2024; for one part without its coefficients, as requests by the master make
        plain sums possible. The cosine frame is this implementation's, as is the direction in which the
        chunks of a block are computed.

    >>> partial_stragglers(4, replication=2, chunks_per_worker=2).assignment.orders[0]
    (0, 1, 3, 2)
    """
    n = whole("n_workers", n_workers, least=1)
    copies = whole("replication", replication, least=1, most=n, most_is="n_workers")
    per_block = whole("chunks_per_worker", chunks_per_worker, least=1)
    parts = whole("n_parts", n_parts, least=1, most=copies, most_is="replication")
    seed = whole("seed", seed, least=0)
    check_size(n, copies * per_block * parts)
    assignment = Assignment(n * per_block, tuple(_order(worker, n, copies, per_block) for worker in range(n)))
    requester: Requester = FewestWorkers()
    decoder: Decoder = PlainSum()
    rows = _rows(frame, assignment, parts, seed)
    if parts > 1:
        requester, decoder = AllFinishers(rows, adaptive), FixedWeights(rows)
    return GradientCode(
        spec=canonical(partial_stragglers, n, copies, per_block, parts, frame, seed, adaptive),
        assignment=assignment,
        requester=requester,
        decoder=decoder,
        stop_rule=CoverChunks(n * per_block, parts),
        n_stragglers=copies - (1 if adaptive else parts),
        n_parts=parts,
    )


def _rows(frame: str, assignment: Assignment, n_parts: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """A row for every worker, such that the holders of a chunk have independent ones."""
    if frame not in ("cosine", "random"):
        raise InvalidSpec("frame", "must be cosine or random", frame)
    if n_parts == 1:
        return ()
    if frame == "random":
        return rows_of(random_frame(assignment.n_workers, n_parts, seed))
    colour = colours(assignment)
    return rows_of(cosine_frame(max(colour) + 1, n_parts)[list(colour)])


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
