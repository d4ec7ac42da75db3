"""Fetches training rows from the master and keeps them, also from one link to the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from common.errors import ProtocolError
from common.models.base import Features, in_dtype
from common.wire import checks, codec
from common.wire.access import Access, as_worker
from common.wire.frames import DataOrder, FetchRows, RowRange, RowsData, RowsHeader
from common.wire.rows import unpack_rows
from common.wire.rpc import FETCH_ROWS, fetch_method
from worker import memory

FRAME_SECONDS = 120.0
"""So long a frame of 1 MiB with rows may take, on a link that carries 10 kB a second."""

Rows: TypeAlias = tuple[Features, NDArray[Any]]
_Key: TypeAlias = tuple[str, int, int, str]


class RowCache:
    """Rows by digest of their training set and range, so that no range is fetched twice."""

    def __init__(self) -> None:
        self._rows: dict[_Key, Rows] = {}

    def missing(self, order: DataOrder, compute_dtype: str) -> list[RowRange]:
        """The ranges of ``order`` that are not here."""
        return [each for each in order.ranges if _key(order, each, compute_dtype) not in self._rows]

    def put(self, order: DataOrder, wanted: RowRange, compute_dtype: str, rows: Rows) -> None:
        """Keep the rows of a range, with X in the dtype they are computed in."""
        X, y = rows
        self._rows[_key(order, wanted, compute_dtype)] = (in_dtype(X, np.dtype(compute_dtype)), y)

    def rows_of(self, order: DataOrder, compute_dtype: str) -> Mapping[int, Rows]:
        """For each chunk of ``order`` its rows; whatever else was kept is forgotten."""
        keys = {each.chunk: _key(order, each, compute_dtype) for each in order.ranges}
        self._rows = {key: self._rows[key] for key in keys.values()}
        return {chunk: self._rows[key] for chunk, key in keys.items()}


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


def _key(order: DataOrder, wanted: RowRange, compute_dtype: str) -> _Key:
    return order.digest, wanted.begin, wanted.end, compute_dtype
