"""A spare loads rows before it needs them, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio

from common.errors import InvalidSpec
from common.wire.access import Access
from common.wire.frames import Prefetch
from worker import memory
from worker.rows import fetch
from worker.rowstore import RowStore

LEAST_FREE = 0.5
"""Of the memory that was free before, so much stays free."""


async def load_ahead(
    channel: grpc.aio.Channel,
    access: Access,
    name: str,
    wanted: Prefetch,
    store: RowStore,
    count: Callable[[int], None],
) -> str:
    """Load what is missing of ``wanted``, one range after the other; may be cancelled at any time.

    Between two ranges it rests for as long as the last one took: those who compute come first.

    Args:
        channel, access, name: for the master. store: where rows go. count: told of rows that came.

    Returns:
        What it came to, in words; empty if there was nothing to do.

    Raises:
        ProtocolError: the master sent something else.
    """
    loop = asyncio.get_running_loop()
    free, n_rows, why = memory.available_bytes(), 0, ""
    for each in store.missing(wanted.data, wanted.compute_dtype):
        left = memory.available_bytes()
        if free is not None and left is not None and left < LEAST_FREE * free:
            why = ", and no more: half of the free memory is taken"
            break
        began = loop.time()
        try:
            rows = await fetch(channel, access, name, wanted.run, wanted.data, each)
        except InvalidSpec as error:
            why = f", and no more: {error}"
            break
        except grpc.aio.AioRpcError as error:
            why = f", and no more: {error.details()}"
            break
        store.put(wanted.data, each, wanted.compute_dtype, rows)
        count(each.end - each.begin)
        n_rows += each.end - each.begin
        await asyncio.sleep(loop.time() - began)
    return f"fetched {n_rows} rows ahead{why}" if n_rows or why else ""
