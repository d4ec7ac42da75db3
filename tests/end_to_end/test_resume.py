"""A master that is killed, and the same command again: the run goes on, and comes to the same."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
import urllib.request

import numpy as np
import pytest

from common.experiment import load_experiment
from common.folder import iter_chunks, read_parameters
from common.history import record_from_json
from gradcode.local import run_in_process
from gradcode.report.reading import read_run

pytestmark = pytest.mark.xdist_group("processes")

KILLS = int(os.environ.get("GRADCODE_KILLS", "3"))
SEED = int(os.environ.get("GRADCODE_SEED", "1"))
ROUNDS = 30 * (KILLS + 1)
SAME = (
    "code=fractional_repetition(n, 1)",
    "data.source=synthetic(rows=60, features=4)",
    "wire_dtype=float64",
    "deadline.rule=none",
    "optimizer.name=nesterov",
    "optimizer.learning_rate=0.05",
    "evaluate_every=7",
    "delays.distribution=constant",
)
SLOW = ("delays.seconds=0.005", "checkpoint.every_seconds=0.1")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetched_ranges(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("gradcode_worker_fetched_ranges_total")]
    return float(found[0].split()[1])


def kill(cluster) -> None:
    cluster.master.send_signal(signal.SIGKILL)
    cluster.master.wait()


async def undisturbed(folder, *overrides: str) -> np.ndarray:
    """Parameters of the same run without delays, in this process."""
    experiment = load_experiment(None, [*SAME, "workers=2", *overrides])
    summary = await run_in_process(experiment, folder, 2)
    assert summary["exit_code"] == 0
    return read_parameters(folder).parameters


async def test_a_killed_master_comes_to_the_parameters_of_an_undisturbed_run(cluster, tmp_path):
    rng = random.Random(SEED)
    sets = ("workers=2", *SAME, *SLOW, f"rounds={ROUNDS}")
    listen = f"127.0.0.1:{free_port()}"
    cluster.start_master(*sets, listen=listen)
    ports = {name: free_port() for name in ("w0", "w1")}
    for name, port in ports.items():
        cluster.start_worker(name, metrics=f"127.0.0.1:{port}")
    cluster.until(lambda: cluster.history(), "the first round")
    fetched = {name: fetched_ranges(port) for name, port in ports.items()}
    for number in range(KILLS):
        if number % 3 == 2:
            time.sleep(rng.uniform(0.0, 2.0))  # at any moment of its start, or later
        else:
            at = len(cluster.history()) + rng.randrange(3, 28)
            cluster.until(lambda at=at: len(cluster.history()) >= at, f"{at} rounds")
            time.sleep(rng.uniform(0.0, 0.02))
        kill(cluster)
        cluster.start_master(*sets, listen=listen, awaited=False)
    assert {name: fetched_ranges(port) for name, port in ports.items()} == fetched
    assert cluster.wait() == 0, cluster.log("master")

    history = cluster.history()
    assert [record.round for record in history] == list(range(ROUNDS))
    assert {record.outcome for record in history} == {"exact"}
    told = [text for record in history for text in record.events if "the master was started again" in text]
    assert told
    # None if every kill came right after a checkpoint.
    superseded = cluster.folder / "superseded.jsonl"
    for line in superseded.read_text().splitlines() if superseded.exists() else ():
        assert 0 <= record_from_json(line).round < ROUNDS
    starts = [record.start_seconds for record in history]
    assert starts == sorted(starts)
    chunks = [row for row in iter_chunks(cluster.folder) if row.state == "used"]
    assert {row.round for row in chunks} == set(range(ROUNDS))
    assert read_run(cluster.folder).ended
    facts = json.loads((cluster.folder / "run.json").read_text())
    assert facts["starts"] >= len(told) + 1
    found = read_parameters(cluster.folder).parameters
    expected = await undisturbed(tmp_path / "undisturbed", f"rounds={ROUNDS}")
    assert np.allclose(found, expected, rtol=1e-6, atol=0.0)
