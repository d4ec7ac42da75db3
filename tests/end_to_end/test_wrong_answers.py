"""Real processes, some of which lie: they are found, told why, and what they said leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from cluster import ENVIRONMENT

from common.experiment import load_experiment
from common.folder import read_parameters
from gradcode.lab.learning import simulate

pytestmark = pytest.mark.xdist_group("processes")

LIAR = Path(__file__).parent / "lying_worker.py"
SETTINGS = (
    "workers=4",
    "code=scheduled(n, 3, 2)",
    "data.source=synthetic(rows=240, features=4)",
    "data.task=regression",
    "optimizer.learning_rate=0.1",
    "deadline.rule=none",
    "evaluate_every=0",
    "wire_dtype=float64",
    "delays.distribution=constant",
    "delays.seconds=0.01",
)

SUMS = "code=fractional_repetition(n, 1)"


def start_liar(cluster, kind: str) -> subprocess.Popen[str]:
    """A worker process called ``liar``, which is closed with the cluster."""
    arguments = ["--master", cluster.address, "--name", "liar", "--metrics-address", "off"]
    with (cluster.root / "liar.log").open("a") as log:
        command = [sys.executable, str(LIAR), kind, *arguments]
        environment = {**ENVIRONMENT, "PYTHONPATH": str(LIAR.parents[2])}
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment)
    cluster.workers["liar"] = process
    return process


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        ("noise", ("verify=all",)),
        ("stale", ("verify=all",)),
        ("part", ("verify=all", SUMS)),
        ("evasive", ("verify=all", SUMS)),
        ("flip", ("verify=sample", "verify_rate=0.2")),
        ("constant", ("verify=sample", "verify_rate=0.2")),
    ],
)
def test_a_lying_process_is_turned_away_and_the_model_is_the_clean_one(cluster, kind, overrides):
    cluster.start_master(*SETTINGS, "rounds=12", *overrides)
    for number in range(3):
        cluster.start_worker(f"w{number}")
    liar = start_liar(cluster, kind)
    assert cluster.wait() == 0
    assert liar.wait(10) == 0
    assert "wrong" in cluster.log("liar")
    history = cluster.history()
    assert [name for record in history for name in record.quarantined] == ["liar"]
    undone = sum(each.round + 1 - each.returned_to for each in history if each.returned_to is not None)
    assert len(history) == 12 + undone
    assert (undone > 0) == (overrides[0] == "verify=sample" and not history[0].quarantined)
    np.testing.assert_allclose(read_parameters(cluster.folder).parameters, clean(), rtol=1e-9)


@lru_cache
def clean() -> np.ndarray:
    """The parameters after 12 rounds of honest workers."""
    sim = simulate(load_experiment(None, (*SETTINGS, "rounds=12")))
    sim.play()
    return sim.learning.arithmetic.optimizer.parameters
