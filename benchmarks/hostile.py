"""Hostile peers against a real run: what they cost the rounds of the honest workers, and the master's memory.

A master and its workers are processes; the chunks take a fixed time, so that rounds are bound by delays.
Each attack gets a fifth of a processor (a control group where that is possible, otherwise it is stopped four
fifths of the time) and no token or certificate stands in its way. Rounds during an attack are compared with
those before and after it. Exit code 1 where the median grows by more than a quarter, a round in a hundred
misses the deadline, or the master grows by 64 MB. ``--set`` changes limits, to see what they are good for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from common.datasets import load_dataset
from common.folder import read_history
from common.history import RoundRecord
from gradcode.lab.attacks import ATTACKS

SHARE = 0.2
SOURCE = "synthetic(rows=400, features=50)"
MOST_RATIO = 1.25
MOST_GROWTH_MB = 64.0
PYTHON = [sys.executable, "-m"]


class Run:
    """A master and workers that train until they are stopped."""

    def __init__(
        self, folder: Path, n_workers: int, chunk_seconds: float, deadline_seconds: float, more: list[str]
    ) -> None:
        self.folder = folder / "run"
        announce = folder / "announce.json"
        settings = [
            f"workers={n_workers}", "rounds=1000000", f"data.source={SOURCE}", "data.held_out=0.0",
            "delays.distribution=constant", f"delays.seconds={chunk_seconds}", "deadline.rule=fixed",
            f"deadline.seconds={deadline_seconds}", "evaluate_every=0", *more,
        ]  # fmt: skip
        sets = [part for each in settings for part in ("--set", each)]
        self._log = (folder / "log").open("w")
        self.master = self._start(
            "master", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--announce", str(announce),
            "--run-folder", str(self.folder), *sets,
        )  # fmt: skip
        while not announce.exists():
            assert self.master.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        told = json.loads(announce.read_text())
        self.address, self.page = told["address"], told["metrics"]
        self.workers = [
            self._start("worker", "--master", self.address, "--name", f"w{n}", "--metrics-address", "off")
            for n in range(n_workers)
        ]

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*PYTHON, *command], stdout=self._log, stderr=self._log)

    def rounds(self) -> list[RoundRecord]:
        return read_history(self.folder)

    def megabytes(self) -> float:
        status = Path(f"/proc/{self.master.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def watch(self, seconds: float) -> tuple[list[RoundRecord], float]:
        """The rounds that begin and end meanwhile, and how many MB the master has grown at most."""
        n_before, before = len(self.rounds()), self.megabytes()
        peak, until = before, time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.05)
            peak = max(peak, self.megabytes())
        return self.rounds()[n_before + 1 :], peak - before

    def close(self) -> None:
        for each in (self.master, *self.workers):
            each.terminate()
        for each in (self.master, *self.workers):
            each.wait(20)
        self._log.close()


@contextlib.contextmanager
def confined(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Let a process have a share of one processor. Returns how."""
    group = Path(f"/sys/fs/cgroup/cpu/gradcode-hostile-{os.getpid()}")
    try:
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text(str(int(SHARE * 100_000)))
        (group / "cgroup.procs").write_text(str(process.pid))
    except OSError:
        with _stop_and_go(process):
            yield "stopped"
        return
    try:
        yield "cgroup"
    finally:
        process.wait()
        with contextlib.suppress(OSError):
            group.rmdir()


@contextlib.contextmanager
def _stop_and_go(process: subprocess.Popen[bytes]) -> Iterator[None]:
    over = threading.Event()

    def drive() -> None:
        while not over.is_set() and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            over.wait(0.05 * SHARE)
            process.send_signal(signal.SIGSTOP)
            over.wait(0.05 * (1 - SHARE))
        process.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def attacked(run: Run, name: str, seconds: float) -> tuple[list[RoundRecord], float, str]:
    """The rounds during an attack, how much the master grew, and what the attack did."""
    digest = load_dataset(SOURCE, held_out=0.0).digest
    run_id = _run_id(run)
    command = ["gradcode.lab.attacks", name, run.address, "--page", run.page, "--seconds", str(seconds)]
    process = subprocess.Popen(
        [*PYTHON, *command, "--run", run_id, "--digest", digest], stdout=subprocess.PIPE
    )
    with confined(process):
        rounds, grown = run.watch(seconds)
        done, _ = process.communicate(timeout=30)
    return rounds, grown, done.decode().strip()


def _run_id(run: Run) -> str:
    import asyncio

    import grpc

    from common.wire import rpc

    async def ask() -> str:
        async with grpc.aio.insecure_channel(run.address, options=rpc.client_options()) as channel:
            return (await rpc.ControlClient(channel).get_status()).run

    return asyncio.run(ask())


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack", action="append", choices=ATTACKS)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each attack, and of peace between")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--chunk-seconds", type=float, default=0.02)
    parser.add_argument("--deadline-seconds", type=float, default=1.0)
    parser.add_argument("--set", action="append", default=[], help="a field of the experiment")
    given = parser.parse_args()
    broken = []
    print(
        f"{'attack':15}{'rounds':>7}{'median s':>10}{'x peace':>9}{'p99 s':>8}{'grown MB':>10}  what it did"
    )
    with tempfile.TemporaryDirectory() as folder:
        times_given = (given.chunk_seconds, given.deadline_seconds)
        run = Run(Path(folder), given.workers, *times_given, given.set)
        try:
            while not run.folder.is_dir() or len(run.rounds()) < 10:
                assert run.master.poll() is None, (Path(folder) / "log").read_text()
                time.sleep(0.1)
            at_first = run.megabytes()
            peace, _ = run.watch(given.seconds)
            for name in given.attack or ATTACKS:
                during, grown, did = attacked(run, name, given.seconds)
                after, _ = run.watch(given.seconds / 2)
                usual = median(each.seconds for each in peace + after)
                times = [each.seconds for each in during] or [given.seconds]
                ratio, worst = median(times) / usual, percentile(times, 0.99)
                good = ratio <= MOST_RATIO and worst < given.deadline_seconds and grown < MOST_GROWTH_MB
                row = (
                    f"{name:15}{len(during):>7}{median(times):>10.3f}{ratio:>9.2f}{worst:>8.3f}{grown:>10.1f}"
                )
                print(f"{row}  {did}{'' if good else '  BROKEN'}", flush=True)
                broken += [] if good else [name]
                peace = after
            total = run.megabytes() - at_first
            print(f"the master has grown by {total:.1f} MB over all attacks")
            broken += ["memory"] if total >= MOST_GROWTH_MB else []
        finally:
            run.close()
    print(f"broken: {', '.join(broken)}" if broken else "all kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
