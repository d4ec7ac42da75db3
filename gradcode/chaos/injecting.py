"""Does what the plan says to a cluster, and remembers what was really done and in which rounds."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from gradcode.chaos.cluster import START_SECONDS, Cluster, Member, Progress, wait_for_end
from gradcode.chaos.mangling import MANGLES
from gradcode.chaos.plan import Fault
from gradcode.chaos.proxy import Gate

NOTICED_WITHIN_SECONDS = 6.0
"""A dead link is noticed after 4 s at most, and a round that was waiting for it is over soon afterwards."""
LEAVE_SECONDS = 12.0
LOOK_SECONDS = 0.2
PIECE_SECONDS = 5.0
"""So long a mangle waits for bytes to come by."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was really done.

    Attributes:
        worker: name of the worker it befell; None for the master's.
        began, ended: when, in seconds since the start.
        first_round, last_round: the rounds in which history must tell of it.
    """

    fault: Fault
    worker: str | None
    began: float
    ended: float
    first_round: int
    last_round: int


class Injector:
    """Injects a plan.

    Args:
        cluster: whom. progress: of its run.

    Attributes:
        done: the faults that took place. missed: by kind, those that met nobody: a dead worker, no link.
    """

    def __init__(self, cluster: Cluster, progress: Progress) -> None:
        self.done: list[Injected] = []
        self.missed: Counter[str] = Counter()
        self._cluster = cluster
        self._progress = progress
        self._began = time.monotonic()
        self._master_free = asyncio.Lock()
        self._ways: dict[str, Callable[[Fault], Coroutine[Any, Any, bool]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "leave": self._leave,
            "cut": self._cut,
            "refuse": self._refuse,
            "silence": self._silence,
            "delay": self._delay,
            "narrow": self._narrow,
            "kill master": self._kill_master,
            "fill disk": self._fill_disk,
            **dict.fromkeys(MANGLES, self._mangle),
        }

    @property
    def counts(self) -> Counter[str]:
        """Faults done, by kind."""
        return Counter(each.fault.kind for each in self.done)

    async def inject(self, plan: Sequence[Fault]) -> None:
        """Every fault in its time; returns when the last is over and history had time to tell of it."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, self._began + fault.at_seconds - time.monotonic()))
                group.create_task(self._one(fault))

    async def _one(self, fault: Fault) -> None:
        first, began = self._progress.look(), time.monotonic() - self._began
        if not await self._ways[fault.kind](fault):
            self.missed[fault.kind] += 1
            return
        ended = time.monotonic() - self._began
        await asyncio.sleep(NOTICED_WITHIN_SECONDS)
        name = None if fault.worker is None else self._worker(fault).name
        # A master that was killed goes on some rounds back.
        last = self._progress.look()
        self.done.append(Injected(fault, name, began, ended, min(first, last) - 1, max(first, last) + 1))

    def _worker(self, fault: Fault) -> Member:
        assert fault.worker is not None
        return self._cluster.workers[fault.worker]

    def _gate(self, fault: Fault) -> Gate:
        assert fault.worker is not None
        return self._cluster.gates[fault.worker]

    # ---- what can be done; each says whether it met anybody ---------------------------------------------

    async def _kill(self, fault: Fault) -> bool:
        worker = self._worker(fault)
        if not (worker.wanted and worker.alive):
            return False
        worker.wanted = False
        worker.send(signal.SIGKILL)
        await wait_for_end(worker, 5.0)
        await asyncio.sleep(fault.for_seconds)
        self._cluster.start(worker)
        return True

    async def _freeze(self, fault: Fault) -> bool:
        worker = self._worker(fault)
        if worker.frozen or not (worker.wanted and worker.alive):
            return False
        worker.frozen = True
        process = worker.process
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(fault.for_seconds)
        if worker.process is process:
            worker.send(signal.SIGCONT)
            worker.frozen = False
        return True

    async def _leave(self, fault: Fault) -> bool:
        worker = self._worker(fault)
        if worker.frozen or not (worker.wanted and worker.alive):
            return False
        worker.wanted = False
        worker.send(signal.SIGTERM)
        if await wait_for_end(worker, LEAVE_SECONDS) is None:
            worker.send(signal.SIGKILL)  # frozen meanwhile
            await wait_for_end(worker, 5.0)
        await asyncio.sleep(fault.for_seconds)
        self._cluster.start(worker)
        return True

    async def _cut(self, fault: Fault) -> bool:
        gate = self._gate(fault)
        met = gate.n_connections > 0
        gate.cut()
        return met

    async def _refuse(self, fault: Fault) -> bool:
        gate = self._gate(fault)
        met = gate.n_connections > 0
        gate.refuse(True)
        gate.cut()
        await asyncio.sleep(fault.for_seconds)
        gate.refuse(False)
        return met

    async def _silence(self, fault: Fault) -> bool:
        gate = self._gate(fault)
        met = gate.n_connections > 0
        gate.keep_silent(True)
        await asyncio.sleep(fault.for_seconds)
        gate.keep_silent(False)
        return met

    async def _delay(self, fault: Fault) -> bool:
        gate = self._gate(fault)
        gate.delay(fault.amount)
        await asyncio.sleep(fault.for_seconds)
        gate.delay(0.0)
        return gate.n_connections > 0

    async def _narrow(self, fault: Fault) -> bool:
        gate = self._gate(fault)
        gate.narrow(fault.amount)
        await asyncio.sleep(fault.for_seconds)
        gate.narrow(None)
        return gate.n_connections > 0

    async def _mangle(self, fault: Fault) -> bool:
        gate = self._gate(fault)
        done = gate.mangle_next(fault.kind, fault.upwards)
        try:
            async with asyncio.timeout(PIECE_SECONDS):
                await done.wait()
        except TimeoutError:
            gate.forget_mangles()
            return False
        return True

    async def _kill_master(self, fault: Fault) -> bool:
        async with self._master_free:
            master = self._cluster.master
            if not (master.wanted and master.alive):
                return False
            master.wanted = False
            master.send(signal.SIGKILL)
            await wait_for_end(master, 5.0)
            await asyncio.sleep(fault.for_seconds)
            self._cluster.start(master)
            await self._until_rounds(START_SECONDS)
            return True

    async def _until_rounds(self, seconds: float) -> None:
        """Wait until the run goes on, from wherever it was taken up; a run that hangs is found elsewhere."""
        until, lowest = time.monotonic() + seconds, self._progress.look()
        while time.monotonic() < until:
            newest = self._progress.look()
            lowest = min(lowest, newest)
            if newest > lowest + 1:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _fill_disk(self, fault: Fault) -> bool:
        disk = self._cluster.disk
        if disk is None:
            return False
        # A master that is started on a full disk cannot begin, which is another matter.
        async with self._master_free:
            disk.fill()
            await asyncio.sleep(fault.for_seconds)
            disk.free()
            return True
