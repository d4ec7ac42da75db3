"""Blocks copied to s + m workers, each of which sends another short mixture of the block's parts: exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from common.codes.base import Assignment, GradientCode, Message, Tally, Term
from common.codes.frames import Floats, cosine_frame
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import MessageTally
from common.errors import InvalidSpec


def communication_efficient_fractional(n_workers: int, n_stragglers: int, n_parts: int = 2) -> GradientCode:
    """Any s workers may be absent, and messages are m times shorter, for the least load possible: s + m.

    n / (s + m) blocks of s + m chunks; worker w holds block w mod (number of blocks). The members of a
    block send different mixtures of the m parts of the block's sum, with the rows of a cosine frame as
    numbers, so any m of them tell the parts. How well this is conditioned depends on s and m, not on n.

    Args:
        n_workers: n, at least 1; also the number of chunks; s + m must divide it.
        n_stragglers: s, at least 0.
        n_parts: m, at least 1; a message has 1/m of the gradient's numbers.

    Raises:
        InvalidSpec: a parameter is out of range, or s + m does not divide n.

    Cost: O(n (s + m) m) to build, O(n m) to decode besides one m x m system for every set of members seen.

    Source: Ye and Abbe 2018 for the trade of load, stragglers and message length; the placement of
        fractional repetition and the cosine rows are this implementation's.

    >>> code = communication_efficient_fractional(8, 2, n_parts=2)
    >>> code.assignment.orders[3], len(code.messages[3].terms)
    ((4, 5, 6, 7), 8)
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0)
    m = whole("n_parts", n_parts, least=1)
    c = s + m
    if n % c:
        near = " or ".join(str(k) for k in (n // c * c, -(-n // c) * c) if k)
        rule = f"must be divided by n_stragglers + n_parts = {c}, such as {near}"
        raise InvalidSpec("n_workers", rule, n)
    check_size(n, c * m)
    n_blocks = n // c
    rows = cosine_frame(c, m).tolist()
    orders = tuple(tuple(range(w % n_blocks * c, (w % n_blocks + 1) * c)) for w in range(n))
    messages = tuple(
        Message(
            w, tuple(Term(chunk, part, rows[w // n_blocks][part]) for part in range(m) for chunk in order)
        )
        for w, order in enumerate(orders)
    )
    return GradientCode(
        spec=canonical(communication_efficient_fractional, n, s, m),
        assignment=Assignment(n, orders),
        messages=messages,
        decoder=GroupFrames(n_blocks, c),
        stop_rule=FillGroups(n_blocks, n, m),
        n_stragglers=s,
        n_parts=m,
    )


@dataclass(frozen=True, slots=True)
class GroupFrames:
    """Least-squares weights, block by block: the pseudoinverse of the rows of the members that answered.

    Fewer than m members of a block leave an error of (missing members) x (chunks of the block).

    Args:
        n_blocks: worker w is member w div n_blocks of block w mod n_blocks. n_members: c, of every block.

    Cost: O(messages x m), and O(c m^2) for every set of members that was not seen lately.
    """

    n_blocks: int
    n_members: int

    def weights(self, code: GradientCode, received: Sequence[Message]) -> Floats:
        """Weights of shape (len(received), m)."""
        workers = np.fromiter((message.worker for message in received), np.intp, len(received))
        blocks, members = workers % self.n_blocks, workers // self.n_blocks
        places = np.full((self.n_blocks, self.n_members), -1)
        places[blocks, members] = np.arange(len(received))
        weights = np.zeros((len(received), code.n_parts))
        answered, kind = np.unique(places >= 0, axis=0, return_inverse=True)
        for number, present in enumerate(answered):
            if present.any():
                own = places[kind == number][:, present]
                weights[own] = _block_weights(
                    self.n_members, code.n_parts, tuple(np.flatnonzero(present).tolist())
                )
        return weights


@lru_cache(maxsize=4096)
def _block_weights(n_members: int, n_parts: int, members: tuple[int, ...]) -> Floats:
    """The X of least norm with ``C_S' X`` next to the identity, shape (len(members), m)."""
    rows = cosine_frame(n_members, n_parts)[list(members)]
    return np.asarray(np.linalg.pinv(rows.T), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class FillGroups:
    """Decoding succeeds when ``least`` messages of every group have arrived; message w is of group w mod n.

    Args:
        n_groups: how many. n_messages: of all groups. least: of each, at least 1.

    >>> tally = FillGroups(2, 6, least=2).start()
    >>> for message in (0, 2, 4, 1, 1): tally.arrived(message)
    >>> tally.may_suffice
    False
    >>> tally.arrived(3); tally.may_suffice
    True
    """

    n_groups: int
    n_messages: int
    least: int

    def start(self) -> Tally:
        """A fresh tally."""
        return _FillGroupsTally(self)


class _FillGroupsTally(MessageTally):
    def __init__(self, rule: FillGroups) -> None:
        self._rule = rule
        self._arrived: set[int] = set()
        self._counts = [0] * rule.n_groups
        self._missing = rule.n_groups

    def arrived(self, message: int) -> None:
        if message in self._arrived:
            return
        self._arrived.add(message)
        group = message % self._rule.n_groups
        self._counts[group] += 1
        self._missing -= self._counts[group] == self._rule.least

    @property
    def may_suffice(self) -> bool:
        return not self._missing
