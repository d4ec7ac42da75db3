"""Which folder a run goes on in, and what is refused; with real masters in this process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from common.errors import InvalidData, InvalidSpec, RunIsOver
from common.experiment import Experiment, load_experiment
from common.folder import EXPERIMENT, RunFolder, read_history, read_summary
from gradcode.local import local_sessions
from master.resume import locate, read_facts
from master.run import Master, MasterOptions

SETS = (
    "workers=2",
    "name=mine",
    "code=fractional_repetition(n, 1)",
    "data.source=synthetic(rows=40, features=3)",
    "checkpoint.every_rounds=4",
    "checkpoint.every_seconds=0",
)


def an_experiment(*sets: str) -> Experiment:
    return load_experiment(None, [*SETS, *sets])


LONG = an_experiment("rounds=100000")


async def interrupted(folder: Path, n_rounds: int, experiment: Experiment = LONG) -> int:
    """Run in ``folder`` until ``n_rounds`` are done there, then interrupt; returns the rounds done."""
    async with local_sessions(experiment, folder, 2) as sessions:
        chronicle = sessions.master.driver.training.chronicle
        while chronicle.n_closed < n_rounds:
            await asyncio.sleep(0.005)
        sessions.master.interrupt()
        assert await sessions.ended() == 130
        return chronicle.n_closed


async def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    folder = tmp_path / "run"
    done = await interrupted(folder, 6)
    assert not (folder / "superseded.jsonl").exists()
    assert locate(LONG, folder, tmp_path, False) == folder
    first = read_facts(folder)
    assert first is not None
    more = await interrupted(folder, done + 3)
    history = read_history(folder)
    assert [record.round for record in history] == list(range(more))
    assert f"the master was started again: it goes on with round {done}" in history[done].events
    again = read_facts(folder)
    assert again is not None
    assert (again.run, again.starts, first.starts) == (first.run, 2, 1)
    summary = read_summary(folder)
    assert summary is not None
    assert (summary["exit_code"], summary["rounds"]) == (130, more)
    # Nothing that was lost by the interruption is played again: it wrote a checkpoint.
    assert (folder / "superseded.jsonl").exists() is False


async def test_links_of_a_later_start_have_higher_incarnations(tmp_path):
    highest = []
    for rounds in (2, 4):
        async with local_sessions(LONG, tmp_path / "run", 2) as sessions:
            training = sessions.master.driver.training
            while training.chronicle.n_closed < rounds:
                await asyncio.sleep(0.005)
            highest.append(sorted(link.incarnation for link in training.members.links.values()))
    assert highest[0][-1] < 1 << 32 < highest[1][0]


async def test_rounds_after_a_torn_checkpoint_are_played_again_and_it_is_named(tmp_path):
    folder = tmp_path / "run"
    done = await interrupted(folder, 9)
    *_, before, last = sorted((folder / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    more = await interrupted(folder, done + 2)
    history = read_history(folder)
    assert [record.round for record in history] == list(range(more))
    first = int(before.stem.split("-")[1])
    told = " ".join(history[first].events)
    assert f"checkpoint {last.name}: must be whole" in told
    assert f"it goes on with round {first}; {done - first} rounds that were done are played again" in told
    lines = (folder / "superseded.jsonl").read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == list(range(first, done))


async def test_without_any_checkpoint_it_begins_again(tmp_path):
    folder = tmp_path / "run"
    experiment = an_experiment("rounds=100000", "checkpoint.every_rounds=1000000")
    await interrupted(folder, 3, experiment)
    for each in (folder / "checkpoints").iterdir():
        each.unlink()
    await interrupted(folder, 2, experiment)
    history = read_history(folder)
    assert history[0].round == 0
    assert any(
        "there is no checkpoint, so it begins again with round 0" in text for text in history[0].events
    )


async def test_a_run_that_ended_is_over_and_another_experiment_is_refused_by_field(tmp_path):
    folder = tmp_path / "run"
    experiment = an_experiment("rounds=3")
    async with local_sessions(experiment, folder, 2) as sessions:
        assert await sessions.ended() == 0
    with pytest.raises(RunIsOver, match="has ended: all 3 rounds are done") as ended:
        Master(experiment, MasterOptions("127.0.0.1:0", "off", folder=folder)).prepare()
    assert ended.value.exit_code == 0
    other = an_experiment("optimizer.learning_rate=0.25", "rounds=4")
    with pytest.raises(InvalidSpec, match=r"optimizer.learning_rate: must be 0.5 as in the run .*, got 0.25"):
        locate(other, folder, tmp_path, False)


async def test_other_data_are_refused(tmp_path):
    folder = tmp_path / "run"
    await interrupted(folder, 2)
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "data": "0" * 64}))
    with pytest.raises(InvalidData, match="data: must be those that the run began with"):
        await interrupted(folder, 2)


async def test_a_second_master_on_the_same_folder_is_refused(tmp_path):
    folder = tmp_path / "run"
    async with local_sessions(LONG, folder, 2) as sessions:
        with pytest.raises(InvalidSpec, match="run folder: must not be in use by another master"):
            async with local_sessions(LONG, folder, 2):
                pass
        assert not sessions.ending.done()
    assert locate(LONG, folder, tmp_path, False) == folder


def test_the_newest_unfinished_run_of_the_experiment_is_taken(tmp_path):
    def held(name: str, started: float, exit_code: int | None, experiment: Experiment = LONG) -> Path:
        from common.experiment import to_toml

        with RunFolder(tmp_path / name) as folder:
            folder.write_experiment(to_toml(experiment))
            folder.write_run({"run": name, "starts": 1, "data": "", "started_unix_seconds": started})
            if exit_code is not None:
                folder.finish("so", exit_code)
        return tmp_path / name

    assert locate(LONG, None, tmp_path, True) is None
    assert locate(LONG, None, tmp_path / "none", True) is None
    held("mine-1", 1.0, None)
    newest = held("mine-2", 2.0, 130)
    held("mine-3", 3.0, 0)
    held("mine-4", 4.0, None, an_experiment("rounds=7"))
    held("theirs-5", 5.0, None)
    (tmp_path / "mine-6").mkdir()
    assert locate(LONG, None, tmp_path, True) == newest
    assert locate(LONG, None, tmp_path, False) is None


def test_a_folder_with_a_history_of_nothing_known_is_left_alone(tmp_path):
    with RunFolder(tmp_path / "run"):
        pass
    assert locate(LONG, tmp_path / "run", tmp_path, False) == tmp_path / "run"
    (tmp_path / "run" / "history.jsonl").write_text("something\n")
    with pytest.raises(InvalidSpec, match=f"must hold {EXPERIMENT} of its run, or no run"):
        locate(LONG, tmp_path / "run", tmp_path, False)
