"""Scheduled rounds in times of their oracle, when few places never answer: 100 rounds each, in the simulator.

200 workers; a worker's time for a chunk is exponential of mean 1 / c, the same for all its chunks; delta - 1
workers never answer. The oracle is the least time in which the others can compute every chunk, with speeds
known. The master knows: nothing; speeds and who is dead; or speeds only.

The other figure in each pair is what a simple rule reaches in a separate calculation, in which a free worker
takes the chunk that is finished latest otherwise, and that begins with the mean speed of all workers where
nothing else is known. Limit: the ratio of means is at most that figure + 0.10. Two processes.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import sys
from concurrent.futures import ProcessPoolExecutor
from statistics import fmean

from gradcode.lab.memory import no_search_for_cycles
from gradcode.lab.schedule_trials import KNOWLEDGE, ScheduleTrial, ratio

ROUNDS = int(os.environ.get("ROUNDS", "100"))
MOST_ABOVE = 0.10
ROWS = tuple(
    (placement, *sizes) for placement in ("cyclic", "random") for sizes in ((8, 1), (3, 4), (3, 8), (2, 8))
)
"""Placement, delta, c."""

RULE = {
    "nothing": (1.68, 1.22, 1.14, 1.09, 1.83, 1.95, 1.54, 1.67),
    "speeds and deaths": (1.13, 1.04, 1.03, 1.00, 1.13, 1.34, 1.16, 1.16),
    "speeds": (1.28, 1.08, 1.06, 1.04, 1.39, 1.55, 1.42, 1.31),
}

Cell = tuple[str, int, int, str]


def measure(cell: Cell) -> tuple[float, float]:
    """The ratio of means, and the oracle's mean."""
    with no_search_for_cycles():
        times = ScheduleTrial(*cell).seconds(range(ROUNDS))
    return ratio(times), fmean(oracle for _, oracle in times)


def main() -> int:
    """Print the table; exit code 1 if a ratio is out of bounds."""
    cells: list[Cell] = [(*row, knowledge) for row in ROWS for knowledge in KNOWLEDGE]
    print(f"{'delta, c':16}" + "".join(f" {knowledge:>22}" for knowledge in KNOWLEDGE) + f" {'oracle':>8}")
    broken = False
    with ProcessPoolExecutor(2) as pool:
        results = pool.map(measure, cells)
        for number, (placement, delta, c) in enumerate(ROWS):
            line = f"{f'{placement}, {delta}, {c}':16}"
            for knowledge in KNOWLEDGE:
                found, oracle = next(results)
                rule = RULE[knowledge][number]
                out = found > rule + MOST_ABOVE
                broken = broken or out
                line += f" {found:12.3f} ({rule:.2f}) {'OUT' if out else '   '}"
            print(f"{line} {oracle:8.3f}", flush=True)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
