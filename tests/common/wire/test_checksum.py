"""Every frame ends with its checksum: what is altered on the way is refused, whatever it alters."""

from __future__ import annotations

import zlib

import pytest

from common.errors import ProtocolError
from common.models.base import ModelShape
from common.wire import codec
from common.wire import frames as f
from common.wire.checksum import CHECKSUMS_SINCE, seal, unseal
from common.wire.gradcode.v1 import training_pb2 as pb

STAMP = f.Stamp("run", 1, 2, 3)
ORDER = f.WorkOrder(
    1, "code", ModelShape("linear", 3, 1, True), 4, 1, f.DataOrder("d", 3, False, (f.RowRange(4, 0, 5),)),
    (f.MessageOrder(2, f.Terms.of([(4, 0, 1.0)])),), False,
)  # fmt: skip
REQUEST = codec.encode_request, codec.decode_request
RESPONSE = codec.encode_response, codec.decode_response
FETCHED = codec.encode_fetch_response, codec.decode_fetch_response
FRAMES = {
    "message": (*REQUEST, f.MessageFrame(STAMP, 1, 0, 8, "float64", b"8 bytes!")),
    "report": (*REQUEST, f.ChunkFinished(STAMP, 1, 0.5, 2.0, 5, True)),
    "hello": (codec.encode_request, codec.decode_hello, f.Hello("w", "1")),
    "parameters": (*RESPONSE, f.ParametersFrame(STAMP, 0, 8, "float32", b"8 bytes!")),
    "welcome": (codec.encode_response, codec.decode_welcome, f.Welcome("run", "name", 1, 0, ORDER)),
    "collect": (*RESPONSE, f.Collect(STAMP, 1, f.Terms.of([(4, 0, 1.0)]))),
    "ask": (*RESPONSE, f.AskPartialSum(STAMP, 1, f.Terms.of([(4, 0, 1.0)]), 3)),
    "partial sum": (*REQUEST, f.PartialSum(STAMP, 1, 2.5)),
    "stop": (*RESPONSE, f.StopRound(STAMP)),
    "fetch": (codec.encode_fetch, codec.decode_fetch, f.FetchRows("run", "d", 0, 5)),
    "header": (*FETCHED, f.RowsHeader(2, 3, False, "float64", "int64", 0, 64, bytes(32))),
    "rows": (*FETCHED, f.RowsData(b"some rows")),
}  # fmt: skip


def kind_of(decode, raw):
    with pytest.raises(ProtocolError) as caught:
        decode(raw)
    return caught.value.kind


@pytest.mark.parametrize("name", FRAMES)
def test_any_bit_that_is_altered_is_noticed(name):
    encode, decode, frame = FRAMES[name]
    raw = encode(frame)
    assert decode(raw) == frame
    for bit in range(8 * len(raw)):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        assert kind_of(decode, bytes(altered)) == "corrupt", f"bit {bit}"


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_cut_off_doubled_or_without_a_checksum_is_corrupt(name):
    encode, decode, frame = FRAMES[name]
    raw = encode(frame)
    for length in range(len(raw)):
        assert kind_of(decode, raw[:length]) == "corrupt"
    assert kind_of(decode, raw + raw) == "corrupt"
    assert kind_of(decode, raw[:-5] + seal(b"")) == "corrupt", "the checksum of another frame"


def test_the_checksum_is_a_field_that_protobuf_reads():
    raw = codec.encode_request(f.Ready(1, 2))
    packed = pb.SessionRequest.FromString(raw)
    assert packed.HasField("checksum")
    assert packed.checksum == zlib.crc32(raw[:-5])


def test_a_checksum_of_zero_is_written_too():
    """proto3 leaves out a zero that is not optional; four bytes after another have any CRC that is wanted."""
    content = next(raw for n in range(3) if zlib.crc32(raw := _with_crc_zero(n)) == 0)
    assert bytes(unseal(seal(content))) == content
    assert len(seal(content)) == len(content) + 5


def _with_crc_zero(n: int) -> bytes:
    """Bytes whose CRC-32 is 0: n of them, and four that make it so."""
    head = bytes(range(n))
    # The CRC of head + tail is linear in the tail: solve 32 equations over bits.
    base = zlib.crc32(head + bytes(4))
    columns = [zlib.crc32(head + (1 << bit).to_bytes(4, "little")) ^ base for bit in range(32)]
    rows = [(column, 1 << bit) for bit, column in enumerate(columns)]
    wanted, tail = base, 0
    for bit in range(32):
        pivot = next(row for row in rows if row[0] >> bit & 1)
        rows = [
            (row[0] ^ pivot[0], row[1] ^ pivot[1]) if row[0] >> bit & 1 else row
            for row in rows
            if row is not pivot
        ]
        if wanted >> bit & 1:
            wanted, tail = wanted ^ pivot[0], tail ^ pivot[1]
    return head + tail.to_bytes(4, "little")


@pytest.mark.parametrize("minor", range(CHECKSUMS_SINCE))
def test_a_peer_that_knows_no_checksums_is_told_so(minor):
    hello = pb.SessionRequest(hello=pb.Hello(protocol_major=1, protocol_minor=minor, worker_name="w"))
    welcome = pb.SessionResponse(welcome=pb.Welcome(protocol_major=1, protocol_minor=minor))
    for decode, packed in ((codec.decode_hello, hello), (codec.decode_welcome, welcome)):
        with pytest.raises(
            ProtocolError, match=f"speaks protocol 1.{minor}, and frames have checksums since 1.2"
        ):
            decode(packed.SerializeToString())


def test_a_first_frame_of_today_has_a_checksum():
    hello = pb.SessionRequest(
        hello=pb.Hello(protocol_major=1, protocol_minor=f.PROTOCOL_MINOR, worker_name="w")
    )
    assert kind_of(codec.decode_hello, hello.SerializeToString()) == "corrupt"
    goodbye = pb.SessionRequest(goodbye=pb.Goodbye(reason="r"))
    assert kind_of(codec.decode_hello, goodbye.SerializeToString()) == "corrupt"
