"""The command as people and scripts use it: real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from common.datasets import load_dataset
from common.experiment import Experiment, load_experiment
from common.folder import (
    CHECKPOINTS,
    CHUNKS,
    ENVIRONMENT,
    EXPERIMENT,
    HISTORY,
    PARAMETERS,
    RUN,
    SUMMARY,
    read_history,
    read_parameters,
    read_summary,
)
from common.models import make_model
from common.spec import make_code
from common.version import __version__
from gradcode import cli
from gradcode.demo import demo_experiment

pytestmark = pytest.mark.xdist_group("processes")

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-P", "-c", "from gradcode.start import main; main()"]
FILES = {CHUNKS, ENVIRONMENT, EXPERIMENT, HISTORY, PARAMETERS, RUN, SUMMARY}
SHORT = """
name = "short"
workers = 4
code = "partial_stragglers(n, 2, 2)"
rounds = 12
[data]
source = "synthetic(rows=200, features=4)"
[delays]
distribution = "constant"
seconds = 0.005
factors = { 1 = 5.0 }
"""


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    # What a killed command cannot tidy up stays in the folder of the test.
    own = {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "TERM": "xterm", "TMPDIR": str(cwd)}
    environment = {**os.environ, **own}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, env=environment, stdout=pipe, stderr=pipe, text=True
    )


def gradcode(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with start(*arguments, cwd=cwd) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``."""
    text = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        below = [child for child, its_parent in pairs if its_parent == parent]
        found += below
        waiting += below
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in ("Z", "")


def until(holds: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


@pytest.fixture
def short(tmp_path: Path) -> Path:
    (tmp_path / "short.toml").write_text(SHORT)
    return tmp_path


@pytest.fixture
def running(short: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A run that goes on until somebody ends it, and the processes below it."""
    process = start("train", "short.toml", "--set", "rounds=100000", "--run-folder", "run", cwd=short)
    try:
        until(lambda: len(read_history(short / "run")) > 3 if (short / "run").exists() else False, "rounds")
        children = descendants(process.pid)
        assert len(children) == 5
        yield process, children
    finally:
        process.kill()
        process.communicate()


# ---- help -----------------------------------------------------------------------------------------------


def test_monitor_and_certs_are_groups_of_their_own():
    groups = {each.name: each.typer_instance for each in cli.app.registered_groups}
    assert set(groups) == {"monitor", "certs"}
    assert [each.callback.__name__ for each in groups["monitor"].registered_commands] == ["export"]
    named = [each.callback.__name__ for each in groups["certs"].registered_commands]
    assert named == ["init", "issue", "rotate", "show"]


def test_help_loads_nothing_heavy(tmp_path):
    script = (
        "import sys; sys.argv = ['gradcode', '--help']\n"
        "from gradcode.start import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"aiohttp", "grpc", "matplotlib", "numpy", "pydantic", "scipy", "sklearn", "structlog"}
    assert set(done.stderr.split()) & heavy == set()
    assert "train" in done.stdout


COMMANDS = {each.name or each.callback.__name__: each for each in cli.app.registered_commands}


def test_the_commands_are_all_there():
    assert set(COMMANDS) == {
        "train", "init", "master", "worker", "status", "stop", "scale", "watch", "codes", "predict",
        "simulate", "report", "compare", "version",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"master", "worker", "version"}))
def test_every_command_shows_examples(name):
    assert re.search(rf"Examples?:\n  gradcode {name}", COMMANDS[name].epilog)


@pytest.mark.parametrize("service", ["master", "worker"])
def test_services_have_their_own_help(tmp_path, service):
    code, out, _ = gradcode(service, "--help", cwd=tmp_path)
    assert code == 0
    assert f"python -m {service}" in out
    assert "exit codes" in out


def test_version(tmp_path):
    assert gradcode("version", cwd=tmp_path) == (0, f"gradcode {__version__}\n", "")
    assert gradcode("--version", cwd=tmp_path) == (0, f"gradcode {__version__}\n", "")


# ---- train ----------------------------------------------------------------------------------------------


def test_json_is_one_object_a_line_and_the_folder_predicts(short):
    code, out, err = gradcode(
        "train", "short.toml", "--set", "data.source=digits", "--format", "json", cwd=short
    )
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["round"] * 12 + ["summary"]
    assert [event["round"] for event in events[:-1]] == list(range(12))
    summary = events[-1]
    assert (summary["rounds"], summary["exit_code"]) == (12, 0)
    assert summary["uncoded"]["speed_up"] > 0
    folder = short / summary["run_folder"]
    assert {path.name for path in folder.iterdir()} - {CHECKPOINTS} == FILES
    ran = load_experiment(folder / EXPERIMENT)
    assert ran == load_experiment(short / "short.toml", ["data.source=digits"])

    raw = load_dataset("digits", standardise=False)
    table = np.vstack([raw.feature_names, raw.X_held.astype(str)])
    (short / "new.csv").write_text("\n".join(",".join(row) for row in table))
    code, out, err = gradcode("predict", str(folder), "new.csv", cwd=short)
    assert (code, err) == (0, "")
    data = load_dataset("digits")
    own = make_model(data.model_shape()).predict(read_parameters(folder).parameters, data.X_held)
    assert out.splitlines() == ["prediction", *(str(data.classes[index]) for index in own)]
    assert np.mean(own == data.y_held) == pytest.approx(summary["score"])


def test_the_demo_absorbs_a_slow_a_frozen_and_a_dead_worker(tmp_path):
    """The demo at twice the speed, over in a few seconds."""
    sooner = (
        "delays.seconds=0.006",
        "rounds=42",
        'delays.interruptions=[{ place = 4, kind = "freeze", at_seconds = 0.3, for_seconds = 3.3 },'
        ' { place = 6, kind = "death", at_seconds = 1.0 }]',
    )
    sets = [part for each in sooner for part in ("--set", each)]
    code, out, err = gradcode("train", *sets, cwd=tmp_path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert sum(line.startswith("round ") and " exact " in line for line in lines) >= 38
    assert any("took place 6" in line for line in lines)
    assert len([line for line in lines if re.match(r"round \d+: worker \w+: the connection", line)]) == 2
    assert "All 42 rounds are done" in lines
    text = " ".join(out[out.index("All 42 rounds") :].split())
    assert float(re.search(r"held-out accuracy ([\d.]+)", text)[1]) >= 0.95
    assert re.search(r"stragglers' work \d+ chunks of the 2\d{3} used", text)
    assert re.search(r"at least [\d.]+ s for rounds 0 to \d+, which took [\d.]+ s here", text)
    assert "it would have waited for ever: place 6 was lost and did not come back" in text
    assert re.search(r"gradcode predict runs/demo-[\d-]+ DATA.csv", text)


def test_the_demo_s_own_numbers():
    demo = demo_experiment()
    assert (demo.workers, demo.code, demo.data.source) == (8, "scheduled(n, 3, 8)", "digits")
    assert (demo.delays.seconds, sorted(demo.delays.factors.values())) == (0.015, [5.0])
    assert sorted(each.kind for each in demo.delays.interruptions) == ["death", "freeze"]
    places = {*demo.delays.factors, *(each.place for each in demo.delays.interruptions)}
    assert len(places) == 3
    few = demo_experiment(["workers=3"])
    assert set(few.delays.factors) == {2}
    assert few.delays.interruptions == ()
    assert demo_experiment(["delays.factors={}", "rounds=7"]).delays.factors == {}


def test_show_prints_what_would_run(short):
    code, out, _ = gradcode("train", "--show", "--set", "rounds=7", cwd=short)
    (short / "shown.toml").write_text(out)
    assert code == 0
    assert load_experiment(short / "shown.toml") == demo_experiment(["rounds=7"])
    assert not (short / "runs").exists()


def test_logs_are_kept_when_asked_for_or_when_a_run_fails(short):
    options = ("--set", "optimizer.learning_rate=1e300", "--set", "rounds=30", "--set", "model.l2=1.0")
    code, out, err = gradcode("train", "short.toml", *options, "--run-folder", "run", cwd=short)
    assert code == 3
    assert "diverged" in out
    assert err == "gradcode: logs of all processes are kept in run/logs\n"
    assert {path.name for path in (short / "run" / "logs").iterdir()} == {
        "master.log", *(f"worker-{name}.log" for name in "abcd")
    }  # fmt: skip


# ---- ending early ---------------------------------------------------------------------------------------


def test_an_interrupted_run_leaves_no_process_and_a_whole_folder(short, running):
    process, children = running
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert (process.returncode, err) == (130, "")
    assert [pid for pid in children if is_alive(pid)] == []
    assert {path.name for path in (short / "run").iterdir()} == FILES | {CHECKPOINTS}
    summary = read_summary(short / "run")
    assert (summary["reason"], summary["exit_code"]) == ("interrupted", 130)
    assert summary["rounds"] == len(read_history(short / "run"))
    assert "Interrupted\n" in out


def test_a_second_interrupt_kills(running):
    process, children = running
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 130
    assert [pid for pid in children if is_alive(pid)] == []


def test_a_killed_command_takes_its_processes_with_it(short, running):
    process, children = running
    process.kill()
    until(lambda: not any(map(is_alive, children)), "the processes to end", 8.0)
    assert read_summary(short / "run")["reason"] == "interrupted"


def test_a_master_that_is_killed_ends_the_command_and_all_workers(short, running):
    process, children = running
    (master,) = [pid for pid in children if "-m master" in command_of(pid)]
    os.kill(master, signal.SIGKILL)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 3
    assert err == "gradcode: logs of all processes are kept in run/logs\n"
    assert "The master ended without a summary" in out
    assert [pid for pid in children if is_alive(pid)] == []


def command_of(pid: int) -> str:
    return subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout


# ---- bad input ------------------------------------------------------------------------------------------

TABLES = {
    "empty.csv": "",
    "no-rows.csv": "a,b\n",
    "nan.csv": "a,b\n1,2\nnan,3\n4,5\n",
    "good.csv": "a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(50)),
}
BAD = {
    "unknown code": ("--set code=magic(n)", "code: must be one of uncoded, ", "got 'magic'"),
    "s + 1 does not divide n": (
        "--set code=fractional_repetition(n,2)",
        "n_stragglers: n_stragglers + 1 must divide n_workers = 4",
        "got 2",
    ),
    "s too large": ("--set code=cyclic_repetition(n,4)", "n_stragglers: must be ", "got 4"),
    "n is not the number of workers": (
        "--set code=uncoded(6)",
        "code: n_workers must equal workers (4)",
        "got 6",
    ),
    "no such data": ("--set data.source=none.csv --set data.target=b", "data file: must exist", "none.csv"),
    "empty file": (
        "--set data.source=empty.csv --set data.target=b",
        "data file: must not be empty",
        "empty",
    ),
    "no rows": ("--set data.source=no-rows.csv --set data.target=b", "no-rows.csv: must ", "got"),
    "not a number": ("--set data.source=nan.csv --set data.target=b", "must be finite", "got nan"),
    "wrong column": ("--set data.source=good.csv --set data.target=c", "column", "got 'c'"),
    "unknown key": ("--set deadlin.rule=none", "unknown key 'deadlin'", "did you mean 'deadline"),
    "no such file": ("missing.toml", "experiment file: must be readable", "got 'missing.toml'"),
    "folder in use": ("--run-folder used", "rounds: must be 13 as in the run that used holds, got 12"),
    "port in use": ("--port {port}", "listen: must be an address of this machine with a free port", "{port}"),
    "place that is not there": ("--set delays.factors={9=2.0}", "delays.factors: must name places", "got 9"),
}


MASTER = """
import contextlib, io, json, sys
from master.__main__ import main
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as err:
        code = main([*arguments, "--metrics", "off", "--log-level", "error"])
    print(json.dumps([code, err.getvalue()]))
"""


@pytest.fixture(scope="module")
def bad_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with all that is bad, and a port that is taken."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "short.toml").write_text(SHORT)
    (folder / "used").mkdir()
    (folder / "used" / HISTORY).write_text("")
    (folder / "used" / EXPERIMENT).write_text(SHORT.replace("rounds = 12", "rounds = 13"))
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield folder, str(taken.getsockname()[1])


@pytest.fixture(scope="module")
def refusals(bad_folder: tuple[Path, str]) -> dict[str, tuple[int, str]]:
    """What the master answers to every bad input: exit code and standard error."""
    folder, port = bad_folder
    asked = []
    for words, *_ in BAD.values():
        file = [] if "missing.toml" in words else ["short.toml"]
        asked.append([*file, *words.replace("--port {port}", f"--listen 127.0.0.1:{port}").split()])
        if "--listen" not in asked[-1]:
            asked[-1] += ["--listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", MASTER, json.dumps(asked)],
        cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return dict(zip(BAD, map(json.loads, done.stdout.splitlines()), strict=True))


def is_told_well(case: str, said: str, port: str) -> None:
    (line,) = [each for each in said.splitlines() if not each.startswith(("E0000", "I0000"))]
    assert line.startswith("gradcode")
    for part in BAD[case][1:]:
        assert part.replace("{port}", port) in line


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line_that_names_field_rule_and_value(bad_folder, refusals, case):
    code, err = refusals[case]
    assert code == 2
    is_told_well(case, err, bad_folder[1])


@pytest.mark.parametrize("case", ["unknown code", "not a number", "unknown key", "port in use"])
def test_train_passes_on_what_its_master_refuses(bad_folder, case):
    folder, port = bad_folder
    code, out, err = gradcode(
        "train", "short.toml", *BAD[case][0].replace("{port}", port).split(), cwd=folder
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    is_told_well(case, err, port)
    assert not (folder / "runs").exists()


# ---- a master that runs somewhere -----------------------------------------------------------------------


def test_status_and_stop_ask_a_master_by_hand(short):
    (short / "token").write_text("secret\n")
    (short / "wrong").write_text("guess\n")
    options = "--listen 127.0.0.1:0 --metrics off --announce where.json --run-folder run --token-file token"
    with start("master", "short.toml", *options.split(), cwd=short) as master:
        until((short / "where.json").exists, "the master to listen")
        address = json.loads((short / "where.json").read_text())["address"]
        token = ("--token-file", "token")

        code, out, err = gradcode("status", address, *token, cwd=short)
        assert (code, err) == (0, "")
        assert "short (" in out
        assert "waiting: 0 of 4 workers are ready" in out
        assert "0 of 12 rounds done" in out

        code, out, _ = gradcode("status", address, *token, "--format", "json", cwd=short)
        answer = json.loads(out)
        assert (code, answer["status"]["n_places"], len(answer["workers"])) == (0, 4, 4)

        code, out, err = gradcode("status", address, "--token-file", "wrong", cwd=short)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("gradcode: --token-file: must hold the token of the master")

        code, out, err = gradcode("stop", address, *token, "--reason", "seen enough", cwd=short)
        assert (code, out, err) == (0, "the run ends\n", "")
        assert master.wait(timeout=10) == 0
        master.communicate()
    assert read_summary(short / "run")["reason"] == "stopped by an operator: seen enough"

    code, out, err = gradcode("status", address, *token, cwd=short)
    assert (code, out, err) == (3, "", f"gradcode: no master answers at {address}\n")


def test_an_address_that_is_none_is_bad_input(tmp_path):
    code, out, err = gradcode("stop", "127.0.0.1:99999", cwd=tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "'127.0.0.1:99999'" in err


# ---- without a master -----------------------------------------------------------------------------------


def test_init_writes_the_defaults_once(tmp_path):
    assert gradcode("init", cwd=tmp_path)[0] == 0
    assert load_experiment(tmp_path / "experiment.toml") == Experiment()
    code, out, err = gradcode("init", cwd=tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "must not exist yet" in err
    assert gradcode("init", "--force", cwd=tmp_path)[0] == 0


def test_simulate_compares_codes(short):
    options = ("--code", "uncoded(n)", "--format", "json", "--learning")
    code, out, err = gradcode("simulate", "short.toml", *options, cwd=short)
    assert (code, err) == (0, "")
    coded, plain = [json.loads(line) for line in out.splitlines()]
    assert (coded["code"], plain["code"]) == (make_code("partial_stragglers(n, 2, 2)", 4).spec, "uncoded(4)")
    assert (coded["rounds"], coded["exact"]) == (12, 12)
    assert 0.4 < coded["score"] <= 1.0


def test_whoever_reads_only_the_beginning_gets_no_complaint(short):
    with start("train", "--show", cwd=short) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (1, "")
