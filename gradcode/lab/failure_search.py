"""The failure search: plays short random runs through the production master and looks for broken invariants.

Every run follows from one integer, so that whatever is found can be played again::

    python -m gradcode.lab.failure_search --runs 5000
    python -m gradcode.lab.failure_search --minutes 10 --first-seed 1000000
    python -m gradcode.lab.failure_search --seed 17
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gradcode.lab.invariants import BrokenInvariant
from gradcode.lab.playing import Played, play, play_twice
from gradcode.lab.plots import Plot, plot_of_seed

TWICE_EVERY = 10
"""Every tenth seed is played again, to see whether its history is the same."""

RUNS = 2000
"""So many are played when nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that broke an invariant: its seed, and the invariant in words."""

    seed: int
    error: BrokenInvariant

    @property
    def replay(self) -> str:
        """The command that plays the run again."""
        return f"python -m gradcode.lab.failure_search --seed {self.seed}"


@dataclass(slots=True)
class Found:
    """What a search came to.

    Attributes:
        runs, rounds: how many were played. failure: the first, which ends the search; or None.
        outcomes: of the rounds. endings: of the runs. faults, codes: how often each was played.
    """

    runs: int = 0
    rounds: int = 0
    failure: Failure | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def add(self, plot: Plot, played: Played) -> None:
        """Count a run that kept all invariants."""
        self.runs += 1
        self.rounds += len(played.records)
        self.outcomes.update(record.outcome for record in played.records)
        self.endings[ending(played)] += 1
        self.faults += played.faults
        self.codes[plot.code.split("(")[0]] += 1


def ending(played: Played) -> str:
    """How a run ended, in a few words."""
    if played.finish is None:
        return "waits for a lost frame"
    known = {0: "done", 3: "failed", 130: "interrupted"}
    return known.get(played.finish.exit_code, f"exit code {played.finish.exit_code}")


def play_seed(seed: int) -> tuple[Plot, Played]:
    """Play the run of ``seed``; every tenth twice.

    Raises:
        BrokenInvariant: something that must hold in every run did not.
    """
    plot = plot_of_seed(seed)
    return plot, (play_twice if seed % TWICE_EVERY == 0 else play)(plot)


def search(
    seeds: Iterator[int] | Sequence[int],
    until: Callable[[], bool] = lambda: False,
    report: Callable[[Found], None] = lambda found: None,
) -> Found:
    """Play the runs of ``seeds`` until one fails.

    Args:
        seeds: one for each run. until: ends the search when it is True.
        report: called after every run.
    """
    found = Found()
    for seed in seeds:
        try:
            found.add(*play_seed(seed))
        except BrokenInvariant as error:
            found.failure = Failure(seed, error)
            break
        report(found)
        if until():
            break
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 1 if an invariant is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m gradcode.lab.failure_search",
        description="Play short random runs through the production master and look for broken invariants.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seed", type=int, help="play this one run and tell what happened")
    what.add_argument("--runs", type=_positive(int), default=RUNS, help=f"how many runs (default {RUNS})")
    what.add_argument("--minutes", type=_positive(float), help="search for so long")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first run (default 0)")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    if given.seed is not None:
        return replay(given.seed, console)
    seeds: Iterator[int] = count(given.first_seed)
    if given.minutes is None:
        seeds = iter(range(given.first_seed, given.first_seed + given.runs))
    ends_at = None if given.minutes is None else time.monotonic() + 60.0 * given.minutes
    with _progress(given.runs, given.minutes) as report:
        found = search(seeds, lambda: ends_at is not None and time.monotonic() >= ends_at, report)
    console.print(summary(found))
    if found.failure is None:
        return 0
    console.print(
        f"[red]Seed {found.failure.seed} breaks an invariant:[/] {escape(str(found.failure.error))}"
    )
    console.print(f"Play it again: {found.failure.replay}")
    return 1


def replay(seed: int, console: Console) -> int:
    """Play one run and tell everything about it; returns the exit code."""
    plot = plot_of_seed(seed)
    for line in plot.lines():
        console.print(escape(line), soft_wrap=True)
    console.print()
    try:
        played = play_twice(plot)
    except BrokenInvariant as error:
        if error.__cause__ is not None:
            console.print(escape("".join(traceback.format_exception(error.__cause__))), soft_wrap=True)
        console.print(f"[red]Broken:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    for at, note in played.notes:
        console.print(f"{at:9.4f} s  {escape(note.text)}", soft_wrap=True)
    for record in played.records:
        began = f"round {record.round}: {record.seconds:.4f} s, {record.outcome}"
        console.print(f"{began}: {escape(record.reason)}", soft_wrap=True)
    end = "it waits for a frame that was lost" if played.finish is None else played.finish.reason
    console.print(f"{played.seconds:9.4f} s  {escape(end)}. All invariants hold.", soft_wrap=True)
    return 0


def summary(found: Found) -> Table:
    """What was played, and how often."""
    table = Table("", "", "", box=SIMPLE_HEAD, show_header=False)
    table.columns[2].justify = "right"
    table.add_row("played", "runs", str(found.runs))
    table.add_row("", "rounds", str(found.rounds), end_section=True)
    groups = {"rounds": found.outcomes, "runs": found.endings, "faults": found.faults, "codes": found.codes}
    for title, counts in groups.items():
        rows = counts.most_common()
        for number, (name, times) in enumerate(rows):
            last = number + 1 == len(rows)
            table.add_row("" if number else title, name, str(times), end_section=last)
    return table


@contextmanager
def _progress(runs: int, minutes: float | None) -> Iterator[Callable[[Found], None]]:
    """A bar on a terminal, nothing elsewhere."""
    began = time.monotonic()
    total = float(runs) if minutes is None else 60.0 * minutes
    columns = (BarColumn(), TextColumn("{task.fields[played]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total, played="")

        def report(found: Found) -> None:
            done = found.runs if minutes is None else time.monotonic() - began
            bar.update(task, completed=done, played=f"{found.runs} runs, {found.rounds} rounds")

        yield report


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError("must be above 0")
        return value

    return read


if __name__ == "__main__":
    sys.exit(main())
