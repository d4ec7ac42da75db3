"""What the driver counts, whoever keeps the numbers."""

from __future__ import annotations

from typing import Protocol

from master.scribe import RoundCounter


class Counters(RoundCounter, Protocol):
    """What the driver counts; `master.metrics.MasterMetrics` in production."""

    def protocol_error(self, kind: str) -> None:
        """A peer broke the protocol."""

    def link_opened(self) -> None:
        """A worker opened a link."""

    def link_lost(self) -> None:
        """A link ended that nobody closed."""
