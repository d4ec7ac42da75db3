"""Very many short rounds in one process: nothing may grow."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.experiment import load_experiment
from common.folder import iter_history
from gradcode.chaos.vitals import Vitals, read_vitals
from gradcode.local import LocalSessions, local_sessions

MEBIBYTE = 1 << 20
N_SAMPLES = 20
MOST_BYTES = 12 * MEBIBYTE
MOST_FILES = 2
MOST_THREADS = 1


@dataclass(slots=True)
class LongRun:
    """What a long run came to.

    Attributes:
        n_rounds: played. seconds: it took. samples: at equal steps of rounds, the first after a tenth.
        complaints: what grew, in words.
    """

    n_rounds: int = 0
    seconds: float = 0.0
    samples: list[tuple[int, Vitals]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Compare the last sample with the first."""
        (_, first), (_, last) = self.samples[0], self.samples[-1]
        for what, grown, limit in (
            ("bytes of memory", last.n_bytes - first.n_bytes, MOST_BYTES),
            ("open files", last.n_files - first.n_files, MOST_FILES),
            ("threads", last.n_threads - first.n_threads, MOST_THREADS),
        ):
            if grown > limit:
                self.complaints.append(f"{grown} {what} more than after a tenth of the rounds")

    def lines(self) -> list[str]:
        """For people."""
        shown = [
            f"round {number:8d}: {each.n_bytes / MEBIBYTE:6.1f} MiB, {each.n_files} files, "
            f"{each.n_threads} threads"
            for number, each in self.samples
        ]
        rate = f"{self.n_rounds} rounds in {self.seconds:.0f} s: {self.n_rounds / self.seconds:.0f} a second"
        return [*shown, rate, *(self.complaints or ["Nothing grew."])]


async def long_run(n_rounds: int, tell: Callable[[str], None] = lambda line: None) -> LongRun:
    """Play ``n_rounds`` of a master and two workers in this process, over real gRPC.

    Memory is measured from a tenth of the rounds on, when everything that is remembered for a while is there.
    """
    experiment = load_experiment(
        None,
        [
            "workers=2",
            "code=partial_stragglers(n, 2)",
            "data.source=synthetic(rows=40, features=4)",
            f"rounds={n_rounds}",
            "evaluate_every=0",
            "optimizer.learning_rate=0.001",
            "deadline.rule=none",
        ],
    )
    result, began = LongRun(n_rounds), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gradcode-long-") as folder:
        path = Path(folder) / "run"
        async with local_sessions(experiment, path, 2) as sessions:
            marks = [n_rounds * (2 + number) // (2 + N_SAMPLES) for number in range(N_SAMPLES)]
            for mark in marks:
                while not sessions.ending.done() and _newest(sessions) < mark:
                    await asyncio.sleep(0.02)
                gc.collect()
                found = read_vitals(os.getpid(), time.monotonic() - began)
                if found is not None:
                    result.samples.append((mark, found))
                tell(f"round {mark} of {n_rounds}")
            code = await sessions.ended()
        result.seconds = time.monotonic() - began
        written = sum(1 for record in iter_history(path) if record.outcome == "exact")
    if code != 0 or written != n_rounds:
        result.complaints.append(f"exit code {code}, {written} exact rounds of {n_rounds}")
    result.judge()
    return result


def _newest(sessions: LocalSessions) -> int:
    record = sessions.master.driver.training.chronicle.last_record
    return -1 if record is None else record.round
