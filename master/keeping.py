"""Pure: when a run is kept, what of it, and how it is taken up again."""

from __future__ import annotations

from master.chronicle import Chronicle
from master.commands import Checkpoint, Command
from master.experience import Experience
from master.membership import Membership
from master.plans import Plans
from master.settings import RunSettings
from master.settling import Settling
from master.snapshot import CheckpointTimes, Snapshot


class Keeping:
    """Makes snapshots of a run between two rounds.

    Args:
        settings: of the run. plans, chronicle, experience, members, settling: its parts.
        now: the master's clock. resumed: where the run goes on, or None.
    """

    def __init__(
        self,
        settings: RunSettings,
        plans: Plans,
        chronicle: Chronicle,
        experience: Experience,
        members: Membership,
        settling: Settling,
        now: float,
        resumed: Snapshot | None,
    ) -> None:
        self.first_round = 0 if resumed is None else resumed.round
        self.sound = True
        """Whether the numbers are worth keeping."""
        self._plans = plans
        if resumed is not None:
            plans.epoch = resumed.epoch
            plans.replanning.restore(resumed.wanted, resumed.n_places)
        self._chronicle = chronicle
        self._experience = experience
        self._members = members
        self._settling = settling
        self._resumed = resumed
        self._formerly: dict[int, str] = {}
        every = (settings.checkpoint_seconds, settings.checkpoint_rounds)
        self._times = CheckpointTimes(*every, now, self.first_round)
        self._kept = self._decided

    def take_up(self) -> None:
        """Remember what is kept, if anything is; the plan is made already."""
        resumed = self._resumed
        if resumed is not None:
            self._chronicle.restore(resumed.chronicle, resumed.run_seconds)
            self._experience.restore(resumed.experience)
            self._formerly = self._members.restore(resumed.members)
            self._settling.skips = resumed.skips
            self._settling.verification.restore(resumed.verification)
        self._kept = self._decided

    def is_known(self, place: int) -> bool:
        """Whether the worker that has just taken ``place`` had it when the run was left; true once."""
        return self._formerly.pop(place, None) == self._members.name_at(place)

    def snapshot(self) -> Snapshot:
        """Where the run stands after the last round that is done; there is a plan. Cost O(n)."""
        code, wanted = self._plans.code, self._plans.replanning.wanted
        assert code is not None
        assert wanted is not None
        return Snapshot(
            round=self._chronicle.n_closed,
            epoch=self._plans.epoch,
            code=code.spec,
            wanted=wanted,
            n_places=self._members.n_places,
            n_linked=self._members.n_linked,
            run_seconds=self._chronicle.closed_seconds,
            skips=self._settling.skips,
            chronicle=self._chronicle.state(),
            experience=self._experience.state(),
            members=self._members.state(),
            verification=self._settling.verification.state(),
        )

    @property
    def _decided(self) -> tuple[int, int | None, int]:
        """What rounds played again would not decide again: the plan, the wanted workers, who is banned."""
        plans = self._plans
        return plans.epoch, plans.replanning.wanted, len(self._settling.verification.quarantined)

    def between_rounds(self, now: float) -> list[Command]:
        """A checkpoint, if one is due; asked when the last round that is done is written down."""
        decided = self._decided
        if not self._times.due(self._chronicle.n_closed, now, at_once=decided != self._kept):
            return []
        self._kept = decided
        return [Checkpoint(self.snapshot())]

    def at_the_end(self, exit_code: int) -> list[Command]:
        """A last checkpoint of a run that may go on later.

        None if the last round failed a run (exit code 3): that round is to be played again.
        """
        last = self._chronicle.last_record
        worthwhile = self._times.worthwhile(self._chronicle.n_closed)
        if last is None or exit_code not in (3, 130) or not worthwhile:
            return []
        if not self.sound or (exit_code == 3 and last.outcome == "failed"):
            return []
        return [Checkpoint(self.snapshot())]
