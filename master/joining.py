"""Pure: when a run may begin, and how long it waits for its workers."""

from __future__ import annotations

from dataclasses import dataclass

from common.codes.base import GradientCode
from master.membership import Membership
from master.round import Round


@dataclass(frozen=True, slots=True)
class KeepWaiting:
    """Not yet."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin, without ``missing`` workers."""

    missing: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """Leave the lobby: plan for so many."""

    n_places: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Too few came; ``reason`` says how many."""

    reason: str


class Joining:
    """The time before the first round.

    Args:
        timeout_seconds: how long to wait for all places to be taken.
        quiet_seconds: in the lobby (number of workers open): how long to wait for one more.
        now: the master's clock.
        n_before: so many places had a worker when the run was left; it goes on when as many are back.
    """

    def __init__(
        self, timeout_seconds: float, quiet_seconds: float, now: float, n_before: int | None = None
    ) -> None:
        self._n_before = n_before
        self.newcomer_at: float | None = None
        self._timeout_seconds = timeout_seconds
        self._quiet_seconds = quiet_seconds
        self._until = now + timeout_seconds

    def wakes_at(self, lobby: bool, n_links: int) -> float:
        """When the answer may change without an event; in the lobby that depends on the links there."""
        if lobby and n_links and self.newcomer_at is not None:
            return self.newcomer_at + self._quiet_seconds
        return self._until

    def leave_lobby(self, n_links: int, wanted: int | None, now: float) -> KeepWaiting | Open | GiveUp:
        """Whether to take those ``n_links`` that are there, or as many of them as are ``wanted``."""
        if now < self.wakes_at(True, n_links):
            return KeepWaiting()
        if not n_links:
            return GiveUp(f"no worker was there after {self._timeout_seconds:g} s")
        return Open(n_links if wanted is None else min(n_links, wanted))

    def begin(self, members: Membership, code: GradientCode, now: float) -> KeepWaiting | Begin | GiveUp:
        """Begin when all places can compute, or at the timeout if the code can spare the missing ones."""
        if members.n_ready == members.n_places:
            return Begin()
        missing = members.n_places - members.n_linked
        spare = code.n_stragglers
        if code.enough_messages is not None:
            spare = max(spare, code.n_workers - code.enough_messages)
        as_before = self._n_before is not None and members.n_ready >= max(1, self._n_before)
        if now < self._until and not (as_before and missing <= spare):
            return KeepWaiting()
        if missing > spare:
            came = f"{members.n_linked} of {members.n_places} workers came within {self._timeout_seconds:g} s"
            return GiveUp(f"{came}, and {code.spec} can do without {spare}")
        return Begin(missing) if members.n_ready else KeepWaiting()


class Regathering(Joining):
    """The time between two plans of a running run: its workers load what they lack for the new one.

    It goes on as soon as all that are linked can compute; after ``quiet_seconds`` without those that the code
    can spare; after ``timeout_seconds`` without any that cannot compute yet.
    """

    def __init__(self, timeout_seconds: float, quiet_seconds: float, now: float) -> None:
        super().__init__(timeout_seconds, quiet_seconds, now)
        self._spares_from = now + quiet_seconds
        self._spared = False

    def wakes_at(self, lobby: bool, n_links: int) -> float:
        """When the answer may change without an event."""
        return self._until if self._spared else min(self._spares_from, self._until)

    def begin(self, members: Membership, code: GradientCode, now: float) -> KeepWaiting | Begin | GiveUp:
        """Never gives up: a run that can go on with fewer does, and how long to wait for one is not known."""
        self._spared = now >= self._spares_from
        if members.n_ready == 0:
            return KeepWaiting()
        missing = members.n_places - members.n_ready
        spared = self._spared and missing <= code.n_stragglers
        if members.n_ready == members.n_linked or spared or now >= self._until:
            return Begin(missing)
        return KeepWaiting()


def why_stuck(members: Membership, current: Round | None) -> str:
    """Why the run cannot go on with the round in hand, or between two rounds; empty if it can."""
    if members.n_linked == 0:
        return "no worker is left"
    if current is not None and current.rules.waits and current.exhausted:
        return "the linked workers have delivered all they can"
    return ""


class Patience:
    """How long a run that cannot go on waits for lost workers.

    Args:
        limit_seconds: after so long it gives up.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._since: float | None = None

    @property
    def wakes_at(self) -> float | None:
        """When patience ends; None while the run can go on."""
        return None if self._since is None else self._since + self._limit_seconds

    def look(self, stuck: str, now: float) -> str | GiveUp:
        """``stuck`` says in words why the run cannot go on, and is empty if it can.

        Returns a note to tell (empty: nothing new), or the end of patience.
        """
        if not stuck:
            self._since = None
            return ""
        if self._since is None:
            self._since = now
            return f"{stuck}: waiting up to {self._limit_seconds:g} s for lost workers"
        if now < self._since + self._limit_seconds:
            return ""
        return GiveUp(f"{stuck}, and nobody came back in {self._limit_seconds:g} s")
