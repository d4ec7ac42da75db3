"""The compute thread of a session: takes chunks from a queue, one at a time, and reports each.

The event loop says what is to be done (``begin``, ``give``, ``replace_queue``, ``stop``, ``close``); none of
these waits for the chunk in hand. A chunk that is finished after its round was replaced or stopped is
reported nevertheless, as late.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from common.models import make_model
from common.wire.frames import Stamp, Terms, WorkOrder
from worker.compute import ChunkResult, Computer
from worker.injected import Fate, RunClock, Victim, endure
from worker.rowstore import Rows


@dataclass(frozen=True, slots=True)
class Report:
    """A chunk is finished.

    Attributes:
        stamp: of the round that the chunk was computed in.
        chunk: its id.
        seconds: from taking it in hand to now, injected delays included.
        waited_seconds: how long it had waited before that, since the parameters were there.
        result: what is known of it.
        due: numbers of the fixed messages that are complete now; none if ``late``.
        late: the round was over before.
    """

    stamp: Stamp
    chunk: int
    seconds: float
    waited_seconds: float
    result: ChunkResult
    due: tuple[int, ...]
    late: bool


@dataclass
class _Round:
    stamp: Stamp
    clock: RunClock
    queue: deque[int]
    queued_at: dict[int, float]
    given_at: float = 0.0
    array_bytes: memoryview | None = None
    parameters: NDArray[Any] | None = None
    finished: set[int] = field(default_factory=set)


class Engine:
    """Computes the chunks of one place.

    Args:
        order: the work order. place: the place.
        rows: for each chunk of the order its rows.
        fate: what lies behind this worker.
        victim: what injected interruptions befall.
        report: called by the compute thread for each finished chunk.
        failed: called by the compute thread when it ends with an exception.

    Raises:
        InvalidSpec: the order's model is not known here.
    """

    def __init__(
        self,
        order: WorkOrder,
        place: int,
        rows: Mapping[int, Rows],
        fate: Fate,
        victim: Victim,
        report: Callable[[Report], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        model = make_model(order.model)
        self._computer = Computer(
            model, order.n_parts, order.compute_dtype, order.wire_dtype, order.messages, order.commits
        )
        self._place = place
        # Where the master hands out chunks, nothing is begun before it has said what.
        self._chunks = () if order.scheduled else tuple(each.chunk for each in order.data.ranges)
        self._delays = order.delays
        self._rows = rows
        self._fate = fate
        self._victim = victim
        self._report = report
        self._failed = failed
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._round: _Round | None = None
        self._in_hand: tuple[_Round, int] | None = None
        self._stale = False
        self._thread = threading.Thread(target=self._run, name=f"compute-{place}", daemon=True)
        self._thread.start()

    # ---- called by the event loop -----------------------------------------------------------------------

    @property
    def queue_length(self) -> int:
        """Chunks that wait in the round in hand."""
        with self._changed:
            return 0 if self._round is None else len(self._round.queue)

    def begin(self, stamp: Stamp, clock: RunClock) -> None:
        """A round begins, with every chunk waiting or none; computing starts when ``give`` is called."""
        with self._changed:
            queued_at = dict.fromkeys(self._chunks, time.monotonic())
            self._round = _Round(stamp, clock, deque(self._chunks), queued_at)
            self._stale = True
            self._changed.notify()

    def give(self, array_bytes: memoryview) -> None:
        """The parameters of the round in hand, as they came over the wire."""
        with self._changed:
            if self._round is not None:
                self._round.array_bytes = array_bytes
                self._round.given_at = time.monotonic()
                self._changed.notify()

    def replace_queue(self, chunks: Iterable[int]) -> None:
        """These chunks wait instead; those that are finished or in hand are left out."""
        with self._changed:
            current = self._round
            if current is not None:
                done = set(current.finished)
                if self._in_hand is not None and self._in_hand[0] is current:
                    done.add(self._in_hand[1])
                current.queue = deque(each for each in dict.fromkeys(chunks) if each not in done)
                known, now = current.queued_at, time.monotonic()
                current.queued_at = {each: known.get(each, now) for each in current.queue}
                self._changed.notify()

    def stop(self) -> None:
        """The round is over: forget its queue, and its gradients as soon as no chunk is in hand."""
        with self._changed:
            self._round = None
            self._stale = True
            self._changed.notify()

    def close(self) -> None:
        """End the thread after the chunk in hand, which is not reported any more; does not wait."""
        with self._changed:
            self._closed.set()
            self._changed.notify()

    def combine(self, terms: Terms, n_parts: int = 0) -> memoryview:
        """The message made of ``terms``; may be called from any thread, also while a chunk is in hand.

        Raises:
            ProtocolError: see ``Computer.combine``.
        """
        return self._computer.combine(terms, n_parts)

    def partial_sum(self, terms: Terms, index: int, n_parts: int = 0) -> float:
        """One number of such a message.

        Raises:
            ProtocolError: see ``Computer.partial_sum``.
        """
        return self._computer.partial_sum(terms, index, n_parts)

    def work_of(self, terms: Terms) -> int:
        """How many numbers ``combine`` adds up."""
        return len(terms) * self._computer.message_length

    # ---- the compute thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (task := self._next()) is not None:
                self._compute(*task)
        except BaseException as error:  # the event loop must hear of it, whatever it is
            self._failed(error)

    def _next(self) -> tuple[_Round, int, float] | None:
        """Wait for a chunk to compute, and say how long it has waited; None when closed."""
        with self._changed:
            while not self._closed.is_set():
                if self._stale:
                    self._computer.clear()
                    self._stale = False
                current = self._round
                if current is not None and current.array_bytes is not None and current.queue:
                    chunk = current.queue.popleft()
                    self._in_hand = (current, chunk)
                    since = max(current.given_at, current.queued_at[chunk])
                    return current, chunk, time.monotonic() - since
                self._changed.wait()
        return None

    def _compute(self, current: _Round, chunk: int, waited_seconds: float) -> None:
        begun = time.monotonic()
        if current.parameters is None:
            assert current.array_bytes is not None
            current.parameters = self._computer.parameters(current.array_bytes)
        result = self._computer.compute(chunk, current.parameters, *self._rows[chunk])
        if not self._endure(current, chunk, begun):
            return
        with self._changed:
            self._in_hand = None
            late = self._round is not current
            due = () if late else tuple(self._computer.due(chunk))
            current.finished.add(chunk)
        if not self._closed.is_set():
            seconds = time.monotonic() - begun
            self._report(Report(current.stamp, chunk, seconds, waited_seconds, result, due, late))

    def _endure(self, current: _Round, chunk: int, begun: float) -> bool:
        """Work as much longer as the injected delays say; False if that was cut short."""
        if self._delays is None:
            return True
        stamp = current.stamp
        done_seconds = time.monotonic() - begun
        work_seconds = done_seconds + self._delays.chunk_seconds(self._place, stamp.round, chunk)
        start = current.clock.at(begun)
        walk = self._fate.walk(self._delays, stamp.run, self._place, start, work_seconds)
        return endure(walk, done_seconds, self._victim, self._closed)
