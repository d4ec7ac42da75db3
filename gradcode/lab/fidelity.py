"""The same experiment run by processes on this machine, and simulated with what that run showed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from common.delays import Delays
from common.experiment import Experiment, to_toml
from common.folder import read_chunks, read_history
from common.history import ChunkRow, RoundRecord
from gradcode.lab.learning import simulate
from gradcode.lab.network import Network
from gradcode.local import POLL_SECONDS, LocalProcesses

ARITHMETIC_STEPS = 3
"""Sums of the master in a round: solving, combining, stepping."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Median round times of a real run and of its simulation.

    Attributes:
        real_seconds, simulated_seconds: the medians.
        network: what the real run showed, and the simulation was given.
    """

    real_seconds: float
    simulated_seconds: float
    network: Network

    @property
    def ratio(self) -> float:
        """The simulation's in times of the real one's."""
        return self.simulated_seconds / self.real_seconds


def compare(experiment: Experiment, folder: Path) -> Fidelity:
    """Run the experiment with processes on this machine, then simulate it.

    Args:
        experiment: what to run; ``workers`` is a number. folder: the run's own folder.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used.
        ProcessEnded: the master or all workers ended before the run began.
    """
    asyncio.run(run_here(experiment, folder))
    return against_run(experiment, folder)


def against_run(experiment: Experiment, folder: Path) -> Fidelity:
    """Simulate the experiment, and compare that with its run in ``folder``.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used, or the folder holds no run.
    """
    records = read_history(folder)
    network = measured_network(experiment.delays.to_delays(), records, read_chunks(folder))
    simulated = simulate(experiment, network=network).play()
    return Fidelity(_median_seconds(records), _median_seconds(simulated), network)


async def run_here(experiment: Experiment, folder: Path) -> int:
    """A whole run of a master and workers as processes on this machine; returns the master's exit code.

    Raises:
        ProcessEnded: see `compare`.
    """
    assert experiment.workers != "joined", "the number of workers to start"
    arguments = ["--listen", "127.0.0.1:0", "--metrics", "off", "--run-folder", os.fspath(folder)]
    with LocalProcesses() as processes:
        processes.start_master(to_toml(experiment), arguments)
        announced = await processes.announced()
        processes.start_workers(announced.address, experiment.workers)
        while processes.master.poll() is None:
            await asyncio.sleep(POLL_SECONDS)
        return processes.master.returncode


def measured_network(delays: Delays, records: Sequence[RoundRecord], rows: Sequence[ChunkRow]) -> Network:
    """What links, gradients and sums cost in a recorded run, in the median.

    A round trip is what passes between the start of a round and the report of a worker's first chunk besides
    that chunk; or, where there are collections, between a request and its answer.

    Args:
        delays: which were injected. records, rows: of the run.

    Raises:
        statistics.StatisticsError: nothing was recorded.
    """
    injected = [delays.chunk_seconds(row.place, row.round, row.chunk) for row in rows]
    collecting = [record.collect_seconds for record in records if record.collect_seconds > 0.0]
    sums = [record.solve_seconds + record.combine_seconds + record.step_seconds for record in records]
    return Network(
        latency_seconds=median(collecting or _leads(rows)) / 2.0,
        compute_seconds=max(0.0, median(row.seconds - own for row, own in zip(rows, injected, strict=True))),
        arithmetic_seconds=median(sums) / ARITHMETIC_STEPS,
    )


def _leads(rows: Sequence[ChunkRow]) -> list[float]:
    """Of every place in every round: how much later than its first chunk's seconds the report came."""
    first: dict[tuple[int, int], ChunkRow] = {}
    for row in rows:
        known = first.get((row.place, row.round))
        if known is None or row.arrived_seconds < known.arrived_seconds:
            first[row.place, row.round] = row
    return [row.arrived_seconds - row.seconds for row in first.values()]


def _median_seconds(records: Sequence[RoundRecord]) -> float:
    return median(record.seconds for record in records)
