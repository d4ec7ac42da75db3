"""Pure: which chunk each place computes next.

Workers follow the order of the assignment by themselves. The schedule keeps the master's copy of every
queue and moves a chunk to the front only when it must be computed again because nobody can send it.
"""

from __future__ import annotations

from collections.abc import Collection

from common.codes.base import Assignment


class FixedOrder:
    """The order of the assignment, with chunks that have to be redone first.

    Args:
        assignment: chunks of every place in the order in which they are computed.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._queues = [list(order) for order in assignment.orders]

    def queue(self, place: int) -> tuple[int, ...]:
        """Chunks that ``place`` has not reported yet, in order; the first may be in hand."""
        return tuple(self._queues[place])

    def restart(self, place: int) -> None:
        """A new link at ``place`` starts from the beginning of its order."""
        self._queues[place] = list(self._assignment.orders[place])

    def finished(self, place: int, chunk: int) -> None:
        """``place`` reported ``chunk``. Cost O(load)."""
        if chunk in self._queues[place]:
            self._queues[place].remove(chunk)

    def put_first(self, chunks: Collection[int], live: Collection[int]) -> dict[int, tuple[int, ...]]:
        """Move ``chunks`` to the front of the ``live`` places that still have them queued.

        Returns the new queues of the places whose order changed. The chunk in hand cannot be abandoned, so
        a place whose first queued chunk is wanted already keeps its order.
        """
        changed = {}
        for place in live:
            queue = self._queues[place]
            wanted = [chunk for chunk in queue if chunk in chunks]
            if wanted and queue[: len(wanted)] != wanted:
                self._queues[place] = wanted + [chunk for chunk in queue if chunk not in chunks]
                changed[place] = tuple(self._queues[place])
        return changed
