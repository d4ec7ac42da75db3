"""Where a master's run goes: into a new folder, or on in one that holds a run that has not ended."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from common.errors import GradcodeError, InvalidData, InvalidSpec, RunIsOver
from common.experiment import Experiment, load_experiment, to_toml
from common.folder import CHECKPOINTS, CHUNKS, EXPERIMENT, HISTORY, RUN, RunFolder, read_summary
from common.reopening import Mark, ends_a_line
from master.checkpoint import Checkpoint, Checkpoints
from master.snapshot import Origin
from master.stores import make_store

STARTS_SHIFT = 32
"""Every start of a master has so many bits of incarnations of its own."""

log = structlog.get_logger("gradcode.master")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What run.json holds.

    Attributes:
        run: id of the run. starts: how often its master was started. data: digest of its rows.
        started_unix_seconds: when it was first, since 1970.
    """

    run: str
    starts: int
    data: str
    started_unix_seconds: float


@dataclass(frozen=True)
class Begun:
    """A run that begins, or goes on.

    Attributes:
        folder: open. facts: of the run. origin: where the core begins.
        checkpoints: where they are kept. optimizer: state to restore, or None.
    """

    folder: RunFolder
    facts: RunFacts
    origin: Origin
    checkpoints: Checkpoints
    optimizer: Mapping[str, Any] | None


# ---- which folder ---------------------------------------------------------------------------------------


def locate(experiment: Experiment, folder: Path | None, runs: Path, resume: bool) -> Path | None:
    """The folder in which the run goes on or begins; None for a new one among ``runs``.

    Args:
        experiment: what to run. folder: the run's own, or None.
        resume: without a folder, take the newest unfinished run of this experiment, if there is one.

    Raises:
        InvalidSpec: the folder holds a run of another experiment (names the first field that differs) or of
            none.
        RunIsOver: the folder holds a run that has ended.
    """
    if folder is not None:
        if not _holds_run(folder) and (folder / HISTORY).exists() and (folder / HISTORY).stat().st_size:
            raise InvalidSpec("run folder", f"must hold {EXPERIMENT} of its run, or no run", str(folder))
        if _holds_run(folder):
            _require_same(experiment, folder)
            ended = _ending(folder)
            if ended is not None:
                raise RunIsOver(f"the run in {folder} has ended: {ended}")
        return folder
    if not resume or not runs.is_dir():
        return None
    held = [path for path in runs.iterdir() if path.name.startswith(f"{experiment.name}-")]
    unfinished = [path for path in held if _holds_run(path) and _ending(path) is None]
    for path in sorted(unfinished, key=_began_at, reverse=True):
        try:
            _require_same(experiment, path)
        except InvalidSpec as error:
            log.warning(f"the unfinished run in {path} is left alone: {error}", kind="resumed")
        else:
            return path
    return None


def _holds_run(folder: Path) -> bool:
    """Whether a run was begun there; one whose master died before that is as good as none."""
    return (folder / RUN).exists() or (folder / EXPERIMENT).exists()


def _ending(folder: Path) -> str | None:
    """Why the run in the folder has ended for good; None if it can go on."""
    summary = read_summary(folder) if (folder / HISTORY).exists() else None
    return str(summary.get("reason", "")) if summary and summary.get("exit_code") == 0 else None


def _began_at(folder: Path) -> float:
    facts = read_facts(folder)
    return folder.stat().st_mtime if facts is None else facts.started_unix_seconds


def _require_same(experiment: Experiment, folder: Path) -> None:
    if not (folder / EXPERIMENT).exists():
        return
    both = (load_experiment(folder / EXPERIMENT), experiment)
    theirs, ours = (dict(flat(each.model_dump())) for each in both)
    for field in sorted(theirs | ours):
        if theirs.get(field) != ours.get(field):
            rule = f"must be {theirs.get(field)!r} as in the run that {folder} holds"
            raise InvalidSpec(field, rule, ours.get(field))


def flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by dotted path.

    >>> dict(flat({"a": 1, "b": {"c": 2}}))
    {'a': 1, 'b.c': 2}
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
            yield from flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def read_facts(folder: Path) -> RunFacts | None:
    """What run.json in the folder holds; None where there is none that can be used."""
    try:
        held = json.loads((folder / RUN).read_text(encoding="utf-8"))
        values = str(held["run"]), int(held["starts"]), str(held["data"])
        return RunFacts(*values, float(held["started_unix_seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


# ---- beginning there ------------------------------------------------------------------------------------


def facts_of(path: Path | None, data: str) -> RunFacts:
    """Facts of the run that ``path`` holds, or of one that was not started yet."""
    known = None if path is None else read_facts(path)
    return known or RunFacts(uuid.uuid4().hex[:12], 0, data, time.time())


def begin(
    experiment: Experiment,
    facts: RunFacts,
    path: Path | None,
    runs: Path,
    data: str,
    restore: Callable[[Mapping[str, Any]], None],
) -> Begun:
    """Open the run's folder, for this process alone, and find where the run goes on.

    Args:
        experiment: what to run. facts: of the run.
        path: what `locate` found. runs: parent of new folders.
        data: digest of the training rows. restore: takes an optimiser's state, or raises InvalidSpec.

    Raises:
        InvalidSpec: the folder cannot be written, is in use, or has no store for checkpoints.
        InvalidData: the data are not those of the run.
        RunFailed: the folder cannot be written.
    """
    if path is None:
        folder = RunFolder.create(runs, experiment.name, datetime.now())
    else:
        folder = RunFolder(path, again=True)
    try:
        # Whoever had the folder until now may have written them anew.
        facts = read_facts(folder.path) or facts
        return _begin_in(folder, path is not None, facts, experiment, data, restore)
    except BaseException:
        folder.close()
        raise


def _begin_in(
    folder: RunFolder,
    again: bool,
    facts: RunFacts,
    experiment: Experiment,
    data: str,
    restore: Callable[[Mapping[str, Any]], None],
) -> Begun:
    if facts.data != data:
        raise InvalidData("data", "must be those that the run began with", data)
    store = make_store(experiment.checkpoint.url, folder.path / CHECKPOINTS, facts.run)
    checkpoints = Checkpoints(store, facts.run, experiment.checkpoint.keep)
    store.tidy()
    found, refused = newest_usable(checkpoints, folder.path, restore)
    folder.write_run({**_plain(facts), "starts": facts.starts + 1})
    n_rounds = folder.cut(Mark() if found is None else found.mark) if again else 0
    folder.write_experiment(to_toml(experiment))
    folder.write_environment()
    told = [f"{error}: it is not used" for error in refused]
    if facts.starts:
        told.append(_told(found, n_rounds))
    return Begun(
        folder,
        facts,
        Origin(None if found is None else found.snapshot, facts.starts << STARTS_SHIFT, tuple(told)),
        checkpoints,
        None if found is None else found.optimizer,
    )


def _plain(facts: RunFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in RunFacts.__slots__}


def _told(found: Checkpoint | None, n_rounds: int) -> str:
    where = "there is no checkpoint, so it begins again with round 0"
    if found is not None:
        where = f"it goes on with round {found.snapshot.round}"
    again = f"; {n_rounds} rounds that were done are played again" if n_rounds else ""
    return f"the master was started again: {where}{again}"


def newest_usable(
    checkpoints: Checkpoints, folder: Path, restore: Callable[[Mapping[str, Any]], None]
) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that can be used, and why newer ones cannot, each by name.

    Args:
        checkpoints: of the run. folder: of the run. restore: takes an optimiser's state.

    Raises:
        InvalidData: the store cannot be read.
    """
    refused: list[str] = []
    try:
        names = checkpoints.names()
    except Exception as error:  # whatever a store raises
        place = checkpoints.store.place
        raise InvalidData("checkpoints", f"must be readable ({error})", place) from None
    for name in reversed(names):
        try:
            checkpoint = checkpoints.read(name)
            _require_mark(checkpoint, folder)
            restore(checkpoint.optimizer)
        except GradcodeError as error:
            refused.append(str(error))
        except Exception as error:  # whatever a store raises
            refused.append(f"checkpoint {name} cannot be read ({error})")
        else:
            return checkpoint, refused
    return None, refused


def _require_mark(checkpoint: Checkpoint, folder: Path) -> None:
    for file, length in zip((HISTORY, CHUNKS), checkpoint.mark, strict=True):
        if not ends_a_line(folder / file, length):
            raise InvalidData(f"checkpoint {checkpoint.name}", f"must fit {file} of the run", length)
