"""What the driver counts, whoever keeps the numbers."""

from __future__ import annotations

from typing import Protocol

from common.history import RoundRecord


class Counters(Protocol):
    """What the driver counts; `master.metrics.MasterMetrics` in production."""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""

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
