"""A peer that breaks the protocol loses its link; the run goes on and a counter moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import grpc
import numpy as np
import pytest

from common.wire import codec, rpc
from common.wire import frames as wire
from common.wire.checksum import seal
from common.wire.gradcode.v1 import training_pb2 as pb
from gradcode.lab.attacks import Attack, play
from gradcode.lab.raw_http2 import RawLink, message
from master import service

SESSION = f"/{rpc.TRAINING}/Session"

pytestmark = pytest.mark.xdist_group("processes")

SETTINGS = ("workers=2", "code=uncoded(n)", "rounds=2", "deadline.rule=none", "on_shortfall=wait")
LENGTH = 5


async def two_workers(start, dial, *overrides):
    """A run whose two places are held by an honest peer and by one that is about to misbehave."""
    running = await start(*SETTINGS, *overrides)
    honest, wicked = dial(running.master.address), dial(running.master.address)
    await honest.join("honest")
    await wicked.join("wicked")
    await honest.begin_round()
    await wicked.begin_round()
    return running, honest, wicked


async def wrong_dtype(peer):
    await peer.message(1, np.zeros(LENGTH), dtype="float64")


async def wrong_length(peer):
    await peer.message(1, np.zeros(LENGTH + 1, "float32"))


async def frames_out_of_order(peer):
    data = np.zeros(LENGTH, "float32").tobytes()
    await peer.message(1, np.zeros(2, "float32"), offset=8, total_bytes=len(data))


async def future_round(peer):
    stamp = replace(peer.start_round.stamp, round=peer.start_round.stamp.round + 1)
    await peer.report(1, stamp=stamp)


async def chunk_of_another_place(peer):
    await peer.report(0)


async def chunk_that_does_not_exist(peer):
    await peer.report(77)


async def message_of_another_place(peer):
    await peer.message(0, np.zeros(LENGTH, "float32"))


async def second_hello(peer):
    await peer.send(wire.Hello("wicked", "test"))


async def garbage(peer):
    await peer.write(seal(b"\xff\xfe garbage"))


async def no_checksum(peer):
    await peer.write(b"\xff\xfe garbage")


async def an_altered_message(peer):
    data = np.zeros(LENGTH, "float32").tobytes()
    frame = wire.MessageFrame(peer.start_round.stamp, 1, 0, len(data), "float32", data)
    raw = bytearray(codec.encode_request(frame))
    raw[-9] ^= 0x40
    await peer.write(bytes(raw))


WAYS: dict[Callable[..., Awaitable[None]], str] = {
    wrong_dtype: "wrong_dtype",
    wrong_length: "wrong_length",
    frames_out_of_order: "wrong_order",
    future_round: "foreign_chunk",
    chunk_of_another_place: "foreign_chunk",
    chunk_that_does_not_exist: "foreign_chunk",
    message_of_another_place: "foreign_message",
    second_hello: "wrong_order",
    garbage: "unreadable",
    no_checksum: "corrupt",
    an_altered_message: "corrupt",
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_frame_that_breaks_the_protocol_ends_that_link_only(start, dial, way):
    running, honest, wicked = await two_workers(start, dial)
    await way(wicked)
    assert WAYS[way] in await wicked.ended()
    assert await running.metric(f'gradcode_protocol_errors_total{{kind="{WAYS[way]}"}}') == 1
    again = dial(running.master.address)
    await again.join("wicked")
    await again.begin_round()
    for number in range(2):
        for place, peer in enumerate((honest, again)):
            if number:
                await peer.begin_round()
            await peer.report(place)
            await peer.message(place, np.ones(LENGTH, "float32"))
    assert await running.task == 0
    assert running.master.driver.training.chronicle.totals.rounds["exact"] == 2


@pytest.mark.parametrize("mebibytes", [2, 5])
async def test_a_frame_over_the_limit_ends_that_link_only(start, dial, mebibytes):
    running, _, wicked = await two_workers(start, dial)
    values = np.zeros(mebibytes << 18, "float32")
    with contextlib.suppress(grpc.aio.AioRpcError):
        await wicked.message(1, values)
    said = await wicked.ended()
    assert "too_large" in said or "RESOURCE_EXHAUSTED" in said
    members = running.master.driver.training.members
    while members.same_name("wicked") is not None:
        await asyncio.sleep(0.01)
    assert members.same_name("honest") is not None
    assert await running.metric("gradcode_links_lost_total") == 1
    assert not running.task.done()


async def test_the_master_answers_whoever_asks_whether_frames_come_through(start, dial):
    running = await start("workers=2", "code=uncoded(n)")
    spare = dial(running.master.address)
    await spare.join("w")
    for _ in range(3):
        await spare.send(wire.Alive())
        assert await spare.receive(wire.Alive) == wire.Alive()
    assert not running.task.done()


async def test_frames_that_nothing_called_for_are_too_many(start, dial):
    """Real floods, with no library in between; the honest peer does not notice."""
    running, honest, wicked = await two_workers(start, dial)
    for _ in range(100):
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await wicked.report(1, stamp=replace(wicked.start_round.stamp, incarnation=77))
    await wicked.ended()
    assert await running.metric('gradcode_protocol_errors_total{kind="too_many_frames"}') == 1
    attack = Attack(running.master.address)
    await play("tiny_frames", attack, 0.3)
    assert attack.done["frames"] > 1000
    assert await running.metric('gradcode_protocol_errors_total{kind="too_many_frames"}') >= 2
    members = running.master.driver.training.members
    assert members.same_name("honest") is not None
    await honest.report(0)
    while running.master._status().places[0].chunks_finished == 0:
        await asyncio.sleep(0.01)


async def test_who_does_not_read_its_frames_loses_its_link(start):
    running = await start(
        "workers=1", "code=uncoded(n)", "data.source=synthetic(rows=60, features=200000)",
        "limits.patience_seconds=0.2", "deadline.rule=none",
    )  # fmt: skip
    link = await RawLink.dial(running.master.address)
    stream = link.open_call(SESSION, message(codec.encode_request(wire.Hello("deaf", "test"))))
    members = running.master.driver.training.members
    while members.same_name("deaf") is None:
        await asyncio.sleep(0.01)
    seat = members.same_name("deaf")
    await link.send(stream, message(codec.encode_request(wire.Ready(seat.incarnation, 0))))
    while members.same_name("deaf") is not None:
        await asyncio.sleep(0.01)
    assert await running.metric('gradcode_protocol_errors_total{kind="too_slow"}') == 1
    link.close()


async def test_who_does_not_say_hello_is_not_waited_for(start, monkeypatch):
    monkeypatch.setattr(service, "HELLO_SECONDS", 0.1)
    running = await start("workers=1", "code=uncoded(n)")
    link = await RawLink.dial(running.master.address)
    link.open_call(SESSION, b"\x00\x00")
    while link.n_resets == 0:
        await asyncio.sleep(0.01)
    assert await running.metric('gradcode_protocol_errors_total{kind="too_slow"}') == 1
    link.close()


async def test_a_message_from_a_spare_or_in_the_lobby_sets_no_memory_aside(start, dial):
    running = await start("workers=joined", "code=uncoded(n)", "membership.join_seconds=60.0")
    peer = dial(running.master.address)
    await peer.send(wire.Hello("early", "test"))
    welcome = await peer.receive(wire.Welcome)
    stamp = wire.Stamp(running.master.driver.run, 0, 0, welcome.incarnation)
    await peer.send(wire.MessageFrame(stamp, 0, 0, 20, "float32", bytes(20)))
    while await running.metric('gradcode_frames_dropped_total{kind="stale"}') < 1:
        await asyncio.sleep(0.01)
    (session,) = running.master.driver._sessions.values()
    assert session.assembler is None


async def test_stale_frames_are_counted_and_dropped(start, dial):
    running, honest, _ = await two_workers(start, dial)
    old = replace(honest.start_round.stamp, incarnation=honest.start_round.stamp.incarnation + 7)
    await honest.report(0, stamp=old)
    await honest.message(0, np.ones(LENGTH, "float32"), stamp=replace(old, run="another run"))
    await honest.report(0)
    await honest.report(0)
    await honest.message(0, np.ones(LENGTH, "float32"))
    await honest.message(0, np.ones(LENGTH, "float32"))
    await honest.send(wire.Drain())
    training = running.master.driver.training
    while not (link := training.members.same_name("honest")) or not link.draining:
        await asyncio.sleep(0.01)
    assert training.chronicle.totals.stale_frames == 1
    assert training.chronicle.totals.duplicate_frames == 2


async def test_a_wrong_token_is_refused_on_every_call(start, dial):
    running = await start("workers=1", "code=uncoded(n)", token="right")
    address = running.master.address
    for token, said in (("wrong", "a wrong token was used"), (None, "no token was used")):
        peer = dial(address, token)
        with pytest.raises((ConnectionError, grpc.aio.AioRpcError), match=said):
            await peer.join("w")
        with pytest.raises(grpc.aio.AioRpcError, match=said):
            await rpc.ControlClient(peer.channel, token).get_status()
        fetch = codec.encode_fetch(wire.FetchRows(running.master.driver.run, "d", 0, 1))
        shown = await peer.access.metadata(peer.channel, rpc.FETCH_ROWS)
        with pytest.raises(grpc.aio.AioRpcError, match=said):
            await rpc.fetch_method(peer.channel)(fetch, metadata=shown).read()
    assert await running.metric('gradcode_protocol_errors_total{kind="wrong_token"}') == 6
    assert (await dial(address, "right").join("w")).place == 0


async def test_another_protocol_major_is_refused(start, dial):
    running = await start("workers=1", "code=uncoded(n)")
    peer = dial(running.master.address)
    await peer.send(wire.Hello("w", "test", protocol_major=2))
    with pytest.raises((ConnectionError, grpc.aio.AioRpcError), match="protocol 2"):
        await peer.receive(wire.Welcome)
    assert await running.metric('gradcode_protocol_errors_total{kind="wrong_version"}') == 1


async def test_a_worker_that_knows_no_checksums_is_refused(start, dial):
    running = await start("workers=1", "code=uncoded(n)")
    peer = dial(running.master.address)
    old = pb.SessionRequest(hello=pb.Hello(protocol_major=1, protocol_minor=1, worker_name="w"))
    await peer.write(old.SerializeToString())
    with pytest.raises((ConnectionError, grpc.aio.AioRpcError), match=r"FAILED_PRECONDITION.*protocol 1\.1"):
        await peer.receive(wire.Welcome)
    assert await running.metric('gradcode_protocol_errors_total{kind="wrong_version"}') == 1


async def test_rows_are_given_only_within_the_training_set(start, dial):
    running = await start("workers=1", "code=uncoded(n)")
    peer = dial(running.master.address)
    order = (await peer.join("w")).order
    for begin, end, digest in ((0, 10**6, order.data.digest), (0, 1, "another")):
        fetch = codec.encode_fetch(wire.FetchRows(running.master.driver.run, digest, begin, end))
        with pytest.raises(grpc.aio.AioRpcError, match=r"foreign_rows|unreadable|bad_value"):
            await rpc.fetch_method(peer.channel)(fetch).read()
