"""A chunk for every y workers; one sum replaces the messages about those that a worker owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.codes.base import GradientCode, Message, Tally, Term
from common.codes.parameters import canonical
from common.codes.subsets import Subsets, subsets
from common.codes.tallies import MessageTally


def sum_and_non_owned(n_workers: int, n_stragglers: int, n_holders: int, group_size: int = 1) -> GradientCode:
    """The placement of ``all_subsets``; workers send what others own chunk by chunk, and the sum of all.

    Every chunk has one owner among its holders. The sums of those present count a chunk as often as it is
    held; all but one of them sent it by itself, and these are subtracted. It recovers what ``all_subsets``
    does, with C(n-1, y-1) / y - 1 messages a worker less where n and y have no common factor.

    Args:
        n_workers: n, at least 1.
        n_stragglers: s, 0 to n - 1.
        n_holders: y, groups that hold a chunk, 1 to n / group_size.
        group_size: g, workers that hold the same, at least 1; divides n.

    Raises:
        InvalidSpec: a parameter is out of range, or n C(n/g - 1, y - 1) is above 20,000.

    Cost: as ``all_subsets`` to build, O(total terms) to decode.

    Source: Sarmasarkar et al. 2023, the strategy that trades messages for sums; any owners serve, so n and y
        may have common factors here.

    >>> len(sum_and_non_owned(5, 3, 2).messages_of[0]), len(sum_and_non_owned(7, 4, 3).messages_of[0])
    (3, 11)
    """
    placed = subsets(n_workers, n_stragglers, n_holders, group_size, own_first=False)
    owners = placed.owners
    messages = []
    for worker, order in enumerate(placed.assignment.orders):
        own = worker % placed.n_groups
        messages += [Message(worker, (Term(chunk, 0, 1.0),)) for chunk in order if owners[chunk] != own]
        if any(owners[chunk] == own for chunk in order):
            messages.append(Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in order)))
    return GradientCode(
        spec=canonical(sum_and_non_owned, *placed.parameters),
        assignment=placed.assignment,
        messages=tuple(messages),
        decoder=SumsWithoutRepetition(placed.n_groups, owners),
        stop_rule=CoverBySums(owners, _kinds(placed, messages)),
        n_stragglers=placed.n_stragglers,
        enough_recovered=placed.recovered,
    )


@dataclass(frozen=True, slots=True)
class SumsWithoutRepetition:
    """Adds sums, subtracts what is then counted twice, adds chunks that are in no sum: weights 0, 1 and -1.

    A chunk is kept in the sum of its owner if that is there, otherwise in the first; every other sum that
    contains it came from a worker that also sent it by itself. Sums of workers that have not sent everything
    are left aside. Workers of one group send the same, so one copy of each message is used.

    Cost: O(total terms).
    """

    n_groups: int
    owners: tuple[int, ...]

    def weights(self, code: GradientCode, received: Sequence[Message]) -> NDArray[np.float64]:
        """Weights of shape (len(received), 1)."""
        weights = np.zeros((len(received), 1))
        sums: dict[int, int] = {}
        singles: dict[tuple[int, int], int] = {}
        for column, message in enumerate(received):
            group = message.worker % self.n_groups
            chunk = message.terms[0].chunk
            if len(message.terms) > 1 or self.owners[chunk] == group:
                sums.setdefault(group, column)
            else:
                singles.setdefault((group, chunk), column)
        held = {group: [chunk for chunk, _, _ in received[sums[group]].terms] for group in sorted(sums)}
        complete = [group for group in held if self._is_complete(group, held[group], singles)]
        keeper: dict[int, int] = {}
        for group in complete:
            weights[sums[group]] = 1.0
            keeper |= {chunk: group for chunk in held[group] if self.owners[chunk] == group}
        for group in complete:
            for chunk in held[group]:
                if keeper.setdefault(chunk, group) != group:
                    weights[singles[group, chunk]] = -1.0
        for (group, chunk), column in singles.items():
            if keeper.setdefault(chunk, -1 - group) == -1 - group:
                weights[column] = 1.0
        return weights

    def _is_complete(self, group: int, held: Sequence[int], singles: dict[tuple[int, int], int]) -> bool:
        return all(self.owners[chunk] == group or (group, chunk) in singles for chunk in held)


@dataclass(frozen=True, slots=True)
class CoverBySums:
    """Decoding succeeds when every chunk came by itself, or its owner has sent everything.

    Args:
        owners: the group that owns each chunk.
        kinds: for each message its group, and its chunk if the group does not own it; None for a sum.

    >>> rule = CoverBySums(owners=(0, 1), kinds=((0, 1), (0, None), (1, 0), (1, None)))
    >>> tally = rule.start()
    >>> tally.arrived(1); tally.arrived(2); tally.may_suffice
    False
    >>> tally.arrived(0); tally.may_suffice
    True
    """

    owners: tuple[int, ...]
    kinds: tuple[tuple[int, int | None], ...]

    def start(self) -> Tally:
        """A fresh tally; O(messages)."""
        return _CoverBySumsTally(self)


class _CoverBySumsTally(MessageTally):
    def __init__(self, rule: CoverBySums) -> None:
        self._kinds = rule.kinds
        self._owned: dict[int, list[int]] = {}
        for chunk, owner in enumerate(rule.owners):
            self._owned.setdefault(owner, []).append(chunk)
        self._awaited = set(rule.kinds)
        self._n_awaited: dict[int, int] = {}
        for group, _ in self._awaited:
            self._n_awaited[group] = self._n_awaited.get(group, 0) + 1
        self._missing = set(range(len(rule.owners)))

    def arrived(self, message: int) -> None:
        kind = self._kinds[message]
        if kind not in self._awaited:
            return
        self._awaited.remove(kind)
        group, chunk = kind
        self._n_awaited[group] -= 1
        if chunk is not None:
            self._missing.discard(chunk)
        if not self._n_awaited[group]:
            self._missing.difference_update(self._owned.get(group, ()))

    @property
    def may_suffice(self) -> bool:
        return not self._missing


def _kinds(placed: Subsets, messages: Sequence[Message]) -> tuple[tuple[int, int | None], ...]:
    kinds: list[tuple[int, int | None]] = []
    for message in messages:
        group, chunk = message.worker % placed.n_groups, message.terms[0].chunk
        is_sum = len(message.terms) > 1 or placed.owners[chunk] == group
        kinds.append((group, None if is_sum else chunk))
    return tuple(kinds)
