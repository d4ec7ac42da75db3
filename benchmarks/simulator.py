"""The simulator's cost for a finished chunk with 100 and with 10,000 workers, its time and its memory.

Limits: 150 microseconds a finished chunk; with 10,000 workers at most 1.5 times what it is with 100; 5 rounds
of 10,000 workers with 8 chunks each in 90 s and 2 GB. Both sizes play 5 rounds, of which the first is
the dearest, as nothing is known of the workers yet; 100 workers play them 20 times over, with other draws.
One core: seconds are those of the processor, so that what else the machine does hardly counts; the two sizes
take turns, and the best of each is taken.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import resource
import sys
import time
from dataclasses import replace

from common.delays import Delays
from common.errors import InvalidSpec
from common.history import RoundRecord
from common.spec import make_code
from gradcode.lab.memory import no_search_for_cycles
from gradcode.lab.simulator import Simulator
from master.settings import RunSettings

CODES = ("partial_stragglers(n, 3, 8)", "scheduled(n, 3, 8)")
SMALL, LARGE = 100, 10_000
SMALL_RUNS, LARGE_RUNS = 20, 1
ROUNDS = 5
ATTEMPTS = int(os.environ.get("ATTEMPTS", "3"))
MOST_MICROSECONDS, MOST_RATIO, MOST_SECONDS, MOST_MB = 150.0, 1.5, 90.0, 2_000.0
DELAYS = Delays("shifted_exponential", seconds=0.01, mean_seconds=0.02, factors=((0, 5.0), (1, 5.0)))


def play(code: str, n_workers: int, rounds: int = ROUNDS, seed: int = 0) -> tuple[float, int]:
    """Processor seconds of a run, and its number of finished chunks."""
    counts: list[int] = []
    delays = replace(DELAYS, seed=seed)

    def count(record: RoundRecord) -> None:
        counts.append(len(record.chunks))

    began = time.process_time()
    made = make_code(code, n_workers)
    settings = RunSettings(
        make_code=lambda n_places: made, n_workers=n_workers, rounds=rounds, n_rows=1, learning=False
    )
    with no_search_for_cycles():
        simulator = Simulator(settings, delays, n_workers, on_record=count)
        simulator.play()
    assert len(counts) == rounds, simulator.finished
    return time.process_time() - began, sum(counts)


def peak_mb() -> float:
    """The largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def row(name: str, small: float, large: float, ratio: float, seconds: float, megabytes: float) -> str:
    """A line of the table."""
    return f"{name:30} {small:7.1f} us {large:7.1f} us {ratio:6.2f} {seconds:7.1f} s {megabytes:7.0f} MB"


def measure(code: str) -> bool:
    """Print the row of a code; returns whether a limit is broken."""
    small, large, seconds = [], [], []
    for _ in range(ATTEMPTS):
        for n_workers, runs, found in ((SMALL, SMALL_RUNS, small), (LARGE, LARGE_RUNS, large)):
            played = [play(code, n_workers, seed=seed) for seed in range(runs)]
            spent = sum(each for each, _ in played)
            found.append(spent / sum(n_chunks for _, n_chunks in played) * 1e6)
        seconds.append(spent)
    ratio = min(large) / min(small)
    print(row(code, min(small), min(large), ratio, min(seconds), peak_mb()), flush=True)
    too_slow = max(min(small), min(large)) > MOST_MICROSECONDS or min(seconds) > MOST_SECONDS
    return too_slow or ratio > MOST_RATIO or peak_mb() > MOST_MB


def main() -> int:
    """Print the table; exit code 1 if a limit is broken."""
    print(f"{'':30} {'n = 100':>10} {'10,000':>10} {'ratio':>6} {'5 rounds':>9} {'memory':>10}")
    broken = False
    for code in CODES:
        try:
            make_code(code, SMALL)
        except InvalidSpec as error:
            print(f"{code:30} left out: {error.field} is impossible or unknown")
        else:
            broken = measure(code) or broken
    print(row("limit", MOST_MICROSECONDS, MOST_MICROSECONDS, MOST_RATIO, MOST_SECONDS, MOST_MB))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
