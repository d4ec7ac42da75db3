"""Real processes: a master and workers as an operator would start them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc

from common.folder import read_history, read_summary
from common.history import RoundRecord
from common.wire import rpc
from common.wire.control import RunStatus, WorkerStatus

T = TypeVar("T")
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class Cluster:
    """A master process and its workers; everything is ended by ``close``.

    Attributes:
        prefix: goes before the command of whoever is started next. more: arguments of all.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.folder = folder / "run"
        self.master: subprocess.Popen[str]
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self.address = ""
        self.prefix: list[str] = []
        self.more: tuple[str, ...] = ()

    def start_master(self, *overrides: str, listen: str = "127.0.0.1:0", awaited: bool = True) -> None:
        announce = self.root / "announce.json"
        insecure = () if listen.startswith("127.") else ("--insecure-network",)
        announce.unlink(missing_ok=True)
        sets = [part for each in overrides for part in ("--set", each)]
        self.master = self._spawn(
            "master", "--listen", listen, *insecure, "--metrics", "off", "--announce", str(announce),
            "--run-folder", str(self.folder), *sets,
        )  # fmt: skip
        if awaited:
            self.until(announce.exists, "the master to listen")
            self.address = json.loads(announce.read_text())["address"]

    def start_worker(self, name: str, address: str = "", metrics: str = "off") -> None:
        where = address or self.address
        self.workers[name] = self._spawn(
            "worker", "--master", where, "--name", name, "--metrics-address", metrics
        )

    def start(self, n_workers: int, *overrides: str) -> None:
        self.start_master(f"workers={n_workers}", *overrides)
        for number in range(n_workers):
            self.start_worker(f"w{number}")

    def signal(self, name: str, number: int) -> None:
        os.kill(self.workers[name].pid, number)

    def wait(self, seconds: float = 60.0) -> int:
        """The master's exit code."""
        return self.master.wait(seconds)

    def history(self) -> list[RoundRecord]:
        return read_history(self.folder)

    def summary(self) -> dict[str, Any]:
        found = read_summary(self.folder)
        assert found is not None, "the run has no summary"
        return found

    def status(self) -> RunStatus:
        return self._ask(lambda client: client.get_status())

    def places(self) -> list[WorkerStatus]:
        return self._ask(lambda client: client.list_workers())

    def place_of(self, name: str) -> int:
        place = next(each.place for each in self.places() if each.worker_name == name)
        assert place is not None
        return place

    def until(self, holds: Callable[[], T], what: str, seconds: float = 30.0) -> T:
        """Wait for something to become true; fails with what was waited for and what was logged."""
        end = time.monotonic() + seconds
        while not (value := holds()):
            if time.monotonic() > end or self.master.poll() is not None:
                raise AssertionError(f"waited in vain for {what}\n{self.log('master')}")
            time.sleep(0.02)
        return value

    def until_round(self, number: int) -> None:
        self.until(lambda: (self.status().round or 0) >= number, f"round {number}")

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def close(self) -> None:
        for process in (*self.workers.values(), self.master):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def _spawn(self, role: str, *arguments: str) -> subprocess.Popen[str]:
        name = role if role == "master" else arguments[arguments.index("--name") + 1]
        with (self.root / f"{name}.log").open("a") as log:
            command = [*self.prefix, sys.executable, "-m", role, *arguments, *self.more]
            return subprocess.Popen(command, stdout=log, stderr=log, text=True, env=ENVIRONMENT)

    def _ask(self, question: Callable[[rpc.ControlClient], Any]) -> Any:
        async def ask() -> Any:
            async with grpc.aio.insecure_channel(self.address, options=rpc.client_options()) as channel:
                return await question(rpc.ControlClient(channel))

        return asyncio.run(ask())
