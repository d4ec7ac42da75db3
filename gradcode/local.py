"""A master and its workers on this machine: as processes, or as many sessions in one process.

Processes are started in process groups of their own, so that Ctrl-C in a terminal reaches only the one that
started them, and hold the reading end of a pipe, so that they end with it whatever ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from common.errors import GradcodeError

if TYPE_CHECKING:
    from common.experiment import Experiment
    from master.run import Master
    from worker.service import Worker

POLL_SECONDS = 0.05
LEAVE_SECONDS = 3.0
"""So long workers may take to leave when the run is over."""
YIELDING = 5
"""By so much workers are nicer than their master."""
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class ProcessEnded(GradcodeError):
    """A process that was started here ended before the run could begin."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Announced:
    """Where a master can be found: ``HOST:PORT``, address of its metrics (empty: none), run folder."""

    address: str
    metrics: str
    folder: str


def worker_name(number: int) -> str:
    """A letter or more, so that nobody takes a worker's name for the number of its place.

    >>> [worker_name(number) for number in (0, 25, 26, 701, 702)]
    ['a', 'z', 'aa', 'zz', 'aaa']
    """
    name = ""
    while number >= 0:
        number, letter = divmod(number, 26)
        name = chr(ord("a") + letter) + name
        number -= 1
    return name


# ---- processes ------------------------------------------------------------------------------------------


class LocalProcesses:
    """A master process and worker processes; leaving the ``with`` block ends them all.

    Attributes:
        logs: folder with one log file a process; gone with the block unless it was moved by `keep_logs`.
    """

    def __init__(self) -> None:
        self.logs = Path(tempfile.mkdtemp(prefix="gradcode-"))
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._master: subprocess.Popen[bytes] | None = None
        self._lifeline, self._held_open = os.pipe()

    def __enter__(self) -> LocalProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        os.close(self._held_open)
        os.close(self._lifeline)
        shutil.rmtree(self.logs, ignore_errors=True)

    @property
    def master(self) -> subprocess.Popen[bytes]:
        """The master's process."""
        assert self._master is not None, "start the master first"
        return self._master

    def start_master(self, experiment_toml: str, arguments: Sequence[str]) -> None:
        """Start the master of an experiment.

        Args:
            experiment_toml: the experiment's text.
            arguments: of ``python -m master``, beyond experiment and announcement.
        """
        file = self.logs / "experiment.toml"
        file.write_text(experiment_toml, encoding="utf-8")
        announce = ["--announce", str(self._announcement), "--log-format", "json"]
        self._master = self._start("master", [str(file), *announce, *arguments])

    def start_workers(self, address: str, n_workers: int, arguments: Sequence[str] = ()) -> None:
        """Start workers for the master at ``address``; ``arguments`` are those of ``python -m worker``."""
        for number in range(len(self.workers), len(self.workers) + n_workers):
            name = worker_name(number)
            own = ["--master", address, "--name", name, "--give-up", "60", *arguments]
            process = self.workers[name] = self._start("worker", own, log=f"worker-{name}")
            # On a machine with fewer processors than workers the master must not be kept waiting by them.
            os.setpriority(os.PRIO_PROCESS, process.pid, YIELDING)

    async def announced(self) -> Announced:
        """Where the master is, as soon as it says so.

        Raises:
            ProcessEnded: it ended before; with its own words and exit code.
        """
        while not self._announcement.exists():
            code = self.master.poll()
            if code is not None:
                raise ProcessEnded(self.last_words("master"), code if code > 0 else 3)
            await asyncio.sleep(POLL_SECONDS)
        return Announced(**json.loads(self._announcement.read_text(encoding="utf-8")))

    def last_words(self, log: str) -> str:
        """The last line of a process's log, without the program's name in front."""
        text = (self.logs / f"{log}.log").read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        last = lines[-1] if lines else f"the {log} ended without a word"
        with contextlib.suppress(ValueError, KeyError, TypeError):
            last = str(json.loads(last)["event"])
        return last.removeprefix("gradcode ").removeprefix(f"{log.partition('-')[0]}: ")

    def check_workers(self) -> None:
        """Complain if every worker's process has ended.

        Raises:
            ProcessEnded: with the words and the exit code of one of them.
        """
        codes = {name: process.poll() for name, process in self.workers.items()}
        if codes and all(code is not None for code in codes.values()):
            name, code = next(iter(codes.items()))
            said = f"all {len(codes)} workers ended, {name} with: {self.last_words(f'worker-{name}')}"
            raise ProcessEnded(said, code if code is not None and code > 0 else 3)

    def signal_master(self, number: int) -> None:
        """Send the master a signal, if it is still there."""
        if self._master is not None and self._master.poll() is None:
            self._master.send_signal(number)

    async def wait_for_workers(self, seconds: float = LEAVE_SECONDS) -> None:
        """Wait until all workers have left, at most so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(each.poll() is None for each in self.workers.values()):
            await asyncio.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End every process at once, frozen ones too."""
        processes = [*self.workers.values(), *([self._master] if self._master else [])]
        for process in processes:
            if process.poll() is None:
                process.kill()
        for process in processes:
            process.wait()

    def keep_logs(self, folder: Path) -> Path:
        """Copy the logs to ``folder/logs``; returns that folder."""
        kept = folder / "logs"
        kept.mkdir(parents=True, exist_ok=True)
        for file in sorted(self.logs.glob("*.log")):
            shutil.copy(file, kept)
        return kept

    @property
    def _announcement(self) -> Path:
        return self.logs / "announced.json"

    def _start(self, module: str, arguments: Sequence[str], log: str = "") -> subprocess.Popen[bytes]:
        file: IO[bytes]
        with (self.logs / f"{log or module}.log").open("wb") as file:
            return subprocess.Popen(
                # -P: a folder called common where the user stands is none of our business.
                [sys.executable, "-P", "-m", module, "--stop-on-eof", *arguments],
                stdin=self._lifeline,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                # Out of reach of Ctrl-C, but not a session of its own: some kernels share processor time
                # between sessions first, and then being nicer would mean nothing.
                process_group=0,
            )


def child_environment() -> dict[str, str]:
    """The environment of a child: our own packages first, and one thread for linear algebra."""
    environment = {**dict.fromkeys(_ONE_THREAD, "1"), **os.environ}
    home = Path(__file__).resolve().parents[1]
    if home.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{home}{os.pathsep}{known}" if known else str(home)
    return environment


# ---- sessions in one process ----------------------------------------------------------------------------


@dataclass
class LocalSessions:
    """A master and workers in this process, over real gRPC.

    Attributes:
        master: the master. ending: its exit code, when the run is over.
        workers: by name. leaving: their exit codes, when they have left.
    """

    master: Master
    ending: asyncio.Task[int]
    workers: dict[str, Worker]
    leaving: dict[str, asyncio.Task[int]]
    token: str | None = None

    def add_worker(self, name: str | None = None) -> Worker:
        """One more worker dials in."""
        from common.tokens import Token
        from common.wire.access import Access
        from worker.service import Worker

        name = name or worker_name(len(self.workers))
        token = None if self.token is None else Token(self.token)
        worker = Worker(self.master.address, name, access=Access(token=token))
        self.workers[name] = worker
        self.leaving[name] = asyncio.create_task(worker.run())
        return worker

    async def ended(self) -> int:
        """Wait for the end of the run and of all workers; returns the master's exit code."""
        code = await self.ending
        await asyncio.wait(self.leaving.values(), timeout=LEAVE_SECONDS)
        return code


@asynccontextmanager
async def local_sessions(
    experiment: Experiment, folder: Path, n_workers: int, token: str | None = None
) -> AsyncIterator[LocalSessions]:
    """A master that listens and workers that dial in; all are stopped when the block is left.

    Args:
        experiment: what to run. folder: the run's own folder; it must not hold a run.
        n_workers: how many workers to begin with. token: what the master wants to see, or None.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used.
    """
    from master.run import Master, MasterOptions
    from master.securing import Security

    options = MasterOptions("127.0.0.1:0", "off", folder=folder, security=Security(token=token))
    master = Master(experiment, options)
    master.prepare()
    opened = asyncio.Event()
    sessions = LocalSessions(master, asyncio.create_task(master.run(opened.set)), {}, {}, token)
    opening = asyncio.create_task(opened.wait())
    await asyncio.wait((sessions.ending, opening), return_when=asyncio.FIRST_COMPLETED)
    if not opened.is_set():
        opening.cancel()
        await sessions.ending
    try:
        for _ in range(n_workers):
            sessions.add_worker()
        yield sessions
    finally:
        await _stop(sessions)


async def _stop(sessions: LocalSessions) -> None:
    """Stop what is still running, and wait for it."""
    if not sessions.ending.done():
        sessions.master.interrupt()
    for worker in sessions.workers.values():
        worker.stop()
    tasks = [sessions.ending, *sessions.leaving.values()]
    _, late = await asyncio.wait(tasks, timeout=LEAVE_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_in_process(experiment: Experiment, folder: Path, n_workers: int) -> dict[str, Any]:
    """A whole run in this process; returns what its summary.json holds.

    Args:
        experiment: what to run. folder: the run's own folder. n_workers: how many workers dial in.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used.
    """
    from common.folder import read_summary

    async with local_sessions(experiment, folder, n_workers) as sessions:
        await sessions.ended()
    summary = read_summary(folder)
    assert summary is not None, "a run that has ended has a summary"
    return summary
