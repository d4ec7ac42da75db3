"""Codes on request over real gRPC: peers that answer, stay silent, or vanish before they answer."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from common.wire import frames as wire

pytestmark = pytest.mark.xdist_group("processes")

SETTINGS = (
    "workers=3",
    "code=partial_stragglers(n, 3)",
    "rounds=1",
    "deadline.rule=none",
    "evaluate_every=0",
)
LENGTH = 5


async def full_house(start, dial):
    """Three peers at places 0, 1, 2, each of which has been sent round 0."""
    running = await start(*SETTINGS)
    peers = [dial(running.master.address) for _ in range(3)]
    for number, peer in enumerate(peers):
        await peer.join(f"w{number}")
    for peer in peers:
        await peer.begin_round()
    return running, peers


async def answer(peer):
    collect = await peer.receive(wire.Collect)
    await peer.message(collect.request, np.full(LENGTH, len(collect.terms), "float32"))
    return collect


async def test_every_chunk_is_asked_of_one_finisher(start, dial):
    running, peers = await full_house(start, dial)
    for chunk in range(3):
        await peers[0].report(chunk)
    collect = await answer(peers[0])
    assert sorted(collect.terms.chunks) == [0, 1, 2]
    assert set(collect.terms.coefficients) == {1.0}
    assert await running.task == 0
    record = running.master.driver.training.chronicle.last_record
    assert record.outcome == "exact"
    assert record.contributors == (0,)


async def test_a_silent_worker_between_collect_and_message_costs_less_than_half_a_second(start, dial):
    running, (silent, other, _) = await full_house(start, dial)
    for chunk in range(3):
        await silent.report(chunk)
    await silent.receive(wire.Collect)
    asked = asyncio.get_running_loop().time()
    for chunk in range(3):
        await other.report(chunk)
    await answer(other)
    assert await running.task == 0
    assert asyncio.get_running_loop().time() - asked < 0.5
    record = running.master.driver.training.chronicle.last_record
    assert (record.outcome, record.contributors) == ("exact", (1,))


async def test_a_worker_lost_between_collect_and_message_is_replaced_at_once(start, dial):
    running, (lost, other, _) = await full_house(start, dial)
    for chunk in range(3):
        await other.report(chunk)
    first = await other.receive(wire.Collect)
    await lost.report(0)
    await other.close()
    collect = await answer(lost)
    assert collect.terms.chunks == (0,)
    assert first.request != collect.request
    for chunk in (1, 2):
        await lost.report(chunk)
    assert sorted((await answer(lost)).terms.chunks) == [1, 2]
    assert await running.task == 0
    record = running.master.driver.training.chronicle.last_record
    assert (record.outcome, record.contributors, record.lost) == ("exact", (0,), (1,))


async def test_a_late_answer_to_a_cancelled_request_is_not_counted_twice(start, dial):
    running, (slow, other, _) = await full_house(start, dial)
    for chunk in range(3):
        await slow.report(chunk)
    late = await slow.receive(wire.Collect)
    for chunk in range(3):
        await other.report(chunk)
    again = await other.receive(wire.Collect)
    await slow.message(late.request, np.full(LENGTH, 1e9, "float32"))
    await asyncio.sleep(0.05)
    await other.message(again.request, np.ones(LENGTH, "float32"))
    assert await running.task == 0
    totals = running.master.driver.training.chronicle.totals
    assert totals.duplicate_frames == 1
    assert np.abs(running.master.driver.training.chronicle.last_record.gradient_norm) < 1e3


async def test_next_chunk_asks_first_for_what_has_to_be_done_again(start, dial):
    running, peers = await full_house(start, dial)
    for chunk, peer in enumerate(peers):
        await peer.report(chunk)
    for peer in peers:
        await peer.receive(wire.Collect)
    await peers[0].close()
    assert (await peers[1].receive(wire.NextChunk)).chunks == (0, 2)
    assert not running.task.done()
