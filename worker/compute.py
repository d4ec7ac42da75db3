"""Pure: the gradients of chunks, and the messages that are made of them.

A worker executes linear forms: what it sends is a sum of coefficient times part of a chunk's gradient, as it
was told. It knows no codes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.commitments import digest_of
from common.errors import ProtocolError
from common.models.base import Features, Model
from common.wire.frames import MessageOrder, Terms


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What is known of a finished chunk besides its gradient.

    Attributes:
        loss: sum of the loss over the chunk's rows.
        rows: how many rows it has.
        finite: whether the loss and every number of the gradient are finite.
        digest: of the gradient as a message of this chunk alone; empty if nobody asks for it.
    """

    loss: float
    rows: int
    finite: bool
    digest: bytes = b""


class Computer:
    """Computes gradients of chunks, keeps them, and adds them up to messages.

    ``compute`` and ``clear`` belong to one thread; ``combine`` may run beside them in another.

    Args:
        model: gives the gradient of the sum of the loss over a chunk's rows.
        n_parts: m, the number of parts a gradient is cut into, at least 1.
        compute_dtype: ``float64`` or ``float32``, of gradients.
        wire_dtype: ``float64`` or ``float32``, of messages.
        messages: the messages of a fixed code; empty for codes on request.
        commits: whether results carry a digest.
    """

    def __init__(
        self,
        model: Model,
        n_parts: int = 1,
        compute_dtype: str = "float64",
        wire_dtype: str = "float32",
        messages: Iterable[MessageOrder] = (),
        commits: bool = False,
    ) -> None:
        self.model = model
        self._commits = commits
        self.n_parts = n_parts
        self.compute_dtype = np.dtype(compute_dtype)
        self.wire_dtype = np.dtype(wire_dtype).newbyteorder("<")
        self._messages = {each.number: frozenset(each.terms.chunks) for each in messages}
        self._gradients: dict[int, NDArray[Any]] = {}

    @property
    def message_length(self) -> int:
        """Numbers in a message of ``n_parts`` parts: ceil(d / m)."""
        return self._length(self.n_parts)

    def _length(self, n_parts: int) -> int:
        return -(-self.model.n_parameters // n_parts)

    @property
    def finished(self) -> frozenset[int]:
        """The chunks whose gradients are kept."""
        return frozenset(self._gradients)

    def parameters(self, array_bytes: bytes | memoryview) -> NDArray[Any]:
        """Parameters that came over the wire, shape (d,), in the compute dtype; a view if it is the same.

        Raises:
            ProtocolError: ``wrong_length``, they are not d numbers of the wire dtype.
        """
        expected = self.model.n_parameters * self.wire_dtype.itemsize
        if len(array_bytes) != expected:
            raise ProtocolError("wrong_length", f"parameters of {len(array_bytes)} bytes, not {expected}")
        return np.frombuffer(array_bytes, self.wire_dtype).astype(self.compute_dtype, copy=False)

    def compute(self, chunk: int, parameters: NDArray[Any], X: Features, y: NDArray[Any]) -> ChunkResult:
        """Compute the gradient of ``chunk`` and keep it until ``clear``.

        Args:
            chunk: the chunk's id.
            parameters: shape (d,), compute dtype.
            X: the chunk's rows, shape (rows, n_features), dense or CSR. y: shape (rows,).

        Cost: one pass over the rows, and d numbers of memory until ``clear``.
        """
        loss, gradient = self.model.loss_and_gradient(parameters, X, y)
        self._gradients[chunk] = gradient
        digest = self.commitment(chunk) if self._commits else b""
        return ChunkResult(loss, len(y), math.isfinite(loss) and _finite(gradient), digest)

    def commitment(self, chunk: int) -> bytes:
        """The digest of a finished chunk's gradient, as a message of it alone carries it."""
        return digest_of(self.combine(Terms((chunk,), (0,), (1.0,)), 1))

    def due(self, chunk: int) -> list[int]:
        """The fixed messages that are complete now that ``chunk`` is: the last one among their terms."""
        finished = self._gradients.keys()
        return [number for number, needed in self._messages.items() if chunk in needed and needed <= finished]

    def combine(self, terms: Terms, n_parts: int = 0) -> memoryview:
        """The message made of ``terms``: the sum of coefficient times part of the chunk's gradient.

        Args:
            terms: parts are counted from 0. n_parts: into how many gradients are cut; 0 as usual.

        Returns:
            ceil(d / n_parts) little-endian numbers of the wire dtype, as bytes. Added up in float64 and
            rounded once, at the end; what leaves the wire dtype's range becomes infinite.

        Raises:
            ProtocolError: ``not_finished``, a chunk is not; ``bad_terms``, a part is out of range.

        Cost: O(terms x d / m).
        """
        n_parts = n_parts or self.n_parts
        pieces = [(self._piece(chunk, part, n_parts), coefficient) for chunk, part, coefficient in terms]
        total = np.zeros(self._length(n_parts))
        with np.errstate(over="ignore", invalid="ignore"):
            for piece, coefficient in pieces:
                into = total[: len(piece)]
                into += piece if coefficient == 1.0 else coefficient * piece.astype(np.float64, copy=False)
            return total.astype(self.wire_dtype, copy=False).view(np.uint8).data

    def partial_sum(self, terms: Terms, index: int, n_parts: int = 0) -> float:
        """One number, at ``index``, of the message made of ``terms``, in float64 and not rounded further.

        Raises:
            ProtocolError: see ``combine``; ``bad_terms`` also for an index that no message has.

        Cost: O(terms).
        """
        n_parts = n_parts or self.n_parts
        if not 0 <= index < self._length(n_parts):
            raise ProtocolError("bad_terms", f"number {index} of a message of {self._length(n_parts)}")
        total = 0.0
        for chunk, part, coefficient in terms:
            piece = self._piece(chunk, part, n_parts)
            total += coefficient * float(piece[index]) if index < len(piece) else 0.0
        return total

    def clear(self) -> None:
        """Forget every gradient."""
        self._gradients.clear()

    def _piece(self, chunk: int, part: int, n_parts: int) -> NDArray[Any]:
        """Part of a kept gradient; the last part may be shorter than a message, which stands for zeros."""
        gradient = self._gradients.get(chunk)
        if gradient is None:
            raise ProtocolError("not_finished", f"chunk {chunk} is not finished")
        if not 0 <= part < n_parts:
            raise ProtocolError("bad_terms", f"part {part} of {n_parts}")
        length = self._length(n_parts)
        return gradient[part * length : (part + 1) * length]


def needed_bytes(load: int, n_parameters: int, compute_dtype: str) -> int:
    """Memory that the finished gradients of one round take.

    >>> needed_bytes(load=3, n_parameters=1_000_000, compute_dtype="float64")
    24000000
    """
    return load * n_parameters * np.dtype(compute_dtype).itemsize


def _finite(numbers: NDArray[Any]) -> bool:
    # A sum is not finite if a number is not, and needs no second array; it may also overflow by itself.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(numbers.sum())) or bool(np.isfinite(numbers).all())
