from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from common.history import ChunkRow, RoundRecord, record_from_json
from common.wire.control import Ending, RoundsRequest, WatchedRounds
from master import watchers as module
from master.watchers import KEPT, MOST_BYTES, MOST_WATCHERS, Watchers

A_RECORD = RoundRecord(
    round=0, outcome="exact", end="exact", reason="every chunk is recovered", stepped=True, loss=0.5,
    loss_share=1.0, residual=0.0, recovered_fraction=1.0, noise_amplification=1.0, deadline_seconds=None,
    start_seconds=0.0, seconds=0.1, collect_seconds=0.0, solve_seconds=0.0, combine_seconds=0.0,
    step_seconds=0.0, gradient_norm=1.0, score=None, stragglers=(), contributors=(0,), lost=(), bytes_sent=0,
    bytes_received=0, chunks_used=3, chunks_duplicate=0, chunks_late=0, chunks_wasted=0,
    straggler_chunks_used=0, uncoded_seconds=None, epoch=0,
    chunks=tuple(ChunkRow(0, "a", 0, chunk, 0.1, 0.1, "used") for chunk in range(3)),
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.0)


def heard(n_rounds: int, **changes: object) -> Watchers:
    made = Watchers("r1")
    hear(made, range(n_rounds), **changes)
    return made


def hear(watchers: Watchers, numbers: range, **changes: object) -> None:
    for number in numbers:
        watchers.hear_record(replace(A_RECORD, round=number, **changes))


def watched(watchers: Watchers, request: RoundsRequest | None = None) -> AsyncIterator[WatchedRounds]:
    answers = watchers.watch(request or RoundsRequest())
    assert answers is not None
    return answers


def numbers(answer: WatchedRounds) -> list[int]:
    return [record_from_json(line).round for line in answer.records_json]


async def test_the_newest_rounds_come_first_then_each_new_one_then_the_ending():
    watchers = heard(3)
    answers = watched(watchers)
    assert numbers(await anext(answers)) == [0, 1, 2]
    waiting = asyncio.create_task(anext(answers))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    hear(watchers, range(3, 4))
    assert numbers(await asyncio.wait_for(waiting, 1)) == [3]
    hear(watchers, range(4, 6))
    watchers.end(Ending("all rounds are done", 0))
    last = await anext(answers)
    assert (numbers(last), last.ending) == ([4, 5], Ending("all rounds are done", 0))
    assert [each async for each in answers] == []


async def test_before_the_first_round_the_first_answer_says_which_run_this_is():
    answer = await anext(watched(heard(0)))
    assert answer == WatchedRounds("r1")


@pytest.mark.parametrize(
    ("known", "rounds", "missed"),
    [
        (RoundsRequest("r1", 7), [8, 9], 0),
        (RoundsRequest("r1", 9), [], 0),
        (RoundsRequest("r1", 99), [], 0),
        (RoundsRequest("another", 7), list(range(10)), 0),
        (RoundsRequest("r1"), list(range(10)), 0),
    ],
)
async def test_a_watcher_goes_on_where_it_was_cut_off(known, rounds, missed):
    answer = await anext(watched(heard(10), known))
    assert (numbers(answer), answer.missed) == (rounds, missed)


async def test_a_watcher_that_was_away_too_long_is_told_what_it_missed():
    answer = await anext(watched(heard(KEPT + 100), RoundsRequest("r1", 49)))
    assert answer.missed == 50
    assert numbers(answer) == list(range(100, KEPT + 100))


async def test_a_slow_watcher_misses_rounds_and_costs_nothing():
    watchers = heard(1)
    answers = watched(watchers)
    await anext(answers)
    hear(watchers, range(1, 10 * KEPT))
    assert len(watchers._kept) == KEPT
    answer = await anext(answers)
    assert answer.missed == 9 * KEPT - 1
    assert numbers(answer)[-1] == 10 * KEPT - 1


async def test_what_is_kept_holds_no_chunks():
    watchers = heard(5)
    assert all(record.chunks == () for record in watchers._kept)


async def test_long_records_come_in_several_answers():
    watchers = heard(100, reason="x" * 50_000)
    watchers.end(Ending("done", 0))
    answers = [each async for each in watched(watchers)]
    assert [number for each in answers for number in numbers(each)] == list(range(100))
    assert len(answers) > 2
    assert all(sum(map(len, each.records_json)) <= MOST_BYTES for each in answers)
    assert [each.ending for each in answers[:-1]] == [None] * (len(answers) - 1)


async def test_a_quiet_run_still_answers(monkeypatch):
    monkeypatch.setattr(module, "PULSE_SECONDS", 0.01)
    answers = watched(heard(1))
    await anext(answers)
    assert await asyncio.wait_for(anext(answers), 1) == WatchedRounds("r1")


async def test_too_many_are_refused_and_those_who_leave_make_room():
    watchers = heard(1)
    there = [watched(watchers) for _ in range(MOST_WATCHERS)]
    for each in there:
        await anext(each)
    assert watchers.watch(RoundsRequest()) is None
    await there[0].aclose()  # type: ignore[attr-defined]
    assert watchers.watch(RoundsRequest()) is not None


async def test_a_master_that_breaks_says_so():
    watchers = heard(0)
    watchers.end(None)
    assert (await anext(watched(watchers))).ending == Ending("the master broke", 3)


async def test_records_are_those_of_the_history():
    line = (await anext(watched(heard(1)))).records_json[0]
    assert record_from_json(line) == replace(A_RECORD, chunks=())
    assert "chunks" not in json.loads(line)
