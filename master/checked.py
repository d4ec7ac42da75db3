"""Pure: what was checked of one round's answers, as its record tells it."""

from __future__ import annotations

from dataclasses import dataclass


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
