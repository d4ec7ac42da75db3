"""Writes rounds down in the run's folder, counts them, logs them, and minds the disk they are written to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from common.folder import RunFolder
from common.history import RoundRecord


class RoundCounter(Protocol):
    """What counts rounds; `master.metrics.MasterMetrics` in production."""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""


class Scribe:
    """One run's records.

    Args:
        folder: where they go. counter: where they are counted.
        listeners: are told of every record, after the folder has it.
        log: of the run.
    """

    def __init__(
        self,
        folder: RunFolder,
        counter: RoundCounter,
        listeners: Sequence[Callable[[RoundRecord], None]],
        log: Any,
    ) -> None:
        self._folder = folder
        self._counter = counter
        self._listeners = listeners
        self._log = log
        self._full = False

    def record(self, record: RoundRecord) -> None:
        """A round has ended.

        Raises:
            RunFailed: the folder cannot be written.
        """
        self._folder.add(record)
        self._counter.record(record)
        for listener in self._listeners:
            listener(record)
        tell = {"exact": self._log.debug, "approximate": self._log.info, "failed": self._log.warning}
        tell[record.outcome](
            f"the round is {record.outcome}",
            round=record.round,
            reason=record.reason,
            end=record.end,
            stepped=record.stepped,
            recovered_fraction=record.recovered_fraction,
            seconds=record.seconds,
        )

    def news_of_the_disk(self) -> str:
        """In words, if the disk has just become full, or has room again; otherwise empty."""
        was_full, self._full = self._full, self._folder.held_bytes > 0
        if self._full == was_full:
            return ""
        if self._full:
            return "the disk is full: records wait in memory until there is room"
        return "the disk has room again, and what waited is written"
