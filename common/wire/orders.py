"""Work orders to protobuf and back; a part of the codec."""

from __future__ import annotations

from common.delays import Delays
from common.errors import InvalidSpec, ProtocolError
from common.interruptions import Interruption
from common.models.base import ModelShape
from common.wire import checks
from common.wire.frames import DataOrder, MessageOrder, Prefetch, RowRange, Terms, WorkOrder
from common.wire.gradcode.v1 import training_pb2 as pb

_DTYPES = {
    "float32": pb.DTYPE_FLOAT32,
    "float64": pb.DTYPE_FLOAT64,
    "int32": pb.DTYPE_INT32,
    "int64": pb.DTYPE_INT64,
}
_DTYPE_NAMES: dict[int, str] = {number: name for name, number in _DTYPES.items()}


def dtype_number(name: str) -> pb.Dtype:
    """The protobuf number of a dtype."""
    return _DTYPES[name]


def dtype_name(number: int) -> str:
    """The name of a dtype that came in.

    Raises:
        ProtocolError: ``wrong_dtype``, there is no such number.
    """
    if number not in _DTYPE_NAMES:
        raise ProtocolError("wrong_dtype", f"no dtype has number {number}")
    return _DTYPE_NAMES[number]


def float_name(number: int) -> str:
    """The name of a dtype that parameters and messages may have."""
    return checks.float_dtype(dtype_name(number))


def pack_terms(terms: Terms) -> pb.Terms:
    """To protobuf."""
    return pb.Terms(chunks=terms.chunks, parts=terms.parts, coefficients=terms.coefficients)


def unpack_terms(packed: pb.Terms) -> Terms:
    """From protobuf, checked."""
    return checks.terms(Terms(tuple(packed.chunks), tuple(packed.parts), tuple(packed.coefficients)))


def pack_order(order: WorkOrder) -> pb.WorkOrder:
    """To protobuf."""
    shape = order.model
    return pb.WorkOrder(
        epoch=order.epoch,
        code=order.code,
        model=pb.ModelShape(
            name=shape.name,
            n_features=shape.n_features,
            n_outputs=shape.n_outputs,
            intercept=shape.intercept,
        ),
        n_parameters=order.n_parameters,
        n_parts=order.n_parts,
        data=_pack_data(order.data),
        messages=[
            pb.MessageOrder(number=each.number, terms=pack_terms(each.terms)) for each in order.messages
        ],
        on_request=order.on_request,
        compute_dtype=dtype_number(order.compute_dtype),
        wire_dtype=dtype_number(order.wire_dtype),
        delays=None if order.delays is None else _pack_delays(order.delays),
        max_frame_bytes=order.max_frame_bytes,
        memory_bytes=order.memory_bytes,
        scheduled=order.scheduled,
        commits=order.commits,
    )


def unpack_order(packed: pb.WorkOrder) -> WorkOrder:
    """From protobuf, checked."""
    order = WorkOrder(
        epoch=packed.epoch,
        code=checks.text("code", packed.code),
        model=_unpack_shape(packed.model),
        n_parameters=packed.n_parameters,
        n_parts=packed.n_parts,
        data=_unpack_data(packed.data),
        messages=tuple(MessageOrder(each.number, unpack_terms(each.terms)) for each in packed.messages),
        on_request=packed.on_request,
        compute_dtype=float_name(packed.compute_dtype),
        wire_dtype=float_name(packed.wire_dtype),
        delays=_unpack_delays(packed.delays) if packed.HasField("delays") else None,
        max_frame_bytes=packed.max_frame_bytes,
        memory_bytes=packed.memory_bytes,
        scheduled=packed.scheduled,
        commits=packed.commits,
    )
    checks.work_order(order)
    return order


def pack_prefetch(frame: Prefetch) -> pb.Prefetch:
    """To protobuf."""
    return pb.Prefetch(
        run=frame.run, data=_pack_data(frame.data), compute_dtype=dtype_number(frame.compute_dtype)
    )


def unpack_prefetch(packed: pb.Prefetch) -> Prefetch:
    """From protobuf, checked."""
    data = _unpack_data(packed.data)
    checks.data_order(data)
    return Prefetch(checks.text("run", packed.run), data, float_name(packed.compute_dtype))


def _pack_data(data: DataOrder) -> pb.DataOrder:
    ranges = [pb.RowRange(chunk=each.chunk, begin=each.begin, end=each.end) for each in data.ranges]
    return pb.DataOrder(digest=data.digest, n_features=data.n_features, sparse=data.sparse, ranges=ranges)


def _unpack_data(packed: pb.DataOrder) -> DataOrder:
    return DataOrder(
        digest=checks.text("digest", packed.digest, least=1),
        n_features=packed.n_features,
        sparse=packed.sparse,
        ranges=tuple(RowRange(each.chunk, each.begin, each.end) for each in packed.ranges),
    )


def _unpack_shape(packed: pb.ModelShape) -> ModelShape:
    try:
        return ModelShape(
            checks.text("model", packed.name, least=1), packed.n_features, packed.n_outputs, packed.intercept
        )
    except InvalidSpec as error:
        raise ProtocolError("bad_value", str(error)) from None


def _pack_delays(delays: Delays) -> pb.Delays:
    return pb.Delays(
        distribution=delays.distribution,
        seconds=delays.seconds,
        mean_seconds=delays.mean_seconds,
        shape=delays.shape,
        factors=[pb.PlaceFactor(place=place, factor=factor) for place, factor in delays.factors],
        interruptions=[
            pb.Interruption(
                place=each.place, kind=each.kind, at_seconds=each.at_seconds, for_seconds=each.for_seconds
            )
            for each in delays.interruptions
        ],
        seed=_signed(delays.seed),
        varies=delays.varies,
        burst_share=delays.burst_share,
        burst_rounds=delays.burst_rounds,
        burst_factor=delays.burst_factor,
    )


def _unpack_delays(packed: pb.Delays) -> Delays:
    try:
        return Delays(
            distribution=packed.distribution,
            seconds=packed.seconds,
            mean_seconds=packed.mean_seconds,
            shape=packed.shape,
            factors=tuple((each.place, each.factor) for each in packed.factors),
            interruptions=tuple(
                Interruption(each.place, each.kind, each.at_seconds, each.for_seconds)
                for each in packed.interruptions
            ),
            seed=packed.seed,
            varies=packed.varies or Delays.varies,
            burst_share=packed.burst_share,
            burst_rounds=packed.burst_rounds or Delays.burst_rounds,
            burst_factor=packed.burst_factor or Delays.burst_factor,
        )
    except InvalidSpec as error:
        raise ProtocolError("bad_value", str(error)) from None


def _signed(seed: int) -> int:
    """The seed's lowest 64 bits, which are all that the draws depend on, as a signed number."""
    return ((seed + 2**63) % 2**64) - 2**63
