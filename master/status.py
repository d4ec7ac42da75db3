"""Pure: how the run stands, for operators, metrics and displays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from master.outcome import STRAGGLER_FACTOR
from master.replanning import REASONS
from master.training import Training

STATES = ("lost", "loading", "computing", "idle", "straggling", "draining", "link too slow")
"""The disjoint states of a place."""


@dataclass(frozen=True, slots=True)
class PlaceStatus:
    """One place; or a spare, with ``place`` None and state ``spare``.

    Attributes:
        state: one of STATES.
        chunks_finished: in the round in hand. load: how many it computes in it, as things stand.
        seconds_per_chunk: remembered from round to round; None before the first report.
        last_seen_seconds: since the last frame; None without a link.
        straggles: rounds in which the place was a straggler.
        round_trip_seconds: remembered from frame to frame; None where it is not measured.
    """

    place: int | None
    worker: str
    state: str
    chunks_finished: int
    load: int
    seconds_per_chunk: float | None
    last_seen_seconds: float | None
    straggles: int
    round_trip_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The run at one moment; ``detail`` is the phase in words.

    Any ``n_stragglers`` places of the plan may be absent and rounds are still exact. ``wanted`` is the number
    of workers that the run should have, None until it is known; ``replans`` are plans after the first, by
    reason.
    """

    phase: str
    detail: str
    round: int
    code: str
    epoch: int
    deadline_seconds: float | None
    elapsed_seconds: float
    places: tuple[PlaceStatus, ...]
    spares: tuple[PlaceStatus, ...]
    n_stragglers: int = 0
    wanted: int | None = None
    replans: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))


def run_status(training: Training, now: float) -> RunStatus:
    """A snapshot. Cost O(n)."""
    current = training.round
    typical = training.experience.paces.typical()
    return RunStatus(
        phase={"joining": "waiting", "running": "running"}.get(training.phase, "finished"),
        detail=_detail(training),
        round=training.next_round - 1,
        code="" if training.code is None else training.code.spec,
        epoch=training.epoch,
        deadline_seconds=None if current is None else current.rules.deadline_seconds,
        elapsed_seconds=training.run_seconds(now),
        places=tuple(_place(training, place, typical, now) for place in range(training.members.n_places)),
        spares=tuple(
            PlaceStatus(None, link.name, "spare", 0, 0, None, now - link.seen_at, 0)
            for link in training.members.links.values()
            if link.place is None
        ),
        n_stragglers=0 if training.code is None else training.code.n_stragglers,
        wanted=training.plans.replanning.wanted,
        replans=dict(training.plans.replanning.counts),
    )


def _detail(training: Training) -> str:
    if training.ending is not None:
        return training.ending[0]
    ready = sum(link.ready for link in training.members.seated())
    if training.phase == "joining":
        places = training.members.n_places
        wanted = f" of {places}" if places else ""
        plan = "for the new plan " if training.chronicle.has_begun else ""
        return f"{plan}{ready}{wanted} workers are ready"
    return f"{ready} of {training.members.n_places} places have a worker"


def _place(training: Training, place: int, typical: float | None, now: float) -> PlaceStatus:
    link = training.members.at(place)
    work = None if training.round is None else training.round.works[place]
    return PlaceStatus(
        place=place,
        worker=training.members.name_at(place),
        state=_state(training, place, typical, now),
        chunks_finished=0 if work is None else len(work.arrived),
        load=_load(training, place),
        seconds_per_chunk=training.experience.paces.seconds.get(place),
        last_seen_seconds=None if link is None else now - link.seen_at,
        straggles=training.chronicle.totals.straggles.get(place, 0),
        round_trip_seconds=training.experience.paces.round_trip_seconds.get(place),
    )


def _load(training: Training, place: int) -> int:
    """Chunks that the place holds; where the master hands them out, those of this round."""
    current = training.round
    if training.code is None:
        return 0
    if not training.code.scheduled:
        return len(training.code.assignment.orders[place])
    return 0 if current is None else len(current.works[place].arrived) + current.schedule.n_left(place)


def _state(training: Training, place: int, typical: float | None, now: float) -> str:
    link = training.members.at(place)
    if link is None:
        return "lost"
    if link.draining:
        return "draining"
    if not link.ready:
        return "loading"
    if link.too_slow:
        return "link too slow"
    current = training.round
    if current is None or current.works[place].started_at is None:
        return "idle"
    work = current.works[place]
    pace = training.experience.paces.seconds.get(place)
    silent = work.seconds_per_chunk(current.started_at, now)
    slow = max(pace or 0.0, 0.0 if silent is None or work.idle or len(work.arrived) == work.load else silent)
    if typical is not None and slow > STRAGGLER_FACTOR * typical:
        return "straggling"
    finished = work.idle or len(work.arrived) == work.load or current.outcome is not None
    return "idle" if finished else "computing"
