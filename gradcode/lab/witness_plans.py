"""What a witness holds about plans: their order, that everybody is told, and what spares prepare for."""

from __future__ import annotations

from collections.abc import Iterable

from gradcode.lab.invariants import Check
from master import commands as cmd


class PlanBooks:
    """The books about plans of one run.

    Args:
        check: raises unless something holds. epoch: of the plan in force, if the run goes on.

    Attributes:
        epoch: of the plan in force. unwelcome: links that have not been told of it.
    """

    def __init__(self, check: Check, epoch: int = 0) -> None:
        self.epoch = epoch
        self.unwelcome: set[int] = set()
        self._check = check
        self._prepares: dict[int, int] = {}

    def planned(self, command: cmd.Planned, wanted: int, linked: Iterable[int], kept: set[int]) -> None:
        """Another plan than the first; payloads in ``kept`` are neither used nor discarded."""
        self._check(command.epoch == self.epoch + 1, "plans have epochs in order", command.epoch)
        self._check(command.code.n_workers <= wanted, "a plan is for no more than are wanted", command)
        self._check(not kept, "messages of a former plan are used or discarded", kept)
        self.epoch = command.epoch
        self.unwelcome = set(linked)
        self._prepares.clear()

    def welcomed(self, command: cmd.Welcome, seated: bool, n_places: int) -> None:
        """A link is told its place."""
        self.forget(command.link)
        if command.place is None:
            self._check(not seated, "a place is lost by a plan only", command)
        else:
            self._check(0 <= command.place < n_places, "a place is one of the plan", command)

    def told(self, command: cmd.Prefetch, seated: bool, n_places: int) -> None:
        """A spare is told what to prepare for."""
        self._check(not seated, "only spares prepare for places", command)
        known = bool(command.places) and set(command.places) <= set(range(n_places))
        self._check(known, "a place to prepare for is one of the plan", command)
        self._prepares.pop(command.link, None)
        alone = command.places[0] not in self._prepares.values()
        self._check(alone, "spares prepare for different places", command, self._prepares)
        self._prepares[command.link] = command.places[0]

    def started(self, command: cmd.StartRound, incarnation: int | None) -> None:
        """A link is sent a round; ``incarnation`` is that of its seat."""
        told, current = (command.stamp.epoch, command.stamp.incarnation), (self.epoch, incarnation)
        self._check(told == current, "rounds start under the plan in force", command, current)

    def forget(self, link: int) -> None:
        """A link is gone, or has a place."""
        self.unwelcome.discard(link)
        self._prepares.pop(link, None)
