from __future__ import annotations

import pytest

from common.codes.base import Message, Term, certify
from master.outcome import Outcome, Work, chunk_rows, stragglers, uncoded_seconds


def work(
    place: int, arrived: dict[int, float], load: int = 2, started_at: float | None = 0.0, **more
) -> Work:
    seconds = [0.1] * len(arrived)
    return Work(
        place,
        load,
        load,
        started_at=started_at,
        arrived=arrived,
        seconds=seconds,
        **{"present": True, **more},
    )


def outcome(messages: list[Message], weights: list[list[float]]) -> Outcome:
    import numpy as np

    decoding = certify(4, 1, messages, np.array(weights))
    payloads = enumerate(map(tuple, weights))
    used = tuple((payload, row) for payload, row in payloads if any(row))
    return Outcome("exact", "", decoding, used, tuple(messages), (), (), 1.0, 0.0, 0.0)


def message(place: int, *chunks: int) -> Message:
    return Message(place, tuple(Term(chunk, 0, 1.0) for chunk in chunks))


# ---- stragglers -------------------------------------------------------------------------------------------


def test_slower_than_twice_the_median_is_a_straggler():
    works = [work(0, {0: 0.1, 1: 0.2}), work(1, {0: 0.1, 1: 0.2}), work(2, {0: 0.2, 1: 0.41})]
    assert stragglers(works, round_started=0.0, now=0.41) == (2,)


def test_the_chunk_in_hand_counts():
    works = [work(0, {0: 0.1, 1: 0.2}), work(1, {0: 0.1, 1: 0.2}), work(2, {0: 0.1})]
    assert stragglers(works, 0.0, now=0.25) == ()
    assert stragglers(works, 0.0, now=0.35) == (2,)


def test_a_place_that_was_handed_nothing_more_is_as_slow_as_its_chunks_were():
    done = work(0, {0: 0.1, 1: 0.2}, load=6, idle=True)
    never_asked = work(2, {}, load=6, idle=True)
    works = [done, work(1, {0: 0.1}, load=6), never_asked]
    assert done.seconds_per_chunk(0.0, now=9.0) == pytest.approx(0.1)
    assert never_asked.seconds_per_chunk(0.0, now=9.0) is None
    assert stragglers(works, 0.0, now=0.25) == ()
    another = work(3, {0: 0.1, 1: 0.2}, load=6, idle=True)
    assert stragglers([*works, another], 0.0, now=9.0) == (1,)


def test_who_has_reported_nothing_is_as_slow_as_the_time_since_its_start():
    works = [work(0, {0: 0.1, 1: 0.2}), work(1, {0: 0.1, 1: 0.2}), work(2, {}), work(3, {}, started_at=0.25)]
    assert stragglers(works, 0.0, now=0.3) == (2,)


def test_a_place_without_a_link_is_a_straggler_and_one_that_loads_rows_is_not():
    works = [work(0, {0: 0.1}), work(1, {0: 0.1}, present=False), work(2, {}, started_at=None)]
    assert stragglers(works, 0.0, now=0.1) == (1,)


def test_nobody_at_all():
    assert stragglers([work(0, {}, present=False)], 0.0, now=1.0) == (0,)


# ---- what became of the work ------------------------------------------------------------------------------


def test_finished_chunks_are_used_duplicate_or_wasted():
    works = [
        work(0, {0: 0.1, 1: 0.2}, sent=[0], worker="ann"),
        work(1, {1: 0.1, 2: 0.3}, worker="bob"),
        work(2, {}),
    ]
    rows = chunk_rows(works, 7, 0.05, outcome([message(0, 0, 1)], [[1.0]]))
    assert [(row.worker, row.chunk, row.state) for row in rows] == [
        ("ann", 0, "used"),
        ("ann", 1, "used"),
        ("bob", 1, "duplicate"),
        ("bob", 2, "wasted"),
    ]
    assert [row.arrived_seconds for row in rows] == pytest.approx([0.05, 0.15, 0.05, 0.25])
    assert {row.round for row in rows} == {7}


def test_a_message_without_weight_is_not_used():
    works = [work(0, {0: 0.1}, sent=[0]), work(1, {0: 0.2}, sent=[1])]
    rows = chunk_rows(works, 0, 0.0, outcome([message(0, 0), message(1, 0)], [[1.0], [0.0]]))
    assert [row.state for row in rows] == ["used", "duplicate"]


def test_of_two_links_at_a_place_the_one_that_sent_is_credited():
    old, new = work(0, {0: 0.1}, sent=[0], worker="old"), work(0, {0: 0.3}, sent=[1], worker="new")
    rows = chunk_rows([new, old], 0, 0.0, outcome([message(0, 0)], [[1.0]]))
    assert {row.worker: row.state for row in rows} == {"old": "used", "new": "duplicate"}


# ---- the uncoded wait -------------------------------------------------------------------------------------


def test_an_uncoded_round_waits_for_the_slowest_share():
    works = [work(0, {0: 0.1, 1: 0.2}), Work(1, 2, 2, True, "", 0.0, {0: 0.3}, [0.3])]
    assert uncoded_seconds(works, {}, 1.0, 0.0, now=0.4) == pytest.approx(0.3)
    assert uncoded_seconds(works, {}, 2.0, 0.0, now=0.4) == pytest.approx(0.6)


def test_an_uncoded_round_waits_at_least_until_now_for_an_unfinished_share():
    works = [work(0, {0: 0.1, 1: 0.2}), work(1, {0: 0.1})]
    assert uncoded_seconds(works, {}, 2.0, 0.0, now=5.0) == pytest.approx(5.0)
    assert uncoded_seconds(works, {}, 1.0, 0.0, now=5.0) == pytest.approx(0.1)


def test_an_uncoded_round_does_not_wait_for_chunks_that_were_handed_to_others():
    works = [work(0, {0: 0.1, 1: 0.2}), work(1, {0: 0.1}, idle=True)]
    assert uncoded_seconds(works, {}, 2.0, 0.0, now=5.0) == pytest.approx(0.2)


def test_who_has_reported_nothing_is_as_slow_as_usual():
    works = [work(0, {0: 0.1, 1: 0.2}), work(1, {})]
    assert uncoded_seconds(works, {1: 2.0}, 1.0, 0.0, now=0.4) == pytest.approx(2.0)
    assert uncoded_seconds(works, {}, 1.0, 0.0, now=0.4) == pytest.approx(0.4)


def test_without_a_worker_an_uncoded_round_waits_for_ever():
    assert uncoded_seconds([work(0, {0: 0.1}, present=False)], {}, 1.0, 0.0, now=1.0) is None
