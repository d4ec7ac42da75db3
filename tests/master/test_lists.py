from __future__ import annotations

from common.codes.base import Assignment
from master.lists import OVERDUE, Hand, Lists

ASSIGNMENT = Assignment(4, ((0, 1, 2, 3), (0, 1, 2), (2, 3)))


def hand(place: int = 0, seconds: float = 1.0, since: float = 0.0, **more) -> Hand:
    return Hand(place, ASSIGNMENT.orders[place], seconds, since, **more)


def lists(n_copies: int = 1) -> Lists:
    made = Lists(ASSIGNMENT, n_copies)
    made.hands.update({place: hand(place, seconds=1.0 + place) for place in range(3)})
    return made


def fill(made: Lists, place: int, *chunks: int) -> Hand:
    for chunk in chunks:
        made.enlist(made.hands[place], chunk, 0.0)
    return made.hands[place]


# ---- times ----------------------------------------------------------------------------------------------


def test_a_list_is_finished_one_chunk_after_the_other():
    busy = hand(seconds=2.0, since=1.0, todo=[3, 1, 0])
    assert busy.free_at(2.0) == 3.0
    assert busy.ends_at(2.0) == 7.0
    assert busy.ends_at(2.0, more=2) == 11.0
    assert [busy.expects(chunk, 2.0) for chunk in busy.todo] == [3.0, 5.0, 7.0]


def test_who_has_nothing_is_free_now_or_when_its_former_chunk_is_finished():
    assert hand().free_at(5.0) == 5.0
    assert hand(since=7.0).free_at(5.0) == 7.0
    assert hand(since=7.0).ends_at(5.0, more=1) == 8.0
    assert not hand().is_overdue(100.0)


def test_an_overdue_chunk_is_expected_to_take_as_long_again_and_so_is_every_next():
    late = hand(todo=[0, 1, 2])
    assert not late.is_overdue(OVERDUE - 0.01)
    assert late.free_at(1.1) == 1.1
    assert late.is_overdue(OVERDUE)
    assert late.free_at(3.0) == 6.0
    assert late.ends_at(3.0) == 12.0
    assert late.expects(1, 3.0) == 9.0


# ---- who computes what ----------------------------------------------------------------------------------


def test_a_chunk_on_a_list_is_missing_no_more_until_it_leaves():
    made = lists(n_copies=2)
    assert made.n_missing(2) == 2
    first, second = fill(made, 0, 2), fill(made, 2, 2)
    assert made.listed(2) == (0, 2)
    assert made.n_missing(2) == 0
    assert [each.place for each in made.takers(2)] == [1]
    made.unlist(first, 2)
    assert (first.todo, made.listed(2), made.n_missing(2)) == ([], (2,), 1)
    second.sent = [2]
    assert made.clear(second) == [2]
    assert (second.todo, second.sent, made.n_missing(2)) == ([], [2], 2)


def test_lists_that_changed_are_known():
    made = lists()
    fill(made, 1, 0, 1)
    fill(made, 0, 2)
    assert list(made.changed) == [1, 0]
    made.changed = {}
    made.unlist(made.hands[1], 0)
    assert list(made.changed) == [1]


def test_an_empty_list_begins_now_or_when_its_place_is_free():
    made = lists()
    made.hands[1].since = 9.0
    for place in (0, 1):
        made.enlist(made.hands[place], 2, 5.0)
    assert (made.hands[0].since, made.hands[1].since) == (5.0, 9.0)
    made.enlist(made.hands[0], 3, 8.0)
    assert made.hands[0].since == 5.0


def test_a_finished_chunk_leaves_the_lists_unless_it_is_in_hand_there():
    made = lists()
    begun, waiting = fill(made, 0, 2, 3), fill(made, 1, 1, 2)
    made.count(2, 2)
    assert made.is_done(2)
    assert (begun.todo, waiting.todo) == ([2, 3], [1])
    assert made.n_missing(2) == -1


def test_with_copies_a_chunk_is_done_when_enough_places_have_finished_it():
    made = lists(n_copies=2)
    waiting = fill(made, 1, 1, 2)
    made.count(2, 0)
    made.count(2, 0)
    assert not made.is_done(2)
    assert waiting.todo == [1, 2]
    made.count(2, 2)
    assert made.is_done(2)
    assert waiting.todo == [1]


def test_nobody_takes_what_it_has_finished_or_has_on_its_list_and_the_dead_take_nothing():
    made = lists()
    assert [each.place for each in made.takers(2)] == [0, 1, 2]
    fill(made, 0, 2)
    assert [each.place for each in made.takers(2)] == [1, 2]
    made.hands[1].live = False
    assert [each.place for each in made.takers(2)] == [2]
    del made.hands[2]
    assert made.takers(2) == []
    assert made.earliest_taker(2, 0.0) is None


def test_the_earliest_taker_counts_what_it_has_to_do_before():
    made = lists()
    assert made.earliest_taker(2, 0.0).place == 0
    fill(made, 0, 0, 1)
    assert made.earliest_taker(2, 0.0).place == 1
    made.hands[2].seconds = 2.0
    fill(made, 1, 0)
    assert made.earliest_taker(2, 0.0).place == 2


def test_a_lost_chunk_can_be_taken_again_by_who_had_finished_it():
    made = lists()
    made.count(2, 0)
    assert made.hands[0] not in made.takers(2)
    made.recount(2, [])
    assert not made.is_done(2)
    assert made.hands[0] in made.takers(2)
    made.recount(2, [1])
    assert made.is_done(2)
    assert made.n_missing(2) == 0


def test_missing_from_a_list_is_what_is_not_done_and_not_on_it():
    made = lists(n_copies=2)
    asking = fill(made, 0, 3)
    made.count(0, 0)
    for place in (1, 2):
        made.count(2, place)
    assert made.missing_from(asking) == [1]
    assert made.missing_from(made.hands[1]) == [0, 1]


# ---- moves ----------------------------------------------------------------------------------------------


def ring(*todos: list[int]) -> Lists:
    """Place p of 4 holds the chunks p and p + 1."""
    made = Lists(Assignment(4, tuple((place, (place + 1) % 4) for place in range(4))), 1)
    for place, todo in enumerate(todos):
        made.hands[place] = Hand(place, (place, (place + 1) % 4), 1.0, 0.0)
        for chunk in todo:
            made.enlist(made.hands[place], chunk, 0.0)
    return made


def way_out(made: Lists, place: int, now: float = 0.0) -> list[tuple[int, int, int]]:
    return [(chunk, giver.place, taker.place) for chunk, giver, taker in made.way_out(made.hands[place], now)]


def test_the_way_out_is_to_a_holder_that_is_finished_before():
    assert way_out(ring([0, 1], [], [2], [3]), 0) == [(1, 0, 1)]


def test_a_chunk_in_hand_cannot_leave():
    made = ring([1], [2], [3], [])
    made.hands[0].seconds = 9.0
    assert way_out(made, 0) == []


def test_if_the_holder_is_full_one_of_its_own_goes_on():
    assignment = Assignment(5, ((0, 1), (1, 2, 3), (3, 4)))
    made = Lists(assignment, 1)
    made.hands = {place: Hand(place, assignment.orders[place], 1.0, 0.0) for place in range(3)}
    for place, chunk in ((0, 0), (0, 1), (1, 2), (1, 3)):
        made.enlist(made.hands[place], chunk, 0.0)
    assert way_out(made, 0) == [(3, 1, 2), (1, 0, 1)]


def test_nobody_takes_what_would_be_finished_no_earlier():
    made = ring([0, 1], [2], [3], [])
    made.hands[1].since = 0.5
    assert way_out(made, 0) == []


def test_of_the_nearest_the_one_that_is_finished_first_takes_it():
    made = Lists(Assignment(3, ((0, 1, 2), (1,), (2,))), 1)
    made.hands = {place: Hand(place, (1, 2), 1.0, 0.0) for place in range(3)}
    for chunk in (0, 1, 2):
        made.enlist(made.hands[0], chunk, 0.0)
    made.hands[2].since = 0.5
    assert way_out(made, 0) == [(1, 0, 1)]
    made.hands[1].live = False
    assert way_out(made, 0) == [(2, 0, 2)]
