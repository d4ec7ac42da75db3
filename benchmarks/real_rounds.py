"""Rounds of real processes: 16 workers on this machine, 20 ms a chunk, with and without stragglers.

Every code trains the same data; a chunk's injected time goes with its rows: 160 ms for one worker's uncoded
share. With stragglers, two places are five times slower and one worker is killed before the third round.

The oracle is the least time in which anybody could have had all chunks finished (max-flow over the code's
own placement) with each worker's median recorded chunk time, plus one measured round trip. Limits: a
scheduled round takes at most 1.25 of the oracle with stragglers, and 1.10 of the uncoded round without.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from common.experiment import load_experiment, to_toml
from common.folder import read_chunks, read_history, read_summary
from common.history import RoundRecord
from common.spec import make_code
from gradcode.local import LocalProcesses
from master.shares import Pace, Planner

N_WORKERS = 16
SHARE_SECONDS = 0.16
SLOW, DEAD, SLOWER = (3, 7), 11, 5.0
WARM_UP = 5
"""So many first rounds do not count: speeds are not known yet, and the dead worker dies."""

ORACLE_LIMIT, UNCODED_LIMIT = 1.25, 1.10
SCHEDULED = "scheduled(n, 3, 8)"
UNCODED = "uncoded(n, 8)"
CODES = {
    UNCODED: 30,
    "fractional_repetition(n, 3)": 15,
    "cyclic_repetition(n, 3)": 15,
    "partial_stragglers(n, 3, 8)": 30,
    SCHEDULED: 30,
}
"""Rounds that are played of every code; those that are slow by design get by with fewer."""


class Played(NamedTuple):
    """A run: median round, oracle, round trip and the share of computed chunks that were not used."""

    seconds: float
    oracle_seconds: float
    round_trip_seconds: float
    wasted: float


async def play(code: str, rounds: int, stragglers: bool, folder: Path) -> Played:
    """Run the code for real."""
    n_chunks = make_code(code, N_WORKERS).n_chunks
    changes = [
        f"workers={N_WORKERS}",
        f"code={code}",
        f"rounds={rounds + WARM_UP}",
        "on_shortfall=wait",
        "evaluate_every=0",
        "delays.distribution=constant",
        f"delays.seconds={SHARE_SECONDS * N_WORKERS / n_chunks}",
    ]
    # An uncoded run would wait for a dead worker for ever.
    dies = stragglers and code != UNCODED
    if stragglers:
        changes += [f"delays.factors.{place}={SLOWER}" for place in SLOW]
    with LocalProcesses() as processes:
        where = ["--listen", "127.0.0.1:0", "--metrics", "off", "--run-folder", str(folder)]
        processes.start_master(to_toml(load_experiment(None, changes)), where)
        found = await processes.announced()
        processes.start_workers(found.address, N_WORKERS, ["--metrics-address", "off"])
        while processes.master.poll() is None:
            await asyncio.sleep(0.1)
            if dies and len(read_history(folder)) >= 2:
                list(processes.workers.values())[DEAD].send_signal(signal.SIGKILL)
                dies = False
    return judged(code, folder, {DEAD} if stragglers and code != UNCODED else set())


def judged(code: str, folder: Path, dead: set[int]) -> Played:
    """What the run's folder says."""
    summary = read_summary(folder)
    assert summary is not None
    assert summary["exit_code"] == 0, summary["reason"]
    records = [record for record in read_history(folder) if record.round >= WARM_UP]
    rows = [row for row in read_chunks(folder) if row.round >= WARM_UP]
    # The worker that died need not be the one at that place: whoever is missing at the end is.
    gone = set(records[-1].lost)
    assert len(gone) == len(dead), gone
    times: dict[int, list[float]] = {}
    for row in rows:
        times.setdefault(row.place, []).append(row.seconds)
    paces = {place: Pace(median(seconds)) for place, seconds in times.items() if place not in gone}
    trip = float(summary["round_trip_seconds"])
    oracle = Planner(make_code(code, N_WORKERS).assignment).shares(paces, tolerance=1e-4).seconds + trip
    return Played(median(record.seconds for record in records), oracle, trip, wasted(records))


def wasted(records: list[RoundRecord]) -> float:
    """The share of computed chunks that no outcome used."""
    used = sum(record.chunks_used for record in records)
    other = sum(each.chunks_duplicate + each.chunks_late + each.chunks_wasted for each in records)
    return other / (used + other)


def main() -> int:
    """Print the tables; exit code 1 if a limit is broken."""
    broken = False
    console = Console(highlight=False, width=110)
    for stragglers in (False, True):
        title = f"{len(SLOW)} places {SLOWER:g} times slower, 1 dead" if stragglers else "no stragglers"
        table = Table("code", "median round", "oracle", "ratio", "round trip", "not used", box=SIMPLE_HEAD)
        found = {}
        for code, rounds in CODES.items():
            with tempfile.TemporaryDirectory() as folder:
                played = found[code] = asyncio.run(play(code, rounds, stragglers, Path(folder) / "run"))
            table.add_row(
                code + (" (nobody dead)" if stragglers and code == UNCODED else ""),
                f"{played.seconds * 1e3:.0f} ms",
                f"{played.oracle_seconds * 1e3:.0f} ms",
                f"{played.seconds / played.oracle_seconds:.2f}",
                f"{played.round_trip_seconds * 1e3:.1f} ms",
                f"{played.wasted:.0%}",
            )
        console.print(f"\n{title}")
        console.print(table)
        ours = found[SCHEDULED]
        if stragglers:
            ratio, limit, what = ours.seconds / ours.oracle_seconds, ORACLE_LIMIT, "oracle"
        else:
            ratio, limit, what = ours.seconds / found[UNCODED].seconds, UNCODED_LIMIT, "uncoded round"
        console.print(f"{SCHEDULED}: {ratio:.3f} of the {what}, at most {limit}")
        broken = broken or ratio > limit
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
