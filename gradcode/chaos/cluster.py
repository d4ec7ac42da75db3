"""The processes of a chaos run: a master, workers behind gates, and whoever starts them again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import RunFailed
from common.folder import HISTORY
from gradcode.chaos.disk import SmallDisk
from gradcode.chaos.proxy import Gate
from gradcode.chaos.vitals import Life
from gradcode.local import child_environment

POLL_SECONDS = 0.1
SAMPLE_SECONDS = 1.0
MASTER = "master"
START_SECONDS = 60.0


@dataclass(slots=True)
class Member:
    """One of the processes.

    Attributes:
        name: of the worker, or ``master``. command: what starts it.
        process: the running one, or the last one. wanted: it is to run, so that it is started when it ends.
        frozen: it was sent SIGSTOP.
    """

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    frozen: bool = False

    @property
    def alive(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal, if there is a process."""
        if self.process is not None and self.alive:
            self.process.send_signal(number)


@dataclass
class Cluster:
    """A master and workers as processes; leaving the ``async with`` block ends them all.

    Args:
        root: for logs and the run. toml: the experiment. n_workers: how many. seed: of the gates.
        disk: where the run's folder is to be, if it is a disk of its own.

    Attributes:
        master, workers, gates: workers and gates by number.
        lives: of every process that ever ran. restarts: exit codes of processes that ended by themselves.
    """

    root: Path
    toml: str
    n_workers: int
    seed: int
    disk: SmallDisk | None = None
    lives: list[Life] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.folder = (self.disk.folder if self.disk else self.root) / "run"
        self._experiment = self.root / "experiment.toml"
        self._experiment.write_text(self.toml)
        self._announcement = self.root / "announced.json"
        self._port = _free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.master = Member(MASTER, self._master_command(), self.root / "master.log")
        self.workers: list[Member] = []
        self.gates = [Gate(self.address, self.seed + number) for number in range(self.n_workers)]
        self._lifeline, self._held_open = os.pipe()
        self._began = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Cluster:
        for number, gate in enumerate(self.gates):
            await gate.open()
            name = f"w{number}"
            command = ["worker", "--master", gate.address, "--name", name]
            self.workers.append(Member(name, command, self.root / f"{name}.log"))
        self.start(self.master)
        await self._until_announced()
        for worker in self.workers:
            self.start(worker)
        self._tasks = [asyncio.create_task(each) for each in (self._start_again(), self._sample())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self.members:
            member.wanted = False
            if member.process is not None and member.alive:
                member.process.kill()
        for member in self.members:
            if member.process is not None:
                member.process.wait()
        for gate in self.gates:
            await gate.close()
        os.close(self._held_open)
        os.close(self._lifeline)

    @property
    def members(self) -> list[Member]:
        """The master and all workers."""
        return [self.master, *self.workers]

    def start(self, member: Member) -> None:
        """Start a process, the same way every time."""
        with member.log.open("ab") as log:
            member.process = subprocess.Popen(
                [sys.executable, "-P", "-m", *member.command, "--stop-on-eof"],
                stdin=self._lifeline,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                process_group=0,
            )
        member.wanted, member.frozen = True, False
        self.lives.append(Life(member.name, member.process.pid, time.monotonic()))

    async def stop_run(self, seconds: float = 30.0) -> int:
        """Ask the master to end the run in order; returns its exit code.

        Raises:
            RunFailed: it does not end.
        """
        assert self.master.process is not None
        for member in self.members:
            member.wanted = False
        self.master.send(signal.SIGTERM)
        code = await wait_for_end(self.master, seconds)
        if code is None:
            raise RunFailed(f"the master did not end within {seconds:g} s of SIGTERM")
        return code

    def last_words(self, member: Member) -> str:
        """The last line of a process's log."""
        lines = member.log.read_text(errors="replace").splitlines() if member.log.exists() else []
        return lines[-1] if lines else "nothing"

    def _master_command(self) -> list[str]:
        where = ["--listen", self.address, "--metrics", "off", "--run-folder", str(self.folder)]
        return [MASTER, str(self._experiment), *where, "--announce", str(self._announcement)]

    async def _until_announced(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self._announcement.exists():
            if not self.master.alive or time.monotonic() > until:
                raise RunFailed(f"the master did not start: {self.last_words(self.master)}")
            await asyncio.sleep(POLL_SECONDS)
        # Proves that it is ours, and not another's that was left behind.
        assert json.loads(self._announcement.read_text())["address"] == self.address

    async def _start_again(self) -> None:
        """As a supervisor would: who ends by himself is started again."""
        while True:
            for member in self.members:
                if member.wanted and not member.alive and member.process is not None:
                    self.restarts[f"{member.name.rstrip('0123456789')}: {member.process.returncode}"] += 1
                    self.start(member)
            await asyncio.sleep(POLL_SECONDS)

    async def _sample(self) -> None:
        while True:
            pids = {member.process.pid for member in self.members if member.process and member.alive}
            now = time.monotonic()
            for life in self.lives:
                if life.pid in pids:
                    life.look(now)
            await asyncio.sleep(SAMPLE_SECONDS)


class Progress:
    """How far the run is, read from the end of its history as it grows.

    Args:
        folder: the run's.

    Attributes:
        round: the newest, -1 before the first. changed_at: when there was a new one, by the monotonic clock.
    """

    def __init__(self, folder: Path) -> None:
        self.round = -1
        self.changed_at = time.monotonic()
        self._file = folder / HISTORY

    def look(self) -> int:
        """Look again; returns the newest round."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            with self._file.open("rb") as file:
                file.seek(max(0, self._file.stat().st_size - 65536))
                line = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
            newest = int(json.loads(line)["round"])
            if newest != self.round:
                self.round, self.changed_at = newest, time.monotonic()
        return self.round


async def wait_for_end(member: Member, seconds: float) -> int | None:
    """The exit code of a process that is about to end; None if it does not in time."""
    until = time.monotonic() + seconds
    while member.alive:
        if time.monotonic() > until:
            return None
        await asyncio.sleep(POLL_SECONDS / 4)
    return member.process.returncode if member.process else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
