"""Pure: collecting chunk by chunk, for runs whose answers are verified.

Where the finishers of a chunk are bound to different values, each of the values is asked for, so that the
master can say who is right: one message counts, the others are *exhibits*.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from common.codes.base import Message, Requester, Term
from master.collecting import Ask, Collecting, CollectTimes, Request


class ChunkwiseCollecting(Collecting):
    """The requests of one round, each of one chunk.

    Args:
        n_chunks, requester, times: as for `Collecting`; the requester asks for every chunk alone.
    """

    def __init__(self, n_chunks: int, requester: Requester, times: CollectTimes) -> None:
        super().__init__(n_chunks, requester, times)
        self._digests: dict[int, dict[int, bytes]] = {}
        self._exhibits: set[int] = set()

    def counts(self, request: int) -> bool:
        """Whether the message is no exhibit."""
        return request not in self._exhibits

    def finish(self, place: int, chunk: int, digest: bytes = b"") -> None:
        """``place`` can send ``chunk``, and is bound to a value with this digest."""
        super().finish(place, chunk)
        if digest:
            self._digests.setdefault(chunk, {})[place] = digest

    def ask(self, now: float) -> list[Ask]:
        """Ask for everything that is finished and neither collected nor asked for, disputed values too."""
        available = {chunk: self._finishers[chunk] for chunk in self._wanted}
        messages = self._requester.choose(available)
        if not messages:
            return []
        exhibits = [each for message in messages for each in self._others(message)]
        asks = self._open([*messages, *exhibits], now)
        self._exhibits.update(ask.request for ask in asks[len(messages) :])
        for ask in asks[: len(messages)]:
            self._asked[ask.terms[0].chunk] = ask.request
        return asks

    def _others(self, message: Message) -> Iterator[Message]:
        """For each value that differs from what is asked for, a message from the first who is bound to it."""
        chunk = message.terms[0].chunk
        digests = self._digests.get(chunk, {})
        seen = {digests.get(message.worker)}
        for place in self._finishers[chunk]:
            digest = digests.get(place)
            if digest is not None and digest not in seen:
                seen.add(digest)
                yield Message(place, (Term(chunk, 0, 1.0),))

    def answer(self, request: int, now: float) -> bool:
        """A message arrived. False if it is not wanted any more."""
        if request not in self._exhibits:
            return super().answer(request, now)
        entry = self._requests[request]
        entry.answered = True
        if not entry.open:
            return False
        self._take_answer(request, now)
        self._note_end(now)
        return True

    def forsake(self, place: int, chunks: Iterable[int], now: float) -> tuple[set[int], set[int]]:
        """Nothing more is expected of ``place``; what it is bound to is forgotten with what it can send."""
        held = list(chunks)
        for chunk in held:
            self._digests.get(chunk, {}).pop(place, None)
        return super().forsake(place, held, now)

    def _may_come(self, entry: Request, places: Collection[int]) -> bool:
        exhibit = any(self._requests[number] is entry for number in self._exhibits)
        return not exhibit and super()._may_come(entry, places)

    def _close(self, request: int) -> None:
        entry = self._requests[request]
        chunk = entry.message.terms[0].chunk
        kept = self._asked.get(chunk)
        super()._close(request)
        if kept is not None and kept != request:
            self._asked[chunk] = kept
