"""A disk that is full is waited out; one that cannot be written at all ends the run instead of hanging it."""

from __future__ import annotations

import asyncio

import pytest

from common.errors import RunFailed
from common.experiment import load_experiment
from common.folder import read_history
from gradcode.local import LocalSessions, local_sessions

pytestmark = pytest.mark.xdist_group("processes")

EXPERIMENT = load_experiment(
    None,
    [
        "workers=2",
        "code=fractional_repetition(n, 1)",
        "data.source=synthetic(rows=60, features=4)",
        "rounds=100000",
        "evaluate_every=0",
    ],
)


async def until_round(sessions: LocalSessions, number: int) -> None:
    async with asyncio.timeout(20):
        while (last := sessions.master.driver.training.chronicle.last_record) is None or last.round < number:
            await asyncio.sleep(0.01)


async def test_a_folder_that_cannot_be_written_ends_the_run(tmp_path):
    async with local_sessions(EXPERIMENT, tmp_path / "run", 2) as sessions:
        await until_round(sessions, 3)
        history = sessions.master.folder._history
        history._file.close()
        history._file = (tmp_path / "run" / "history.jsonl").open("rb", buffering=0)
        with pytest.raises(RunFailed, match=r"cannot write .*history\.jsonl: File not open for writing"):
            await asyncio.wait_for(sessions.ending, 10)


async def test_a_run_goes_on_while_its_disk_is_full_and_writes_everything_afterwards(tmp_path, small_disk):
    disk = small_disk(tmp_path / "disk", 1 << 20)
    async with local_sessions(EXPERIMENT, disk.folder / "run", 2) as sessions:
        await until_round(sessions, 3)
        disk.fill()
        async with asyncio.timeout(20):
            while not sessions.master.folder.held_bytes:
                await asyncio.sleep(0.01)
        full_at = sessions.master.driver.training.chronicle.last_record.round
        await until_round(sessions, full_at + 5)
        disk.free()
        await until_round(sessions, full_at + 10)
        assert sessions.master.folder.held_bytes == 0
        sessions.master.interrupt()
        assert await sessions.ended() == 130
    records = read_history(disk.folder / "run")
    assert [record.round for record in records] == list(range(len(records)))
    told = [text for record in records for text in record.events if "disk" in text]
    assert told == [
        "the disk is full: records wait in memory until there is room",
        "the disk has room again, and what waited is written",
    ]
