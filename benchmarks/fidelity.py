"""Real runs on this machine and their simulations: median round times agree within 10 %.

16 worker processes with 20 ms injected a chunk, 30 rounds; without stragglers, and with 2 places five times
slower and 1 dead (none dead for the uncoded run, which would wait for ever). The simulation is given what the
real run showed of links, gradients and sums. A machine with fewer processors than workers is noisy: of three
attempts the best counts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from common.experiment import Experiment
from gradcode.lab.fidelity import Fidelity, compare

WORKERS, ROUNDS = 16, 30
MOST_OFF = 0.10
ATTEMPTS = 3
CODES = (
    "uncoded(n, 8)",
    "cyclic_repetition(n, 2)",
    "partial_stragglers(n, 3, 8)",
    "scheduled(n, 3, 8)",
)
SLOW = {3: 5.0, 7: 5.0}
DEATH = {"place": 11, "kind": "death", "at_seconds": 0.05}


def experiment(code: str, stragglers: bool) -> Experiment:
    """The run of a row."""
    delays: dict[str, Any] = {"distribution": "constant", "seconds": 0.02}
    if stragglers:
        delays["factors"] = SLOW
        delays["interruptions"] = [] if code.startswith("uncoded") else [DEATH]
    return Experiment(
        workers=WORKERS,
        code=code,
        rounds=ROUNDS,
        evaluate_every=0,
        deadline={"rule": "none"},
        data={"source": "synthetic(rows=2048, features=20)"},
        delays=delays,
    )


def attempt(code: str, stragglers: bool) -> Fidelity:
    """One real run and its simulation."""
    with tempfile.TemporaryDirectory() as folder:
        return compare(experiment(code, stragglers), Path(folder) / "run")


def measure(code: str, stragglers: bool) -> bool:
    """Print the row of a code; whether real and simulated times agree."""
    for number in range(1, ATTEMPTS + 1):
        found = attempt(code, stragglers)
        agrees = abs(found.ratio - 1.0) <= MOST_OFF
        network = found.network
        print(
            f"{code:28} {'2 slow, 1 dead' if stragglers else 'none':15} {found.real_seconds * 1e3:7.1f} ms "
            f"{found.simulated_seconds * 1e3:7.1f} ms {found.ratio:6.3f}   "
            f"{network.latency_seconds * 1e3:6.2f} ms {network.compute_seconds * 1e3:6.2f} ms "
            f"{network.arithmetic_seconds * 1e3:6.2f} ms{'' if agrees else f'  OFF (attempt {number})'}",
            flush=True,
        )
        if agrees:
            return True
    return False


def main() -> int:
    """Print the table; exit code 1 if a pair of medians does not agree."""
    print(
        f"{'':28} {'stragglers':15} {'real':>10} {'simulated':>10} {'ratio':>6}   {'latency':>9}"
        f" {'compute':>9} {'sums':>9}"
    )
    good = True
    for stragglers in (False, True):
        for code in CODES:
            good = measure(code, stragglers) and good
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
