"""Fetches training rows from the master."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from common.errors import ProtocolError
from common.wire import checks, codec
from common.wire.access import Access, as_worker
from common.wire.frames import DataOrder, FetchRows, RowRange, RowsData, RowsHeader
from common.wire.rows import unpack_rows
from common.wire.rpc import FETCH_ROWS, fetch_method
from worker import memory
from worker.rowstore import Rows

FRAME_SECONDS = 120.0
"""So long a frame of 1 MiB with rows may take, on a link that carries 10 kB a second."""


async def fetch(
    channel: grpc.aio.Channel, access: Access, name: str, run: str, order: DataOrder, wanted: RowRange
) -> Rows:
    """The rows of one range, from the master, for the worker called ``name``.

    Raises:
        ProtocolError: what came is not what the order and its own header say.
        InvalidSpec: there is not enough memory.
        grpc.aio.AioRpcError: the call failed.
    """
    request = codec.encode_fetch(FetchRows(run, order.digest, wanted.begin, wanted.end))
    header: RowsHeader | None = None
    payload = bytearray()
    n_received = 0
    metadata = as_worker(name) + await access.metadata(channel, FETCH_ROWS)
    async for raw in _frames(fetch_method(channel)(request, metadata=metadata)):
        frame = codec.decode_fetch_response(raw)
        if isinstance(frame, RowsData):
            checks.require(header is not None, "wrong_order", "rows before their header")
            end = n_received + len(frame.data)
            checks.require(end <= len(payload), "wrong_length", f"more than {len(payload)} bytes of rows")
            payload[n_received:end] = frame.data
            n_received = end
        else:
            checks.require(header is None, "wrong_order", "a second header")
            header = _accepted(frame, order, wanted)
            payload = bytearray(header.total_bytes)
    if header is None or n_received < len(payload):
        raise ProtocolError("wrong_length", f"{n_received} of {len(payload)} bytes of rows")
    return await asyncio.to_thread(unpack_rows, header, payload)


async def _frames(call: Any) -> AsyncIterator[bytes]:
    """What the master sends, unless it stops before it is complete."""
    try:
        while (raw := await asyncio.wait_for(call.read(), FRAME_SECONDS)) is not grpc.aio.EOF:
            yield raw
    except TimeoutError:
        raise ProtocolError("silent", f"no rows came for {FRAME_SECONDS:g} s") from None
    finally:
        call.cancel()


def _accepted(header: RowsHeader, order: DataOrder, wanted: RowRange) -> RowsHeader:
    expected = (wanted.end - wanted.begin, order.n_features, order.sparse)
    found = (header.n_rows, header.n_features, header.sparse)
    checks.require(found == expected, "wrong_length", f"rows, features, sparse: {found}, not {expected}")
    memory.require(header.total_bytes, f"the rows of chunk {wanted.chunk}")
    return header
