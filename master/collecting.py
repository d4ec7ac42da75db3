"""Pure: asking workers for messages, for codes on request: who finished what, who was asked, who answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from common.codes.base import Message, Requester, Term

LEAST_PATIENCE_SECONDS = 0.05
FIRST_PATIENCE_SECONDS = 0.25
ASSUMED_BANDWIDTH = 50e6
MOST_STRETCH = 64.0
"""Patience grows at most so many times while nobody answers at all."""


class CollectTimes:
    """Remembers how long collections took; says how long an answer may take before its place counts as gone.

    Args:
        message_bytes: size of one message on the wire.
    """

    def __init__(self, message_bytes: int, memory: int = 64) -> None:
        self._message_bytes = message_bytes
        self._seconds: deque[float] = deque(maxlen=memory)
        self._bandwidths: deque[float] = deque(maxlen=memory)
        self._stretch = 1.0

    @property
    def stretch(self) -> float:
        """By how much patience is multiplied at present."""
        return self._stretch

    def observe(self, seconds: float, n_messages: int) -> None:
        """``n_messages`` came, the slowest ``seconds`` after it was asked for.

        Those that did not come are left out: a rule that fed on its own patience would let one silent
        worker push it up without bound.
        """
        self._stretch = 1.0
        self._seconds.append(seconds)
        if seconds > 0 and n_messages:
            self._bandwidths.append(n_messages * self._message_bytes / seconds)

    def nobody_answered(self) -> None:
        """All answers took too long; the network may be slower than assumed: be twice as patient."""
        self._stretch = min(2 * self._stretch, MOST_STRETCH)

    def state(self) -> dict[str, Any]:
        """What is remembered, for a checkpoint."""
        held = {"seconds": list(self._seconds), "bandwidths": list(self._bandwidths)}
        return {**held, "stretch": self._stretch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what `state` gave, after JSON."""
        self._seconds.extend(map(float, state["seconds"]))
        self._bandwidths.extend(map(float, state["bandwidths"]))
        self._stretch = float(state["stretch"])

    def patience(self, n_messages: int) -> float:
        """Seconds to wait for ``n_messages`` asked at once: max(50 ms, 4 x median + bytes / bandwidth).

        Doubled for every collection that took too long since the last answer.
        """
        n_bytes = n_messages * self._message_bytes
        if not self._seconds or not self._bandwidths:
            return self._stretch * (FIRST_PATIENCE_SECONDS + n_bytes / ASSUMED_BANDWIDTH)
        usual = 4 * median(self._seconds) + n_bytes / max(median(self._bandwidths), 1.0)
        return self._stretch * max(LEAST_PATIENCE_SECONDS, usual)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a place for the message with number ``request``."""

    place: int
    request: int
    terms: tuple[Term, ...]
    n_parts: int


@dataclass(slots=True)
class Request:
    """One message that was asked for."""

    message: Message
    n_parts: int
    asked_at: float
    due_at: float
    stretch: float
    open: bool = True
    answered: bool = False


class Collecting:
    """The requests of one round.

    Every event costs O(1), asking and losing a place cost O(chunks concerned).
    """

    def __init__(self, n_chunks: int, requester: Requester, times: CollectTimes) -> None:
        self.collected: set[int] = set()
        self.seconds = 0.0
        # Tuples, as most have a place or two: small, and none to make for chunks that nobody has finished.
        self._finishers: list[tuple[int, ...]] = [()] * n_chunks
        self._requester = requester
        self._times = times
        self._requests: list[Request] = []
        self._open_of: dict[int, list[int]] = {}
        self._open_by_due: dict[float, int] = {}
        self._wanted: dict[int, None] = {}
        self._asked: dict[int, int] = {}
        self._asked_at: float | None = None
        self._answer_seconds: list[float] = []
        self._in_vain = False
        self._in_time = False

    @property
    def n_open(self) -> int:
        """Number of unanswered requests."""
        return sum(self._open_by_due.values())

    @property
    def due_at(self) -> float | None:
        """When the first unanswered request is overdue."""
        return min(self._open_by_due) if self._open_by_due else None

    @property
    def n_reached(self) -> int:
        """Number of chunks that are collected, asked for, or can be asked for."""
        return len(self.collected) + len(self._wanted) + len(self._asked)

    def finishers(self, chunk: int) -> Collection[int]:
        """The places that can send ``chunk``."""
        return self._finishers[chunk]

    def message(self, request: int) -> Message:
        """The message that was asked for."""
        return self._requests[request].message

    def n_parts(self, request: int) -> int:
        """Into how many parts gradients are cut for the message."""
        return self._requests[request].n_parts

    def owner(self, request: int) -> int | None:
        """The place that was asked; None for a number that was never used."""
        return self._requests[request].message.worker if 0 <= request < len(self._requests) else None

    def counts(self, request: int) -> bool:
        """Whether the message, once it is here, is of use."""
        return True

    def finish(self, place: int, chunk: int, digest: bytes = b"") -> None:
        """``place`` can send ``chunk``; ``digest`` matters only where values are compared."""
        finishers = self._finishers[chunk]
        if place not in finishers:
            self._finishers[chunk] = (*finishers, place)
        # With other finishers it is collected, asked for or wanted already.
        if not finishers and chunk not in self.collected and chunk not in self._asked:
            self._wanted[chunk] = None

    def ask(self, now: float) -> list[Ask]:
        """Ask for everything that is finished and neither collected nor asked for."""
        available = {chunk: self._finishers[chunk] for chunk in self._wanted}
        return self._open(self._requester.choose(available), now)

    def _open(self, messages: Sequence[Message], now: float) -> list[Ask]:
        if not messages:
            return []
        if self._asked_at is None:
            self._asked_at, self._answer_seconds, self._in_vain = now, [], False
        due_at = now + self._times.patience(len(messages))
        n_parts = 1 + max(term.part for message in messages for term in message.terms)
        asks = []
        for message in messages:
            number = len(self._requests)
            self._requests.append(Request(message, n_parts, now, due_at, self._times.stretch))
            self._expect(number)
            asks.append(Ask(message.worker, number, message.terms, n_parts))
        return asks

    def answer(self, request: int, now: float) -> bool:
        """A message arrived. False if it is not wanted any more.

        One that was given up is still welcome while none of its chunks is collected or asked of others.
        """
        entry = self._requests[request]
        entry.answered = True
        chunks = {term.chunk for term in entry.message.terms}
        if entry.open:
            self._take_answer(request, now)
        else:
            self._learn_from_late(request)
            if not chunks.isdisjoint(self.collected) or not chunks.isdisjoint(self._asked):
                return False
        self.collected |= chunks
        for chunk in chunks:
            self._wanted.pop(chunk, None)
        self._note_end(now)
        return True

    def _take_answer(self, request: int, now: float) -> None:
        self._in_time = True
        self._answer_seconds.append(now - self._requests[request].asked_at)
        self._close(request)

    def _learn_from_late(self, request: int) -> None:
        """An answer came that was given up. If none has come in time yet, there must be more patience, or
        all would be too late for ever.
        """
        if not self._in_time and self._requests[request].stretch == self._times.stretch:
            self._times.nobody_answered()

    def forsake(self, place: int, chunks: Iterable[int], now: float) -> tuple[set[int], set[int]]:
        """Nothing more is expected of ``place``, which had finished ``chunks``.

        Returns the chunks it was being asked for, and those chunks that nobody can send now.
        """
        asked: set[int] = set()
        for number in self._open_of.get(place, [])[:]:
            entry = self._requests[number]
            asked.update(term.chunk for term in entry.message.terms)
            self._in_vain = self._in_vain or entry.due_at <= now
            self._close(number)
        unfinished = set()
        for chunk in chunks:
            self._forget(place, chunk)
            if chunk in self.collected or chunk in self._asked:
                continue
            if self._finishers[chunk]:
                self._wanted[chunk] = None
            else:
                self._wanted.pop(chunk, None)
                unfinished.add(chunk)
        self._note_end(now)
        return asked, unfinished

    @property
    def all_too_late(self) -> bool:
        """Whether places were asked, none has answered in time, and there could be more patience."""
        return bool(self._requests) and not self._in_time and self._times.stretch < MOST_STRETCH

    def reopen(self, places: Collection[int], now: float, until: float | None = None) -> bool:
        """Give ``places``, which were given up, more time: what they were asked for is open again.

        At most ``until`` then, if that is said. Only while all are too late, so that one silent place among
        others costs no time. Patience has doubled since, and doubles again, so this ends. Returns False if
        there is nothing to wait for.
        """
        late = [number for number, entry in enumerate(self._requests) if self._may_come(entry, places)]
        if not self.all_too_late or not late:
            return False
        due_at = now + self._times.patience(len(late))
        self._asked_at, self._answer_seconds, self._in_vain = now, [], False
        for number in late:
            # Of two that were asked for the same chunk the first is the likelier to answer.
            entry = self._requests[number]
            if self._may_come(entry, places):
                entry.open, entry.stretch = True, self._times.stretch
                entry.due_at = due_at if until is None else min(due_at, until)
                self._expect(number)
        return True

    def _may_come(self, entry: Request, places: Collection[int]) -> bool:
        chunks = {term.chunk for term in entry.message.terms}
        unanswered = not entry.open and not entry.answered and entry.message.worker in places
        return unanswered and chunks.isdisjoint(self.collected) and chunks.isdisjoint(self._asked)

    def _expect(self, number: int) -> None:
        """The request is open."""
        entry = self._requests[number]
        self._open_of.setdefault(entry.message.worker, []).append(number)
        self._open_by_due[entry.due_at] = self._open_by_due.get(entry.due_at, 0) + 1
        for term in entry.message.terms:
            self._wanted.pop(term.chunk, None)
            self._asked[term.chunk] = number

    def overdue(self, now: float) -> Collection[int]:
        """Places with a request that should have been answered by now."""
        if self.due_at is None or self.due_at > now:
            return ()
        return {
            place
            for place, numbers in self._open_of.items()
            if any(self._requests[number].due_at <= now for number in numbers)
        }

    def _forget(self, place: int, chunk: int) -> None:
        """``place`` cannot send ``chunk`` any more."""
        self._finishers[chunk] = tuple(other for other in self._finishers[chunk] if other != place)

    def _close(self, request: int) -> None:
        entry = self._requests[request]
        entry.open = False
        for term in entry.message.terms:
            self._asked.pop(term.chunk, None)
        numbers = self._open_of[entry.message.worker]
        numbers.remove(request)
        if not numbers:
            del self._open_of[entry.message.worker]
        self._open_by_due[entry.due_at] -= 1
        if not self._open_by_due[entry.due_at]:
            del self._open_by_due[entry.due_at]

    def _note_end(self, now: float) -> None:
        """The last request of a collection is answered or given up: remember how long it took."""
        if self._asked_at is not None and not self._open_by_due:
            self.seconds += now - self._asked_at
            if self._answer_seconds:
                self._times.observe(max(self._answer_seconds), len(self._answer_seconds))
            elif self._in_vain:
                self._times.nobody_answered()
            self._asked_at = None
