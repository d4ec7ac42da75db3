"""Sends training rows to workers, never more of them at a time than the memory set aside for that."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import grpc

from common.datasets.base import Dataset
from common.errors import ProtocolError
from common.wire import codec
from common.wire.frames import ITEM_BYTES, FetchRows, RowsData
from common.wire.pieces import split_frames
from common.wire.rows import pack_rows

LEAST_BYTES_PER_SECOND = 64 * 1024
"""A worker that reads its rows more slowly makes room for others."""


class ByteBudget:
    """Bytes that may be in use at a time; who wants more waits, in order of coming.

    What is larger than the whole budget has it to itself.
    """

    def __init__(self, most: int) -> None:
        self.in_use = 0
        self._most = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @contextlib.asynccontextmanager
    async def use(self, n_bytes: int) -> AsyncIterator[None]:
        """Wait until ``n_bytes`` fit in, and have them in use meanwhile."""
        n_bytes = min(n_bytes, self._most)
        if self._waiting or self.in_use + n_bytes > self._most:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            entry = (n_bytes, turn)
            self._waiting.append(entry)
            try:
                await turn
            except asyncio.CancelledError:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                else:
                    self.in_use -= n_bytes
                self._admit()
                raise
        else:
            self.in_use += n_bytes
        try:
            yield
        finally:
            self.in_use -= n_bytes
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self.in_use + self._waiting[0][0] <= self._most:
            n_bytes, turn = self._waiting.popleft()
            self.in_use += n_bytes
            turn.set_result(None)


class RowServer:
    """Answers FetchRows.

    Args:
        dataset: whose training rows. most_bytes: that wait to be sent at a time, over all workers.
        patience_seconds: how long a worker may read nothing.
    """

    def __init__(self, dataset: Dataset, most_bytes: int, patience_seconds: float) -> None:
        self._dataset = dataset
        self._budget = ByteBudget(most_bytes)
        self._patience_seconds = patience_seconds

    def check(self, fetch: FetchRows, run: str) -> None:
        """Refuse what is not of this run or not there.

        Raises:
            ProtocolError: ``foreign_rows``.
        """
        if fetch.digest != self._dataset.digest or fetch.run != run:
            raise ProtocolError("foreign_rows", "these rows are not of this run's training set")
        if not 0 <= fetch.begin < fetch.end <= self._dataset.n_rows:
            wanted = f"[{fetch.begin}, {fetch.end})"
            raise ProtocolError("foreign_rows", f"rows {wanted} are not within 0..{self._dataset.n_rows}")

    async def send(self, fetch: FetchRows, context: Any) -> None:
        """Write the rows of a range that was checked; one payload is two copies of its rows at first.

        Raises:
            ProtocolError: ``too_slow``, the worker does not read them.
        """
        n_bytes = self._bytes_of(fetch)
        async with self._budget.use(2 * n_bytes):
            seconds = self._patience_seconds + n_bytes / LEAST_BYTES_PER_SECOND
            try:
                async with asyncio.timeout(seconds):
                    await self._write(fetch, context)
            except TimeoutError:
                raise ProtocolError("too_slow", f"the rows were not read within {seconds:.0f} s") from None

    async def _write(self, fetch: FetchRows, context: Any) -> None:
        rows = slice(fetch.begin, fetch.end)
        header, payload = await asyncio.to_thread(
            pack_rows, self._dataset.X_train[rows], self._dataset.y_train[rows]
        )
        await context.write(codec.encode_fetch_response(header))
        for _, piece in split_frames(payload):
            await context.write(codec.encode_fetch_response(RowsData(piece)))

    def _bytes_of(self, fetch: FetchRows) -> int:
        X, n_rows = self._dataset.X_train, fetch.end - fetch.begin
        if hasattr(X, "indptr"):
            n_stored = int(X.indptr[fetch.end] - X.indptr[fetch.begin])
            return n_stored * (ITEM_BYTES["int32"] + int(X.dtype.itemsize)) + 2 * n_rows * ITEM_BYTES["int64"]
        return n_rows * (int(X.shape[1]) + 1) * int(X.dtype.itemsize)


async def refuse_fetch(error: ProtocolError, context: Any) -> None:
    """End the call with what is wrong with it; never returns."""
    codes = {
        "too_slow": grpc.StatusCode.DEADLINE_EXCEEDED,
        "wrong_name": grpc.StatusCode.PERMISSION_DENIED,
    }
    await context.abort(codes.get(error.kind, grpc.StatusCode.INVALID_ARGUMENT), str(error))
