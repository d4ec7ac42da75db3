"""Checkpoints are written beside the run: nothing waits for them, and nothing ends with them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from common.reopening import Mark
from master import checkpointer
from master.checkpoint import Checkpoint, Checkpoints
from master.checkpoint_metrics import CheckpointFamilies
from master.checkpointer import CheckpointCounts, Checkpointer
from master.snapshot import Snapshot
from master.stores import FolderStore


class Store(FolderStore):
    """A folder that waits until it may write, and fails as long as it is full."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.may_write = threading.Event()
        self.may_write.set()
        self.full = False

    def write(self, name: str, data: bytes) -> None:
        assert self.may_write.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(name, data)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_checkpoint(number: int) -> Checkpoint:
    snapshot = Snapshot(
        round=number, epoch=0, code="uncoded(2)", wanted=2, n_places=2, n_linked=2, run_seconds=0.0, skips=0,
        chronicle={}, experience={}, members={},
    )  # fmt: skip
    optimizer = {"steps": number, "parameters": np.zeros(3)}
    return Checkpoint(
        run="abc", written_unix_seconds=float(number), mark=Mark(), snapshot=snapshot, optimizer=optimizer
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "kept")


@pytest.fixture
def counts():
    return CheckpointCounts(Clock())


@pytest.fixture
async def taker(store, counts):
    return Checkpointer(Checkpoints(store, "abc", keep=9), counts, sync=lambda: None)


async def until(holds) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


def samples(counts: CheckpointCounts) -> dict[str, float]:
    return {
        each.name: each.value for family in CheckpointFamilies(counts).collect() for each in family.samples
    }


async def test_while_one_is_written_newer_ones_are_skipped_but_the_end_waits_for_the_newest(
    store, counts, taker
):
    store.may_write.clear()
    for number in (1, 2, 3, 4):
        taker.take(a_checkpoint(number))
    counts.clock.now += 5.0
    assert samples(counts)["gradcode_checkpoint_overdue_seconds"] == 5.0
    assert "gradcode_checkpoint_bytes" not in samples(counts)
    store.may_write.set()
    await taker.close()
    assert store.names() != []
    assert sorted(store.names())[-1] == a_checkpoint(4).name
    assert (counts.written, counts.skipped, counts.failures, counts.round) == (2, 3, 0, 4)
    shown = samples(counts)
    assert shown["gradcode_checkpoint_overdue_seconds"] == 0.0
    assert shown["gradcode_checkpoint_timestamp_seconds"] == 4.0
    assert shown["gradcode_checkpoint_bytes"] == (store._folder / a_checkpoint(4).name).stat().st_size


async def test_a_full_store_is_counted_and_tried_again_and_the_run_goes_on(store, counts, taker, monkeypatch):
    monkeypatch.setattr(checkpointer, "RETRY_SECONDS", 0.01)
    store.full = True
    taker.take(a_checkpoint(1))
    await until(lambda: counts.failures >= 2)
    assert counts.due_at is not None
    store.full = False
    await until(lambda: counts.written == 1)
    assert (counts.due_at, counts.round, counts.age_seconds) == (None, 1, 0.0)
    await taker.close()
    assert counts.written == 1


async def test_what_cannot_be_made_safe_is_not_built_on(store, counts):
    def broken() -> None:
        raise OSError(5, "Input/output error")

    taker = Checkpointer(Checkpoints(store, "abc", keep=9), counts, sync=broken)
    taker.take(a_checkpoint(1))
    await taker.close()
    assert (store.names(), counts.failures) == ([], 1)


async def test_a_store_that_hangs_does_not_keep_the_run_from_ending(store, counts, taker, monkeypatch):
    monkeypatch.setattr(checkpointer, "END_SECONDS", 0.05)
    store.may_write.clear()
    taker.take(a_checkpoint(1))
    async with asyncio.timeout(5):
        await taker.close()
    assert counts.written == 0
    store.may_write.set()
