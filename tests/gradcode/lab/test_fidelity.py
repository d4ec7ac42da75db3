"""Real runs and their simulations take as long; `benchmarks/fidelity.py` has the numbers, with processes."""

from __future__ import annotations

import pytest

from common.experiment import Experiment
from gradcode.lab.fidelity import against_run
from gradcode.local import run_in_process

pytestmark = pytest.mark.xdist_group("processes")

WORKERS, ROUNDS, CHUNK = 16, 4, 0.1
MOST_OFF = 0.25
"""Generous: a simulation that forgot a chunk of two, or who is slow, would be off by half and more."""
ATTEMPTS = 3
"""Of which the best counts: what else a machine does makes real rounds longer, and never shorter."""


def experiment(code: str) -> Experiment:
    return Experiment(
        workers=WORKERS,
        code=code,
        rounds=ROUNDS,
        evaluate_every=0,
        deadline={"rule": "none"},
        data={"source": "synthetic(rows=256, features=4)"},
        delays={"distribution": "constant", "seconds": CHUNK, "factors": {3: 3.0, 7: 3.0}},
    )


@pytest.mark.parametrize(
    "code",
    ["uncoded(n, 2)", "cyclic_repetition(n, 2)", "partial_stragglers(n, 3, 2)", "scheduled(n, 3, 2)"],
)
async def test_median_rounds_of_a_real_run_and_of_its_simulation_agree(tmp_path, code):
    plan, ratios = experiment(code), []
    for attempt in range(ATTEMPTS):
        await run_in_process(plan, tmp_path / str(attempt), WORKERS)
        found = against_run(plan, tmp_path / str(attempt))
        assert found.real_seconds >= CHUNK
        ratios.append(found.ratio)
        if abs(found.ratio - 1.0) <= MOST_OFF:
            return
    raise AssertionError(f"simulated rounds in times of real ones: {ratios}")
