"""Pure: which chunks each place computes, so that the last is finished as early as possible: max-flow.

Every place has a time from which it is free and a number of seconds a chunk. The least time T by which all
chunks can be finished is the least for which a flow saturates all chunks: source -> place, with the number
of chunks that the place can finish by T; place -> every chunk that it holds; chunk -> sink. No schedule can
finish earlier, for these holders and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from common.codes.base import Assignment

_ROUNDING = 1e-9
"""A chunk that would be finished so much of its seconds after T counts as finished by T."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is expected of a place.

    Attributes:
        seconds: for a chunk, above 0.
        free_seconds: from now until it can begin with its first.
    """

    seconds: float
    free_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Shares:
    """Who computes what.

    Attributes:
        seconds: from now until the last chunk is finished; 0 without chunks.
        chunks: place -> the chunks it computes, ascending; places without any are left out.
    """

    seconds: float
    chunks: Mapping[int, tuple[int, ...]]


class Planner:
    """Finds shares for one assignment.

    Args:
        assignment: who holds what.
        n_copies: l; every chunk is computed by so many places, or by all live holders if they are fewer.

    Cost: O(total load) to make.

    >>> from common.codes.base import Assignment
    >>> ring = Assignment(4, ((0, 1), (1, 2), (2, 3), (3, 0)))
    >>> shares = Planner(ring).shares({0: Pace(1.0), 1: Pace(4.0), 2: Pace(1.5), 3: Pace(1.0)})
    >>> shares.seconds, dict(shares.chunks)
    (2.0, {0: (0, 1), 2: (2,), 3: (3,)})
    """

    def __init__(self, assignment: Assignment, n_copies: int = 1) -> None:
        self._n_places = n = assignment.n_workers
        self._n_chunks = assignment.n_chunks
        self._n_copies = n_copies
        loads = np.array([len(order) for order in assignment.orders])
        self._places = np.repeat(np.arange(n), loads)
        self._chunks = np.fromiter((c for order in assignment.orders for c in order), np.int64, loads.sum())
        self._loads = loads
        self._keys = self._places * self._n_chunks + self._chunks
        self._by_key = np.argsort(self._keys)
        # Nodes: source, places, chunks, sink; edges in the order of a compressed sparse matrix.
        first_chunk, sink = 1 + n, 1 + n + self._n_chunks
        targets = (np.arange(1, 1 + n), first_chunk + self._chunks, np.full(self._n_chunks, sink))
        degrees = np.concatenate(([n], loads, np.ones(self._n_chunks, np.int64), [0]))
        self._indices = np.concatenate(targets).astype(np.int32)
        self._indptr = np.concatenate(([0], np.cumsum(degrees))).astype(np.int32)

    def shares(self, paces: Mapping[int, Pace], tolerance: float = 0.002) -> Shares:
        """The shares that finish first.

        Args:
            paces: of the live places; the others compute nothing. Chunks that no live place holds are left
                out.
            tolerance: the relative error of the time found that is acceptable.

        Cost: some maximum flows, O(total load) each in practice: 0.2 ms for 16 places with 24 chunks each,
            80 ms for 10,000.
        """
        n = self._n_places
        seconds, free = np.full(n, np.inf), np.zeros(n)
        for place, pace in paces.items():
            seconds[place], free[place] = pace.seconds, pace.free_seconds
        live = np.isfinite(seconds)
        holders = np.bincount(self._chunks, weights=live[self._places], minlength=self._n_chunks)
        wanted = np.minimum(holders, self._n_copies).astype(np.int32)
        demand = int(wanted.sum())
        if demand == 0:
            return Shares(0.0, {})
        low = self._fluid(seconds, free, demand)
        flow = self._flow(self._room(low, seconds, free), wanted, demand)
        if flow is None:
            flow = self._bisect(low, seconds, free, wanted, demand, tolerance)
        return self._read(flow, seconds, free)

    def _room(
        self, limit: float, seconds: NDArray[np.float64], free: NDArray[np.float64]
    ) -> NDArray[np.int32]:
        """How many chunks each place can finish by ``limit``."""
        room = np.floor((limit - free) / seconds + _ROUNDING)
        return np.clip(room, 0, self._loads).astype(np.int32)

    def _fluid(self, seconds: NDArray[np.float64], free: NDArray[np.float64], demand: int) -> float:
        """The least time if every place held every chunk: a lower bound."""
        low, high = 0.0, float(np.min(free + seconds * demand))
        limit = self._loads
        while int(np.clip(np.floor((high - free) / seconds), 0, limit).sum()) < demand:
            high *= 2.0
        while high - low > 1e-7 * high:
            middle = 0.5 * (low + high)
            if int(self._room(middle, seconds, free).sum()) >= demand:
                high = middle
            else:
                low = middle
        return high

    def _bisect(
        self,
        low: float,
        seconds: NDArray[np.float64],
        free: NDArray[np.float64],
        wanted: NDArray[np.int32],
        demand: int,
        tolerance: float,
    ) -> NDArray[np.bool_]:
        step, high, found = 0.01, low, None
        while found is None:
            low, high, step = high, high * (1.0 + step), 2.0 * step
            found = self._flow(self._room(high, seconds, free), wanted, demand)
        while high - low > tolerance * high:
            middle = 0.5 * (low + high)
            tried = self._flow(self._room(middle, seconds, free), wanted, demand)
            if tried is None:
                low = middle
            else:
                high, found = middle, tried
        return found

    def _flow(
        self, room: NDArray[np.int32], wanted: NDArray[np.int32], demand: int
    ) -> NDArray[np.bool_] | None:
        """For each pair of place and chunk whether it is used; None if the demand cannot be met."""
        if int(room.sum()) < demand:
            return None
        capacities = np.concatenate((room, np.ones(len(self._chunks), np.int32), wanted))
        size = self._n_places + self._n_chunks + 2
        network = csr_array((capacities, self._indices, self._indptr), shape=(size, size))
        result = maximum_flow(network, 0, size - 1)
        if result.flow_value < demand:
            return None
        rows = result.flow[1 : 1 + self._n_places].tocoo()
        used = np.zeros(len(self._chunks), bool)
        taken = rows.data > 0
        keys = rows.row[taken].astype(np.int64) * self._n_chunks + rows.col[taken] - 1 - self._n_places
        used[self._by_key[np.searchsorted(self._keys, keys, sorter=self._by_key)]] = True
        return used

    def _read(
        self, used: NDArray[np.bool_], seconds: NDArray[np.float64], free: NDArray[np.float64]
    ) -> Shares:
        counts = np.bincount(self._places[used], minlength=self._n_places)
        busy = counts > 0
        last = float((free[busy] + counts[busy] * seconds[busy]).max())
        chunks: dict[int, list[int]] = {}
        for place, chunk in zip(self._places[used].tolist(), self._chunks[used].tolist(), strict=True):
            chunks.setdefault(place, []).append(chunk)
        return Shares(last, {place: tuple(sorted(own)) for place, own in chunks.items()})
