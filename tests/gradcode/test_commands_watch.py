from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from made_records import a_record
from test_display import a_board, a_status, plain

from common.errors import InvalidSpec, Unreachable
from common.experiment import load_experiment
from common.history import to_json
from common.tokens import Token
from common.wire.access import Access
from common.wire.control import RoundsRequest
from common.wire.rpc import ControlClient, client_options
from gradcode import commands_watch
from gradcode.commands_watch import _watch
from gradcode.local import child_environment, local_sessions
from worker.service import Worker

pytestmark = pytest.mark.xdist_group("processes")

SOURCE = "data.source=synthetic(rows=60, features=4)"


def an_experiment(*overrides: str):
    slowly = ("delays.distribution=constant", "delays.seconds=0.01", "deadline.rule=none")
    return load_experiment(None, [SOURCE, "workers=2", "rounds=12", "code=uncoded(n)", *slowly, *overrides])


async def output(capsys, folder: Path, form: str, n_workers: int = 2, rounds: int = 12) -> tuple[int, str]:
    """A watch of a whole run: it begins before the first round."""
    async with local_sessions(an_experiment(f"rounds={rounds}", "name=seen"), folder, 0) as sessions:
        watching = asyncio.create_task(_watch(sessions.master.address, Access(), form, 5.0))
        await asyncio.sleep(0.3)
        for _ in range(n_workers):
            sessions.add_worker()
        code = await asyncio.wait_for(watching, 20)
    return code, capsys.readouterr().out


async def test_every_round_is_a_line_and_the_end_is_told(capsys, tmp_path):
    code, text = await output(capsys, tmp_path / "run", "text")
    lines = [line for line in text.splitlines() if not line.startswith("20")]
    assert code == 0
    assert lines[0].startswith("run seen (")
    assert "0 of 2 workers are ready" in text
    rounds = [line for line in lines if "exact" in line and "loss" in line]
    assert [int(line.split()[1]) for line in rounds] == list(range(12))
    assert lines[-1] == "the run is over: all 12 rounds are done"


async def test_programs_get_one_object_a_line(capsys, tmp_path):
    code, text = await output(capsys, tmp_path / "run", "json")
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert code == 0
    assert [each["event"] for each in events] == ["run", *["round"] * 12, "end"]
    assert [each["round"] for each in events[1:-1]] == list(range(12))
    assert events[0]["name"] == "seen"
    assert events[-1] == {"event": "end", "reason": "all 12 rounds are done", "exit_code": 0}


async def test_the_board_is_that_of_a_run_on_this_machine(capsys, tmp_path):
    code, text = await output(capsys, tmp_path / "run", "live")
    assert code == 0
    assert "gradcode · seen · uncoded(2)" in text
    assert "12 exact" in text, text
    assert "the run is over: all 12 rounds are done" in text


async def test_the_exit_code_is_that_of_the_run(capsys, tmp_path):
    async with local_sessions(an_experiment("rounds=100000"), tmp_path / "run", 2) as sessions:
        watching = asyncio.create_task(_watch(sessions.master.address, Access(), "json", 5.0))
        await asyncio.sleep(0.5)
        sessions.master.interrupt()
        assert await asyncio.wait_for(watching, 10) == 130
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reason"] == "interrupted"


async def test_without_the_token_nothing_is_shown(tmp_path):
    async with local_sessions(an_experiment(), tmp_path / "run", 0, token="secret") as sessions:
        with pytest.raises(InvalidSpec, match="--token-file"):
            await _watch(sessions.master.address, Access(token=Token("wrong")), "json", 5.0)
        address = sessions.master.address
        async with grpc.aio.insecure_channel(address, options=client_options()) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="no token was used"):
                await anext(ControlClient(channel).watch_rounds(RoundsRequest()))


async def test_where_nobody_answers_it_ends_at_once():
    with pytest.raises(Unreachable, match=r"no master answers at 127\.0\.0\.1:1"):
        await _watch("127.0.0.1:1", Access(), "text", 60.0)


async def test_a_master_that_stays_away_is_given_up(capsys):
    watch = commands_watch.Watch(commands_watch.WatchedText(), 0.05)
    watch.miss("no master answers")
    watch.miss("no master answers")
    await asyncio.sleep(0.06)
    with pytest.raises(Unreachable, match=r"away for 0\.05 s"):
        watch.miss("no master answers")
    assert capsys.readouterr().out.count("the master is away") == 1


def test_rounds_before_the_watch_are_counted_once():
    board = a_board()
    counts = {"rounds_exact": 7, "rounds_approximate": 2, "rounds_failed": 1}
    board.hear_earlier(a_status(last_record_json=to_json(a_record(9)), **counts))
    for number in range(5, 12):
        board.hear_record(a_record(number, outcome="approximate" if number == 6 else "exact"))
    text = "\n".join(plain(board))
    assert "round    12 of 100" in text
    assert "9 exact · 2 approximate · 1 failed" in text


async def test_the_stream_itself_holds_every_round(tmp_path):
    async with local_sessions(an_experiment("rounds=40"), tmp_path / "run", 2) as sessions:
        seen, ending = [], None
        address = sessions.master.address
        async with grpc.aio.insecure_channel(address, options=client_options()) as channel:
            async for answer in ControlClient(channel).watch_rounds(RoundsRequest()):
                seen += [json.loads(line)["round"] for line in answer.records_json]
                ending = answer.ending
    assert seen == list(range(40))
    assert ending is not None
    assert ending.exit_code == 0


async def test_ctrl_c_ends_the_watch_and_not_the_run(tmp_path):
    async with local_sessions(an_experiment("rounds=100000"), tmp_path / "run", 0) as sessions:
        watching = asyncio.create_task(_watch(sessions.master.address, Access(), "json", 5.0))
        await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(watching, 5) == 130
        assert not sessions.ending.done()


# ---- a master process -----------------------------------------------------------------------------------


async def start_master(
    folder: Path, name: str, listen: str, rounds: int
) -> tuple[subprocess.Popen[bytes], str]:
    """A master of one worker, and its address."""
    announce = folder / f"{name}.json"
    slowly = ("delays.distribution=constant", "delays.seconds=0.03", "deadline.rule=none")
    sizes = ("workers=1", f"rounds={rounds}", "code=uncoded(n)")
    sets = [part for each in (SOURCE, f"name={name}", *sizes, *slowly) for part in ("--set", each)]
    where = ["--listen", listen, "--metrics", "off", "--announce", str(announce), "--runs", str(folder)]
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "master", *where, *sets]
        made = subprocess.Popen(command, stdout=log, stderr=log, env=child_environment(), cwd=folder)
    async with asyncio.timeout(30):
        while not announce.exists():
            assert made.poll() is None, (folder / f"{name}.log").read_text()
            await asyncio.sleep(0.02)
    return made, json.loads(announce.read_text())["address"]


async def test_a_master_that_is_killed_is_waited_for_and_its_next_run_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(commands_watch, "RETRY_SECONDS", 0.1)
    text = ""

    async def until_said(what: str) -> None:
        nonlocal text
        async with asyncio.timeout(20):
            while what not in text:
                await asyncio.sleep(0.02)
                text += capsys.readouterr().out

    master, address = await start_master(tmp_path, "first", "127.0.0.1:0", 100_000)
    workers = [Worker(address, "w")]
    watching = asyncio.create_task(_watch(address, Access(), "text", 60.0))
    tasks = [watching, asyncio.create_task(workers[0].run())]
    try:
        await until_said("  exact  ")
        workers[0].stop()
        master.kill()
        master.wait()
        await until_said("the master is away (no master answers")
        master, _ = await start_master(tmp_path, "second", address, 10)
        workers.append(Worker(address, "w"))
        tasks.append(asyncio.create_task(workers[1].run()))
        assert await asyncio.wait_for(watching, 20) == 0
    finally:
        master.kill()
        master.wait()
        workers[-1].stop()
        await asyncio.wait(tasks, timeout=5)
    text += capsys.readouterr().out
    assert "the master is back\nrun second (" in text
    after = text[text.index("run second (") :].splitlines()
    assert [int(line.split()[1]) for line in after if "  exact  " in line] == list(range(10))
    assert after[-1] == "the run is over: all 10 rounds are done"
