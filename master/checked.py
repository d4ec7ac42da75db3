"""Pure: what is asked about the answers of one round, and what its record tells of that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from common.codes.base import Term

Alone = Literal["unsure", "computed", "believed"]
"""What becomes of a value that one worker alone claims: taken as it came, computed again, or right."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What ``worker`` says a value is: a payload that came, or the digest that it is bound to, or both.

    Attributes:
        place: where the worker can still be asked for parts of the value; None if it cannot.
    """

    worker: str
    payload: int | None = None
    digest: bytes = b""
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Is the value that enters the gradient the message of these terms?

    Attributes:
        used: the payload that enters the gradient.
        claims: of workers that are not known to lie, the one of the used value first while it is there.
        audit: compute it again in any case; otherwise only if the claims differ, or are not finite.
        alone: what to make of it when one worker alone claims it.
    """

    terms: tuple[Term, ...]
    n_parts: int
    used: int
    claims: tuple[Claim, ...]
    audit: bool = False
    alone: Alone = "unsure"

    def without(self, workers: Collection[str]) -> Question:
        """The question without what these workers claim."""
        return replace(self, claims=tuple(each for each in self.claims if each.worker not in workers))


@dataclass(frozen=True, slots=True)
class Dispute:
    """Two workers claim sums that differ by more than rounding explains.

    Attributes:
        question: about which; its position among those that were put.
        claims: the two claims.
        index: which number of the message they differ on most.
        totals: what either says it is. slacks: see `common.codes.disputes.Bisection`.
    """

    question: int
    claims: tuple[Claim, Claim]
    index: int
    totals: tuple[float, float]
    slacks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Exposed:
    """A dispute has come down to one term, so one of its workers is bound to a wrong value.

    Attributes:
        question: position of the question among those that are put. workers: the two.
        term: position among its terms. index: which number of the message.
        values: what either says that number of the term is. slack: how far rounding may move it.
    """

    question: int
    workers: tuple[str, str]
    term: int
    index: int
    values: tuple[float, float]
    slack: float


@dataclass(slots=True)
class Checked:
    """What was checked of one round; fields of its record.

    Attributes:
        verified: whether every value that was stepped with is known to be right; None where none is checked.
        values_audited: computed again; of a disputed sum, chunks that were computed to settle it.
        values_compared: two workers agreed. values_wrong: that were wrong.
        quarantined: workers found lying. returned_to: the run went on with the parameters that it had before
            that round's step; None if it went on as usual.
    """

    verified: bool | None = None
    values_audited: int = 0
    values_compared: int = 0
    values_wrong: int = 0
    quarantined: tuple[str, ...] = ()
    returned_to: int | None = None
