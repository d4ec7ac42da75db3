"""Pure: what is asked about the answers of one round, and what its record tells of that."""

from __future__ import annotations

from dataclasses import dataclass

from common.codes.base import Term


@dataclass(frozen=True, slots=True)
class Claim:
    """What ``worker`` says a value is: a payload that came, or the digest that it is bound to, or both."""

    worker: str
    payload: int | None = None
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Question:
    """Is the value that enters the gradient the message of these terms?

    Attributes:
        claims: the first is the value that is used, and has a payload; others claim to be the same.
        audit: compute it again in any case; otherwise only if the claims differ, or are not finite.
    """

    terms: tuple[Term, ...]
    n_parts: int
    claims: tuple[Claim, ...]
    audit: bool


@dataclass(slots=True)
class Checked:
    """What was checked of one round; fields of its record.

    Attributes:
        verified: whether every value that was stepped with is known to be right; None where none is checked.
        values_audited: computed again. values_compared: two workers agreed. values_wrong: that were wrong.
        quarantined: workers found lying. returned_to: the run went on with the parameters that it had before
            that round's step; None if it went on as usual.
    """

    verified: bool | None = None
    values_audited: int = 0
    values_compared: int = 0
    values_wrong: int = 0
    quarantined: tuple[str, ...] = ()
    returned_to: int | None = None
