"""Stop rules: when it is worth trying to decode. A tally costs O(1) an event, or O(finishers of a chunk)."""

from __future__ import annotations

from dataclasses import dataclass

from common.codes.base import Tally


class MessageTally:
    """A tally that looks at messages only; finished chunks do not matter to fixed codes."""

    def finished(self, worker: int, chunk: int) -> None:
        """Nothing to count."""

    def unfinished(self, worker: int, chunk: int) -> None:
        """Nothing to count."""


@dataclass(frozen=True, slots=True)
class CountMessages:
    """Decoding may succeed from ``k`` distinct messages on.

    >>> tally = CountMessages(2).start()
    >>> tally.arrived(5); tally.arrived(5); tally.may_suffice
    False
    >>> tally.arrived(0); tally.may_suffice
    True
    """

    k: int

    def start(self) -> Tally:
        """A fresh tally."""
        return _CountMessagesTally(self.k)


class _CountMessagesTally(MessageTally):
    def __init__(self, k: int) -> None:
        self._k = k
        self._arrived: set[int] = set()

    def arrived(self, message: int) -> None:
        self._arrived.add(message)

    @property
    def may_suffice(self) -> bool:
        return len(self._arrived) >= self._k


@dataclass(frozen=True, slots=True)
class CoverGroups:
    """Decoding may succeed when a message of every group has arrived.

    Args:
        groups: the group number of each message of the code.

    >>> tally = CoverGroups((0, 1, 0, 1)).start()
    >>> tally.arrived(0); tally.arrived(2); tally.may_suffice
    False
    >>> tally.arrived(1); tally.may_suffice
    True
    """

    groups: tuple[int, ...]

    def start(self) -> Tally:
        """A fresh tally."""
        return _CoverGroupsTally(self.groups)


class _CoverGroupsTally(MessageTally):
    def __init__(self, groups: tuple[int, ...]) -> None:
        self._groups = groups
        self._missing = set(groups)

    def arrived(self, message: int) -> None:
        self._missing.discard(self._groups[message])

    @property
    def may_suffice(self) -> bool:
        return not self._missing


@dataclass(frozen=True, slots=True)
class CoverChunks:
    """Collecting succeeds when every chunk is finished on at least ``copies`` workers.

    Args:
        n_chunks: N, at least 1.
        copies: finishers that every chunk needs, at least 1.

    >>> tally = CoverChunks(2).start()
    >>> tally.finished(worker=0, chunk=0); tally.finished(worker=1, chunk=0); tally.covered
    1
    >>> tally.finished(worker=1, chunk=1); tally.may_suffice
    True
    >>> tally.unfinished(worker=1, chunk=1); tally.may_suffice
    False
    """

    n_chunks: int
    copies: int = 1

    def start(self) -> CoverChunksTally:
        """A fresh tally."""
        return CoverChunksTally(self.n_chunks, self.copies)


class CoverChunksTally:
    """Counts finishers; ``covered`` is the number of chunks that have enough of them."""

    def __init__(self, n_chunks: int, copies: int) -> None:
        self._n_chunks = n_chunks
        self._copies = copies
        self._finishers: list[tuple[int, ...]] = [()] * n_chunks
        self.covered = 0

    def arrived(self, message: int) -> None:
        """Messages come only after the decision to collect; they change nothing here."""

    def finished(self, worker: int, chunk: int) -> None:
        """``worker`` reported ``chunk`` as finished; a repeated report counts once."""
        finishers = self._finishers[chunk]
        if worker not in finishers:
            self._finishers[chunk] = (*finishers, worker)
            self.covered += len(finishers) + 1 == self._copies

    def unfinished(self, worker: int, chunk: int) -> None:
        """What ``worker`` finished of ``chunk`` is lost; nothing happens when it had not finished it."""
        finishers = self._finishers[chunk]
        if worker in finishers:
            self._finishers[chunk] = tuple(other for other in finishers if other != worker)
            self.covered -= len(finishers) == self._copies

    @property
    def may_suffice(self) -> bool:
        """Whether every chunk has enough finishers."""
        return self.covered == self._n_chunks
