"""What the driver counts, whoever keeps the numbers."""

from __future__ import annotations

from typing import Protocol

from master.scribe import RoundCounter


class Counters(RoundCounter, Protocol):
    """What the driver counts; `master.metrics.MasterMetrics` in production."""

    def protocol_error(self, kind: str) -> None:
        """A peer broke the protocol."""

    def frame_dropped(self, kind: str) -> None:
        """A frame was ``stale`` or ``duplicate``."""

    def bytes_moved(self, direction: str, n: int) -> None:
        """Payload bytes were ``received`` or ``sent``."""

    def link_opened(self) -> None:
        """A worker opened a link."""

    def link_lost(self) -> None:
        """A link ended that nobody closed."""
