"""Pure: the plan that rounds are played by, from the first to the last, and everybody's place in it."""

from __future__ import annotations

from common.codes.base import GradientCode
from master.chronicle import Chronicle
from master.commands import Command, Planned
from master.experience import Experience
from master.membership import Membership
from master.preparing import Preparing
from master.replanning import Change, Replanning
from master.roster import Roster, Turn
from master.seating import seats
from master.settings import RunSettings


class Plans:
    """Makes plans; an epoch is the version of the plan.

    Args:
        settings: of the run. members, roster: who is there. chronicle: takes notes.
        experience: carries over from plan to plan what is known of workers.

    Attributes:
        code: of the plan; None before the first. epoch: from 0.
        replanning: says when there is another plan.
    """

    def __init__(
        self,
        settings: RunSettings,
        members: Membership,
        roster: Roster,
        chronicle: Chronicle,
        experience: Experience,
    ) -> None:
        self.code: GradientCode | None = None
        self.epoch = 0
        self.replanning = Replanning(settings)
        self._preparing = Preparing(members, chronicle.totals, experience.paces)
        self._settings = settings
        self._members = members
        self._roster = roster
        self._chronicle = chronicle
        self._experience = experience

    def first(self, n_workers: int) -> list[Command]:
        """The plan for so many workers.

        Raises:
            InvalidSpec: there is none.
        """
        self.code = self._settings.make_code(n_workers)
        self._experience.plan(self.code, self._message_bytes(self.code))
        if self.replanning.wanted is None:
            self.replanning.wanted = n_workers
        return [Planned(self.code, self.epoch)]

    def follow(self, change: Change, now: float) -> list[Command]:
        """Another plan: everybody is seated anew, and has to load rows before rounds can go on."""
        before, after = self.code, change.code
        assert before is not None, "the first plan is made in another way"
        self.code, self.epoch = after, self.epoch + 1
        instead = f"instead of {before.n_workers}: {change.why}"
        notes = self._chronicle.note("replanned", f"a new plan for {after.n_workers} workers {instead}")
        links = [link for link in self._members.links.values() if not link.draining]
        given = seats(links, before, after, self._settings.n_rows)
        turn, places = self._roster.resize(after.n_workers, given, now)
        self._experience.plan_again(after, self._message_bytes(after), places)
        self.replanning.begin(self._members, now)
        self._preparing.forget()
        return [*notes, Planned(after, self.epoch), *self._chronicle.tell(turn.commands)]

    def mind(self, turn: Turn, now: float, drained: bool) -> None:
        """Places lost or got their link, in the first case perhaps because it has ``drained``."""
        self._preparing.lost(turn.lost)
        if self._chronicle.has_begun:
            self.replanning.changed(self._members, (*turn.lost, *turn.taken), now, drained)

    def prepare(self, number: int) -> list[Command]:
        """What spares are to load before round ``number``; nothing if that has not changed."""
        return self._preparing.look(number)

    def _message_bytes(self, code: GradientCode) -> int:
        return -(-self._settings.n_parameters // code.n_parts) * self._settings.item_bytes
