"""What peers may do, with times that the tests give."""

from __future__ import annotations

import asyncio

import pytest

from common.spec import make_code
from master.fetching import ByteBudget
from master.limits import (
    MOST_KEYS,
    Allowance,
    Buckets,
    Limits,
    Occupancy,
    TokenBucket,
    frames_of,
    frames_of_message,
    frames_of_round,
)
from master.outbox import Outbox


def test_a_bucket_gives_what_time_brought_and_no_more():
    bucket = TokenBucket(per_second=10.0, most=5.0, now=100.0)
    assert [bucket.take(1.0, 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [bucket.take(1.0, 100.31) for _ in range(4)] == [True] * 3 + [False]
    taken = sum(bucket.take(1.0, 101.0 + step / 1000) for step in range(10_000))
    assert taken == pytest.approx(5 + 10 * 10, abs=1)


def test_a_clock_that_goes_back_brings_nothing():
    bucket = TokenBucket(per_second=10.0, most=1.0, now=100.0)
    assert bucket.take(1.0, 100.0)
    assert not bucket.take(1.0, 50.0)
    assert not bucket.take(1.0, 100.0)
    assert bucket.take(1.0, 100.2)


def test_what_is_owed_is_waited_for_in_turn():
    bucket = TokenBucket(per_second=4.0, most=2.0, now=0.0)
    assert [bucket.owe(1.0, 0.0) for _ in range(5)] == [0.0, 0.0, 0.25, 0.5, 0.75]
    assert bucket.owe(1.0, 10.0) == 0.0


def test_every_peer_has_a_bucket_of_its_own_and_old_ones_are_forgotten():
    buckets = Buckets(per_second=1.0, most=1.0)
    assert buckets.take("a", 1.0, 0.0)
    assert not buckets.take("a", 1.0, 0.0)
    assert buckets.take("b", 1.0, 0.0)
    for number in range(3 * MOST_KEYS):
        assert buckets.take(f"peer {number}", 1.0, 0.0)
    assert len(buckets._buckets) == MOST_KEYS


def test_what_has_left_makes_room_and_leaves_no_trace():
    links = Occupancy(most=3, most_each=2)
    assert [bool(links.enter("a")) for _ in range(3)] == [False, False, True]
    assert not links.enter("b")
    assert "3 in total" in links.enter("c")
    for each in ("a", "a", "b"):
        links.leave(each)
    assert (links.n_open, links._each) == (0, {})


def test_a_million_tiny_frames_are_too_many():
    allowance = Allowance(per_second=20.0, now=0.0)
    taken = sum(allowance.take(60, now=index / 100_000) for index in range(1_000_000))
    assert taken == pytest.approx(Allowance.AT_ONCE + 20.0 * 10.0, abs=2)


@pytest.mark.parametrize("text", ["scheduled(n, 3, 8)", "uncoded(n)", "cyclic_repetition(n, 3)"])
def test_an_honest_worker_never_has_to_wait(text):
    """It sends all that every round brings, as fast as rounds can be, and each time one round late."""
    code = make_code(text, 8)
    message_bytes = 3 << 20
    allowance = Allowance(per_second=20.0, now=0.0)
    for each in range(1000):
        now = each / 1000
        allowance.call_for(frames_of_round(code, 0, message_bytes), now)
        if code.on_request:
            allowance.call_for(frames_of_message(message_bytes), now)
        if each:
            frames = [80] * len(code.assignment.orders[0])
            n_messages = 1 if code.on_request else len(code.messages_of[0])
            frames += [(1 << 20) + 90] * 3 * n_messages
            assert all(allowance.take(n_bytes, now) for n_bytes in frames)


def test_what_was_called_for_cannot_be_saved_up_for_ever():
    allowance = Allowance(per_second=20.0, now=0.0)
    for each in range(1000):
        allowance.call_for(10.0, now=each / 1000)
    taken = sum(allowance.take(60, now=1.0) for _ in range(10_000))
    assert taken <= Allowance.AT_ONCE + Allowance.ROUNDS * 10.0


def test_large_frames_count_as_many():
    assert frames_of(60) == 1.0
    assert frames_of(1 << 20) == 17.0
    allowance = Allowance(per_second=20.0, now=0.0)
    assert [allowance.take(1 << 20, now=0.0) for _ in range(2)] == [True, False]


def test_there_are_connections_for_operators_when_all_links_are_taken():
    assert Limits(links=100).connections > 100


async def test_rows_wait_until_there_is_room_for_them_in_order():
    budget = ByteBudget(100)
    order: list[str] = []
    gates = {name: asyncio.Event() for name in "abcd"}

    async def use(name: str, n_bytes: int) -> None:
        async with budget.use(n_bytes):
            order.append(name)
            assert budget.in_use <= 100
            await gates[name].wait()

    tasks = {name: asyncio.create_task(use(name, n)) for name, n in (("a", 60), ("b", 500), ("c", 30))}
    await asyncio.sleep(0)
    assert order == ["a"]
    tasks["d"] = asyncio.create_task(use("d", 30))
    await asyncio.sleep(0)
    tasks["c"].cancel()
    gates["a"].set()
    await asyncio.wait({tasks["a"]})
    await asyncio.sleep(0)
    assert order == ["a", "b"]
    gates["b"].set()
    gates["d"].set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert (order, budget.in_use) == (["a", "b", "d"], 0)


async def test_a_peer_that_reads_nothing_cannot_make_the_outbox_grow():
    outbox = Outbox(most_bytes=1000)
    for _ in range(100):
        outbox.put(b"x" * 100)
    assert outbox.overfull.is_set()
    assert outbox._n_bytes == 1000
    outbox.close(b"goodbye")
    last = await outbox.next()
    assert last is not None
    assert last.raw == b"goodbye"
    assert await outbox.next() is None


async def test_one_frame_larger_than_the_outbox_still_goes_out():
    outbox = Outbox(most_bytes=10)
    outbox.put(b"x" * 100)
    assert not outbox.overfull.is_set()
    assert (await outbox.next()).raw == b"x" * 100  # type: ignore[union-attr]
    outbox.start_round(1, b"s" * 8, [b"p"])
    assert not outbox.overfull.is_set()
