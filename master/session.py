"""One link as the driver sees it: what waits to be written, what is being put together, what it may send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from common.wire.frames import PROTOCOL_MINOR, Stamp
from common.wire.pieces import Assembler
from master.limits import Allowance, frames_of_message, frames_of_round
from master.outbox import Outbox
from master.training import Training


@dataclass
class Session:
    """One link's side of the driver."""

    number: int
    allowance: Allowance
    outbox: Outbox = field(default_factory=Outbox)
    minor: int = PROTOCOL_MINOR
    assembling: tuple[Stamp, int] | None = None
    assembler: Assembler | None = None

    def called_for_round(self, training: Training, message_bytes: Callable[[int], int], now: float) -> None:
        """A round was started on this link: its place may send what a round brings.

        ``message_bytes`` is the length of a message by the number of parts.
        """
        link = training.members.links.get(self.number)
        if training.code is not None and link is not None and link.place is not None:
            n_bytes = message_bytes(training.code.n_parts)
            self.allowance.call_for(frames_of_round(training.code, link.place, n_bytes), now)

    def called_for_message(self, n_bytes: int, now: float) -> None:
        """A message of so many bytes was asked for on this link."""
        self.allowance.call_for(frames_of_message(n_bytes), now)
