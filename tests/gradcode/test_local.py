from __future__ import annotations

import asyncio
import os
import signal
import subprocess

import numpy as np
import pytest

from common.codes import CODES
from common.codes.base import decode
from common.datasets import Dataset, load_dataset
from common.errors import RunIsOver
from common.experiment import Experiment, load_experiment, to_toml
from common.folder import read_chunks, read_history, read_parameters, read_summary
from common.models import make_model
from gradcode.lab.catalogue import example_plan
from gradcode.local import (
    LocalProcesses,
    ProcessEnded,
    child_environment,
    local_sessions,
    run_in_process,
    worker_name,
)

pytestmark = pytest.mark.xdist_group("processes")

SOURCE = "synthetic(rows=97, features=5)"
ROUNDS = 20


def an_experiment(*overrides: str) -> Experiment:
    usual = [f"data.source={SOURCE}", "workers=4", f"rounds={ROUNDS}", "wire_dtype=float64", "model.l2=0.0"]
    return load_experiment(None, [*usual, "deadline.rule=none", *overrides])


def plain_descent(data: Dataset, rate: float) -> np.ndarray:
    model = make_model(data.model_shape())
    parameters = model.initial()
    for _ in range(ROUNDS):
        _, gradient = model.loss_and_gradient(parameters, data.X_train, data.y_train)
        parameters = parameters - rate / data.n_rows * gradient
    return parameters


# ---- sessions in one process ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODES)
async def test_every_code_learns_over_real_grpc(tmp_path, name):
    code = example_plan(name, 12)
    experiment = an_experiment(f"code={code.spec}", f"workers={code.n_workers}")
    summary = await run_in_process(experiment, tmp_path / "run", code.n_workers)
    records = read_history(tmp_path / "run")
    assert (summary["exit_code"], summary["reason"]) == (0, f"all {ROUNDS} rounds are done")
    assert [record.round for record in records] == list(range(ROUNDS))
    saved = read_parameters(tmp_path / "run").parameters
    expected = plain_descent(load_dataset(SOURCE), experiment.optimizer.learning_rate)
    off = np.linalg.norm(saved - expected) / np.linalg.norm(expected)
    # Nobody straggles for long: what is not exact even with everybody's work ends early or is so by design.
    early = code.enough_messages is not None or code.enough_recovered < 1.0
    if not early and (code.on_request or decode(code, code.messages).exact):
        assert summary["exact"] == ROUNDS
        assert off < 1e-9
    else:
        assert summary["failed"] == 0
        assert off < 0.5


async def test_messages_adapt_to_a_lost_worker_and_stay_exact(tmp_path):
    """Six workers, one of them dead: chunks it held have one copy less, and messages are longer instead."""
    code = "code=partial_stragglers(n, 3, n_parts=3, adaptive=True)"
    death = 'delays.interruptions=[{ place = 2, kind = "death", at_seconds = 0.05 }]'
    slowly = ("delays.distribution=constant", "delays.seconds=0.005")
    experiment = an_experiment(code, "workers=6", death, *slowly)
    summary = await run_in_process(experiment, tmp_path / "run", 6)
    assert summary["exact"] == ROUNDS
    assert any(record.lost for record in read_history(tmp_path / "run"))
    saved = read_parameters(tmp_path / "run").parameters
    expected = plain_descent(load_dataset(SOURCE), experiment.optimizer.learning_rate)
    assert np.linalg.norm(saved - expected) < 1e-9 * np.linalg.norm(expected)


@pytest.mark.parametrize("n_parts", [2, 3])
async def test_shorter_messages_on_request_are_exact_too(tmp_path, n_parts):
    experiment = an_experiment(f"code=partial_stragglers(n, 4, 2, n_parts={n_parts})", "workers=6")
    summary = await run_in_process(experiment, tmp_path / "run", 6)
    assert summary["exact"] == ROUNDS
    saved = read_parameters(tmp_path / "run").parameters
    expected = plain_descent(load_dataset(SOURCE), experiment.optimizer.learning_rate)
    assert np.linalg.norm(saved - expected) < 1e-9 * np.linalg.norm(expected)


async def test_the_worker_s_chunks_are_written_down(tmp_path):
    await run_in_process(an_experiment("code=uncoded(n)", "rounds=3"), tmp_path / "run", 4)
    rows = read_chunks(tmp_path / "run")
    assert sorted((row.round, row.chunk) for row in rows) == [(r, c) for r in range(3) for c in range(4)]
    assert {row.worker for row in rows} == {"a", "b", "c", "d"}


async def test_workers_beyond_the_places_are_spares_and_leave_with_the_others(tmp_path):
    async with local_sessions(an_experiment("rounds=5"), tmp_path / "run", 6) as sessions:
        assert await sessions.ended() == 0
        assert [task.result() for task in sessions.leaving.values()] == [0] * 6
    assert len({row.worker for row in read_chunks(tmp_path / "run")}) == 4


async def test_a_late_worker_completes_the_company(tmp_path):
    async with local_sessions(an_experiment("rounds=5"), tmp_path / "run", 3, token="secret") as sessions:
        await asyncio.sleep(0.2)
        assert not sessions.ending.done()
        sessions.add_worker("late")
        assert await asyncio.wait_for(sessions.ended(), 10) == 0
    assert "late" in {row.worker for row in read_chunks(tmp_path / "run")}


async def test_leaving_early_ends_the_run_and_all_workers_in_order(tmp_path):
    async with local_sessions(an_experiment("rounds=1000000"), tmp_path / "run", 4) as sessions:
        while not sessions.master.driver.training.chronicle.last_record:
            await asyncio.sleep(0.01)
    assert sessions.ending.result() == 130
    assert all(task.done() for task in sessions.leaving.values())
    summary = read_summary(tmp_path / "run")
    assert summary is not None
    assert summary["reason"] == "interrupted"
    assert read_parameters(tmp_path / "run").model == "logistic"


async def test_a_run_that_has_ended_is_not_run_again(tmp_path):
    await run_in_process(an_experiment("rounds=1"), tmp_path / "run", 4)
    with pytest.raises(RunIsOver, match="has ended: all 1 rounds are done"):
        await run_in_process(an_experiment("rounds=1"), tmp_path / "run", 4)


# ---- processes ------------------------------------------------------------------------------------------


async def test_processes_run_an_experiment_and_leave(tmp_path):
    with LocalProcesses() as processes:
        arguments = ["--listen", "127.0.0.1:0", "--metrics", "off", "--run-folder", str(tmp_path / "run")]
        processes.start_master(to_toml(an_experiment()), arguments)
        announced = await processes.announced()
        assert announced.folder == str(tmp_path / "run")
        processes.start_workers(announced.address, 4)
        while processes.master.poll() is None:
            await asyncio.sleep(0.02)
        await processes.wait_for_workers()
        assert [process.poll() for process in processes.workers.values()] == [0] * 4
        kept = processes.keep_logs(tmp_path / "run")
        names = {path.name for path in kept.iterdir()}
        assert names == {"master.log", *(f"worker-{name}.log" for name in "abcd")}
    assert processes.master.returncode == 0
    assert not processes.logs.exists()


async def test_a_master_that_cannot_begin_says_why_in_its_own_words():
    with LocalProcesses() as processes:
        processes.start_master(to_toml(an_experiment("code=uncoded(5)")), ["--metrics", "off"])
        with pytest.raises(
            ProcessEnded, match=r"^code: n_workers must equal workers \(4\), got 5$"
        ) as caught:
            await processes.announced()
    assert caught.value.exit_code == 2


async def test_no_process_outlives_the_block_not_even_a_frozen_one():
    with LocalProcesses() as processes:
        processes.start_workers("127.0.0.1:1", 2)
        frozen = processes.workers["a"]
        os.kill(frozen.pid, signal.SIGSTOP)
    assert [process.returncode for process in processes.workers.values()] == [-9, -9]


async def test_a_worker_that_freezes_itself_leaves_nobody_behind(tmp_path):
    """Its freeze would last a minute; the process that was to end the freeze goes with it."""
    freeze = 'delays.interruptions=[{ place = 0, kind = "freeze", at_seconds = 0.05, for_seconds = 60.0 }]'
    experiment = an_experiment("workers=1", "code=uncoded(n)", "rounds=100000", freeze)
    with LocalProcesses() as processes:
        arguments = ["--listen", "127.0.0.1:0", "--metrics", "off", "--run-folder", str(tmp_path / "run")]
        processes.start_master(to_toml(experiment), arguments)
        processes.start_workers((await processes.announced()).address, 1)
        pid = processes.workers["a"].pid
        while not (helpers := children_of(pid)):
            await asyncio.sleep(0.02)
    while is_there(helpers[0]):
        await asyncio.sleep(0.02)


def children_of(pid: int) -> list[int]:
    text = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def is_there(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in ("", "Z")


async def test_workers_that_all_end_are_noticed():
    with LocalProcesses() as processes:
        processes.start_workers("127.0.0.1:1", 2, ["--token-file", "missing"])
        processes.check_workers()
        for process in processes.workers.values():
            process.wait()
        with pytest.raises(
            ProcessEnded, match=r"all 2 workers ended, a with: --token-file: must be"
        ) as caught:
            processes.check_workers()
    assert caught.value.exit_code == 2


def test_names_of_workers_are_short_and_differ():
    names = [worker_name(number) for number in range(1000)]
    assert len(set(names)) == 1000
    assert max(map(len, names)) == 3


def test_children_compute_in_one_thread_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    environment = child_environment()
    assert (environment["OPENBLAS_NUM_THREADS"], environment["OMP_NUM_THREADS"]) == ("1", "3")
