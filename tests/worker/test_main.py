"""Worker processes: started as a user would, against a scripted master over real gRPC."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from common.delays import Delays, Interruption
from common.wire import frames as wire
from worker.__main__ import main

pytestmark = pytest.mark.xdist_group("processes")

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = np.array([0.5, -1.0, 2.0, 0.25])


@asynccontextmanager
async def started(*arguments: str):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", *arguments, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()


async def end(process) -> tuple[int, str]:
    async with asyncio.timeout(10):
        _, text = await process.communicate()
    return process.returncode, text.decode()


async def test_a_process_works_serves_metrics_and_drains(guarded, tmp_path):
    token = tmp_path / "token.txt"
    token.write_text("secret\n")
    arguments = ["--master", guarded.address, "--token-file", str(token), "--metrics-address", "0"]
    async with started(*arguments, "--name", "rack 3") as process:
        link = await guarded.link()
        assert link.hello.worker_name == "rack 3"
        await link.welcome(guarded.fixed([(0, 0, 1.0)], chunks=(0,)))
        stamp = await link.start(0, PARAMETERS)
        _, messages, _ = await link.hear_work(1, 1)
        assert np.allclose(messages[10], guarded.data.gradient(0, PARAMETERS), rtol=1e-6)
        line = (await process.stderr.readline()).decode()
        url = re.search(r"metrics at (http://127.0.0.1:\d+)/metrics", line).group(1)
        text = await asyncio.to_thread(read, f"{url}/metrics")
        assert "gradcode_worker_chunks_total 1.0" in text
        assert "process_resident_memory_bytes" in text
        health = json.loads(await asyncio.to_thread(read, f"{url}/healthz"))
        assert (health["state"], health["linked"]) == ("computing", True)
        process.terminate()
        await link.hear(wire.Drain)
        await link.send(wire.StopRound(stamp), wire.Goodbye("drained"))
        code, log = await end(process)
    assert code == 0
    lines = {line["event"]: line for line in map(json.loads, log.splitlines())}
    linked = lines["linked to run run (test) on place 0"]
    assert (linked["run"], linked["place"], linked["level"]) == ("run", 0, "info")
    leaving = lines["SIGTERM: leaving after the round in hand"]
    assert (leaving["worker"], leaving["run"], leaving["round"]) == (linked["worker"], "run", stamp.round)


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


async def test_a_second_signal_ends_a_process_at_once(master):
    async with started("--master", master.address) as process:
        link = await master.link()
        assert link.hello.worker_name.startswith(f"{socket.gethostname()}:")
        await link.welcome(master.order((0,)))
        await link.start(0, PARAMETERS)
        await link.hear(wire.ChunkFinished)
        process.send_signal(signal.SIGINT)
        await link.hear(wire.Drain)
        process.send_signal(signal.SIGINT)
        code, _ = await end(process)
    assert code == -signal.SIGINT


def interrupted(kind: str, at: float, seconds: float = 0.0) -> Delays:
    return Delays("constant", seconds=0.05, interruptions=(Interruption(0, kind, at, seconds),))


def state(process) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at the process in /proc")
async def test_an_injected_freeze_stops_the_whole_process_for_its_time(master):
    async with started("--master", master.address) as process:
        link = await master.link()
        await link.welcome(master.order((0,), delays=interrupted("freeze", 0.02, 1.0)))
        begun = time.monotonic()
        await link.start(0, PARAMETERS)
        while state(process) != "T":
            assert time.monotonic() < begun + 1.0
            await asyncio.sleep(0.01)
        report = await link.hear(wire.ChunkFinished)
        assert 1.0 <= report.seconds < 2.0
        assert time.monotonic() - begun >= 1.0
        await link.send(wire.Goodbye("the run ended"))
        assert (await end(process))[0] == 0


async def test_an_injected_death_kills_the_process(master):
    async with started("--master", master.address) as process:
        link = await master.link()
        await link.welcome(master.order((0,), delays=interrupted("death", 0.02)))
        await link.start(0, PARAMETERS)
        assert await link.hear() is None
        assert (await end(process))[0] == -signal.SIGKILL


async def test_a_process_whose_master_is_gone_tries_until_it_gives_up():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with started("--master", address, "--give-up", "0.5") as process:
        code, log = await end(process)
    assert code == 3
    lines = [json.loads(line) for line in log.splitlines()]
    assert len(lines) >= 2
    assert all(f"{address}: no master answers (" in line["event"] for line in lines)
    assert "dialing again in" in lines[0]["event"]
    assert "giving up after 0.5 s" in lines[-1]["event"]
    assert [line["level"] for line in lines] == [*["warning"] * (len(lines) - 1), "error"]


async def test_a_wrong_token_is_told_in_one_line(guarded):
    async with started("--master", guarded.address) as process:
        code, log = await end(process)
    assert code == 2
    (line,) = log.splitlines()
    assert json.loads(line)["event"].endswith("the master refuses the token: wrong token")


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("--master", ["--master", "nowhere"]),
        ("--give-up", ["--master", "h:1", "--give-up", "-1"]),
        ("--give-up", ["--master", "h:1", "--give-up", "nan"]),
        ("--metrics-address", ["--master", "h:1", "--metrics-address", "h:x"]),
        ("--metrics-address", ["--master", "h:1", "--metrics-address", "{taken}"]),
        ("--token-file", ["--master", "h:1", "--token-file", "{tmp}/none"]),
        ("--token-file", ["--master", "h:1", "--token-file", "{tmp}/empty"]),
        ("--name", ["--master", "h:1", "--name", ""]),
    ],
)
def test_bad_input_is_told_in_one_line(field, arguments, tmp_path, capsys):
    (tmp_path / "empty").write_text(" \n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"tmp": tmp_path, "taken": f"127.0.0.1:{taken.getsockname()[1]}"}
        assert main([each.format(**places) for each in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"worker: {field}: must ")


def test_help_shows_examples_and_exit_codes(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "python -m worker --master 127.0.0.1:50051" in text
    assert "exit codes:" in text


async def test_a_process_starts_with_little():
    """Every worker pays for what it imports: numpy, grpc and prometheus-client, and one BLAS thread."""
    script = "import worker.__main__, sys, os; print(os.environ['OPENBLAS_NUM_THREADS'], *sys.modules)"
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    threads, *modules = out.decode().split()
    assert threads == "1"
    found = {name.partition(".")[0] for name in modules}
    heavy = {"aiohttp", "matplotlib", "pydantic", "rich", "scipy", "sklearn", "structlog", "typer"}
    assert found & heavy == set()
    assert {"numpy", "grpc", "prometheus_client"} <= found
    assert not any(
        name.startswith(("common.codes", "common.datasets", "master", "gradcode")) for name in modules
    )
