"""``gradcode simulate``: plays runs in simulated time and says how they compare."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from common.errors import InvalidSpec
from common.experiment import Experiment
from common.history import RoundRecord, strict_json
from gradcode.lab.digest import Digest
from gradcode.lab.draws import DelaySource
from gradcode.lab.learning import simulate
from gradcode.lab.memory import no_search_for_cycles
from gradcode.lab.network import Network
from gradcode.lab.oracle import Oracle

Advance = Callable[[RoundRecord], None]


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """How to play.

    Attributes:
        codes: to play besides the experiment's own.
        learning: compute real gradients; without it only times are drawn.
        network: what links cost.
        replay: folder of a recorded run that the chunk times are taken from; None draws them.
        plot: file to draw, or None.
        form: ``text`` for a table, ``json`` for one object a line.
    """

    codes: Sequence[str] = ()
    learning: bool = False
    network: Network = field(default_factory=Network)
    replay: Path | None = None
    plot: Path | None = None
    form: str = "text"


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated run came to.

    Attributes:
        code: of the run. reason: why it ended. n_chunks: of the code. digest: of its rounds.
        score, loss: with learning; or None. wall_seconds: what playing it took.
    """

    code: str
    reason: str
    n_chunks: int
    digest: Digest
    score: float | None
    wall_seconds: float

    def numbers(self) -> dict[str, Any]:
        """The numbers of the table; all seconds but ``wall_seconds`` are simulated."""
        return {**self.digest.numbers(), "score": self.score, "wall_seconds": self.wall_seconds}


def with_places(experiment: Experiment) -> Experiment:
    """The experiment without the delays of places that it does not have.

    >>> few = with_places(Experiment(workers=2, code="uncoded(n)", delays={"factors": {"1": 2.0, "7": 5.0}}))
    >>> few.delays.factors
    {1: 2.0}
    """
    if experiment.workers == "joined":
        return experiment
    n_places, delays = experiment.workers, experiment.delays
    there = {
        "factors": {place: factor for place, factor in delays.factors.items() if place < n_places},
        "interruptions": tuple(each for each in delays.interruptions if each.place < n_places),
    }
    return experiment.model_copy(update={"delays": delays.model_copy(update=there)})


def show_simulations(experiment: Experiment, options: SimulateOptions) -> None:
    """Play the experiment, then the same with each further code, and print the results.

    Raises:
        InvalidSpec, InvalidData: the experiment, a code, the data or the recorded run cannot be used.
    """
    if experiment.workers == "joined":
        raise InvalidSpec("--workers", "must be given where workers = 'joined'", None)
    if options.plot is not None:
        from gradcode.lab.simulation_picture import check_plot

        check_plot(options.plot)
    results = []
    for result in _results(experiment, options):
        results.append(result)
        if options.form == "json":
            numbers = {"code": result.code, "reason": result.reason, **result.numbers()}
            print(strict_json(numbers), flush=True)
    if options.form == "text":
        _print_table(results, options)
    if options.plot is not None:
        from gradcode.lab.simulation_picture import draw_simulations

        draw_simulations([(result.code, result.digest) for result in results], options.plot)


def _results(experiment: Experiment, options: SimulateOptions) -> Iterator[Simulated]:
    """All codes on the same draws: on chunks of the recorded run, else on those of the first code."""
    source: DelaySource | None = None
    n_drawn: int | None = None
    if options.replay is not None:
        from gradcode.lab.replay import read_replay

        source = replay = read_replay(options.replay)
        n_drawn = replay.n_chunks
    for code in dict.fromkeys([experiment.code, *options.codes]):
        changed = experiment.model_copy(update={"code": code})
        with _progress(code, experiment.rounds) as advance, no_search_for_cycles():
            result = simulated(changed, options, source, n_drawn, advance)
        n_drawn = n_drawn or result.n_chunks
        yield result


def simulated(
    experiment: Experiment,
    options: SimulateOptions,
    source: DelaySource | None = None,
    n_drawn: int | None = None,
    advance: Advance = lambda record: None,
) -> Simulated:
    """Play the experiment.

    Args:
        options: those of playing one code count.
        source, n_drawn: see `gradcode.lab.learning.simulate`.
        advance: called after every round.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used.
    """
    began = time.perf_counter()
    simulator = simulate(
        experiment,
        learning=options.learning,
        network=options.network,
        source=source,
        n_drawn=n_drawn,
    )
    code, network = simulator.training.code, simulator.network
    assert code is not None, "the number of places is known"
    digest = Digest(Oracle(code, simulator.delays, network.latency_seconds, network.compute_seconds))

    def take(record: RoundRecord) -> None:
        digest.add(record)
        advance(record)

    simulator.on_record = take
    simulator.play()
    finish = simulator.finished
    return Simulated(
        code=code.spec,
        reason="nothing more can happen" if finish is None else finish.reason,
        n_chunks=code.n_chunks,
        digest=digest,
        score=simulator.training.chronicle.score if options.learning else None,
        wall_seconds=time.perf_counter() - began,
    )


@contextmanager
def _progress(code: str, rounds: int) -> Iterator[Advance]:
    """A bar on stderr while a run is played, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda record: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rounds {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task(code.replace("[", r"\["), total=rounds, rate="")

        def advance(record: RoundRecord) -> None:
            done = record.round + 1
            rate = f"{done / (time.perf_counter() - began):.3g}/s"
            progress.update(task, completed=done, rate=rate)

        yield advance


# ---- the table ------------------------------------------------------------------------------------------

LEAST_WIDTH = 100
"""Narrower than this the table is not squeezed; a terminal that is narrower wraps its lines."""
LEGEND = """\
p50, p90, p99: seconds of a round
used: seconds of computing that entered a gradient; wasted: of what was finished in vain
bytes: sent and received by the master
x oracle: a round in times of the least its places could have needed, had their speeds been known"""


def _print_table(results: Sequence[Simulated], options: SimulateOptions) -> None:
    console = Console(highlight=False)
    wide = Console(highlight=False, width=max(console.width, LEAST_WIDTH))
    for number, result in enumerate(results, 1):
        line = f"{number}  {result.code}: {result.reason} ({result.wall_seconds:.1f} s to play)"
        console.print(line, soft_wrap=True, markup=False)
    columns = ["", "p50", "p90", "p99", "exact", "residual", "used", "wasted", "", "bytes", "x oracle"]
    learned = ["loss", "score"] if options.learning else []
    table = Table(*columns, *learned, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.justify = "right"
        column.no_wrap = True
    for number, result in enumerate(results, 1):
        table.add_row(str(number), *_cells(result.numbers(), options.learning))
    wide.print(table)
    console.print(LEGEND, style="dim", soft_wrap=True)
    if len(results) > 1:
        console.print("All codes see the same draws: those of the same rows.", style="dim")


def _cells(held: dict[str, Any], learning: bool) -> list[str]:
    def shown(name: str, form: str) -> str:
        return "-" if held[name] is None else format(held[name], form)

    times = [shown(f"{name}_seconds", ".3f") for name in ("p50", "p90", "p99")]
    work = [shown("used_seconds", ",.0f"), shown("wasted_seconds", ",.0f"), shown("wasted_share", ".0%")]
    traffic = sized(held["bytes_sent"] + held["bytes_received"])
    learned = [shown("loss", ".4g"), shown("score", ".4f")] if learning else []
    ratio = shown("oracle_ratio", ".3f")
    exact, residual = shown("exact_share", ".1%"), shown("residual", ".2g")
    return [*times, exact, residual, *work, traffic, ratio, *learned]


def sized(n_bytes: int) -> str:
    """A number of bytes for people.

    >>> sized(999), sized(1_500_000), sized(20_000_000_000)
    ('999 B', '1.5 MB', '20 GB')
    """
    amount, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1000.0
        units.pop(0)
    return f"{amount:.3g} {units[0]}"
