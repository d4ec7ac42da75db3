"""Plays a plot through the production master, with a witness, and says what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np

from common.codes.base import GradientCode
from common.codes.verified import verified
from common.datasets import load_dataset
from common.datasets.base import Dataset, check_chunks
from common.history import RoundRecord, strict_json, to_json
from common.models import ModelShape, make_model
from common.models.base import Model
from gradcode.lab.faults import Faults
from gradcode.lab.invariants import BrokenInvariant, Shadow
from gradcode.lab.learning import LocalLearning
from gradcode.lab.plots import Plot, known_code
from gradcode.lab.simulator import Simulator
from gradcode.lab.witness import Witness
from master import commands as cmd
from master.arithmetic import Arithmetic
from master.examination import Recomputation
from master.optimizers import ConstantRate, make_optimizer
from master.settings import RunSettings
from master.snapshot import Origin, Snapshot

RATE = 0.1
L2 = 0.01
STARTS_SHIFT = 32
VERIFY_RATE = 0.1
MOST_EVENTS = 30_000
"""A short run that takes more goes round in circles."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a plot.

    Attributes:
        records: its rounds. notes: what operators were told, with times.
        finish: how it ended; None if it waits for a frame that was lost.
        faults: how often each kind of fault took place.
        parameters: in the end; None in timing mode.
        events: how many things happened. seconds: simulated.
    """

    records: tuple[RoundRecord, ...]
    notes: tuple[tuple[float, cmd.Note], ...]
    finish: cmd.Finish | None
    faults: Counter[str]
    parameters: np.ndarray | None
    seconds: float

    def history(self) -> str:
        """The lines of the run's history."""
        return "\n".join(to_json(record) for record in self.records)

    def timeline(self) -> list[tuple[object, ...]]:
        """When rounds began and how they ended."""
        return [
            (each.round, each.outcome, each.end, each.start_seconds, each.seconds, each.contributors)
            for each in self.records
        ]


@lru_cache(maxsize=1)
def world() -> tuple[Model, Dataset]:
    """The small regression that all plots are played with."""
    source = "synthetic(rows=60, features=3)"
    data = load_dataset(source, held_out=0.1, standardise=False, task="regression")
    return make_model(ModelShape("linear", n_features=3)), data


def play(plot: Plot) -> Played:
    """Play ``plot`` to its end; where the master is killed, another one goes on from the newest checkpoint.

    Raises:
        BrokenInvariant: something that must hold in every run did not, or the master crashed.
    """
    stage = _Stage(plot, Faults(plot))
    notes: list[tuple[float, cmd.Note]] = []
    happened: Counter[str] = Counter()
    if plot.killed_at is not None:
        stage.play(until=plot.killed_at)
        if stage.sim.finished is None:
            notes, happened = stage.sim.notes, stage.faults.happened(stage.sim)
            happened["master killed"] = 1
            stage = stage.after_a_kill()
    stage.play()
    sim, learning = stage.sim, stage.learning
    _check_end(plot, sim, stage.witness, stage.faults)
    honest = sim.training.verification.quarantined.keys() - plot.liars
    if honest:
        raise BrokenInvariant(f"only liars are quarantined: {sorted(honest)} are honest")
    # What befell frames is counted by one tamperer from the first start to the last.
    return Played(
        records=tuple(stage.witness.records),
        notes=(*notes, *sim.notes),
        finish=sim.finished,
        faults=happened | stage.faults.happened(sim),
        parameters=None if learning is None else learning.arithmetic.optimizer.parameters,
        seconds=sim.now,
    )


class _Stage:
    """One start of the master, from its beginning to its end or until it is killed.

    Args:
        plot: what happens. faults: of this start.
        kept: the checkpoint where it goes on, or None. records: of the rounds before.
        incarnations: those of this start are greater.
    """

    def __init__(
        self,
        plot: Plot,
        faults: Faults,
        kept: tuple[Snapshot, Mapping[str, Any]] | None = None,
        records: Sequence[RoundRecord] = (),
        incarnations: int = 0,
    ) -> None:
        model, data = world()
        self.plot, self.faults, self.incarnations = plot, faults, incarnations
        self.learning = _learning(model, data) if plot.learning else None
        shadow = Shadow(model, data, RATE, L2) if plot.learning else None
        if kept is not None and self.learning is not None and shadow is not None:
            self.learning.arithmetic.optimizer.restore(kept[1])
            shadow.point = np.array(kept[1]["parameters"])
        # As a file holds it.
        plain = None if kept is None else json.loads(strict_json(kept[0].to_plain()))
        origin = Origin(None if plain is None else Snapshot.from_plain(plain), incarnations)
        settings = _settings(plot, model, data)
        self.sim = Simulator(
            settings, plot.delays, plot.n_coming, plot.network, self.learning, faults.tamperer, origin=origin
        )
        faults.prepare(self.sim)
        if self.learning is not None:
            self.learning.lie_of = lambda link: plot.liars.get(self.sim.workers[link].name)
        reports_vanish = bool({"lost", "later"} & plot.frames.keys())
        self.witness = Witness(self.sim, plot.network, shadow, reports_vanish)
        self.witness.records = list(records)

    def play(self, until: float = float("inf")) -> None:
        """Play on.

        Raises:
            BrokenInvariant: see `play`.
        """
        try:
            self.sim.play(until, MOST_EVENTS)
        except BrokenInvariant:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            raise BrokenInvariant(f"the master does not crash (at {self.sim.now:.6f} s): {what}") from error

    def after_a_kill(self) -> _Stage:
        """The next start, from what is kept; frames of this one may turn up in it."""
        kept = self.sim.kept
        records = [] if kept is None else self.witness.records[: kept[0].round]
        faults = Faults(self.plot, self.faults.tamperer)
        return _Stage(self.plot, faults, kept, records, self.incarnations + (1 << STARTS_SHIFT))


def play_twice(plot: Plot) -> Played:
    """Play ``plot`` twice; the histories must be the same, byte for byte.

    Where the master's sums take no time and frames take some, timing mode must also give the rounds of
    learning mode. (Of things that happen at the very same moment, a sum more or less changes the order: what
    a master that was killed goes on from may be of before or after a re-plan, if it was waiting for a score.)

    Raises:
        BrokenInvariant: as ``play``.
    """
    first, second = play(plot), play(plot)
    if first.history() != second.history():
        lines = zip_longest(first.history().splitlines(), second.history().splitlines())
        before, after = next(pair for pair in lines if pair[0] != pair[1])
        raise BrokenInvariant(f"the same seed gives the same history: {before} and then {after}")
    if (first.notes, first.finish) != (second.notes, second.finish):
        raise BrokenInvariant("the same seed gives the same notes and the same end")
    if _has_timing(plot):
        _check_timing(plot, first)
    return first


def _has_timing(plot: Plot) -> bool:
    """Whether timing mode must give the same."""
    sums = plot.liars or plot.network.arithmetic_seconds
    awaited = plot.killed_at is not None and plot.settings["evaluate_every"]
    return bool(plot.learning and plot.network.latency_seconds and not (sums or awaited))


def _check_timing(plot: Plot, learned: Played) -> None:
    timed = play(replace(plot, learning=False))
    pairs = zip_longest(learned.timeline(), timed.timeline())
    unlike = next((pair for pair in pairs if pair[0] != pair[1]), None)
    if unlike is not None:
        raise BrokenInvariant(f"timing mode gives the rounds of learning mode: {unlike[1]} for {unlike[0]}")


def _checked_code(text: str, n_workers: int, n_rows: int) -> GradientCode:
    """As the master makes it: with no more chunks than rows."""
    code = known_code(text, n_workers)
    check_chunks(code.n_chunks, n_rows)
    return code


def _settings(plot: Plot, model: Model, data: Dataset) -> RunSettings:
    return RunSettings(
        make_code=lambda n_workers: verified(_checked_code(plot.code, n_workers, data.n_rows), plot.verify),
        n_rows=data.n_rows,
        n_parameters=model.n_parameters,
        item_bytes=8,
        learning=plot.learning,
        checkpoint_rounds=None if plot.killed_at is None else 1 + plot.seed % 3,
        verify=plot.verify,
        verify_rate=VERIFY_RATE,
        audit_seed=plot.seed,
        **plot.settings,
    )


def _learning(model: Model, data: Dataset) -> LocalLearning:
    optimizer = make_optimizer("gradient_descent", model.initial(), ConstantRate(RATE))
    arithmetic = Arithmetic(
        optimizer,
        data.n_rows,
        L2,
        model.regularised(),
        lambda parameters: 0.5,
        wire_dtype="float64",
        recompute=Recomputation(model, data),
    )
    return LocalLearning(arithmetic, model, data, wire_dtype="float64")


def _check_end(plot: Plot, sim: Simulator, witness: Witness, faults: Faults) -> None:
    """What must hold when nothing more happens."""
    if sim.violations:
        raise BrokenInvariant(f"honest workers break no rule: {sim.violations[0]}")
    if sim.finished is None:
        _check_hanging(sim, faults)
        return
    without = witness.outcomes - {record.round for record in witness.records}
    if without:
        raise BrokenInvariant(f"every outcome has a record: rounds {sorted(without)} have none")
    kept = witness.payloads - witness.forgotten
    if kept:
        raise BrokenInvariant(f"every message is used or discarded: payloads {sorted(kept)} are kept")
    if sim.learning is not None and witness.shadow is not None:
        n_kept = sim.learning.arithmetic.n_kept
        if n_kept:
            raise BrokenInvariant(f"the master keeps no message after the end: {n_kept} are kept")
        found, expected = sim.learning.arithmetic.optimizer.parameters, witness.shadow.point
        noise = max((record.noise_amplification for record in witness.records), default=0.0)
        if plot.verify == "sample" and plot.liars.keys() - sim.training.verification.quarantined:
            return  # a lie has not come to light yet
        if not np.allclose(found, expected, rtol=1e-9, atol=1e-9 * (1.0 + noise)):
            raise BrokenInvariant(f"steps are those of the same sums in one process: {found} for {expected}")


def _check_hanging(sim: Simulator, faults: Faults) -> None:
    """A run may wait for ever only for a frame that was lost on a link that is up, without a deadline."""
    if not faults.tamperer.counts["lost"]:
        raise BrokenInvariant(
            f"a run ends: after {sim.now:.6f} s nothing more happens, or {MOST_EVENTS} things have happened"
        )
    current = sim.training.round
    waits = sim.training.wakes_at(sim.now) is None and current is not None and not current.exhausted
    if not waits:
        raise BrokenInvariant(f"a run that cannot go on ends: it hangs after {sim.now:.6f} s")
