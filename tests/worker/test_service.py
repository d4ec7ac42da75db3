"""Workers in this process against a scripted master, over real gRPC."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time

import grpc
import numpy as np
import pytest

from common.delays import Delays, Interruption
from common.errors import InvalidSpec
from common.models import ModelShape
from common.tokens import Token
from common.wire import codec
from common.wire import frames as wire
from common.wire.access import Access
from common.wire.checksum import seal
from common.wire.gradcode.v1 import training_pb2 as pb
from worker import ahead, memory, rows, service, session
from worker.service import Worker

PARAMETERS = np.array([0.5, -1.0, 2.0, 0.25])
OTHER = np.array([1.0, 0.0, -1.0, 3.0])
SLOW = Delays("constant", seconds=0.2)


def counted(worker: Worker, name: str) -> float:
    return worker.metrics.registry.get_sample_value(f"gradcode_worker_{name}")


async def done(task: asyncio.Task[int], seconds: float = 5.0) -> int:
    async with asyncio.timeout(seconds):
        return await task


def close_to(found, expected) -> bool:
    return np.allclose(found, expected, rtol=1e-6, atol=1e-6)


# ---- rounds ---------------------------------------------------------------------------------------------


async def test_a_fixed_code_from_hello_to_goodbye(guarded):
    worker, task = guarded.work(name="rack 3")
    link = await guarded.link()
    assert link.hello.worker_name == "rack 3"
    order = guarded.fixed([(2, 0, 1.0)], [(2, 0, -0.5), (4, 0, 3.0)], chunks=(4, 2))
    await link.welcome(order, place=3, incarnation=9)
    assert guarded.fetched == [(20, 25), (10, 15)]
    for number, parameters in enumerate((PARAMETERS, OTHER)):
        stamp = await link.start(number, parameters)
        reports, messages, heard = await link.hear_work(2, 2)
        assert [(each.stamp, each.chunk, each.rows, each.finite) for each in reports] == [
            (stamp, 4, 5, True),
            (stamp, 2, 5, True),
        ]
        gradients = {chunk: guarded.data.gradient(chunk, parameters) for chunk in (2, 4)}
        assert close_to(messages[10], gradients[2])
        assert close_to(messages[11], 3.0 * gradients[4] - 0.5 * gradients[2])
        assert heard.index(("chunk", 2)) < heard.index(("message", 10)) < heard.index(("message", 11))
        await link.send(wire.StopRound(stamp))
    await link.send(wire.Goodbye("the run ended"))
    assert await done(task) == 0
    assert counted(worker, "chunks_total") == 4
    assert counted(worker, "messages_total") == 4
    assert counted(worker, "stale_frames_total") == 0
    assert counted(worker, "linked") == 0


async def test_a_report_tells_the_loss_and_the_time(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((1,), delays=Delays("constant", seconds=0.05)))
    await link.start(0, PARAMETERS)
    report = await link.hear(wire.ChunkFinished)
    X, y = master.data.of(1)
    residuals = X @ PARAMETERS[:3] + PARAMETERS[3] - y
    assert report.loss_sum == pytest.approx(0.5 * residuals @ residuals)
    assert 0.05 <= report.seconds < 1.0


async def test_a_message_is_sent_as_soon_as_its_last_chunk_is_finished(master):
    master.work()
    link = await master.link()
    await link.welcome(master.fixed([(0, 0, 1.0)], [(1, 0, 1.0)], chunks=(0, 1), delays=SLOW))
    await link.start(0, PARAMETERS)
    _, _, heard = await link.hear_work(2, 2)
    assert heard == [("chunk", 0), ("message", 10), ("chunk", 1), ("message", 11)]


async def test_parts_and_float64_on_the_wire(master):
    master.work()
    link = await master.link()
    order = master.order((0,), n_parts=3, wire_dtype="float64")
    await link.welcome(order)
    stamp = link.at(0)
    raw = PARAMETERS.astype("<f8").tobytes()
    await link.send(
        wire.StartRound(stamp, 0.0, 32, "float64"), wire.ParametersFrame(stamp, 0, 32, "float64", raw)
    )
    await link.hear(wire.ChunkFinished)
    await link.send(wire.Collect(stamp, 1, wire.Terms.of([(0, 0, 1.0), (0, 1, 2.0), (0, 2, 5.0)])))
    _, found = await link.hear_message()
    g = master.data.gradient(0, PARAMETERS)
    assert np.allclose(found, [g[0] + 2 * g[2], g[1] + 2 * g[3]], rtol=1e-14)


async def test_waiting_encoding_and_sending_are_timed(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.fixed([(1, 0, 1.0)], chunks=(0, 1), delays=Delays("constant", seconds=0.05)))
    await link.start(0, PARAMETERS)
    await link.hear_work(2, 1)
    assert counted(worker, "queue_seconds_count") == 2
    # The second chunk waits while the first is in hand, the first for nobody.
    assert 0.05 <= counted(worker, "queue_seconds_sum") < 0.05 + counted(worker, "chunk_compute_seconds_sum")
    assert counted(worker, "encode_seconds_count") == counted(worker, "messages_total") == 1
    assert counted(worker, "send_seconds_count") >= 2 + 1 + 2
    assert 0.0 < counted(worker, "encode_seconds_sum") < 1.0
    assert 0.0 < counted(worker, "send_seconds_sum") < 1.0


async def test_a_chunk_that_is_handed_out_later_waits_from_then_on(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1), scheduled=True))
    stamp = await link.start(0, PARAMETERS)
    await link.hear_nothing(0.3)
    await link.send(wire.NextChunk(stamp, (1,)))
    await link.hear(wire.ChunkFinished)
    assert counted(worker, "queue_seconds_count") == 1
    assert counted(worker, "queue_seconds_sum") < 0.2


async def test_sparse_rows(master):
    master.sparse = True
    master.work()
    link = await master.link()
    await link.welcome(master.fixed([(3, 0, 1.0)], chunks=(3,)))
    await link.start(0, PARAMETERS)
    _, messages, _ = await link.hear_work(1, 1)
    assert close_to(messages[10], master.data.gradient(3, PARAMETERS))


async def test_a_collect_is_answered_while_a_chunk_is_in_hand(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2), delays=SLOW))
    stamp = await link.start(0, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).chunk == 0
    await link.send(wire.Collect(stamp, 77, wire.Terms.of([(0, 0, 2.0)])))
    number, found = await link.hear_message()
    assert number == 77
    assert close_to(found, 2.0 * master.data.gradient(0, PARAMETERS))
    assert (await link.hear(wire.ChunkFinished)).chunk == 1


async def test_a_partial_sum_is_told_until_the_round_is_stopped(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1)))
    stamp = await link.start(0, PARAMETERS)
    for _ in range(2):
        await link.hear(wire.ChunkFinished)
    terms = wire.Terms.of([(0, 0, 2.0), (1, 0, -1.0)])
    await link.send(wire.AskPartialSum(stamp, 9, terms, 1))
    told = await link.hear(wire.PartialSum)
    expected = 2.0 * master.data.gradient(0, PARAMETERS) - master.data.gradient(1, PARAMETERS)
    assert (told.stamp, told.number) == (stamp, 9)
    assert told.value == pytest.approx(expected[1], rel=1e-12)
    await link.send(wire.StopRound(stamp), wire.AskPartialSum(stamp, 10, terms, 1))
    later = await link.start(1, PARAMETERS)
    for _ in range(2):
        await link.hear(wire.ChunkFinished)
    await link.send(wire.AskPartialSum(later, 11, terms, 0))
    assert (await link.hear(wire.PartialSum)).number == 11, "what was asked of a stopped round is stale"


@pytest.mark.parametrize(
    ("ask", "kind"),
    [((((2, 0, 1.0),), 0), "not_finished"), ((((0, 0, 1.0),), 99), "bad_terms")],
)
async def test_a_partial_sum_that_cannot_be_told(master, ask, kind):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2), delays=SLOW))
    stamp = await link.start(0, PARAMETERS)
    await link.hear(wire.ChunkFinished)
    await link.send(wire.AskPartialSum(stamp, 1, wire.Terms.of(ask[0]), ask[1]))
    await broken(master, worker, link, kind)


async def test_a_large_message_is_added_up_beside_the_event_loop_and_lets_reports_pass(master):
    n_features = 200_000
    master.data.X = np.random.default_rng(1).normal(size=(10, n_features))
    master.data.y = master.data.y[:10]
    shape = ModelShape("linear", n_features, 1, intercept=False)
    data = wire.DataOrder("digest", n_features, False, (wire.RowRange(0, 0, 1), wire.RowRange(1, 1, 2)))
    master.work()
    link = await master.link()
    order = master.order(
        model=shape, n_parameters=n_features, data=data, max_frame_bytes=1 << 16, wire_dtype="float32"
    )
    await link.welcome(order)
    parameters = np.zeros(n_features)
    stamp = await link.start(0, parameters)
    await link.hear_work(2, 0)
    await link.send(wire.Collect(stamp, 1, wire.Terms.of([(0, 0, 1.0), (1, 0, -1.0)])))
    _, found = await link.hear_message()
    X, y = master.data.X, master.data.y
    assert close_to(found, -X[0] * y[0] + X[1] * y[1])


async def test_next_chunk_replaces_the_queue_and_leaves_the_chunk_in_hand(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2, 3, 4), delays=Delays("constant", seconds=0.1)))
    stamp = await link.start(0, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).chunk == 0
    await link.send(wire.NextChunk(stamp, (4, 0, 1, 3)))
    found = [(await link.hear(wire.ChunkFinished)).chunk for _ in range(3)]
    assert found in ([1, 4, 3], [4, 1, 3]), "on a busy machine the frame comes before chunk 1 is in hand"
    await link.hear_nothing(0.2)
    await link.send(wire.NextChunk(stamp, (2,)))
    assert (await link.hear(wire.ChunkFinished)).chunk == 2


async def test_next_chunk_counts_from_the_start_of_the_round(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2)))
    stamp = link.at(0)
    raw = PARAMETERS.astype("<f4").tobytes()
    await link.send(
        wire.StartRound(stamp, 0.0, 16, "float32"),
        wire.NextChunk(stamp, (2,)),
        wire.ParametersFrame(stamp, 0, 16, "float32", raw),
    )
    assert (await link.hear(wire.ChunkFinished)).chunk == 2
    await link.hear_nothing()


async def test_a_newer_round_abandons_the_older_between_two_chunks(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.fixed([(0, 0, 1.0)], [(1, 0, 1.0)], chunks=(0, 1), delays=SLOW))
    old = await link.start(3, PARAMETERS)
    await asyncio.sleep(0.1)
    new = await link.start(5, OTHER)
    reports, messages, heard = await link.hear_work(3, 2)
    assert [(each.stamp, each.chunk) for each in reports] == [(old, 0), (new, 0), (new, 1)]
    assert heard[:2] == [("chunk", 0), ("chunk", 0)]
    assert close_to(messages[10], master.data.gradient(0, OTHER))
    assert counted(worker, "late_chunks_total") == 1


async def test_a_newer_round_replaces_one_whose_parameters_are_incomplete(master):
    master.work()
    link = await master.link()
    await link.welcome(master.fixed([(0, 0, 1.0)], chunks=(0,)))
    stamp = link.at(0)
    await link.send(
        wire.StartRound(stamp, 0.0, 16, "float32"), wire.ParametersFrame(stamp, 0, 16, "float32", bytes(8))
    )
    await link.start(1, PARAMETERS)
    reports, messages, _ = await link.hear_work(1, 1)
    assert reports[0].stamp == link.at(1)
    assert close_to(messages[10], master.data.gradient(0, PARAMETERS))


async def test_after_a_stop_the_chunk_in_hand_is_late_and_nothing_else_comes(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.fixed([(0, 0, 1.0)], chunks=(0, 1), delays=SLOW))
    stamp = await link.start(0, PARAMETERS)
    await asyncio.sleep(0.1)
    await link.send(wire.StopRound(stamp))
    report = await link.hear(wire.ChunkFinished)
    assert (report.stamp, report.chunk) == (stamp, 0)
    await link.hear_nothing(0.25)
    assert counted(worker, "late_chunks_total") == 1
    assert counted(worker, "queue_length") == 0


async def test_a_stop_breaks_a_message_off(master):
    n_features = 500_000
    shape = ModelShape("linear", n_features, 1, intercept=False)
    master.data.X, master.data.y = np.ones((2, n_features)), np.zeros(2)
    ranges = (wire.RowRange(0, 0, 1),)
    data = wire.DataOrder("digest", n_features, False, ranges)
    worker, _ = master.work()
    link = await master.link()
    order = master.order(model=shape, n_parameters=n_features, data=data, max_frame_bytes=1 << 12)
    await link.welcome(order)
    stamp = await link.start(0, np.zeros(n_features))
    await link.hear(wire.ChunkFinished)
    await link.send(wire.Collect(stamp, 1, wire.Terms.of([(0, 0, 1.0)])))
    first = await link.hear(wire.MessageFrame)
    await link.send(wire.StopRound(stamp))
    await asyncio.sleep(0.3)
    n_frames = 1
    while not link.inbox.empty():
        await link.hear(wire.MessageFrame)
        n_frames += 1
    assert first.total_bytes == 2_000_000
    assert n_frames < first.total_bytes >> 12
    assert counted(worker, "protocol_errors_total") == 0


async def test_frames_of_other_stamps_are_dropped_and_counted(master):
    worker, _ = master.work()
    link = await master.link()
    await link.send(wire.StopRound(link.at(0)))
    await link.welcome(master.order((0,)), incarnation=4)
    wrong = [
        dataclasses.replace(link.at(0), run="other"),
        dataclasses.replace(link.at(0), epoch=2),
        dataclasses.replace(link.at(0), incarnation=3),
    ]
    for stamp in wrong:
        await link.send(wire.StartRound(stamp, 0.0, 16, "float32"))
    await link.send(wire.ParametersFrame(link.at(0), 0, 16, "float32", bytes(16)))
    stamp = await link.start(2, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).stamp == stamp
    old = link.at(1)
    terms = wire.Terms.of([(0, 0, 1.0)])
    await link.send(wire.StartRound(old, 0.0, 16, "float32"), wire.StartRound(stamp, 0.0, 16, "float32"))
    await link.send(wire.StopRound(old), wire.Collect(old, 1, terms), wire.NextChunk(old, (0,)))
    await link.send(wire.Collect(stamp, 2, terms))
    assert (await link.hear_message())[0] == 2
    assert counted(worker, "stale_frames_total") == 10


# ---- scheduled rounds -----------------------------------------------------------------------------------


async def test_where_the_master_hands_out_chunks_nothing_is_computed_before_it_has_said_what(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2, 3), scheduled=True))
    stamp = await link.start(0, PARAMETERS)
    await link.hear_nothing()
    await link.send(wire.NextChunk(stamp, (3, 1)))
    found = [await link.hear(wire.ChunkFinished) for _ in range(2)]
    assert [(each.stamp, each.chunk) for each in found] == [(stamp, 3), (stamp, 1)]
    await link.hear_nothing()
    await link.send(wire.Collect(stamp, 5, wire.Terms.of([(3, 0, 1.0), (1, 0, 1.0)])))
    number, message = await link.hear_message()
    assert number == 5
    assert close_to(message, sum(master.data.gradient(chunk, PARAMETERS) for chunk in (1, 3)))
    newer = await link.start(1, OTHER)
    await link.hear_nothing()
    await link.send(wire.NextChunk(newer, (1,)))
    report = await link.hear(wire.ChunkFinished)
    assert (report.stamp, report.chunk) == (newer, 1)
    assert counted(worker, "chunks_total") == 3


async def test_chunks_may_be_handed_out_before_the_parameters_are_there(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2), scheduled=True))
    stamp = link.at(0)
    raw = PARAMETERS.astype("<f4").tobytes()
    await link.send(wire.StartRound(stamp, 0.0, 16, "float32"), wire.NextChunk(stamp, (2, 0)))
    await link.hear_nothing()
    await link.send(wire.ParametersFrame(stamp, 0, 16, "float32", raw))
    assert [(await link.hear(wire.ChunkFinished)).chunk for _ in range(2)] == [2, 0]


async def test_an_empty_list_takes_back_what_waits_and_leaves_the_chunk_in_hand(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2), scheduled=True, delays=Delays("constant", seconds=0.1)))
    stamp = await link.start(0, PARAMETERS)
    await link.send(wire.NextChunk(stamp, (0, 1, 2)))
    await asyncio.sleep(0.05)
    await link.send(wire.NextChunk(stamp, ()))
    assert (await link.hear(wire.ChunkFinished)).chunk == 0
    await link.hear_nothing(0.15)
    await link.send(wire.NextChunk(stamp, (0, 2)))
    report = await link.hear(wire.ChunkFinished)
    assert (report.chunk, report.heard) == (2, 3)


async def test_reports_tell_how_many_queues_have_come_and_how_long_ago(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1, 2), scheduled=True, delays=SLOW))
    stamp = await link.start(0, PARAMETERS)
    sent_at = time.monotonic()
    await link.send(wire.NextChunk(stamp, (0, 1)), wire.NextChunk(stamp, (0, 1, 2)))
    for least in (0.1, 0.3):
        report = await link.hear(wire.ChunkFinished)
        assert report.heard == 2
        assert least <= report.heard_seconds <= time.monotonic() - sent_at
    sent_at = time.monotonic()
    await link.send(wire.NextChunk(link.at(7), (2,)))  # of no round in hand: not counted
    await link.send(wire.NextChunk(stamp, (2,)))
    report = await link.hear(wire.ChunkFinished)
    assert report.heard == 3
    assert report.heard_seconds <= time.monotonic() - sent_at


async def test_without_a_queue_reports_tell_how_long_ago_the_round_began(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    raw = PARAMETERS.astype("<f4").tobytes()
    for number, least in ((0, 0.1), (1, 0.0)):
        stamp = link.at(number)
        sent_at = time.monotonic()
        await link.send(wire.StartRound(stamp, 0.0, 16, "float32"))
        await asyncio.sleep(least)
        await link.send(wire.ParametersFrame(stamp, 0, 16, "float32", raw))
        report = await link.hear(wire.ChunkFinished)
        assert report.heard == 0
        assert 0.5 * least <= report.heard_seconds <= time.monotonic() - sent_at


# ---- links ----------------------------------------------------------------------------------------------


async def test_a_spare_waits_and_gets_a_place(master):
    worker, _ = master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1))
    await link.hear_nothing()
    assert worker.health() == (
        True,
        {"worker": "w", "master": master.address, "state": "spare", "linked": True},
    )
    await link.welcome(master.order((0,)), place=2, incarnation=2)
    await link.start(0, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).chunk == 0


async def test_a_new_plan_ends_the_round_and_fetches_only_new_rows(master):
    master.work()
    link = await master.link()
    await link.welcome(master.fixed([(0, 0, 1.0)], chunks=(0, 1), delays=SLOW))
    await link.start(0, PARAMETERS)
    await asyncio.sleep(0.05)
    await link.welcome(master.fixed([(1, 0, 1.0), (5, 0, 1.0)], chunks=(1, 5), epoch=2), incarnation=2)
    assert master.fetched == [(0, 5), (5, 10), (25, 30)]
    await link.start(0, OTHER)
    reports, messages, _ = await link.hear_work(2, 1)
    assert [each.chunk for each in reports] == [1, 5]
    assert close_to(messages[10], master.data.gradient(1, OTHER) + master.data.gradient(5, OTHER))


async def test_a_welcome_while_rows_are_loading_starts_over(master):
    master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1, 0, master.order((0, 1, 2, 3))))
    await link.welcome(master.order((4,)), incarnation=2)
    await link.hear_nothing()


async def test_a_lost_link_is_dialed_again_and_rows_are_kept(master, caplog):
    worker, task = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1)))
    await link.start(0, PARAMETERS)
    await link.hear_work(2, 0)
    with caplog.at_level(logging.WARNING):
        await master.stop()
        await asyncio.sleep(0.5)
        await master.serve()
        again = await master.link()
    assert again.hello == link.hello
    assert f"{master.address}: no master answers (" in caplog.text
    assert "dialing again in" in caplog.text
    await again.welcome(master.order((0, 1)), incarnation=2)
    assert master.fetched == [(0, 5), (5, 10)]
    await again.start(1, PARAMETERS)
    await again.hear_work(2, 0)
    assert counted(worker, "reconnects_total") == 1
    await again.send(wire.Goodbye("the run ended"))
    assert await done(task) == 0


@pytest.mark.parametrize("how", ["goodbye", "closed"])
async def test_a_worker_that_may_come_again_does(master, how):
    worker, task = master.work()
    link = await master.link()
    if how == "goodbye":
        await link.send(wire.Goodbye("later", retry=True))
    else:
        link.ended.set()
    again = await master.link()
    await again.send(wire.Goodbye("enough"))
    assert await done(task) == 0
    assert worker.health()[0] is False


async def test_the_token_is_sent_with_every_call(guarded):
    guarded.work()
    link = await guarded.link()
    await link.welcome(guarded.order((0,)))
    assert guarded.fetched == [(0, 5)]


async def test_a_wrong_token_ends_the_worker(guarded, caplog):
    worker = Worker(guarded.address, "w", access=Access(token=Token("guess")))
    assert await worker.run() == 2
    assert "the master refuses the token: wrong token" in caplog.text


async def test_a_master_that_refuses_the_protocol_ends_the_worker(master, caplog):
    master.refusal = (grpc.StatusCode.FAILED_PRECONDITION, "protocol 1, this master speaks 2")
    _, task = master.work()
    assert await done(task) == 2
    assert "protocol 1, this master speaks 2" in caplog.text


async def test_a_master_of_another_protocol_ends_the_worker(master, caplog):
    _, task = master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1, protocol_major=2))
    assert await link.hear() == wire.Goodbye("the master speaks protocol 2, this worker speaks 1")
    assert await done(task) == 2
    assert "the master speaks protocol 2" in caplog.text


async def test_what_is_no_master_is_told_and_tried_again(caplog):
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    assert await Worker(f"127.0.0.1:{port}", "w", give_up_seconds=0.1).run() == 3
    assert "what answers there is no gradcode master; dialing again" in caplog.text
    assert "giving up after 0.1 s" in caplog.text
    await server.stop(None)


async def test_what_accepts_and_says_nothing_is_told(monkeypatch, caplog):
    monkeypatch.setattr(service, "CONNECT_SECONDS", 0.2)
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(9), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    assert await Worker(f"127.0.0.1:{port}", "w", give_up_seconds=0.0).run() == 3
    assert "no master answers (nothing came within 0.2 s)" in caplog.text
    silent.close()


@pytest.mark.parametrize(
    ("address", "name"), [("nowhere", "w"), ("h:1", ""), ("h:1", "a\nb"), ("h:1", 300 * "x")]
)
def test_an_address_or_a_name_that_cannot_be(address, name):
    with pytest.raises(InvalidSpec):
        Worker(address, name)


# ---- a master that breaks the rules -----------------------------------------------------------------------


async def broken(master, worker, link, kind: str) -> None:
    """The link ends with a goodbye that says what is wrong, and the worker dials again."""
    goodbye = await link.hear(wire.Goodbye)
    assert kind in goodbye.reason
    assert goodbye.retry
    await master.link()
    assert counted(worker, "protocol_errors_total") == 1


@pytest.mark.parametrize(
    ("kind", "total_bytes", "dtype"),
    [("wrong_length", 20, "float32"), ("wrong_dtype", 32, "float64")],
)
async def test_parameters_that_do_not_fit(master, kind, total_bytes, dtype):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    await link.send(wire.StartRound(link.at(0), 0.0, total_bytes, dtype))
    await broken(master, worker, link, kind)


async def test_parameters_out_of_order(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    stamp = link.at(0)
    await link.send(
        wire.StartRound(stamp, 0.0, 16, "float32"), wire.ParametersFrame(stamp, 8, 16, "float32", bytes(8))
    )
    await broken(master, worker, link, "wrong_order")


async def test_chunks_that_are_not_here(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    await link.send(wire.NextChunk(await link.start(0, PARAMETERS), (0, 5)))
    report = await link.hear()
    if isinstance(report, wire.ChunkFinished):
        await broken(master, worker, link, "foreign_chunk")
    else:
        assert "foreign_chunk" in report.reason


async def test_a_collect_of_what_is_not_finished(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1), delays=SLOW))
    await link.send(wire.Collect(await link.start(0, PARAMETERS), 1, wire.Terms.of([(1, 0, 1.0)])))
    await broken(master, worker, link, "not_finished")


async def test_bytes_that_are_no_frame(master):
    worker, _ = master.work()
    link = await master.link()
    await link.context.write(seal(b"\xff\xff\xff"))
    await broken(master, worker, link, "unreadable")


async def test_a_frame_that_was_altered_on_its_way(master):
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    raw = bytearray(codec.encode_response(wire.StopRound(link.at(0))))
    raw[-7] ^= 1
    await link.context.write(bytes(raw))
    await broken(master, worker, link, "corrupt")


async def test_a_master_that_knows_no_checksums_is_no_master_for_this_worker(master, caplog):
    _, task = master.work()
    link = await master.link()
    old = pb.SessionResponse(welcome=pb.Welcome(protocol_major=1, protocol_minor=1))
    await link.context.write(old.SerializeToString())
    goodbye = await link.hear(wire.Goodbye)
    assert not goodbye.retry
    assert "the master speaks protocol 1.1" in goodbye.reason
    assert await done(task) == 2
    assert "frames have checksums since 1.2" in caplog.text


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("wrong_digest", {"sha256": bytes(32)}),
        ("wrong_length", {"n_rows": 4, "total_bytes": 128}),
        ("wrong_length", {"x_dtype": "float32", "total_bytes": 100}),
    ],
)
async def test_rows_that_are_not_what_was_ordered(master, kind, changes):
    master.spoil = lambda header: dataclasses.replace(header, **changes)
    worker, _ = master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1, 0, master.order((0,))))
    await broken(master, worker, link, kind)


async def test_a_link_that_is_lost_while_rows_are_loading(master):
    """The call for rows fails as well; one of both is told, and the worker dials again."""

    def vanish(header):
        raise RuntimeError("the rows are gone")

    master.spoil = vanish
    worker, _ = master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1, 0, master.order((0,))))
    assert "the rows did not come" in (await link.hear(wire.Goodbye)).reason
    await master.link()
    assert counted(worker, "protocol_errors_total") == 0


# ---- work that cannot be done here ------------------------------------------------------------------------


async def test_too_little_memory_is_refused_in_one_line(master, monkeypatch, caplog):
    monkeypatch.setattr(memory, "available_bytes", lambda: 30_000_000)
    _, task = master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1, 6, master.order((0, 1), memory_bytes=1_500_000_000)))
    goodbye = await link.hear(wire.Goodbye)
    assert goodbye.reason == (
        "available memory: must be at least 1,500 MB for rows and 2 gradients of place 6, got '30 MB'"
    )
    assert not goodbye.retry
    assert await done(task) == 2
    assert goodbye.reason in caplog.text


async def test_a_model_that_is_not_known_is_refused(master):
    _, task = master.work()
    link = await master.link()
    shape = ModelShape("oracle", 3, 1, True)
    await link.send(wire.Welcome("run", "test", 1, 0, master.order((0,), model=shape)))
    assert "model: must be one of" in (await link.hear(wire.Goodbye)).reason
    assert await done(task) == 2


async def test_a_failure_of_the_compute_thread_is_not_hidden(master):
    """Labels that are no classes: nothing a worker could do about."""
    _, task = master.work()
    link = await master.link()
    master.data.y[:] = 99.0
    shape = ModelShape("softmax", 3, 2, False)
    await link.welcome(master.order((0,), model=shape, n_parameters=6))
    await link.start(0, np.zeros(6))
    with pytest.raises(IndexError):
        await done(task)


# ---- leaving ----------------------------------------------------------------------------------------------


async def test_a_worker_that_is_asked_to_leave_finishes_its_round(master):
    worker, task = master.work()
    link = await master.link()
    await link.welcome(
        master.fixed([(0, 0, 1.0), (1, 0, 1.0)], chunks=(0, 1), delays=Delays("constant", 0.05))
    )
    stamp = await link.start(0, PARAMETERS)
    await asyncio.sleep(0.02)
    worker.stop()
    await link.hear(wire.Drain)
    assert worker.health()[1]["state"] == "draining"
    await link.hear_work(2, 1)
    await link.send(wire.StopRound(stamp), wire.Goodbye("drained"))
    assert await done(task) == 0


async def test_a_worker_that_leaves_takes_part_in_a_round_that_began_before_its_master_heard(master):
    _, task = master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    await link.start(0, PARAMETERS)
    await link.hear(wire.ChunkFinished)
    await link.send(wire.StopRound(link.at(0)), wire.Drain())
    await link.hear(wire.Drain)
    stamp = await link.start(1, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).stamp == stamp
    await link.send(wire.StopRound(stamp), wire.Goodbye("drained"))
    assert await link.hear() is None
    assert await done(task) == 0


async def test_a_worker_waits_for_the_end_of_its_last_round_only_so_long(master, monkeypatch):
    monkeypatch.setattr(session, "DRAIN_SECONDS", 0.2)
    worker, task = master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    await link.start(0, PARAMETERS)
    await link.hear(wire.ChunkFinished)
    begun = time.monotonic()
    worker.stop()
    await link.hear(wire.Drain)
    await link.hear(wire.Goodbye)
    assert await done(task) == 0
    assert 0.2 <= time.monotonic() - begun < 1.0


async def test_a_spare_leaves_at_once(master):
    worker, task = master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1))
    async with asyncio.timeout(5):
        while worker.health()[1]["state"] != "spare":
            await asyncio.sleep(0.01)
    worker.stop()
    assert not (await link.hear(wire.Goodbye)).retry
    assert await done(task) == 0


async def test_a_worker_that_dials_leaves_at_once():
    worker = Worker("127.0.0.1:1", "w")
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0.1)
    worker.stop()
    assert await done(task, 1.0) == 0


# ---- injected interruptions, in a shared process ----------------------------------------------------------


def frozen(kind: str, at: float, seconds: float = 0.0) -> Delays:
    return Delays("constant", seconds=0.1, interruptions=(Interruption(0, kind, at, seconds),))


async def test_a_frozen_session_neither_reads_nor_writes(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1), delays=frozen("freeze", 0.15, 0.5)))
    stamp = await link.start(0, PARAMETERS)
    await link.hear(wire.ChunkFinished)
    await asyncio.sleep(0.15)
    await link.send(wire.Collect(stamp, 1, wire.Terms.of([(0, 0, 1.0)])))
    await link.hear_nothing(0.2)
    reports, messages, _ = await link.hear_work(1, 1)
    assert list(messages) == [1]
    assert 0.6 <= reports[0].seconds < 1.0


async def test_an_injected_death_ends_the_worker_without_a_word(master):
    _, task = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1), delays=frozen("death", 0.15)))
    await link.start(0, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).chunk == 0
    assert await link.hear() is None
    assert await done(task) == session.DIED == 137


async def test_after_a_death_for_a_while_a_worker_dials_again_and_remembers_nothing(master, caplog):
    worker, _ = master.work()
    link = await master.link()
    order = master.order((0, 1), delays=frozen("death", 0.15, 0.3))
    await link.welcome(order)
    await link.start(0, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).chunk == 0
    assert await link.hear() is None
    died = time.monotonic()
    await asyncio.sleep(0.1)
    assert worker.health()[1]["state"] == "dead"
    again = await master.link()
    assert time.monotonic() - died >= 0.2
    assert again.hello == link.hello
    assert "an injected death, for 0.3 s" in caplog.text
    await again.welcome(order, incarnation=2)
    assert master.fetched == [(0, 5), (5, 10)] * 2
    await again.start(1, PARAMETERS, run_seconds=0.5)
    assert len((await again.hear_work(2, 0))[0]) == 2


async def test_a_dead_worker_that_is_asked_to_leave_stays_dead(master):
    worker, task = master.work()
    link = await master.link()
    await link.welcome(master.order((0,), delays=frozen("death", 0.05, 60.0)))
    await link.start(0, PARAMETERS)
    assert await link.hear() is None
    worker.stop()
    assert await done(task, 1.0) == 0


async def test_a_worker_that_leaves_does_not_come_back_from_its_death(master):
    worker, task = master.work()
    link = await master.link()
    await link.welcome(master.order((0,), delays=frozen("death", 0.1, 0.1)))
    await link.start(0, PARAMETERS)
    worker.stop()
    await link.hear(wire.Drain)
    assert await link.hear() is None
    assert await done(task) == session.DIED


async def test_a_worker_that_came_up_later_does_not_die_a_former_ones_death(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1), delays=frozen("death", 0.15)))
    await link.start(0, PARAMETERS, run_seconds=5.0)
    assert len((await link.hear_work(2, 0))[0]) == 2


async def test_what_befell_a_worker_is_remembered_over_links(master):
    master.work()
    link = await master.link()
    order = master.order((0,), delays=frozen("freeze", 0.05, 0.3))
    await link.welcome(order)
    await link.start(0, PARAMETERS)
    assert (await link.hear(wire.ChunkFinished)).seconds >= 0.4
    await link.send(wire.Goodbye("again", retry=True))
    link = await master.link()
    await link.welcome(order, incarnation=2)
    await link.start(1, PARAMETERS, run_seconds=0.5)
    assert (await link.hear(wire.ChunkFinished)).seconds < 0.3


# ---- spares ---------------------------------------------------------------------------------------------


async def as_spare(master, *chunks: int, **options):
    """A worker that was welcomed as a spare and told to load the rows of ``chunks`` ahead."""
    worker, _ = master.work(**options)
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1))
    await link.send(wire.Prefetch("run", master.order(chunks).data))
    return worker, link


async def until_rows(worker: Worker, n_rows: int) -> None:
    async with asyncio.timeout(5):
        while counted(worker, "fetched_rows_total") < n_rows:
            await asyncio.sleep(0.01)


async def test_a_spare_that_loaded_ahead_fetches_nothing_when_it_gets_the_place(master):
    worker, link = await as_spare(master, 4, 2, 0)
    await until_rows(worker, 15)
    assert master.fetched == [(20, 25), (10, 15), (0, 5)]
    await link.welcome(master.order((2, 4)), incarnation=2)
    assert len(master.fetched) == 3
    await link.start(0, PARAMETERS)
    assert {(await link.hear(wire.ChunkFinished)).chunk for _ in range(2)} == {2, 4}


async def test_a_place_breaks_loading_ahead_off_and_keeps_what_came(master):
    delivered = 0

    def slow(header):
        nonlocal delivered
        delivered += 1
        time.sleep(0.1)
        return header

    master.spoil = slow
    worker, link = await as_spare(master, 4, 2, 0, 1, 3)
    await until_rows(worker, 5)
    await link.welcome(master.order((4, 5)), incarnation=2)
    assert (25, 30) in master.fetched
    assert master.fetched.count((20, 25)) == 1
    assert (15, 20) not in master.fetched


async def test_a_newer_wish_replaces_the_one_before(master):
    worker, link = await as_spare(master, 0)
    await until_rows(worker, 5)
    await link.send(wire.Prefetch("run", master.order((0, 3)).data))
    await until_rows(worker, 10)
    assert master.fetched == [(0, 5), (15, 20)]


async def test_who_has_a_place_loads_nothing_ahead(master):
    master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    await link.send(wire.Prefetch("run", master.order((3,)).data))
    await link.hear_nothing()
    assert master.fetched == [(0, 5)]


async def test_loading_ahead_takes_half_of_the_free_memory_at_most(master, monkeypatch):
    free = iter([1000, 900, 600, 400])
    monkeypatch.setattr(ahead.memory, "available_bytes", lambda: next(free, 400))
    monkeypatch.setattr(rows.memory, "require", lambda n_bytes, purpose: None)
    worker, link = await as_spare(master, 0, 1, 2, 3)
    await until_rows(worker, 10)
    await link.hear_nothing()
    assert master.fetched == [(0, 5), (5, 10)]


async def test_rows_that_another_plan_needs_as_well_are_not_fetched_again(master):
    """The ranges of a plan with other chunks: [0, 15), [15, 30) instead of six of five rows."""
    worker, _ = master.work()
    link = await master.link()
    await link.welcome(master.order((0, 1)))
    data = dataclasses.replace(master.order().data, ranges=(wire.RowRange(0, 0, 15),))
    await link.welcome(master.order(data=data, epoch=2), incarnation=2)
    assert master.fetched == [(0, 5), (5, 10), (10, 15)]
    assert counted(worker, "fetched_rows_total") == 15
    await link.start(0, PARAMETERS)
    report = await link.hear(wire.ChunkFinished)
    assert (report.rows, report.stamp.epoch) == (15, 2)
    X, y = master.data.X[:15], master.data.y[:15]
    residuals = X @ PARAMETERS[:3] + PARAMETERS[3] - y
    assert report.loss_sum == pytest.approx(0.5 * residuals @ residuals)
