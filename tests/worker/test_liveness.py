"""A worker notices when frames do not come through, and takes neither slowness nor a freeze for that."""

from __future__ import annotations

import asyncio

from common.wire import frames as wire
from worker import liveness, rows
from worker.liveness import ALIVE_SECONDS, SLOWEST_BYTES_PER_SECOND, UNANSWERED, Liveness


class Line:
    """What a link does with what the worker says."""

    def __init__(self) -> None:
        self.awake = asyncio.Event()
        self.awake.set()
        self.n_said = 0
        self.given_up = 0
        self.expected_bytes = 0
        self.liveness = Liveness(self.awake, self.say, self.give_up, lambda: self.expected_bytes)

    def say(self) -> None:
        self.n_said += 1

    def give_up(self) -> None:
        self.given_up += 1

    def ticks(self) -> int:
        """How many go by until the link is given up."""
        for n in range(1, 1000):
            if not self.liveness.tick():
                return n
        raise AssertionError("it is never given up")


def test_a_link_over_which_nothing_comes_is_given_up():
    line = Line()
    assert line.ticks() == UNANSWERED + 1
    assert (line.n_said, line.given_up) == (UNANSWERED, 1)


def test_a_link_that_is_heard_of_is_not_asked():
    line = Line()
    for _ in range(100):
        line.liveness.heard()
        assert line.liveness.tick()
    assert line.n_said == 0


def test_an_answer_is_enough():
    line = Line()
    for _ in range(50):
        assert line.liveness.tick()
        assert line.liveness.tick()
        line.liveness.heard()
        assert line.liveness.tick()
    assert line.given_up == 0


def test_what_is_under_way_is_waited_for():
    line = Line()
    per_tick = ALIVE_SECONDS * SLOWEST_BYTES_PER_SECOND
    line.liveness.sent(int(10 * per_tick))
    line.expected_bytes = int(5 * per_tick)
    assert line.ticks() == UNANSWERED + 15 + 1
    line.liveness.heard()
    line.expected_bytes = 0
    assert line.ticks() == UNANSWERED + 2, "the first tick has heard it"


def test_while_it_does_not_read_silence_means_nothing():
    line = Line()
    line.awake.clear()
    for _ in range(100):
        assert line.liveness.tick()
    line.awake.set()
    assert line.ticks() == UNANSWERED + 1


async def test_a_worker_dials_again_when_frames_do_not_come_through(master, monkeypatch, caplog):
    monkeypatch.setattr(liveness, "ALIVE_SECONDS", 0.05)
    master.work()
    link = await master.link()
    await link.welcome(master.order((0,)))
    await asyncio.sleep(0.5)
    assert link.inbox.empty(), "answered, it stays"
    master.answers = False
    await master.link()
    assert "nothing comes through any more" in caplog.text


async def test_rows_that_stop_coming_end_the_link(master, monkeypatch):
    monkeypatch.setattr(rows, "FRAME_SECONDS", 0.2)
    whole = master._fetch

    async def half(raw, context):
        async for each in whole(raw, context):
            yield each
            await asyncio.sleep(1.0)

    monkeypatch.setattr(master, "_fetch", half)
    await master.stop()
    await master.serve()
    master.work()
    link = await master.link()
    await link.send(wire.Welcome("run", "test", 1, 0, master.order((0,))))
    goodbye = await link.hear(wire.Goodbye)
    assert "silent: no rows came for 0.2 s" in goodbye.reason
    assert goodbye.retry
