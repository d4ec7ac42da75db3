"""One chaos run from its start to its proof."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import RunFailed
from common.experiment import Experiment, load_experiment, to_toml
from gradcode.chaos import disk
from gradcode.chaos.cluster import Cluster, Progress
from gradcode.chaos.injecting import Injector
from gradcode.chaos.plan import KINDS, Fault, make_plan
from gradcode.chaos.proof import Account, Proof, account, replay
from gradcode.chaos.vitals import Growth, growth_of

DISK_BYTES = 256 << 20
LOOK_SECONDS = 0.5
FIRST_ROUNDS = 3
"""So many are left in peace: until then workers are being started."""
QUIET_SECONDS = 8.0
"""So long before the end the last fault begins: what follows from it belongs to the run."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be played.

    Attributes:
        seed: of everything. seconds: how long. n_workers: processes beside the master.
        every_seconds: mean time from one fault to the next. kinds: of faults.
        hang_seconds: without a new round for so long, the run hangs.
    """

    seed: int
    seconds: float
    n_workers: int = 11
    every_seconds: float = 2.5
    kinds: tuple[str, ...] = KINDS
    hang_seconds: float = 60.0


@dataclass(slots=True)
class Result:
    """What came of it.

    Attributes:
        seconds: how long it was played. missed: faults that met nobody, by kind.
        counts: faults done, by kind. restarts: processes that ended by themselves, and how.
        proof, account: of the run's history. growths: of processes that lived long enough to say.
        complaints: everything that is wrong, in words; empty if all is well.
        notes: what was left out, and why.
    """

    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    proof: Proof = field(default_factory=Proof)
    account: Account = field(default_factory=Account)
    growths: list[Growth] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def experiment_of(wanted: Wanted) -> Experiment:
    """Short rounds of which only exact ones step, with numbers that a replay can be compared with."""
    return load_experiment(
        None,
        [
            "name=chaos",
            f"workers={wanted.n_workers}",
            f"code=scheduled(n, {min(3, wanted.n_workers)}, 2)",
            f"data.source=synthetic(rows={200 * wanted.n_workers}, features=40, seed={wanted.seed % 1000})",
            "rounds=10000000",
            "evaluate_every=0",
            "wire_dtype=float64",
            "optimizer.learning_rate=0.005",
            "deadline.rule=none",
            "on_shortfall=wait",
            "delays.distribution=shifted_exponential",
            "delays.seconds=0.01",
            "delays.mean_seconds=0.005",
            "membership.lost_seconds=120",
            "checkpoint.every_seconds=3",
        ],
    )


async def play(wanted: Wanted, root: Path, tell: Callable[[str], None] = lambda line: None) -> Result:
    """Play and prove.

    Args:
        wanted: what. root: a folder for logs and the run. tell: is given a line every now and then.

    Raises:
        RunFailed: the cluster does not come up, or hangs; or whatever else keeps it from being played.
    """
    result = Result()
    kinds = wanted.kinds
    if "fill disk" in kinds and (reason := disk.why_not()):
        kinds = tuple(kind for kind in kinds if kind != "fill disk")
        result.notes.append(f"the disk is not filled: {reason}")
    plan = make_plan(
        wanted.seed, wanted.seconds - QUIET_SECONDS, wanted.n_workers, wanted.every_seconds, kinds
    )
    experiment = experiment_of(wanted)
    with contextlib.ExitStack() as stack:
        small = None
        if "fill disk" in kinds:
            small = stack.enter_context(disk.SmallDisk(root / "disk", DISK_BYTES))
        cluster = Cluster(root, to_toml(experiment), wanted.n_workers, wanted.seed, small)
        began = time.monotonic()
        async with cluster:
            await _disturb(cluster, plan, wanted, result, tell)
        result.seconds = time.monotonic() - began
        result.restarts = cluster.restarts
        tell("replaying the run in one process")
        result.proof = replay(experiment, cluster.folder)
    result.complaints += result.proof.complaints + result.account.missing
    for life in cluster.lives:
        growth = growth_of(life)
        if growth is not None:
            result.growths.append(growth)
            if growth.leaks:
                result.complaints.append(f"{life.name} leaks: {growth.leaks} in {growth.seconds:.0f} s")
    return result


async def _disturb(
    cluster: Cluster, plan: tuple[Fault, ...], wanted: Wanted, result: Result, tell: Callable[[str], None]
) -> None:
    """Inject the plan, watch, and end the run in order."""
    progress = Progress(cluster.folder)
    while progress.look() < FIRST_ROUNDS:
        _check_progress(cluster, progress, wanted)
        await asyncio.sleep(LOOK_SECONDS)
    injector = Injector(cluster, progress)
    until = time.monotonic() + wanted.seconds
    injecting = asyncio.create_task(injector.inject(plan))
    told_at = 0.0
    try:
        while time.monotonic() < until or not injecting.done():
            await asyncio.sleep(LOOK_SECONDS)
            progress.look()
            now = time.monotonic()
            _check_progress(cluster, progress, wanted)
            if injecting.done() and injecting.exception() is not None:
                break
            if now - told_at >= 5.0:
                told_at = now
                done = sum(injector.counts.values())
                tell(f"{until - now:5.0f} s to go, round {progress.round}, {done} faults")
        await injecting
    finally:
        injecting.cancel()
        result.counts, result.missed = injector.counts, injector.missed
    code = await cluster.stop_run()
    if code != 130:
        said = cluster.last_words(cluster.master)
        result.complaints.append(f"the master ended with exit code {code}: {said}")
    result.account = account(injector.done, cluster.folder)


def _check_progress(cluster: Cluster, progress: Progress, wanted: Wanted) -> None:
    """Complain if the run hangs."""
    if time.monotonic() - progress.changed_at > wanted.hang_seconds:
        words = "; ".join(f"{each.name}: {cluster.last_words(each)}" for each in cluster.members)
        hangs = f"no round for {wanted.hang_seconds:g} s after round {progress.round}"
        raise RunFailed(f"{hangs}. Last words: {words}")
