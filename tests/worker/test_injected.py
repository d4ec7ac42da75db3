from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import worker
from common.delays import Delays, Interruption, Walk
from worker.injected import _DEAD, Fate, RunClock, endure

pytestmark = pytest.mark.xdist_group("processes")


class Recorder:
    """A victim that writes down what befalls it."""

    def __init__(self) -> None:
        self.befell: list[float | str] = []

    def freeze(self, seconds: float, closed: threading.Event) -> None:
        self.befell.append(seconds)

    def die(self, for_seconds: float) -> None:
        self.befell.append(f"death for {for_seconds:g}")


def walk(*pieces: tuple[str, float], dies: bool = False, returns_after: float | None = None) -> Walk:
    return Walk(pieces, dies, 0, returns_after)


@pytest.mark.parametrize(
    ("pieces", "done_seconds", "at_least"),
    [
        ([("work", 0.1)], 0.0, 0.1),
        ([("work", 0.1)], 0.06, 0.04),
        ([("work", 0.05), ("freeze", 9.0), ("work", 0.05)], 0.0, 0.1),
        ([("work", 0.05), ("freeze", 9.0), ("work", 0.05)], 0.07, 0.03),
        ([("work", 0.05)], 0.05, 0.0),
    ],
)
def test_only_the_work_that_is_left_takes_time(pieces, done_seconds, at_least):
    victim, begun = Recorder(), time.monotonic()
    assert endure(walk(*pieces), done_seconds, victim, threading.Event())
    took = time.monotonic() - begun
    assert at_least <= took < at_least + 0.05
    assert victim.befell == [seconds for kind, seconds in pieces if kind == "freeze"]


@pytest.mark.parametrize("returns_after", [None, 3.0])
def test_a_death_comes_after_the_pieces_and_cuts_the_walk_short(returns_after):
    victim, closed = Recorder(), threading.Event()
    assert not endure(walk(("freeze", 2.0), dies=True, returns_after=returns_after), 0.0, victim, closed)
    assert victim.befell == [2.0, f"death for {returns_after or 0:g}"]
    assert closed.is_set()


def test_closing_cuts_the_walk_short():
    victim, closed = Recorder(), threading.Event()
    threading.Timer(0.05, closed.set).start()
    begun = time.monotonic()
    assert not endure(walk(("work", 5.0), ("freeze", 1.0)), 0.0, victim, closed)
    assert time.monotonic() - begun < 1.0
    assert victim.befell == []


def test_the_clock_of_the_run():
    clock = RunClock(run_seconds=10.0, heard_at=100.0)
    assert clock.at(100.5) == 10.5
    assert clock.at(99.0) == 10.0


def test_each_interruption_befalls_a_worker_once():
    freezes = tuple(Interruption(0, "freeze", at, 1.0) for at in (1.0, 5.0))
    delays, fate = Delays(interruptions=freezes), Fate()
    fate.began("run", 0.0)

    def frozen(start: float, run: str = "run") -> float:
        return sum(
            seconds for kind, seconds in fate.walk(delays, run, 0, start, 0.5).pieces if kind == "freeze"
        )

    assert [frozen(start) for start in (0.0, 0.8, 2.5, 4.9, 6.5)] == [0.0, 1.0, 0.0, 1.0, 0.0]
    fate.began("run", 0.0)
    assert frozen(7.0) == 0.0


def test_a_worker_is_spared_what_lies_before_its_first_round_of_each_run():
    delays, fate = Delays(interruptions=(Interruption(0, "death", 1.0),)), Fate()
    fate.began("one", 2.0)
    assert not fate.walk(delays, "one", 0, 2.0, 0.5).dies
    fate.began("two", 0.0)
    assert fate.walk(delays, "two", 0, 0.9, 0.5).dies


# ---- death and return of a process of its own -----------------------------------------------------------

DIES_ONCE = """
import os, socket, sys, threading, time
from common import lifeline
from worker.injected import OwnProcess
from worker.logs import WorkerLog
lifeline.end_with_parent()
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.set_inheritable(True)  # as a library that does not mind
link.sendall(f"{os.getpid()} {sys.argv[2]}\\n".encode())
if link.recv(1) == b"d":
    own = OwnProcess(WorkerLog("w"), lambda: sys.argv[2] == "leaving")
    threading.Thread(target=own.die, args=(0.4,)).start()
    time.sleep(60)
"""


class Deaths:
    """A process that dials in, dies when it is told to, and perhaps dials again."""

    def __init__(self, tmp_path: Path, how: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        program = tmp_path / "dies.py"
        program.write_text(DIES_ONCE)
        self.process = subprocess.Popen(
            [sys.executable, program, str(self.listener.getsockname()[1]), how],
            stdin=subprocess.PIPE,
            env={"PYTHONPATH": str(Path(worker.__file__).parents[1])},
        )

    def dialed(self) -> socket.socket:
        link, _ = self.listener.accept()
        link.settimeout(10)
        assert link.makefile().readline().split()[0] == str(self.process.pid)
        return link

    def __enter__(self) -> Deaths:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.listener.close()


def test_at_a_death_all_links_end_at_once_and_the_same_command_comes_back_later(tmp_path):
    with Deaths(tmp_path, "staying") as deaths:
        link = deaths.dialed()
        link.sendall(b"d")
        told = time.monotonic()
        # Nobody holds the other end any more; otherwise this would wait in vain, also after the return.
        assert link.recv(1) == b""
        assert deaths.process.poll() is None
        again = deaths.dialed()
        assert time.monotonic() - told >= 0.4
        again.sendall(b"e")
        assert deaths.process.wait(5) == 0


def test_who_was_asked_to_leave_does_not_come_back(tmp_path):
    with Deaths(tmp_path, "leaving") as deaths:
        deaths.dialed().sendall(b"d")
        assert deaths.process.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "the parent ends"])
def test_who_is_dead_can_be_told_to_stay_so(how):
    command = [sys.executable, "-c", "print('back')"]
    program = _DEAD.replace("until, watched", "print('dead', flush=True)\nuntil, watched")
    dead = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, "60", "1", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert dead.stdout.readline() == b"dead\n"
    if isinstance(how, str):
        dead.stdin.close()
    else:
        dead.send_signal(how)
    assert dead.wait(5) == 0
    assert dead.stdout.read() == b""
    dead.stdout.close()
    dead.stdin.close()


def test_standard_input_is_left_alone_unless_the_process_is_to_end_with_its_parent():
    command = [sys.executable, "-c", "print('back')"]
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _DEAD, "0.1", "0", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert found.stdout == b"back\n"
