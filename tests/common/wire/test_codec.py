from __future__ import annotations

import contextlib
import dataclasses
import typing

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from common.delays import Delays, Interruption
from common.errors import ProtocolError
from common.models.base import ModelShape
from common.wire import codec
from common.wire import frames as f
from common.wire.bulk import field_head
from common.wire.checksum import seal
from common.wire.gradcode.v1 import training_pb2 as pb

STAMP = f.Stamp("run", 1, 2, 3)

# ---- any valid frame --------------------------------------------------------------------------------------

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20)
WORD = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SECONDS = st.floats(0, 1e6)
FLOAT_DTYPE = st.sampled_from(["float32", "float64"])
ANY_DTYPE = st.sampled_from(sorted(f.ITEM_BYTES))

STAMPS = st.builds(f.Stamp, TEXT, U64, U64, U64)
GOODBYES = st.builds(f.Goodbye, TEXT, st.booleans())


def terms(chunks=U32, parts=U32, min_size=1):
    triples = st.lists(st.tuples(chunks, parts, FINITE), min_size=min_size, max_size=5)
    return triples.map(f.Terms.of)


@st.composite
def pieces(draw):
    """Offset, total bytes, dtype and data of a valid piece of an array."""
    dtype = draw(FLOAT_DTYPE)
    total = draw(st.integers(1, 500)) * f.ITEM_BYTES[dtype]
    offset = draw(st.integers(0, total - 1))
    data = draw(st.binary(min_size=1, max_size=min(300, total - offset)))
    return offset, total, dtype, data


@st.composite
def chunk_reports(draw):
    finite = draw(st.booleans())
    loss = draw(FINITE) if finite else draw(st.sampled_from([float("inf"), -float("inf"), 3.0]))
    heard = draw(U32), draw(SECONDS)
    return f.ChunkFinished(draw(STAMPS), draw(U32), draw(SECONDS), loss, draw(U64), finite, *heard)


def bulk(kind, *head):
    return st.builds(
        lambda stamp, rest, piece: kind(stamp, *rest, *piece), STAMPS, st.tuples(*head), pieces()
    )


REQUESTS = st.one_of(
    st.builds(f.Hello, WORD, TEXT, U32, U32),
    st.builds(f.Ready, U64, U64),
    chunk_reports(),
    bulk(f.MessageFrame, U32),
    st.builds(f.PartialSum, STAMPS, U32, FINITE | st.just(float("inf"))),
    st.just(f.Drain()),
    st.just(f.Alive()),
    GOODBYES,
)

FREEZES = st.builds(Interruption, U32, st.just("freeze"), st.floats(0.1, 100), st.floats(0.1, 100))
DEATHS = st.builds(
    Interruption, U32, st.just("death"), st.floats(0.1, 100), st.just(0.0) | st.floats(0.1, 100)
)
DELAYS = st.builds(
    Delays,
    st.sampled_from(["none", "constant", "shifted_exponential", "weibull", "pareto"]),
    st.floats(0.001, 10),
    st.floats(0, 10),
    st.floats(0.2, 5),
    st.dictionaries(U32, st.floats(0.1, 50), max_size=3).map(lambda found: tuple(found.items())),
    st.lists(FREEZES | DEATHS, max_size=3).map(tuple),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(["chunk", "round", "run"]),
    st.floats(0.0, 0.9),
    st.floats(11.0, 1e6),
    st.floats(0.1, 50),
)


@st.composite
def orders(draw):
    shape = ModelShape(draw(WORD), draw(st.integers(1, 50)), draw(st.integers(1, 9)), draw(st.booleans()))
    chunks = draw(st.lists(st.integers(0, 99), unique=True, max_size=5))
    ranges = tuple(f.RowRange(chunk, 10 * chunk, 10 * chunk + draw(st.integers(1, 10))) for chunk in chunks)
    n_parts = draw(st.integers(1, min(3, shape.n_parameters)))
    on_request = draw(st.booleans())
    numbers = draw(st.lists(U32, unique=True, max_size=3)) if chunks and not on_request else []
    part = st.integers(0, n_parts - 1)
    return f.WorkOrder(
        epoch=draw(U64),
        code=draw(TEXT),
        model=shape,
        n_parameters=shape.n_parameters,
        n_parts=n_parts,
        data=f.DataOrder(draw(WORD), shape.n_features, draw(st.booleans()), ranges),
        messages=tuple(f.MessageOrder(n, draw(terms(st.sampled_from(chunks), part))) for n in numbers),
        on_request=on_request,
        compute_dtype=draw(FLOAT_DTYPE),
        wire_dtype=draw(FLOAT_DTYPE),
        delays=draw(st.none() | DELAYS),
        max_frame_bytes=draw(st.integers(1, f.MAX_FRAME_BYTES)),
        memory_bytes=draw(U64),
        scheduled=on_request and draw(st.booleans()),
    )


@st.composite
def welcomes(draw):
    place, order = (draw(U32), draw(orders())) if draw(st.booleans()) else (None, None)
    return f.Welcome(draw(TEXT), draw(TEXT), draw(U64), place, order, draw(U32), draw(U32))


@st.composite
def starts(draw):
    dtype = draw(FLOAT_DTYPE)
    total = draw(st.integers(1, 10**9)) * f.ITEM_BYTES[dtype]
    return f.StartRound(draw(STAMPS), draw(SECONDS), total, dtype)


RESPONSES = st.one_of(
    welcomes(),
    starts(),
    bulk(f.ParametersFrame),
    st.builds(f.NextChunk, STAMPS, st.lists(U32, max_size=5).map(tuple)),
    st.builds(f.Collect, STAMPS, U32, terms(), U32),
    st.builds(f.AskPartialSum, STAMPS, U32, terms(), U64, U32),
    st.builds(f.StopRound, STAMPS),
    st.builds(lambda order: f.Prefetch("run", order.data, order.compute_dtype), orders()),
    st.just(f.Drain()),
    st.just(f.Alive()),
    GOODBYES,
)


@st.composite
def headers(draw):
    n_rows, n_features, sparse = draw(st.integers(1, 99)), draw(st.integers(1, 99)), draw(st.booleans())
    x_dtype, y_dtype = draw(FLOAT_DTYPE), draw(ANY_DTYPE)
    n_nonzero = draw(st.integers(0, 99)) if sparse else 0
    number = f.ITEM_BYTES[x_dtype]
    x_bytes = (n_rows + 1) * 8 + n_nonzero * (4 + number) if sparse else n_rows * n_features * number
    total = x_bytes + n_rows * f.ITEM_BYTES[y_dtype]
    digest = draw(st.binary(min_size=32, max_size=32))
    return f.RowsHeader(n_rows, n_features, sparse, x_dtype, y_dtype, n_nonzero, total, digest)


FETCH_RESPONSES = headers() | st.builds(f.RowsData, st.binary(min_size=1, max_size=300))


@st.composite
def fetches(draw):
    begin = draw(st.integers(0, 2**63))
    return f.FetchRows(draw(TEXT), draw(WORD), begin, draw(st.integers(begin + 1, 2**64 - 1)))


def sealed(packed):
    """The bytes of a message whose fields a test has changed, with the checksum they have now."""
    packed.ClearField("checksum")
    return seal(packed.SerializeToString())


BOUNDED = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@BOUNDED
@given(REQUESTS)
def test_requests_come_back_as_they_were(frame):
    assert codec.decode_request(codec.encode_request(frame)) == frame


@BOUNDED
@given(RESPONSES)
def test_responses_come_back_as_they_were(frame):
    assert codec.decode_response(codec.encode_response(frame)) == frame


@BOUNDED
@given(fetches(), FETCH_RESPONSES)
def test_rows_come_back_as_they_were(request, response):
    assert codec.decode_fetch(codec.encode_fetch(request)) == request
    assert codec.decode_fetch_response(codec.encode_fetch_response(response)) == response


@pytest.mark.parametrize("kind", typing.get_args(f.Request) + typing.get_args(f.Response))
def test_every_frame_is_tried(kind):
    strategy = REQUESTS if kind in typing.get_args(f.Request) else RESPONSES
    unshrunk = settings(max_examples=500, database=None, phases=[Phase.generate])
    assert type(find(strategy, lambda frame: type(frame) is kind, settings=unshrunk)) is kind


# ---- the same bytes as protobuf's own ---------------------------------------------------------------------


@BOUNDED
@given(REQUESTS, RESPONSES, fetches(), FETCH_RESPONSES)
def test_frames_are_the_bytes_that_protobuf_writes(request, response, fetch, rows):
    raw = codec.encode_request(request)
    assert pb.SessionRequest.FromString(raw).SerializeToString() == raw
    raw = codec.encode_response(response)
    assert pb.SessionResponse.FromString(raw).SerializeToString() == raw
    raw = codec.encode_fetch(fetch)
    assert pb.FetchRowsRequest.FromString(raw).SerializeToString() == raw
    raw = codec.encode_fetch_response(rows)
    assert pb.FetchRowsResponse.FromString(raw).SerializeToString() == raw


@BOUNDED
@given(bulk(f.MessageFrame, U32))
def test_bulk_frames_in_another_order_of_fields_are_read_too(frame):
    data = field_head(15, len(frame.data)) + frame.data
    inner = pb.SessionRequest.FromString(codec.encode_request(frame)).message_frame
    inner.ClearField("data")
    content = data + inner.SerializeToString()
    assert codec.decode_request(seal(field_head(4, len(content)), content)) == frame


def test_the_data_of_bulk_frames_are_views():
    frame = f.MessageFrame(STAMP, 1, 0, 8, "float64", b"12345678")
    assert isinstance(codec.decode_request(codec.encode_request(frame)).data, memoryview)
    rows = codec.decode_fetch_response(codec.encode_fetch_response(f.RowsData(memoryview(b"abc"))))
    assert isinstance(rows.data, memoryview)
    assert rows == f.RowsData(b"abc")


# ---- what is not valid ------------------------------------------------------------------------------------

DECODERS = [codec.decode_request, codec.decode_response, codec.decode_fetch, codec.decode_fetch_response]


@BOUNDED
@given(st.sampled_from(DECODERS), st.binary(max_size=80))
def test_garbage_raises_protocol_errors_only(decode, raw):
    for each in (raw, seal(raw)):
        with contextlib.suppress(ProtocolError):
            decode(each)


@BOUNDED
@given(REQUESTS, RESPONSES, FETCH_RESPONSES, st.data())
def test_damaged_frames_raise_protocol_errors_only(request, response, rows, data):
    raws = [codec.encode_request(request), codec.encode_response(response), codec.encode_fetch_response(rows)]
    for decode, raw in zip([DECODERS[0], DECODERS[1], DECODERS[3]], raws, strict=True):
        damaged = bytearray(raw[:-5])  # and then sealed again: a liar's checksum is right
        for _ in range(data.draw(st.integers(1, 3))):
            if damaged:
                at = data.draw(st.integers(0, len(damaged) - 1))
                damaged[at] ^= data.draw(st.integers(1, 255))
        cut = data.draw(st.integers(0, len(damaged)))
        for each in (bytes(damaged), bytes(damaged[:cut]), raw + raw):
            with contextlib.suppress(ProtocolError):
                decode(seal(each))


def refused(decode, raw):
    with pytest.raises(ProtocolError) as caught:
        decode(raw)
    return caught.value.kind


def message_frame(**changes):
    return dataclasses.replace(f.MessageFrame(STAMP, 1, 0, 16, "float64", bytes(8)), **changes)


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("wrong_dtype", message_frame(dtype="int64")),
        ("wrong_length", message_frame(data=b"")),
        ("wrong_length", message_frame(offset=9)),
        ("wrong_length", message_frame(total_bytes=15)),
        ("wrong_length", message_frame(total_bytes=0)),
        ("too_large", message_frame(total_bytes=f.MAX_ARRAY_BYTES + 8)),
        ("too_large", message_frame(total_bytes=f.MAX_FRAME_BYTES + 8, data=bytes(f.MAX_FRAME_BYTES + 1))),
        ("bad_value", f.ChunkFinished(STAMP, 1, -1.0, 0.0, 1, True)),
        ("bad_value", f.ChunkFinished(STAMP, 1, float("nan"), 0.0, 1, True)),
        ("bad_value", f.ChunkFinished(STAMP, 1, 1.0, float("inf"), 1, True)),
        ("bad_value", f.ChunkFinished(STAMP, 1, 1.0, 0.0, 1, True, 2, -1e-9)),
        ("bad_value", f.ChunkFinished(STAMP, 1, 1.0, 0.0, 1, True, 2, float("nan"))),
        ("bad_value", f.ChunkFinished(STAMP, 1, 1.0, 0.0, 1, True, 2, float("inf"))),
        ("bad_value", f.Hello("", "1")),
        ("bad_value", f.Hello("x" * 2000, "1")),
    ],
)
def test_requests_that_break_a_rule_are_refused(kind, frame):
    assert refused(codec.decode_request, codec.encode_request(frame)) == kind


def order(**changes):
    shape = ModelShape("linear", 3, 1, True)
    data = f.DataOrder("d", 3, False, (f.RowRange(4, 0, 5), f.RowRange(7, 5, 9)))
    messages = (f.MessageOrder(2, f.Terms.of([(4, 0, 1.0), (7, 1, -1.0)])),)
    return dataclasses.replace(f.WorkOrder(1, "code", shape, 4, 2, data, messages, False), **changes)


def welcome(**changes):
    return f.Welcome("run", "name", 1, 0, order(**changes))


def message(*terms):
    return (f.MessageOrder(2, f.Terms.of(terms)),)


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("wrong_length", welcome(n_parameters=5)),
        ("bad_value", welcome(n_parts=0)),
        ("bad_value", welcome(n_parts=5)),
        ("bad_value", welcome(max_frame_bytes=0)),
        ("bad_value", welcome(max_frame_bytes=f.MAX_FRAME_BYTES + 1)),
        ("bad_value", welcome(on_request=True)),
        ("bad_value", welcome(scheduled=True)),
        ("bad_value", welcome(scheduled=True, messages=())),
        ("bad_value", welcome(messages=2 * order().messages)),
        ("bad_terms", welcome(messages=message((5, 0, 1.0)))),
        ("bad_terms", welcome(messages=message((4, 2, 1.0)))),
        ("bad_terms", welcome(messages=message((4, 0, float("nan"))))),
        ("bad_terms", welcome(messages=message())),
        ("wrong_dtype", welcome(wire_dtype="int32")),
        ("bad_value", welcome(data=f.DataOrder("d", 3, False, (f.RowRange(4, 5, 5),)), messages=())),
        ("bad_value", welcome(data=f.DataOrder("d", 3, False, 2 * (f.RowRange(4, 0, 5),)), messages=())),
        ("bad_value", f.Welcome("run", "name", 1, 0, None)),
        ("bad_value", f.Welcome("run", "name", 1, None, order())),
        ("bad_terms", f.Collect(STAMP, 1, f.Terms((1, 2), (0,), (1.0, 1.0)))),
        ("bad_terms", f.Collect(STAMP, 1, f.Terms((), (), ()))),
        ("bad_terms", f.AskPartialSum(STAMP, 1, f.Terms((), (), ()), 0)),
        ("bad_terms", f.Collect(STAMP, 1, f.Terms.of([(1, 0, float("inf"))]))),
        ("bad_value", f.StartRound(STAMP, -1.0, 8, "float32")),
        ("wrong_length", f.StartRound(STAMP, 0.0, 7, "float32")),
        ("wrong_dtype", f.StartRound(STAMP, 0.0, 8, "int64")),
    ],
)
def test_responses_that_break_a_rule_are_refused(kind, frame):
    assert refused(codec.decode_response, codec.encode_response(frame)) == kind


def test_a_model_or_delays_that_cannot_be_are_refused():
    packed = pb.SessionResponse.FromString(codec.encode_response(welcome(delays=Delays("constant", 1.0))))
    packed.welcome.order.model.n_features = 0
    assert refused(codec.decode_response, sealed(packed)) == "bad_value"
    packed = pb.SessionResponse.FromString(codec.encode_response(welcome(delays=Delays("constant", 1.0))))
    for field, value in (("seconds", -1.0), ("varies", "never"), ("burst_share", 1.0), ("burst_rounds", 0.5)):
        changed = pb.SessionResponse.FromString(packed.SerializeToString())
        setattr(changed.welcome.order.delays, field, value)
        assert refused(codec.decode_response, sealed(changed)) == "bad_value"


def test_delays_that_say_nothing_of_bursts_have_none():
    """As a master sends them that knows nothing of these fields."""
    packed = pb.SessionResponse.FromString(codec.encode_response(welcome(delays=Delays("constant", 1.0))))
    for field in ("varies", "burst_share", "burst_rounds", "burst_factor"):
        packed.welcome.order.delays.ClearField(field)
    back = codec.decode_response(sealed(packed)).order.delays
    assert back == Delays("constant", 1.0)


def test_what_says_nothing_of_schedules_is_as_before_there_were_any():
    """As peers send it that know nothing of these fields."""
    report = f.ChunkFinished(STAMP, 1, 1.0, 0.0, 1, True, 2, 0.5)
    packed = pb.SessionRequest.FromString(codec.encode_request(report))
    packed.chunk_finished.ClearField("heard")
    packed.chunk_finished.ClearField("heard_seconds")
    back = codec.decode_request(sealed(packed))
    assert (back.heard, back.heard_seconds) == (0, 0.0)
    on_request = welcome(on_request=True, messages=(), scheduled=True)
    packed = pb.SessionResponse.FromString(codec.encode_response(on_request))
    packed.welcome.order.ClearField("scheduled")
    assert not codec.decode_response(sealed(packed)).order.scheduled


def test_a_frame_that_is_not_known_is_refused():
    later = field_head(90, 1) + b"x"
    for decode in (codec.decode_request, codec.decode_response, codec.decode_fetch_response):
        assert refused(decode, seal(later)) == "unknown_frame"
        assert refused(decode, seal(b"")) == "unknown_frame"
        assert refused(decode, seal(b"\x0a\xff")) == "unreadable"


def test_a_text_that_would_garble_a_log_is_refused_and_a_reason_is_made_printable():
    packed = pb.SessionRequest(goodbye=pb.Goodbye(reason="two\nlines"))
    assert refused(codec.decode_request, sealed(packed)) == "bad_value"
    raw = codec.encode_request(f.Goodbye("two\nlines" + 2000 * "x"))
    assert codec.decode_request(raw).reason == "two lines" + 1015 * "x"


def test_an_unknown_dtype_is_refused():
    packed = pb.SessionRequest.FromString(codec.encode_request(message_frame()))
    for number in (0, 99):
        packed.message_frame.dtype = number
        assert refused(codec.decode_request, sealed(packed)) == "wrong_dtype"


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("wrong_length", {"total_bytes": 1}),
        ("too_large", {"total_bytes": f.MAX_ARRAY_BYTES + 1}),
        ("bad_value", {"n_rows": 0}),
        ("bad_value", {"n_nonzero": 3}),
        ("bad_value", {"sha256": b"short"}),
        ("wrong_dtype", {"x_dtype": "int32"}),
    ],
)
def test_rows_that_break_a_rule_are_refused(kind, changes):
    good = f.RowsHeader(2, 3, False, "float64", "int64", 0, 64, bytes(32))
    raw = codec.encode_fetch_response(dataclasses.replace(good, **changes))
    assert refused(codec.decode_fetch_response, raw) == kind


def test_a_request_for_no_rows_is_refused():
    assert refused(codec.decode_fetch, codec.encode_fetch(f.FetchRows("r", "d", 5, 5))) == "bad_value"


def test_any_seed_travels_as_its_lowest_64_bits():
    for seed in (2**63, -(2**70) + 5):
        delays = Delays("pareto", seconds=1.0, seed=seed)
        back = codec.decode_response(codec.encode_response(welcome(delays=delays))).order.delays
        assert back.chunk_seconds(1, 2, 3) == delays.chunk_seconds(1, 2, 3)
