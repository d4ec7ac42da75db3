"""``gradcode simulate``: plays runs in simulated time and says how they compare."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from common.errors import InvalidSpec
from common.experiment import Experiment, check_experiment
from common.history import RoundRecord, strict_json


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated run came to.

    Attributes:
        code: of the run. reason: why it ended. records: its rounds.
        score: held-out, with learning; or None. wall_seconds: what playing it took.
    """

    code: str
    reason: str
    records: Sequence[RoundRecord]
    score: float | None
    wall_seconds: float

    def numbers(self) -> dict[str, Any]:
        """The numbers of the table; all seconds but ``wall_seconds`` are simulated."""
        times = sorted(record.seconds for record in self.records)
        outcomes = [record.outcome for record in self.records]
        last = self.records[-1] if self.records else None
        return {
            "rounds": len(times),
            "exact": outcomes.count("exact"),
            "approximate": outcomes.count("approximate"),
            "failed": outcomes.count("failed"),
            "median_seconds": quantile(times, 0.5),
            "p95_seconds": quantile(times, 0.95),
            "seconds": 0.0 if last is None else last.start_seconds + last.seconds,
            "recovered": mean(record.recovered_fraction for record in self.records) if times else None,
            "straggler_chunks_used": sum(record.straggler_chunks_used for record in self.records),
            "loss": None if last is None else last.loss,
            "score": self.score,
            "wall_seconds": self.wall_seconds,
        }


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the ascending values do not exceed; None without values.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5), quantile([1.0, 2.0, 3.0, 4.0], 0.95)
    (2.0, 4.0)
    """
    if not ordered:
        return None
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def simulated(experiment: Experiment, learning: bool, n_workers: int | None) -> Simulated:
    """Play the experiment.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used.
    """
    from gradcode.lab.learning import simulate

    began = time.perf_counter()
    simulator = simulate(experiment, learning=learning, n_workers=n_workers)
    records = simulator.play()
    finish = simulator.finished
    return Simulated(
        code=simulator.training.code.spec if simulator.training.code else experiment.code,
        reason="nothing more can happen" if finish is None else finish.reason,
        records=records,
        score=simulator.training.chronicle.score if learning else None,
        wall_seconds=time.perf_counter() - began,
    )


def show_simulations(
    experiment: Experiment, codes: Sequence[str], learning: bool, n_workers: int | None, form: str
) -> None:
    """Play the experiment, then the same with each of ``codes``, and print the results.

    Args:
        form: ``text`` for a table, ``json`` for one object a line.

    Raises:
        InvalidSpec, InvalidData: the experiment, a code or the data cannot be used.
    """
    if experiment.workers == "joined" and n_workers is None:
        raise InvalidSpec("--workers", "must be given where workers = 'joined'", None)
    results = []
    for code in dict.fromkeys([experiment.code, *codes]):
        result = simulated(with_code(experiment, code, n_workers), learning, n_workers)
        results.append(result)
        if form == "json":
            numbers = {"code": result.code, "reason": result.reason, **result.numbers()}
            print(strict_json(numbers), flush=True)
    if form == "text":
        _print_table(results, learning)


def with_code(experiment: Experiment, code: str, n_workers: int | None) -> Experiment:
    """The experiment with another code, and delays that suit its chunks: half the rows, half the seconds.

    Raises:
        InvalidSpec: one of the two codes is impossible.
    """
    if code == experiment.code:
        return experiment
    changed = experiment.model_copy(update={"code": code})
    own, other = (check_experiment(each, n_workers) for each in (experiment, changed))
    if own is None or other is None:
        return changed
    scale = own.n_chunks / other.n_chunks
    delays = experiment.delays
    scaled = {"seconds": delays.seconds * scale, "mean_seconds": delays.mean_seconds * scale}
    return changed.model_copy(update={"delays": delays.model_copy(update=scaled)})


def _print_table(results: Sequence[Simulated], learning: bool) -> None:
    console = Console(highlight=False)
    for number, result in enumerate(results, 1):
        line = f"{number}  {result.code}: {result.reason} ({result.wall_seconds:.1f} s to play)"
        console.print(line, soft_wrap=True)
    columns = ["", "exact", "approx", "failed", "median", "95 %", "all", "recovered"]
    table = Table(*columns, *(["loss", "score"] if learning else []), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.justify = "right"
    for number, result in enumerate(results, 1):
        table.add_row(str(number), *_cells(result, learning))
    console.print(table)
    console.print("median, 95 %: simulated seconds of a round. all: seconds of the whole run.", style="dim")
    if len(results) > 1:
        console.print("The delay of a chunk goes with its rows, so that codes can be compared.", style="dim")


def _cells(result: Simulated, learning: bool) -> list[str]:
    held = result.numbers()

    def shown(name: str, form: str) -> str:
        return "-" if held[name] is None else format(held[name], form)

    counts = [str(held[kind]) for kind in ("exact", "approximate", "failed")]
    times = [shown("median_seconds", ".3f"), shown("p95_seconds", ".3f"), shown("seconds", ".1f")]
    learned = [shown("loss", ".4g"), shown("score", ".4f")] if learning else []
    return [*counts, *times, shown("recovered", ".1%"), *learned]
