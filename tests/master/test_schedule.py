from __future__ import annotations

from common.codes.base import Assignment
from master.paces import Paces
from master.schedule import FixedOrder, Requeue

ORDERS = ((0, 1, 2), (1, 2, 3), (3, 0))


def fixed(*places: int) -> FixedOrder:
    schedule = FixedOrder(Assignment(4, ORDERS), Paces())
    schedule.begin(places, 0.0)
    return schedule


def test_workers_follow_their_order_by_themselves():
    schedule = fixed(0, 1, 2)
    schedule.finished(0, 0, 1.0, 1.0)
    schedule.heard(0, 0, 0.5, 1.0)
    schedule.tick(99.0)
    schedule.free(1, 99.0)
    assert schedule.take_changes(99.0) == []
    assert schedule.wakes_at is None
    assert schedule.busy_since(99.0) == {}
    assert [schedule.n_left(place) for place in range(3)] == [2, 3, 2]


def test_a_chunk_that_must_be_computed_again_comes_first_where_it_still_waits():
    schedule = fixed(0, 1, 2)
    schedule.redo({2: [], 3: []}, 1.0)
    assert schedule.take_changes(1.0) == [Requeue(0, (2, 0, 1)), Requeue(1, (2, 3, 1))]
    assert schedule.take_changes(1.0) == []


def test_not_where_it_was_finished_and_not_at_a_place_that_was_dropped():
    schedule = fixed(0, 1, 2)
    schedule.finished(0, 2, 1.0, 1.0)
    schedule.finished(0, 2, 1.0, 1.0)
    schedule.drop(1, 1.0)
    schedule.redo({2: []}, 1.0)
    assert schedule.take_changes(1.0) == []
    schedule.revive(1, [], 2.0)
    schedule.redo({2: []}, 2.0)
    assert schedule.take_changes(2.0) == [Requeue(1, (2, 1, 3))]


def test_a_place_that_begins_anew_has_its_order_again():
    schedule = fixed(0)
    schedule.redo({2: []}, 1.0)
    schedule.drop(0, 1.0)
    schedule.begin([0], 2.0)
    assert schedule.take_changes(2.0) == []
    schedule.redo({1: []}, 2.0)
    assert schedule.take_changes(2.0) == [Requeue(0, (1, 0, 2))]


def test_of_a_place_that_never_began_nothing_is_expected():
    schedule = fixed(0)
    schedule.finished(2, 0, 1.0, 1.0)
    schedule.redo({3: []}, 1.0)
    assert schedule.take_changes(1.0) == []
