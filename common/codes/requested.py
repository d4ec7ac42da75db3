"""What codes on request have in common: whom to ask for what, and how the answers add up."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from common.codes.approximate_decoders import FixedWeights
from common.codes.base import Assignment, Decoder, GradientCode, Message, Requester, Term
from common.codes.decoders import PlainSum
from common.codes.frames import colours, cosine_frame, random_frame
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


def code_on_request(
    spec: str,
    assignment: Assignment,
    replication: int,
    n_parts: int,
    frame: str,
    seed: int,
    adaptive: bool,
    scheduled: bool = False,
) -> GradientCode:
    """The code whose answer is there as soon as every chunk is finished by ``n_parts`` workers.

    With one part each chunk is asked of one finisher, with coefficient 1. With more, all finishers are
    asked, and mix the parts of their chunks such that fixed weights give the sum.

    Args:
        spec: in canonical notation. assignment: who holds what, in which order.
        replication: holders of every chunk, at least. n_parts: l.
        frame: ``cosine`` or ``random``. seed: of the random frame.
        adaptive: cut gradients into fewer parts where too few workers have finished a chunk.
        scheduled: the master hands out chunks.

    Raises:
        InvalidSpec: there is no such frame, or ``adaptive`` is no truth value.
    """
    if not isinstance(adaptive, bool):
        raise InvalidSpec("adaptive", "must be True or False", adaptive)
    requester: Requester = FewestWorkers()
    decoder: Decoder = PlainSum()
    rows = _frame_rows(frame, assignment, n_parts, seed)
    if n_parts > 1:
        requester, decoder = AllFinishers(rows, adaptive), FixedWeights(rows)
    return GradientCode(
        spec=spec,
        assignment=assignment,
        requester=requester,
        decoder=decoder,
        stop_rule=CoverChunks(assignment.n_chunks, n_parts),
        n_stragglers=replication - (1 if adaptive else n_parts),
        n_parts=n_parts,
        scheduled=scheduled,
    )


def _frame_rows(frame: str, assignment: Assignment, n_parts: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """A row of ``n_parts`` numbers for every worker, such that the holders of a chunk have independent ones.

    Args:
        frame: ``cosine`` or ``random``. assignment: who holds what.
        n_parts: l; with 1 there are no rows. seed: of the random frame.

    Raises:
        InvalidSpec: there is no such frame.
    """
    if frame not in ("cosine", "random"):
        raise InvalidSpec("frame", "must be cosine or random", frame)
    if n_parts == 1:
        return ()
    if frame == "random":
        return rows_of(random_frame(assignment.n_workers, n_parts, seed))
    colour = colours(assignment)
    return rows_of(cosine_frame(max(colour) + 1, n_parts)[list(colour)])
