"""A frame that seems never to end, as its length was altered on the way, costs a link and not the run."""

from __future__ import annotations

import asyncio

import pytest

from common.experiment import load_experiment
from common.folder import read_history
from gradcode.chaos.proxy import Gate
from gradcode.local import LocalSessions, local_sessions
from worker import liveness
from worker.service import Worker

pytestmark = pytest.mark.xdist_group("processes")

EXPERIMENT = load_experiment(
    None,
    [
        "workers=2",
        # Both are needed in every round, so that a round waits for whatever does not come.
        "code=uncoded(n)",
        "data.source=synthetic(rows=60, features=4)",
        "rounds=100000",
        "evaluate_every=0",
        "deadline.rule=none",
        "on_shortfall=wait",
        "delays.distribution=constant",
        "delays.seconds=0.005",
    ],
)


async def until_round(sessions: LocalSessions, number: int) -> int:
    async with asyncio.timeout(30):
        while (last := sessions.master.driver.training.chronicle.last_record) is None or last.round < number:
            await asyncio.sleep(0.01)
    return last.round


@pytest.mark.parametrize("upwards", [True, False], ids=["to the master", "to the worker"])
async def test_frames_that_do_not_come_through_are_noticed(tmp_path, monkeypatch, upwards):
    monkeypatch.setattr(liveness, "ALIVE_SECONDS", 0.2)
    async with local_sessions(EXPERIMENT, tmp_path / "run", 1) as sessions:
        gate = Gate(sessions.master.address, seed=1)
        await gate.open()
        worker = Worker(gate.address, "gated")
        working = asyncio.create_task(worker.run())
        try:
            await until_round(sessions, 3)
            async with asyncio.timeout(10):
                await gate.mangle_next("lengthen", upwards).wait()
            struck = await until_round(sessions, 0)
            await until_round(sessions, struck + 5)
            sessions.master.interrupt()
            assert await sessions.ended() == 130
        finally:
            worker.stop()
            await asyncio.wait({working}, timeout=5)
            await gate.close()
    told = [text for record in read_history(tmp_path / "run") for text in record.events]
    assert [text for text in told if text.startswith("worker gated: ")]
    assert sum(text.startswith("worker gated took place") for text in told) >= 2
