"""Codes whose rounds let the master find wrong answers: one message a chunk, or every value from two workers.

A sum of many chunks says nothing of any one of them. So where messages are on request, each is of a single
chunk: what came is then what can be compared and computed again. See master/verification.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from common.codes.base import GradientCode, Message, StopRule, Tally, Term
from common.codes.tallies import CoverChunks
from common.errors import InvalidSpec

MODES = ("none", "all", "sample")
COPIES = 2
"""So many workers must claim the same value before it counts without being computed again."""


@dataclass(frozen=True, slots=True)
class ChunkByChunk:
    """Asks for every chunk alone, with coefficient 1, and of all finishers about equally much.

    Cost: O(finishers).

    >>> [(message.worker, message.terms[0].chunk) for message in ChunkByChunk().choose({0: {1}, 1: {0, 1}})]
    [(1, 0), (0, 1)]
    """

    def choose(self, finishers: Mapping[int, Collection[int]]) -> tuple[Message, ...]:
        """One message for every chunk that has a finisher, by ascending chunk."""
        asked: dict[int, int] = {}
        chosen = []
        for chunk in sorted(finishers):
            if finishers[chunk]:
                worker = min(finishers[chunk], key=lambda each: (asked.get(each, 0), each))
                asked[worker] = asked.get(worker, 0) + 1
                chosen.append(Message(worker, (Term(chunk, 0, 1.0),)))
        return tuple(chosen)


@dataclass(frozen=True, slots=True)
class Twins:
    """Messages count for ``inner`` when another worker's message of the same terms is there as well.

    Args:
        groups: the group of each message of the code; those of one group have the same terms.
        inner: the code's own stop rule.
    """

    groups: tuple[int, ...]
    inner: StopRule

    def start(self) -> Tally:
        """A fresh tally."""
        return _TwinsTally(self)


class _TwinsTally:
    def __init__(self, rule: Twins) -> None:
        self._groups = rule.groups
        self._inner = rule.inner.start()
        self._alone: dict[int, int] = {}
        self._paired: set[int] = set()

    def arrived(self, message: int) -> None:
        group = self._groups[message]
        if group in self._paired:
            self._inner.arrived(message)
        elif group in self._alone:
            self._paired.add(group)
            self._inner.arrived(self._alone.pop(group))
            self._inner.arrived(message)
        else:
            self._alone[group] = message

    def finished(self, worker: int, chunk: int) -> None:
        """Nothing to count."""

    def unfinished(self, worker: int, chunk: int) -> None:
        """Nothing to count."""

    @property
    def may_suffice(self) -> bool:
        return self._inner.may_suffice


def verified(code: GradientCode, mode: str) -> GradientCode:
    """The code as it is played when answers are verified.

    Args:
        code: any code. mode: ``none``, ``all`` or ``sample``.

    Returns:
        With ``none`` the code itself. Codes on request with one part ask for every chunk alone; with ``all``
        a round goes on until every chunk is finished by two workers, or nothing more can come. Of fixed
        codes ``all`` waits for two messages of every group of workers that send the same sum.

    Raises:
        InvalidSpec: ``all`` is impossible for this code: no two workers claim the same value.

    >>> from common.codes.scheduled import scheduled
    >>> verified(scheduled(4, 2, 2), "all").n_copies
    2
    """
    if mode not in MODES:
        raise InvalidSpec("verify", "must be none, all or sample", mode)
    if mode == "none":
        return code
    chunkwise = code.on_request and code.n_parts == 1
    if mode == "sample":
        return replace(code, requester=ChunkByChunk()) if chunkwise else code
    if chunkwise and code.assignment.replication >= COPIES:
        stop_rule = CoverChunks(code.n_chunks, COPIES)
        return replace(code, requester=ChunkByChunk(), stop_rule=stop_rule, copies=COPIES)
    groups = _groups(code)
    if groups is None:
        rule = f"must be none or sample for {code.spec}, in which no two workers send the same"
        raise InvalidSpec("verify", rule, mode)
    return replace(code, stop_rule=Twins(groups, code.stop_rule), copies=COPIES)


def _groups(code: GradientCode) -> tuple[int, ...] | None:
    """For every message the group of those with its terms; None if one has no twin at another worker."""
    numbers: dict[tuple[Term, ...], int] = {}
    senders: dict[int, set[int]] = {}
    groups = []
    for message in code.messages:
        group = numbers.setdefault(message.terms, len(numbers))
        senders.setdefault(group, set()).add(message.worker)
        groups.append(group)
    alone = not groups or any(len(workers) < COPIES for workers in senders.values())
    return None if alone else tuple(groups)
