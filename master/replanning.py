"""Pure: when a run gets another plan, and for how many workers.

An operator may want another number of workers. Where the policy says so, a place that stays empty ends the
plan as well: the next one is for the workers that are there, and when spares have come it grows again up to
the number that is wanted. Times are the master's clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.codes.base import GradientCode
from common.errors import InvalidSpec
from master.deadlines import sooner
from master.membership import Membership
from master.settings import RunSettings

REASONS = ("lost", "grown", "scaled")
"""Why there is another plan: places were lost, spares are there, an operator wants it."""


@dataclass(frozen=True, slots=True)
class Change:
    """The next plan: its code, one of ``REASONS``, and the same in words."""

    code: GradientCode
    reason: str
    why: str


class Replanning:
    """Minds empty places, spares and operators.

    Args:
        settings: of the run.

    Attributes:
        wanted: the number of workers that the run should have, of the experiment or of the last operator;
            None until it is known.
        counts: plans after the first, by reason.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.wanted = settings.n_workers
        self.counts = dict.fromkeys(REASONS, 0)
        self._make_code = settings.make_code
        self._most = settings.n_rows
        self._minds = settings.on_empty == "replan"
        self._patience = settings.empty_seconds
        self._scaled = False
        self._left: set[int] = set()
        # In the order in which they became empty.
        self._empty_since: dict[int, float] = {}
        self._vain = (0, 0)

    def restore(self, wanted: int, n_places: int) -> None:
        """The run was kept with so many places; when it wants others, it gets them as soon as it can."""
        self.wanted = wanted
        self._scaled = wanted != n_places

    # ---- what happens -----------------------------------------------------------------------------------

    def begin(self, members: Membership, now: float) -> None:
        """A plan begins; places that are empty now are empty from now on."""
        self._left.clear()
        self._empty_since = {place: now for place in range(members.n_places) if members.at(place) is None}

    def changed(self, members: Membership, places: Iterable[int], now: float, drained: bool = False) -> None:
        """The links of ``places`` have come or gone; ``drained``: in peace, and not to return."""
        for place in places:
            if members.at(place) is not None:
                self._empty_since.pop(place, None)
                self._left.discard(place)
            else:
                self._empty_since.setdefault(place, now)
                if drained:
                    self._left.add(place)

    def ask(self, n_workers: int, current: GradientCode | None) -> str:
        """An operator wants so many workers; ``current`` is the code in use. Returns a note on it."""
        try:
            self.check(n_workers)
        except InvalidSpec as error:
            return f"an operator wants {n_workers} workers, but {error}"
        self.wanted = n_workers
        self._scaled = current is not None and n_workers != current.n_workers
        self._vain = (0, 0)
        return f"an operator wants {n_workers} workers"

    def check(self, n_workers: int) -> None:
        """Whether there is a plan for so many workers. Cost: that of making its code.

        Raises:
            InvalidSpec: there is none.
        """
        if not 1 <= n_workers <= self._most:
            raise InvalidSpec("workers", f"must be from 1 to the training rows ({self._most})", n_workers)
        self._make_code(n_workers)

    # ---- what follows -----------------------------------------------------------------------------------

    def wakes_at(self, members: Membership, now: float) -> float | None:
        """When the answer of ``look`` may change without an event; None if it does not."""
        if not self._minds:
            return None
        first = next(iter(self._empty_since.values()), None)
        due = None if first is None else first + self._patience
        due = due if due is not None and due > now else None
        if self.wanted is not None and 0 < members.n_places < self.wanted:
            for link in members.spares():
                at = link.spare_since + self._patience
                due = sooner(due, at) if at > now else due
        return due

    def look(self, members: Membership, code: GradientCode, now: float) -> Change | str:
        """The next plan if it is time for one, or a note to tell (empty: nothing new)."""
        assert self.wanted is not None, "there is a plan"
        if self._scaled and (self.wanted <= code.n_workers or members.n_staying >= self.wanted):
            self._scaled = False
            return self._change(self._make_code(self.wanted), "scaled", "an operator wants it")
        if not self._minds or self._vain == (members.n_staying, code.n_workers):
            return ""
        if self._is_lost(members, code, now):
            return self._nearest(members, code, range(min(members.n_staying, self.wanted), 0, -1))
        if code.n_workers < self.wanted and self._has_grown(members, now):
            most = min(members.n_staying, self.wanted)
            return self._nearest(members, code, range(most, code.n_workers, -1))
        return ""

    def _is_lost(self, members: Membership, code: GradientCode, now: float) -> bool:
        """Whether some place has been empty for too long; or is left for good, and the code needs it."""
        if not self._empty_since or members.n_staying == 0:
            return False
        needed = bool(self._left) and code.n_workers - members.n_linked > code.n_stragglers
        return needed or now >= next(iter(self._empty_since.values())) + self._patience

    def _has_grown(self, members: Membership, now: float) -> bool:
        """Whether the newest spare has been there long enough, or the oldest twice as long.

        So those who come together are taken together, and one that comes and goes holds nobody up for long.
        """
        ages = [now - link.spare_since for link in members.spares()]
        return bool(ages) and (min(ages) >= self._patience or max(ages) >= 2.0 * self._patience)

    def _nearest(self, members: Membership, code: GradientCode, numbers: range) -> Change | str:
        """A plan for the first of ``numbers`` that has one."""
        refusal = ""
        for n_workers in numbers:
            if n_workers == code.n_workers:
                continue
            try:
                found = self._make_code(n_workers)
            except InvalidSpec as error:
                refusal = refusal or str(error)
                continue
            if n_workers > code.n_workers:
                return self._change(found, "grown", f"{members.n_staying} workers are there")
            places = ", ".join(map(str, list(self._empty_since)[:5]))
            return self._change(found, "lost", f"nobody came back to place {places}")
        self._vain = (members.n_staying, code.n_workers)
        return f"no other plan for {members.n_staying} workers: {refusal}" if refusal else ""

    def _change(self, code: GradientCode, reason: str, why: str) -> Change:
        self.counts[reason] += 1
        self._vain = (0, 0)
        return Change(code, reason, why)
