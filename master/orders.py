"""Work orders: what a place is told to compute. Workers execute these and know nothing of codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.codes.base import GradientCode
from common.datasets.base import Dataset, chunk_range
from common.delays import Delays
from common.models.base import ModelShape
from common.wire.frames import ITEM_BYTES, DataOrder, MessageOrder, RowRange, Terms, WorkOrder


@dataclass(frozen=True)
class OrderBook:
    """Makes the work orders of a run.

    Attributes:
        dataset: the training rows. model: the model's shape. n_parameters: d.
        compute_dtype, wire_dtype: ``float32`` or ``float64``.
        delays: injected delays that workers obey, or None.
    """

    dataset: Dataset
    model: ModelShape
    n_parameters: int
    compute_dtype: str
    wire_dtype: str
    delays: Delays | None

    def order(self, code: GradientCode, epoch: int, place: int) -> WorkOrder:
        """The order of ``place``. Cost O(load + terms)."""
        chunks = code.assignment.orders[place]
        messages = (
            tuple(
                MessageOrder(number, Terms.of(code.messages[number].terms))
                for number in code.messages_of[place]
            )
            if not code.on_request
            else ()
        )
        return WorkOrder(
            epoch=epoch,
            code=code.spec,
            model=self.model,
            n_parameters=self.n_parameters,
            n_parts=code.n_parts,
            data=self._data(code, chunks),
            messages=messages,
            on_request=code.on_request,
            compute_dtype=self.compute_dtype,
            wire_dtype=self.wire_dtype,
            delays=self.delays,
            scheduled=code.scheduled,
            commits=code.on_request and code.copies > 0,
            memory_bytes=len(chunks) * self.n_parameters * ITEM_BYTES[self.compute_dtype],
        )

    def ahead(self, code: GradientCode, places: Iterable[int]) -> DataOrder:
        """The rows of ``places``, those of the first come first. Cost O(their load)."""
        chunks = dict.fromkeys(chunk for place in places for chunk in code.assignment.orders[place])
        return self._data(code, chunks)

    def _data(self, code: GradientCode, chunks: Iterable[int]) -> DataOrder:
        dataset = self.dataset
        ranges = tuple(
            RowRange(chunk, *chunk_range(chunk, code.n_chunks, dataset.n_rows)) for chunk in chunks
        )
        return DataOrder(dataset.digest, dataset.n_features, hasattr(dataset.X_train, "indptr"), ranges)
