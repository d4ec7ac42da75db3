"""A status page of a run with very many workers that nobody plays: statuses and records are made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from common.history import ChunkRow, RoundRecord
from master.http import start_http
from master.metrics import MasterMetrics
from master.page_face import PageFace
from master.page_feed import PageFacts, PageFeed
from master.status import PlaceStatus, RunStatus

SLOW = (3, 500, 501, 777)
LOAD = 4


@dataclass
class Crowd:
    """A run of ``n_workers``; round after round is as `record` makes it."""

    n_workers: int
    number: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def status(self) -> RunStatus:
        finished = self.rng.integers(0, LOAD + 1, self.n_workers)
        places = tuple(
            PlaceStatus(
                place, f"worker-{place}", self.state(place, int(count)), int(count), LOAD, 0.02, 0.1, 0
            )
            for place, count in enumerate(finished)
        )
        elapsed = 0.1 * self.number
        return RunStatus("running", "all are there", self.number, "made_up(n)", 0, 0.3, elapsed, places, ())

    def state(self, place: int, finished: int) -> str:
        if place in SLOW:
            return "straggling"
        return "idle" if finished == LOAD else "computing"

    def record(self) -> RoundRecord:
        """The next round."""
        seconds = self.rng.gamma(9.0, 0.003, self.n_workers)
        seconds[[place for place in SLOW if place < self.n_workers]] *= 6.0
        limit = 2.0 * float(np.median(seconds))
        rows = tuple(
            ChunkRow(place, f"worker-{place}", self.number, place, each, each, "used")
            for place, each in enumerate(seconds.tolist())
        )
        self.number += 1
        return RoundRecord(
            round=self.number - 1, outcome="exact", end="exact", reason="every chunk is recovered",
            stepped=True, loss=3.0 / (10 + self.number), loss_share=1.0, residual=0.0, recovered_fraction=1.0,
            noise_amplification=1.0, deadline_seconds=0.3, start_seconds=0.1 * self.number,
            seconds=0.08 + 0.02 * (self.number % 3), collect_seconds=0.0, solve_seconds=0.0,
            combine_seconds=0.0, step_seconds=0.0, gradient_norm=1.0, score=None,
            stragglers=tuple(np.flatnonzero(seconds > limit).tolist()), contributors=(0,), lost=(),
            bytes_sent=0, bytes_received=0, chunks_used=len(rows), chunks_duplicate=0, chunks_late=0,
            chunks_wasted=0, straggler_chunks_used=0, uncoded_seconds=0.2, epoch=0, chunks=rows,
        )  # fmt: skip


@asynccontextmanager
async def crowd(n_workers: int, rounds_before: int = 220) -> AsyncIterator[str]:
    """The address of its page; ten rounds a second go by."""
    made = Crowd(n_workers)
    face = PageFace(PageFeed(PageFacts("crowd", "crowd", 10_000, "0.1.0", 1.7e9)), made.status)
    for _ in range(rounds_before):
        face.hear_record(made.record())

    async def play() -> None:
        while True:
            face.hear_record(made.record())
            await asyncio.sleep(0.1)

    server = await start_http("127.0.0.1:0", MasterMetrics(made.status), made.status, page=face)
    playing = asyncio.create_task(play())
    try:
        yield server.address
    finally:
        playing.cancel()
        await face.end()
        await server.stop()
