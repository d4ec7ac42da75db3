"""A link that takes nothing holds one round's parameters, shared by all links, and its small frames."""

from __future__ import annotations

import asyncio

from master.outbox import Outbox, Outgoing

PARAMETERS = [b"first", b"second"]


async def all_of(outbox: Outbox) -> list[Outgoing]:
    found = []
    async with asyncio.timeout(1):
        while (outgoing := await outbox.next()) is not None:
            found.append(outgoing)
    return found


async def test_whatever_many_rounds_pass_only_the_newest_waits():
    outbox = Outbox()
    outbox.put(b"welcome")
    for number in range(1000):
        outbox.start_round(number, b"start %d" % number, PARAMETERS)
        outbox.put(b"next of %d" % number, number)
        if number < 999:
            outbox.stop_round(number, b"stop %d" % number)
    outbox.close(b"goodbye")
    waiting = await all_of(outbox)
    assert [each.raw for each in waiting] == [b"welcome", b"start 999", b"next of 999", b"goodbye"]


async def test_parameters_are_shared_and_the_last_frame_says_that_they_are_whole():
    one, other = Outbox(), Outbox()
    for outbox in (one, other):
        outbox.start_round(3, b"start", PARAMETERS)
    frames = [await one.next() for _ in range(3)], [await other.next() for _ in range(3)]
    assert [each.raw for each in frames[0]] == [b"start", *PARAMETERS]
    assert all(a.raw is b.raw for a, b in zip(*frames, strict=True))
    assert [each.completes for each in frames[0]] == [None, None, 3]


async def test_small_frames_go_before_the_next_frame_of_parameters():
    outbox = Outbox()
    outbox.start_round(1, b"start", PARAMETERS)
    assert [(await outbox.next()).raw for _ in range(2)] == [b"start", b"first"]
    outbox.put(b"collect", 1)
    assert [(await outbox.next()).raw for _ in range(2)] == [b"collect", b"second"]


async def test_after_the_stop_no_more_parameters_are_written():
    outbox = Outbox()
    outbox.start_round(1, b"start", PARAMETERS)
    assert [(await outbox.next()).raw for _ in range(2)] == [b"start", b"first"]
    outbox.stop_round(1, b"stop")
    outbox.close(b"goodbye")
    assert [each.raw for each in await all_of(outbox)] == [b"stop", b"goodbye"]
