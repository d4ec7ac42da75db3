"""Completion times of partial stragglers, original and optimised orders, in the simulator: 1,000 rounds each.

Setting of Ramamoorthy et al. 2024: n workers and n chunks, each on 8 workers; a worker's time a chunk is
exponential of mean 1 and holds for a round; 8 - l random workers do not answer in a round, which ends when
every chunk is finished by l workers. Times are rounded up to whole numbers.

``calculated`` is a separate Monte Carlo calculation of the same times from the model alone, without a master;
``published`` is what the authors' files hold, of 2,000 rounds, for a graph of their own. Limits: within 3 %
of what was calculated for original gradient coding and optimised orders, within 5 % for the best of 100
random orders, where chance has drawn others. Graphs are drawn too, as incidences of workers and chunks rather
than adjacencies of one set of nodes: of 200 workers and of 300. Two processes.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import sys
from concurrent.futures import ProcessPoolExecutor
from statistics import fmean, stdev

from gradcode.lab.memory import no_search_for_cycles
from gradcode.lab.trials import OrderTrial, cyclic_placement, random_orders, regular_placement

ROUNDS = int(os.environ.get("ROUNDS", "1000"))
LOAD = 8
KINDS = ("original", "optimised", "random")
BOUNDS = {"original": 0.03, "optimised": 0.03, "random": 0.05}
GRAPH_SEED, ORDER_SEED = 0, 1

CALCULATED = {
    "cyclic, n = 200": ((5.96, 2.75, 3.33), (8.63, 4.25, 5.02), (11.64, 6.15, 7.10)),
    "graph, n = 200": ((6.59, 2.84, 3.35), (9.49, 4.42, 5.09), (12.58, 6.38, 7.08)),
    "graph, n = 300": ((6.94, 2.96, 3.54), (9.91, 4.52, 5.33), (13.08, 6.52, 7.43)),
}
"""For each placement l = 1, 2, 3; each for the three kinds."""

PUBLISHED = {
    ("graph, n = 200", 1): (6.61, 2.86, 3.44),
    ("graph, n = 200", 2): (9.54, 4.43, 5.20),
    ("graph, n = 200", 3): (12.65, 6.39, 7.36),
    ("cyclic, n = 200", 1): (6.00, 2.77, 3.27),
}

Cell = tuple[str, int, str]


def trial(cell: Cell) -> OrderTrial:
    """The experiment behind a cell of the table."""
    placement, n_copies, kind = cell
    n = 300 if placement.endswith("300") else 200
    cyclic = placement.startswith("cyclic")
    held = cyclic_placement(n, LOAD) if cyclic else regular_placement(n, LOAD, GRAPH_SEED)
    orders = held if cyclic else None  # the cyclic order is optimal as it is
    if kind == "random":
        orders = random_orders(held, ORDER_SEED)
    return OrderTrial(held, orders, n_copies, whole_loads=kind == "original")


def measure(cell: Cell) -> tuple[float, float]:
    """Mean completion time of a cell, and its standard error."""
    with no_search_for_cycles():
        times = trial(cell).seconds(range(ROUNDS))
    return fmean(times), stdev(times) / ROUNDS**0.5


def main() -> int:
    """Print the table; exit code 1 if a mean is out of bounds."""
    cells: list[Cell] = [
        (placement, n_copies, kind) for placement in CALCULATED for n_copies in (1, 2, 3) for kind in KINDS
    ]
    print(
        f"{'':16} {'l':>2} {'':10} {'published':>10} {'calculated':>10} {'simulated':>10} {'(s.e.)':>8}"
        f" {'off by':>8} {'limit':>6}"
    )
    broken = False
    with ProcessPoolExecutor(2) as pool:
        for cell, (mean, error) in zip(cells, pool.map(measure, cells), strict=True):
            placement, n_copies, kind = cell
            expected = CALCULATED[placement][n_copies - 1][KINDS.index(kind)]
            theirs = PUBLISHED.get((placement, n_copies))
            published = f"{theirs[KINDS.index(kind)]:.2f}" if theirs else ""
            off = mean / expected - 1.0
            out = abs(off) > BOUNDS[kind]
            broken = broken or out
            print(
                f"{placement:16} {n_copies:2} {kind:10} {published:>10} {expected:10.2f} {mean:10.3f}"
                f" {error:8.3f} {off:+8.1%} {BOUNDS[kind]:6.0%}{'  OUT OF BOUNDS' if out else ''}",
                flush=True,
            )
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
