"""Pure: collecting messages that make sense only together, for codes on request with more than one part.

Every message of a collection was made for the same sets of finishers. If one of them cannot come any more,
the others are of no use: the collection is given up and asked for again, of those who are left. Gradients
stay with the workers until the round is over, so this costs one more answer of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from common.codes.base import GradientCode, Requester
from common.codes.verified import ChunkByChunk
from master.chunkwise import ChunkwiseCollecting
from master.collecting import Ask, Collecting, CollectTimes


class JointCollecting(Collecting):
    """The requests of one round, asked for and answered all together.

    Args:
        n_chunks, requester, times: as for `Collecting`.
        n_copies: l; a chunk is finished when so many places can send it.
    """

    def __init__(self, n_chunks: int, requester: Requester, times: CollectTimes, n_copies: int) -> None:
        super().__init__(n_chunks, requester, times)
        self._n_copies = n_copies
        self._n_ready = 0
        self._n_promised = 0
        self._news = False
        self._together: set[int] = set()

    @property
    def n_reached(self) -> int:
        """Number of chunks that are finished by enough places, or were when the collected was asked for."""
        return max(self._n_ready, self._n_promised if self.collected else 0)

    def counts(self, request: int) -> bool:
        """Whether the message is of the collection in hand."""
        return request in self._together

    def finish(self, place: int, chunk: int, digest: bytes = b"") -> None:
        """``place`` can send ``chunk``."""
        finishers = self._finishers[chunk]
        if place not in finishers:
            self._finishers[chunk] = (*finishers, place)
            self._n_ready += len(finishers) + 1 == self._n_copies
            self._news = True

    def ask(self, now: float) -> list[Ask]:
        """Ask for everything that is finished, if anything has changed since the last time."""
        if not self._news or (self.collected and self._n_promised == len(self._finishers)):
            return []
        self._news = False
        available = {chunk: places for chunk, places in enumerate(self._finishers) if places}
        asks = self._open(self._requester.choose(available), now)
        if asks:
            self.collected.clear()
            n_parts = asks[0].n_parts
            self._n_promised = sum(len(places) >= n_parts for places in self._finishers)
            self._together = {ask.request for ask in asks}
        return asks

    def answer(self, request: int, now: float) -> bool:
        """A message arrived. False if it is not wanted any more."""
        entry = self._requests[request]
        entry.answered = True
        if not entry.open:
            self._learn_from_late(request)
            return False
        self._take_answer(request, now)
        if not self._open_of:
            for number in self._together:
                self.collected.update(term.chunk for term in self._requests[number].message.terms)
        self._note_end(now)
        return True

    def reopen(self, places: Collection[int], now: float, until: float | None = None) -> bool:
        """Give ``places``, which were given up, more time: all is asked for again when they are back."""
        return self.all_too_late and bool(places)

    def forsake(self, place: int, chunks: Iterable[int], now: float) -> tuple[set[int], set[int]]:
        """Nothing more is expected of ``place``, which had finished ``chunks``.

        Returns no chunk to ask of others, since all is asked for again when there is enough, and the chunks
        that too few places can send now.
        """
        asked = self._open_of.get(place, [])
        self._in_vain = self._in_vain or any(self._requests[number].due_at <= now for number in asked)
        unfinished = set()
        for chunk in chunks:
            finishers = self._finishers[chunk]
            self._n_ready -= place in finishers and len(finishers) == self._n_copies
            self._forget(place, chunk)
            if chunk not in self.collected and len(self._finishers[chunk]) < self._n_copies:
                unfinished.add(chunk)
        if asked:
            self._give_up()
        self._note_end(now)
        return set(), unfinished

    def _give_up(self) -> None:
        for numbers in list(self._open_of.values()):
            for number in numbers[:]:
                self._close(number)
        self._together = set()
        self.collected.clear()
        self._news = True


def make_collecting(code: GradientCode, times: CollectTimes) -> Collecting | None:
    """How messages are asked for; None for fixed codes. With several parts they belong together."""
    if code.requester is None:
        return None
    if isinstance(code.requester, ChunkByChunk):
        return ChunkwiseCollecting(code.n_chunks, code.requester, times)
    if code.n_parts == 1:
        return Collecting(code.n_chunks, code.requester, times)
    return JointCollecting(code.n_chunks, code.requester, times, code.n_parts)
