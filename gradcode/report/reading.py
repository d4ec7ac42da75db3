"""Reads the folder of a run for a report: whatever is whole in it, also while the run lasts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from common.errors import GradcodeError, InvalidData
from common.experiment import Experiment, check_experiment, load_experiment
from common.folder import CHUNKS, ENVIRONMENT, EXPERIMENT, HISTORY, iter_chunks, iter_history, read_summary
from common.history import RoundRecord
from gradcode.report.work import Work
from gradcode.summary import RunSummary, summarise_run

if TYPE_CHECKING:
    from common.codes.base import GradientCode

T = TypeVar("T")
Track = Callable[[Iterable[T], str], Iterable[T]]
"""Wraps what is read, to show how far reading has come; the text says what is read."""

MOST_EVENTS = 400
"""So many notes are kept; of more, the first half and the last half."""


def untracked(rows: Iterable[Any], what: str) -> Iterable[Any]:
    """Show nothing."""
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRead:
    """A run, read.

    Attributes:
        folder: where from. name: of the experiment, or of the folder.
        experiment, code: None where experiment.toml cannot be used; ``trouble`` says why.
        experiment_text: experiment.toml as it is. environment: environment.json, or empty.
        ended: whether the run wrote a summary. summary: what it came to so far.
        records: finished rounds, without contributors, events and chunks.
        events: (round, text) of notes. n_events: how many there were.
        contributions: place -> rounds to whose gradient it contributed.
        work: what became of the chunks.
    """

    folder: Path
    name: str
    experiment: Experiment | None
    experiment_text: str
    code: GradientCode | None
    trouble: str
    environment: dict[str, Any]
    ended: bool
    summary: RunSummary
    records: list[RoundRecord]
    events: list[tuple[int, str]]
    n_events: int
    contributions: dict[int, int]
    n_places: int
    work: Work

    @property
    def n_ignored(self) -> int:
        """How many stragglers a run would not wait for that ignores as many as the plan stands."""
        return 0 if self.code is None else self.code.n_stragglers


class _Rounds:
    """Rounds as they are read, slim."""

    def __init__(self) -> None:
        self.records: list[RoundRecord] = []
        self.first: list[tuple[int, str]] = []
        self.last: list[tuple[int, str]] = []
        self.n_events = 0
        self.contributions: dict[int, int] = {}
        self.n_places = 0

    def add(self, record: RoundRecord) -> None:
        for place in record.contributors:
            self.contributions[place] = self.contributions.get(place, 0) + 1
        highest = max((*record.contributors, *record.lost, *record.stragglers), default=-1)
        self.n_places = max(self.n_places, highest + 1)
        for text in record.events:
            self.n_events += 1
            half = self.first if len(self.first) < MOST_EVENTS // 2 else self.last
            half.append((record.round, text))
        del self.last[: -MOST_EVENTS // 2]
        self.records.append(replace(record, contributors=(), events=()))


def read_run(folder: Path, track: Track[Any] = untracked) -> RunRead:
    """Read a run that has ended, was killed, or still goes on.

    Memory: some 1 kB a round, and at most some 50 MB for chunks, however many there were.

    Raises:
        InvalidData: the folder holds no run, or files that cannot be used.
    """
    if not folder.exists():
        raise InvalidData("RUN_FOLDER", "must exist", str(folder))
    summary = read_summary(folder)
    rounds = _Rounds()
    for record in track(iter_history(folder), HISTORY):
        if record.round != len(rounds.records):
            raise InvalidData(f"{HISTORY} round", f"must be {len(rounds.records)}", record.round)
        rounds.add(record)
    experiment, text, trouble = _experiment(folder)
    n_places = rounds.n_places
    if experiment is not None and experiment.workers != "joined":
        n_places = max(n_places, experiment.workers)
    code, trouble = (None, trouble) if experiment is None else _code(experiment, n_places)
    each = code.n_chunks / code.n_workers if code is not None else None
    n_ignored = min(code.n_stragglers, n_places - 1) if code is not None else 0
    work = Work(rounds.records, n_places, each if rounds.records else None, max(0, n_ignored))
    for row in track(iter_chunks(folder), CHUNKS):
        work.add(row)
    work.close()
    return RunRead(
        folder=folder,
        name=experiment.name if experiment is not None else folder.resolve().name,
        experiment=experiment,
        experiment_text=text,
        code=code,
        trouble=trouble,
        environment=_environment(folder),
        ended=summary is not None,
        summary=summarise_run(rounds.records, summary, str(folder)),
        records=rounds.records,
        events=[*rounds.first, *rounds.last],
        n_events=rounds.n_events,
        contributions=rounds.contributions,
        n_places=n_places,
        work=work,
    )


def _experiment(folder: Path) -> tuple[Experiment | None, str, str]:
    """The experiment and its text; without it, why not."""
    try:
        text = (folder / EXPERIMENT).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return None, "", f"{EXPERIMENT} cannot be read ({error.strerror})"
    try:
        return load_experiment(folder / EXPERIMENT), text, ""
    except GradcodeError as error:
        return None, text, f"{EXPERIMENT} cannot be used ({error})"


def _code(experiment: Experiment, n_places: int) -> tuple[GradientCode | None, str]:
    if not n_places:
        return None, "no worker has joined"
    try:
        return check_experiment(experiment, n_places), ""
    except GradcodeError as error:
        return None, f"the code cannot be made ({error})"


def _environment(folder: Path) -> dict[str, Any]:
    try:
        held = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def flat(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by dotted path.

    >>> dict(flat({"a": 1, "b": {"c": 2}}))
    {'a': 1, 'b.c': 2}
    """
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
