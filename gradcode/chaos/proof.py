"""Proves that a run came out right: plain descent in one process must tell the same story, round by round."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.experiment import Experiment
from common.folder import iter_history, read_parameters
from common.history import RoundRecord, record_from_json
from gradcode.chaos.injecting import NOTICED_WITHIN_SECONDS, Injected
from master import build

TOLERANCE = 1e-7
"""Relative, and for gradients with so much of the first one as a floor: other orders of sums differ a bit."""
MOST_COMPLAINTS = 10
SUPERSEDED = "superseded.jsonl"
CERTAIN_SECONDS = {"freeze": 4.5, "silence": 5.5}
"""A link that is silent for so long is lost for certain; for less, the place may just have been idle."""


@dataclass(slots=True)
class Proof:
    """What was compared, and what was wrong.

    Attributes:
        n_rounds, n_steps: compared. outcomes: of the rounds. complaints: the first few, in words.
    """

    n_rounds: int = 0
    n_steps: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        """Something is wrong; only the first few are kept, as one error drags others along."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(text)


def replay(experiment: Experiment, folder: Path) -> Proof:
    """Replay a run's steps on the whole data, in float64, and compare: losses, gradients, final parameters.

    Args:
        experiment: exact rounds only step (``on_shortfall = wait`` or ``skip``, ``enough = 1``), with
            gradient descent at a constant rate.
        folder: of a run that has ended.

    Cost: one gradient of the whole data a round.
    """
    data = build.build_dataset(experiment)
    model = build.build_model(experiment, data)
    rate, l2 = experiment.optimizer.learning_rate, experiment.model.l2
    regularised = model.regularised()
    parameters = np.asarray(model.initial(), dtype=np.float64)
    proof, floor = Proof(), 0.0
    for number, record in enumerate(iter_history(folder)):
        proof.n_rounds += 1
        proof.outcomes[record.outcome] += 1
        if record.round != number:
            proof.complain(f"line {number} of history is round {record.round}")
            break
        if not record.stepped:
            continue
        proof.n_steps += 1
        loss_sum, gradient = model.loss_and_gradient(parameters, data.X_train, data.y_train)
        gradient = gradient / data.n_rows + l2 * np.where(regularised, parameters, 0.0)
        norm = float(np.linalg.norm(gradient))
        floor = floor or TOLERANCE * norm
        _compare(proof, record, norm, loss_sum / data.n_rows, floor)
        parameters = parameters - rate * gradient
    found = read_parameters(folder).parameters
    distance = float(np.linalg.norm(found - parameters))
    if not distance <= TOLERANCE * float(np.linalg.norm(parameters)):
        proof.complain(f"the final parameters are {distance:.3g} away from those of plain descent")
    return proof


def _compare(proof: Proof, record: RoundRecord, norm: float, loss: float, floor: float) -> None:
    where = f"round {record.round}"
    if record.outcome != "exact":
        proof.complain(f"{where} stepped and is {record.outcome}")
    if record.loss is None or record.loss_share != 1.0:
        proof.complain(f"{where} is exact, and its loss covers a share of {record.loss_share}")
    elif not abs(record.loss - loss) <= TOLERANCE * abs(loss):
        proof.complain(f"{where}: loss {record.loss!r}, by plain descent {loss!r}")
    told = record.gradient_norm
    if told is None or not abs(told - norm) <= TOLERANCE * norm + floor:
        proof.complain(f"{where}: gradient norm {told!r}, by plain descent {norm!r}")


# ---- accounting -------------------------------------------------------------------------------------------


class Story:
    """What a run's history says of its workers and of its disk, superseded rounds included."""

    def __init__(self, folder: Path) -> None:
        self._events: dict[int, list[str]] = defaultdict(list)
        self._late: dict[int, set[int]] = defaultdict(set)
        self._places: dict[str, set[int]] = defaultdict(set)
        for record in all_records(folder):
            self._events[record.round] += record.events
            self._late[record.round] |= {*record.stragglers, *record.lost}
            for text in record.events:
                words = text.split()
                if words[0] == "worker" and words[2:4] == ["took", "place"]:
                    self._places[words[1]].add(int(words[4]))

    def tells_of(self, worker: str, rounds: Iterable[int]) -> bool:
        """Whether one of these rounds names the worker in an event, or has its place as too slow or lost."""
        places = self._places[worker]
        return any(
            places & self._late.get(number, set())
            or any(
                f"worker {worker} " in text.replace(":", " ") + " " for text in self._events.get(number, ())
            )
            for number in rounds
        )

    def says(self, words: str, rounds: Iterable[int]) -> bool:
        """Whether an event of one of these rounds contains the words."""
        return any(words in text for number in rounds for text in self._events.get(number, ()))

    def count(self, words: str) -> int:
        """How many events contain the words."""
        return sum(words in text for texts in self._events.values() for text in texts)


def all_records(folder: Path) -> Iterable[RoundRecord]:
    """History, and the rounds that were played again after the master was killed."""
    yield from iter_history(folder)
    file = folder / SUPERSEDED
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                json.loads(line)
            except ValueError:
                continue  # torn by the kill
            yield record_from_json(line)


@dataclass(slots=True)
class Account:
    """Which faults history tells of.

    Attributes:
        told: by kind, those it tells of. with_master: those that the master took along when it was killed.
        untold: those of which nothing must be told, as nothing need have come of them. missing: in words.
    """

    told: Counter[str] = field(default_factory=Counter)
    with_master: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)


def account(faults: Sequence[Injected], folder: Path) -> Account:
    """Look every fault up in history.

    A fault that ends a link for certain must be told of: by an event that names its worker, or by its place
    among the stragglers or the lost. Notes that a master had not yet written are gone with it.
    """
    story, found = Story(folder), Account()
    kills = [each for each in faults if each.fault.kind == "kill master"]
    n_starts = story.count("the master was started again")
    for each in faults:
        kind = each.fault.kind
        if kind == "kill master":
            # The note is wherever the run was taken up, so only their number says something.
            is_told, n_starts = n_starts > 0, n_starts - 1
        else:
            is_told = _is_told(each, story)
        if is_told:
            found.told[kind] += 1
        elif _overlaps(each, [kill for kill in kills if kill is not each]):
            found.with_master[kind] += 1
        elif not _must_be_told(each):
            found.untold[kind] += 1
        else:
            who = f" of {each.worker}" if each.worker else ""
            when = f"at {each.began:.1f} s, rounds {each.first_round} to {each.last_round}"
            found.missing.append(f"{kind}{who} {when}: history does not tell of it")
    return found


def _is_told(each: Injected, story: Story) -> bool:
    rounds = range(each.first_round, each.last_round + 1)
    if each.worker is not None:
        return story.tells_of(each.worker, rounds)
    return story.says("the disk is full", rounds)


def _must_be_told(each: Injected) -> bool:
    least: Mapping[str, float] = CERTAIN_SECONDS
    lasts = each.fault.for_seconds >= least.get(each.fault.kind, 0.0)
    return each.fault.kind not in ("delay", "narrow", "drop", "duplicate", "corrupt", "lengthen") and lasts


def _overlaps(each: Injected, kills: Sequence[Injected]) -> bool:
    margin = NOTICED_WITHIN_SECONDS
    return any(kill.began <= each.ended + margin and each.began - margin <= kill.ended for kill in kills)
