"""Rounds for those who watch: the newest are kept, and every watcher reads on from where it is.

A watcher holds a position and nothing else, so that a slow one costs no memory: it misses rounds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import replace

from common.history import RoundRecord, to_json
from common.wire.control import Ending, RoundsRequest, WatchedRounds

KEPT = 256
"""Rounds that are remembered."""
MOST_WATCHERS = 64
EVERY_SECONDS = 0.1
"""Between two answers to a watcher at least: fast rounds come in bundles."""
MOST_BYTES = 1 << 20
"""Of the records in one answer, beyond the first."""
PULSE_SECONDS = 5.0
"""Between two answers at most, so that a watcher knows a dead line from a long round."""


class Watchers:
    """The newest rounds of a run, for any number of watchers up to MOST_WATCHERS.

    Args:
        run: id of this start of the master.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._kept: deque[RoundRecord] = deque(maxlen=KEPT)
        self._n_heard = 0
        self._ending: Ending | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._n_watchers = 0

    def hear_record(self, record: RoundRecord) -> None:
        """A round has ended. Cost O(1) while nobody watches."""
        self._kept.append(replace(record, chunks=()))
        self._n_heard += 1
        self._stir()

    def end(self, ending: Ending | None) -> None:
        """The run is over; None when nobody knows how. Watchers get what they lack and that."""
        self._ending = ending or Ending("the master broke", 3)
        self._stir()

    def watch(self, request: RoundsRequest) -> AsyncGenerator[WatchedRounds, None] | None:
        """The rounds after those that the watcher knows, then every new one, then how the run ended.

        None when too many watch already.
        """
        return None if self._n_watchers >= MOST_WATCHERS else self._answers(self._begin_at(request))

    async def _answers(self, position: int) -> AsyncGenerator[WatchedRounds, None]:
        self._n_watchers += 1
        try:
            # The first answer comes at once, whatever there is: it says which run this is.
            while True:
                records, missed, position = self._since(position)
                over = self._ending if position == self._n_heard else None
                yield WatchedRounds(self._run, tuple(records), missed, over)
                if over is not None:
                    return
                await self._news(position)
        finally:
            self._n_watchers -= 1

    def _begin_at(self, request: RoundsRequest) -> int:
        """Rounds are numbered without gaps, so that what a watcher knows says what it lacks."""
        oldest = self._n_heard - len(self._kept)
        if request.run != self._run or request.after is None or not self._kept:
            return oldest
        return max(0, min(self._n_heard, self._n_heard + request.after - self._kept[-1].round))

    def _since(self, position: int) -> tuple[list[str], int, int]:
        """Records from ``position`` on as JSON, how many were missed, and the new position."""
        oldest = self._n_heard - len(self._kept)
        start = max(position, oldest)
        records: list[str] = []
        n_bytes = 0
        for index in range(start - oldest, len(self._kept)):
            line = to_json(self._kept[index])
            n_bytes += len(line)
            if records and n_bytes > MOST_BYTES:
                break
            records.append(line)
        return records, start - position, start + len(records)

    async def _news(self, position: int) -> None:
        """Wait until there is more than up to ``position``, at most PULSE_SECONDS."""
        await asyncio.sleep(EVERY_SECONDS)
        if self._n_heard > position or self._ending is not None:
            return
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(heard)
        try:
            await asyncio.wait({heard}, timeout=PULSE_SECONDS)
        finally:
            self._waiting.discard(heard)

    def _stir(self) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_result(None)
