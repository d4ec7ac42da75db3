"""Pure: where a run stands between two rounds, as plain values; enough to go on in another process.

Parameters and the optimiser's memory are not in it: `master.checkpoint` joins them with it in a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from common.errors import InvalidData


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run between two rounds. What the parts of the master keep of themselves is plain JSON.

    Attributes:
        round: the next round; so many rounds are done. epoch: version of the plan. code: in its notation.
        wanted: number of workers that the run should have.
        n_places: places of the plan. n_linked: how many of them had a link.
        run_seconds: of the run, to the last outcome. skips: rounds in a row without a step.
        chronicle, experience, members, verification: what these parts remember; see their ``state``.
    """

    round: int
    epoch: int
    code: str
    wanted: int
    n_places: int
    n_linked: int
    run_seconds: float
    skips: int
    chronicle: dict[str, Any]
    experience: dict[str, Any]
    members: dict[str, Any]
    verification: dict[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """The same as a dict for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_plain(cls, held: Mapping[str, Any]) -> Snapshot:
        """The snapshot that `to_plain` gave, after JSON; keys of later versions are passed over.

        Raises:
            InvalidData: a field is missing or of another type.
        """
        kinds = {"int": int, "float": float, "str": str, "dict[str, Any]": dict}
        values: dict[str, Any] = {}
        for each in fields(cls):
            if each.name not in held and each.default_factory is not MISSING:
                continue
            kind, value = kinds[str(each.type)], held.get(each.name)
            if type(value) is int and kind is float:
                value = float(value)
            if type(value) is not kind:
                raise InvalidData(f"snapshot {each.name}", f"must be of type {kind.__name__}", value)
            values[each.name] = value
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Origin:
    """How a master's run begins.

    Attributes:
        snapshot: where it goes on; None: with round 0.
        incarnations: those of this start are greater, so that no frame from before counts.
        told: what the first record shall say of it.
    """

    snapshot: Snapshot | None = None
    incarnations: int = 0
    told: tuple[str, ...] = ()


ANEW = Origin()
"""The first start of a run."""


class CheckpointTimes:
    """When a checkpoint is due: by time or by rounds, whatever comes first.

    Args:
        every_seconds, every_rounds: None for not by it; both None for never.
        now: the master's clock. n_rounds: rounds that are safe already.
    """

    def __init__(
        self, every_seconds: float | None, every_rounds: int | None, now: float, n_rounds: int = 0
    ) -> None:
        self._every_seconds = every_seconds
        self._every_rounds = every_rounds
        self._at = now
        self._n_rounds = n_rounds

    def due(self, n_rounds: int, now: float, at_once: bool = False) -> bool:
        """Whether to make one now that ``n_rounds`` are done; if so, the next is counted from here.

        With ``at_once`` any round that was done since the last one will do, if there are to be any at all.
        """
        if at_once and self.worthwhile(n_rounds):
            self._at, self._n_rounds = now, n_rounds
            return True
        by_time = self._every_seconds is not None and now - self._at >= self._every_seconds
        by_rounds = self._every_rounds is not None and n_rounds - self._n_rounds >= self._every_rounds
        if n_rounds <= self._n_rounds or not (by_time or by_rounds):
            return False
        self._at, self._n_rounds = now, n_rounds
        return True

    def worthwhile(self, n_rounds: int) -> bool:
        """Whether a last one would keep anything: checkpoints are wanted, and a round was done since."""
        wanted = self._every_seconds is not None or self._every_rounds is not None
        return wanted and n_rounds > self._n_rounds


def by_place(held: Mapping[str, Any]) -> dict[int, Any]:
    """A dict by place as it was before JSON made text of its keys."""
    return {int(place): value for place, value in held.items()}
