"""Writes a run's checkpoints beside the run: in a thread of its own, and without ever ending the run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import structlog

from master.checkpoint import Checkpoint, Checkpoints

RETRY_SECONDS = 10.0
"""After a write that failed, the newest state is tried again after so long, if no newer one comes before."""
MOST_SKIPPED = 3
"""So many checkpoints in a row that had to be skipped, as one is still being written, are worth a warning."""
END_SECONDS = 30.0
"""So long the end of a run waits for its last checkpoint."""

log = structlog.get_logger("gradcode.master")


class CheckpointCounts:
    """What is known of a run's checkpoints, for metrics and operators.

    Attributes:
        written, failures, skipped: how many were. n_bytes, seconds: of the newest. round: rounds it holds.
        written_at: when the newest was, by the master's clock; before the first, when the run was begun.
        written_unix_seconds: the same by the wall clock; None before the first.
        due_at: since when one that was due is not written; None while all is well.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.written = self.failures = self.skipped = self.n_bytes = 0
        self.seconds = 0.0
        self.round: int | None = None
        self.written_at = clock()
        self.written_unix_seconds: float | None = None
        self.due_at: float | None = None

    @property
    def age_seconds(self) -> float:
        """Since the newest, or the beginning: so much work a loss of the master would cost."""
        return self.clock() - self.written_at

    @property
    def overdue_seconds(self) -> float:
        """For so long a checkpoint that was due is not written."""
        return 0.0 if self.due_at is None else self.clock() - self.due_at


class Checkpointer:
    """Takes checkpoints in the event loop's thread and writes them one at a time in another.

    Args:
        checkpoints: of the run. counts: what is told of them.
        sync: called first, in that thread: makes safe what the checkpoint builds on; may raise OSError.
    """

    def __init__(self, checkpoints: Checkpoints, counts: CheckpointCounts, sync: Callable[[], None]) -> None:
        self._checkpoints = checkpoints
        self._counts = counts
        self._sync = sync
        self._loop = asyncio.get_running_loop()
        self._log = log.bind(run=checkpoints.run)
        self._writing: asyncio.Future[None] | None = None
        self._newest: Checkpoint | None = None
        self._n_skipped = 0
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self, checkpoint: Checkpoint) -> None:
        """Write this one, unless one is being written. Never blocks, never raises."""
        counts = self._counts
        if counts.due_at is None:
            counts.due_at = counts.clock()
        self._newest = checkpoint
        if self._writing is None:
            self._begin()
            return
        counts.skipped += 1
        self._n_skipped += 1
        if self._n_skipped % MOST_SKIPPED == 0:
            text = f"a checkpoint has been being written for {counts.overdue_seconds:.1f} s"
            self._log.warning(f"{text}; newer ones are skipped", kind="checkpoint")

    async def close(self) -> None:
        """Write the newest if it is not written yet, and wait for it, at most END_SECONDS."""
        self._closed = True
        try:
            async with asyncio.timeout(END_SECONDS):
                while self._writing is not None:
                    await asyncio.shield(self._writing)
                if self._newest is not None:
                    self._begin()
                    assert self._writing is not None
                    await asyncio.shield(self._writing)
        except TimeoutError:
            text = f"the last checkpoint is not written after {END_SECONDS:g} s: it is given up"
            self._log.warning(text, kind="checkpoint")
        finally:
            if self._retry is not None:
                self._retry.cancel()

    def _begin(self) -> None:
        checkpoint, self._newest = self._newest, None
        assert checkpoint is not None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._n_skipped = 0
        self._writing = self._loop.create_future()
        # A store that hangs must not keep the process from ending.
        threading.Thread(target=self._write, args=(checkpoint,), name="checkpoint", daemon=True).start()

    def _write(self, checkpoint: Checkpoint) -> None:
        began, n_bytes = time.perf_counter(), 0
        error: Exception | None = None
        try:
            self._sync()
            n_bytes = self._checkpoints.write(checkpoint)
        except Exception as found:  # whatever a store raises: the run goes on
            error = found
        seconds = time.perf_counter() - began
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._written, checkpoint, n_bytes, seconds, error)

    def _written(self, checkpoint: Checkpoint, n_bytes: int, seconds: float, error: Exception | None) -> None:
        writing, self._writing = self._writing, None
        counts, number = self._counts, checkpoint.snapshot.round
        if error is not None:
            counts.failures += 1
            self._log.warning(
                f"the checkpoint after {number} rounds cannot be written; it is tried again later",
                kind="checkpoint",
                place=self._checkpoints.store.place,
                error=f"{type(error).__name__}: {error}",
            )
            if self._newest is None and not self._closed:
                self._newest = checkpoint
            if self._newest is not None and not self._closed:
                self._retry = self._loop.call_later(RETRY_SECONDS, self._try_again)
        else:
            counts.written += 1
            counts.n_bytes, counts.seconds, counts.round = n_bytes, seconds, number
            counts.written_at = counts.clock()
            counts.written_unix_seconds = checkpoint.written_unix_seconds
            counts.due_at = None
            self._log.debug("checkpoint", rounds=number, bytes=n_bytes, seconds=seconds)
        if writing is not None and not writing.done():
            writing.set_result(None)

    def _try_again(self) -> None:
        self._retry = None
        if self._writing is None and self._newest is not None:
            self._begin()
