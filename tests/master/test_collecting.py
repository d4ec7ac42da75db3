from __future__ import annotations

import pytest

from common.codes.requested import FewestWorkers
from master.collecting import (
    FIRST_PATIENCE_SECONDS,
    LEAST_PATIENCE_SECONDS,
    MOST_STRETCH,
    Collecting,
    CollectTimes,
)


def collecting(
    n_chunks: int, finished: dict[int, list[int]], times: CollectTimes | None = None
) -> Collecting:
    made = Collecting(n_chunks, FewestWorkers(), times or CollectTimes(0))
    for place, chunks in finished.items():
        for chunk in chunks:
            made.finish(place, chunk)
    return made


def asked(asks) -> dict[int, list[int]]:
    return {ask.place: [term.chunk for term in ask.terms] for ask in asks}


def test_asks_for_what_is_finished_and_not_yet_asked_for():
    made = collecting(3, {0: [0, 1], 1: [1]})
    assert asked(made.ask(now=0.0)) == {0: [0, 1]}
    assert made.ask(now=0.0) == []
    made.finish(1, 2)
    assert asked(made.ask(now=0.1)) == {1: [2]}
    assert made.n_open == 2
    assert made.n_reached == 3


def test_an_answer_counts_once():
    made = collecting(2, {0: [0, 1]})
    (ask,) = made.ask(now=0.0)
    assert made.answer(ask.request, now=0.01)
    assert not made.answer(ask.request, now=0.02)
    assert made.collected == {0, 1}
    assert made.n_open == 0
    assert made.seconds == pytest.approx(0.01)


def test_requests_have_owners():
    made = collecting(2, {3: [0, 1]})
    (ask,) = made.ask(now=0.0)
    assert made.owner(ask.request) == 3
    assert made.owner(ask.request + 1) is None
    assert made.owner(-1) is None


def test_a_lost_place_leaves_chunks_to_other_finishers_or_unfinished():
    made = collecting(3, {0: [0, 1, 2], 1: [1]})
    made.ask(now=0.0)
    chunks_asked, unfinished = made.forsake(0, [0, 1, 2], now=0.01)
    assert chunks_asked == {0, 1, 2}
    assert unfinished == {0, 2}
    assert made.n_reached == 1
    assert asked(made.ask(now=0.01)) == {1: [1]}


def test_what_is_collected_or_asked_of_others_is_not_unfinished():
    made = collecting(2, {0: [0], 1: [1]})
    first, second = made.ask(now=0.0)
    made.answer(first.request, now=0.01)
    assert made.forsake(0, [0, 1], now=0.02) == (set(), set())
    assert second.place == 1


def test_silent_places_are_overdue():
    made = collecting(2, {0: [0], 1: [1]})
    first, _ = made.ask(now=0.0)
    made.answer(first.request, now=0.01)
    assert made.due_at == FIRST_PATIENCE_SECONDS
    assert made.overdue(now=0.2) == ()
    assert made.overdue(now=FIRST_PATIENCE_SECONDS) == {1}


def test_an_answer_that_was_given_up_is_welcome_while_nothing_of_it_is_there():
    made = collecting(2, {0: [0, 1]})
    (ask,) = made.ask(now=0.0)
    made.forsake(0, [0, 1], now=0.3)
    assert made.answer(ask.request, now=0.4)
    assert made.collected == {0, 1}
    assert made.n_reached == 2


@pytest.mark.parametrize("answers", [True, False], ids=["collected", "asked"])
def test_an_answer_that_was_given_up_is_refused_when_a_chunk_of_it_would_count_twice(answers):
    made = collecting(2, {0: [0, 1], 1: [1]})
    (ask,) = made.ask(now=0.0)
    made.forsake(0, [0, 1], now=0.3)
    (again,) = made.ask(now=0.3)
    assert again.place == 1
    if answers:
        made.answer(again.request, now=0.35)
    assert not made.answer(ask.request, now=0.4)
    assert 0 not in made.collected


def test_patience_grows_with_bytes_and_with_what_was_observed():
    times = CollectTimes(message_bytes=1_000_000)
    assert times.patience(10) == pytest.approx(FIRST_PATIENCE_SECONDS + 0.2)
    times.observe(0.1, n_messages=10)
    # 10 MB took 0.1 s: 4 x 0.1 s, and 0.05 s for 5 MB.
    assert times.patience(5) == pytest.approx(0.45)
    quick = CollectTimes(message_bytes=100)
    quick.observe(0.001, n_messages=10)
    assert quick.patience(10) == LEAST_PATIENCE_SECONDS


def test_patience_does_not_feed_on_itself():
    """One worker that never answers must not push up what the others are given."""
    times = CollectTimes(message_bytes=100)
    for _ in range(100):
        made = collecting(2, {0: [0], 1: [1]}, times)
        first, _ = made.ask(now=0.0)
        made.answer(first.request, now=0.002)
        made.forsake(1, [1], now=made.due_at)
    assert times.patience(2) == LEAST_PATIENCE_SECONDS


def test_patience_doubles_while_every_collection_takes_too_long():
    times = CollectTimes(message_bytes=0)
    for doublings in range(9):
        assert times.patience(1) == FIRST_PATIENCE_SECONDS * min(2.0**doublings, MOST_STRETCH)
        made = collecting(1, {0: [0]}, times)
        made.ask(now=0.0)
        made.forsake(0, [0], now=made.due_at)
    made = collecting(1, {0: [0]}, times)
    (ask,) = made.ask(now=0.0)
    made.answer(ask.request, now=3.0)
    assert times.patience(1) == 12.0


def test_a_death_says_nothing_about_the_network():
    times = CollectTimes(message_bytes=0)
    made = collecting(1, {0: [0]}, times)
    made.ask(now=0.0)
    made.forsake(0, [0], now=0.01)
    assert times.patience(1) == FIRST_PATIENCE_SECONDS


def test_a_late_answer_teaches_patience_if_none_has_come_in_time():
    """Also while others are still asked: every one of them might be given up too early, for ever."""
    times = CollectTimes(message_bytes=0)
    made = collecting(2, {0: [0], 1: [1], 2: [0]}, times)
    first, second = made.ask(now=0.0)
    made.forsake(first.place, [0], now=made.due_at)
    (again,) = made.ask(now=0.25)
    assert times.stretch == 1.0
    assert not made.answer(first.request, now=0.3)
    assert times.stretch == 2.0
    made.forsake(second.place, [1], now=0.3)
    assert made.answer(second.request, now=0.31)
    assert times.stretch == 2.0, "it was given up with as little patience as the first"
    made.answer(again.request, now=0.35)
    assert times.patience(1) == pytest.approx(4 * 0.1)


def test_a_late_answer_teaches_nothing_if_others_came_in_time():
    times = CollectTimes(message_bytes=0)
    made = collecting(2, {0: [0], 1: [1], 2: [0]}, times)
    first, second = made.ask(now=0.0)
    made.answer(second.request, now=0.01)
    made.forsake(first.place, [0], now=made.due_at)
    made.ask(now=0.25)
    assert not made.answer(first.request, now=0.3)
    assert times.stretch == 1.0


# ---- when all answers are late ----------------------------------------------------------------------------


def all_given_up(times: CollectTimes | None = None) -> tuple[Collecting, list[int]]:
    """Two places were asked, and both given up; with the numbers of their requests."""
    made = collecting(2, {0: [0], 1: [1]}, times)
    requests = [ask.request for ask in made.ask(now=0.0)]
    for place in (0, 1):
        made.forsake(place, [place], now=made.due_at or FIRST_PATIENCE_SECONDS)
    return made, requests


def test_when_none_answers_in_time_the_same_requests_are_open_again_with_more_patience():
    made, requests = all_given_up()
    assert made.n_reached == 0
    assert made.reopen({0, 1}, now=0.25)
    assert made.n_open == 2
    assert made.n_reached == 2
    assert made.due_at == 0.25 + 2 * FIRST_PATIENCE_SECONDS
    assert all(made.answer(request, now=0.6) for request in requests)
    assert made.collected == {0, 1}
    assert made.seconds == pytest.approx(0.25 + 0.35)


def test_the_time_that_a_late_answer_took_is_remembered_from_when_it_was_asked_for():
    times = CollectTimes(message_bytes=0)
    made, requests = all_given_up(times)
    made.reopen({0, 1}, now=0.25)
    for request in requests:
        made.answer(request, now=0.6)
    assert times.stretch == 1.0
    assert times.patience(1) == pytest.approx(4 * 0.6)


def test_only_places_that_are_still_linked_get_more_time():
    made, (first, _) = all_given_up()
    assert made.reopen({0}, now=0.25)
    assert made.n_open == 1
    assert made.answer(first, now=0.3)
    assert not made.reopen(set(), now=0.3)


def test_nobody_gets_more_time_once_one_has_answered_in_time():
    made = collecting(2, {0: [0], 1: [1]})
    first, _ = made.ask(now=0.0)
    made.answer(first.request, now=0.01)
    made.forsake(1, [1], now=made.due_at)
    assert not made.reopen({1}, now=0.25)


def test_more_time_comes_to_an_end():
    made, _ = all_given_up()
    now, n_times = FIRST_PATIENCE_SECONDS, 0
    while made.reopen({0, 1}, now):
        now, n_times = made.due_at, n_times + 1
        for place in (0, 1):
            made.finish(place, place)
            made.forsake(place, [place], now)
    assert n_times == 5
    assert now == FIRST_PATIENCE_SECONDS * (1 + 2 + 4 + 8 + 16 + 32)


def test_of_two_that_were_asked_for_the_same_chunk_the_first_is_waited_for():
    made = collecting(1, {0: [0], 1: [0]})
    (first,) = made.ask(now=0.0)
    made.forsake(first.place, [0], now=made.due_at)
    (second,) = made.ask(now=0.25)
    made.forsake(second.place, [0], now=made.due_at)
    assert made.reopen({0, 1}, now=1.0)
    assert made.n_open == 1
    assert made.answer(first.request, now=1.1)
    assert not made.answer(second.request, now=1.2)


def test_more_time_ends_with_the_deadline():
    made, _ = all_given_up()
    assert made.reopen({0, 1}, now=0.25, until=0.4)
    assert made.due_at == 0.4
