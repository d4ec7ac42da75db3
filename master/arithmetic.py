"""Pure: owns parameters and payloads; finds weights, adds up, steps and scores.

Everything here may take long and is done by one thread at a time, away from the event loop. Commands are
answered by events; the clock that times them is an argument.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Decoding, GradientCode, Message, decode
from master import commands as cmd
from master import events as ev
from master.checked import Exposed, Question
from master.examination import Examination

REMEMBERED_PATTERNS = 256
"""So many decodings of a fixed code are kept, each for one set of messages."""

Sum = cmd.Solve | cmd.Combine | cmd.Step | cmd.Evaluate | cmd.Examine | cmd.Restore
"""The commands that arithmetic carries out."""


class Recompute(Protocol):
    """Computes gradients of chunks again."""

    def gradient(self, chunk: int, n_chunks: int, point: NDArray[Any]) -> tuple[NDArray[Any], float]:
        """The gradient of a chunk at ``point``, shape (d,), and how far rounding may move a number of it."""

    def rounding(self, chunk: int, n_chunks: int, size: float) -> float:
        """The latter alone, for a gradient whose largest number is about ``size``."""


class Steps(Protocol):
    """The optimiser as arithmetic needs it."""

    @property
    def parameters(self) -> NDArray[np.float64]:
        """The current iterate, shape (d,)."""

    @property
    def point(self) -> NDArray[np.float64]:
        """Where the next gradient is wanted, shape (d,)."""

    def step(self, gradient: NDArray[np.float64]) -> None:
        """Take a step with the gradient of the mean loss at ``point``."""

    def state(self) -> Mapping[str, Any]:
        """All that steps change; its arrays stay as they are."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``."""


class Arithmetic:
    """The numbers of a run.

    Args:
        optimizer: holds the parameters, float64.
        n_rows: training rows R; a decoded gradient is the sum over them and is divided by R.
        l2: weight of the L2 term; regularised: mask of the parameters it concerns, shape (d,).
        score: parameters -> held-out score.
        wire_dtype: ``float32`` or ``float64``, of parameters and messages.
        recompute: computes chunks again, where answers are verified.
    """

    def __init__(
        self,
        optimizer: Steps,
        n_rows: int,
        l2: float,
        regularised: NDArray[np.bool_],
        score: Callable[[NDArray[np.float64]], float],
        wire_dtype: str = "float32",
        recompute: Recompute | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.code: GradientCode | None = None
        self._n_rows = n_rows
        self._l2 = l2
        self._regularised = regularised
        self._score = score
        self._wire = np.dtype(wire_dtype).newbyteorder("<")
        self._payloads: dict[int, NDArray[Any]] = {}
        self._gradient: NDArray[np.float64] | None = None
        self._decodings: OrderedDict[tuple[int, ...], Decoding] = OrderedDict()
        self._recompute = recompute
        self._kept: dict[int, Steps] = {}

    @property
    def n_parameters(self) -> int:
        """d."""
        return int(self.optimizer.point.size)

    def message_length(self, n_parts: int) -> int:
        """How many numbers a message has when gradients are cut into ``n_parts``: d / m, rounded up."""
        return -(-self.n_parameters // n_parts)

    @property
    def n_kept(self) -> int:
        """How many messages are kept: they have arrived and are neither used nor discarded."""
        return len(self._payloads)

    def plan(self, code: GradientCode) -> None:
        """From now on messages are of this code."""
        self.code = code
        self._decodings.clear()
        self._payloads.clear()

    @np.errstate(over="ignore")
    def point_bytes(self) -> bytes:
        """What workers are sent: the optimiser's point in the wire dtype, little-endian."""
        return self.optimizer.point.astype(self._wire).tobytes()

    def receive(self, payload: int, data: Any) -> None:
        """Keep a message: a buffer of ``message_length`` numbers in the wire dtype."""
        self._payloads[payload] = np.frombuffer(data, dtype=self._wire)

    def discard(self, payload: int) -> None:
        """Forget a message, if it is there."""
        self._payloads.pop(payload, None)

    def answer(self, command: Sum, clock: Callable[[], float]) -> ev.Event:
        """Carry out a command. Cost: see the parts; times are taken with ``clock``, in seconds."""
        began = clock()
        if isinstance(command, cmd.Solve):
            decoding = self.solve(command.received)
            return ev.Solved(command.round, decoding, clock() - began)
        if isinstance(command, cmd.Combine):
            norm, culprit = self.combine(command.weights)
            return ev.Combined(command.round, norm, culprit, clock() - began)
        if isinstance(command, cmd.Step):
            self.keep(command.round, command.keep)
            return ev.Stepped(command.round, self.step(), clock() - began)
        if isinstance(command, cmd.Examine):
            found = self.examine(command.questions, command.exposed)
            return replace(found, round=command.round, seconds=clock() - began)
        if isinstance(command, cmd.Restore):
            self.restore(command.round)
            return ev.Restored(command.round)
        return ev.Evaluated(command.round, self._score(self.optimizer.parameters))

    def solve(self, received: tuple[Message, ...]) -> Decoding:
        """Weights for ``received``, certified; remembered per pattern for fixed codes."""
        assert self.code is not None, "there is no plan yet"
        if self.code.on_request:
            return decode(self.code, received)
        key = tuple(id(message) for message in received)
        found = self._decodings.get(key)
        if found is None:
            found = self._decodings[key] = decode(self.code, received)
            if len(self._decodings) > REMEMBERED_PATTERNS:
                self._decodings.popitem(last=False)
        else:
            self._decodings.move_to_end(key)
        return found

    @np.errstate(over="ignore", invalid="ignore")
    def combine(self, weights: tuple[tuple[int, tuple[float, ...]], ...]) -> tuple[float, int | None]:
        """Add up payloads with their weights into the gradient of the mean loss, L2 included.

        All payloads are forgotten afterwards. Returns the norm of that gradient, and the payload that is
        not finite, if one is. Cost O(messages x d) in float64.
        """
        assert self.code is not None, "there is no plan yet"
        n_parts = len(weights[0][1]) if weights else self.code.n_parts
        total = np.zeros((n_parts, self.message_length(n_parts)))
        for payload, row in weights:
            values = self._payloads[payload]
            for part, weight in enumerate(row):
                if weight == 1.0:
                    total[part] += values
                elif weight != 0.0:
                    total[part] += weight * values.astype(np.float64)
        culprit = None
        if not np.isfinite(total).all():
            used = (payload for payload, _ in weights)
            culprit = next((each for each in used if not np.isfinite(self._payloads[each]).all()), None)
        self._payloads.clear()
        gradient = total.reshape(-1)[: self.n_parameters] / self._n_rows
        if self._l2:
            gradient += self._l2 * np.where(self._regularised, self.optimizer.point, 0.0)
        self._gradient = gradient
        return float(np.linalg.norm(gradient)), culprit

    def examine(self, questions: tuple[Question, ...], exposed: tuple[Exposed, ...] = ()) -> ev.Examined:
        """Find the wrong values among what came, and put those right that are used.

        Cost: a digest of every value that is compared, and a pass over the rows of those computed again.
        """
        assert self.code is not None, "there is no plan yet"
        recompute, n_chunks = self._recompute, self.code.n_chunks
        assert recompute is not None, "nothing is verified without rows"
        point = self.optimizer.point.astype(self._wire)
        examination = Examination(
            self._payloads,
            lambda chunk: recompute.gradient(chunk, n_chunks, point),
            lambda chunk, size: recompute.rounding(chunk, n_chunks, size),
            self.message_length,
        )
        found = examination.answer(questions, exposed)
        self._payloads.update(found.corrections)
        return ev.Examined(
            round=-1,
            n_audited=found.n_audited,
            n_compared=found.n_compared,
            n_wrong=found.n_wrong,
            liars=tuple(found.liars),
            n_disputed=found.n_disputed,
            n_unsure=found.n_unsure,
            seconds=0.0,
            disputes=tuple(found.disputes),
        )

    def keep(self, number: int, kept: tuple[int, ...]) -> None:
        """Keep the optimiser as it is before the step of round ``number``; forget all not in ``kept``."""
        self._kept = {each: held for each, held in self._kept.items() if each in kept}
        if number in kept:
            self._kept[number] = copy.deepcopy(self.optimizer)

    def restore(self, number: int) -> None:
        """Take the optimiser as it was before the step of round ``number``, which is kept."""
        self.optimizer = copy.deepcopy(self._kept[number])

    def step(self) -> bool:
        """Step with the combined gradient. Returns whether the parameters are finite."""
        assert self._gradient is not None, "nothing has been combined"
        self.optimizer.step(self._gradient)
        self._gradient = None
        return bool(np.isfinite(self.optimizer.parameters).all())
