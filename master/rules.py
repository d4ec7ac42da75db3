"""Pure: when a round may end."""

from __future__ import annotations

from dataclasses import dataclass

ASKS_AFTER_DEADLINE = 2
"""The collection that the deadline starts, and one repair."""


@dataclass(frozen=True, slots=True)
class RoundRules:
    """When a round may end.

    Attributes:
        deadline_seconds: from the start of the round; None for no deadline.
        waits: neither the deadline nor the lack of workers ends the round.
        enough: a recovered fraction that is good enough; 1.0 asks for everything.
    """

    deadline_seconds: float | None = None
    waits: bool = False
    enough: float = 1.0
