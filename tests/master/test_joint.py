"""Messages that make sense only together: all of a collection, or none of it."""

from __future__ import annotations

import pytest

from common.codes.base import decode
from common.spec import make_code
from master.collecting import Ask, CollectTimes
from master.commands import Solve
from master.deadlines import RoundRules
from master.paces import Paces
from master.round import Round
from master.schedule import FixedOrder

CODE = make_code("partial_stragglers(4, 3, n_parts=2)", 4)


@pytest.fixture
def current():
    """A round in which all four places compute."""
    made = Round(0, CODE, RoundRules(), 0.0, FixedOrder(CODE.assignment, Paces()), CollectTimes(100))
    for place in range(4):
        made.expect(place)
    for place in range(4):
        assert made.start([place], 0.0) == []
    return made


def finish(current, places, until, now=1.0):
    """Have ``places`` report their first ``until`` chunks; returns the last moves that were made."""
    made = []
    for position in range(until):
        for place in places:
            made = current.chunk_finished(place, CODE.assignment.orders[place][position], 0.1, now) or made
    return made


def asked(moves):
    return {move.place: move.request for move in moves if isinstance(move, Ask)}


def test_everybody_is_asked_once_every_chunk_has_two_copies(current):
    assert finish(current, range(4), 1) == []
    requests = asked(finish(current, range(4), 2))
    assert sorted(requests) == [0, 1, 2, 3]


def test_the_answers_of_all_are_exact(current):
    requests = asked(finish(current, range(4), 2))
    for place, number in requests.items():
        moves = current.message_arrived(place, number, 10 + place, 1.1)
    (solve,) = moves
    assert isinstance(solve, Solve)
    decoding = decode(CODE, solve.received)
    assert decoding.exact
    assert current.solved(decoding, 0.0, 1.2) == []
    assert current.outcome.end == "exact"
    assert sorted(payload for payload, _ in current.outcome.used) == [10, 11, 12, 13]


def test_a_lost_place_voids_the_answers_of_the_others(current):
    requests = asked(finish(current, range(4), 2))
    for place in (0, 1, 2):
        assert current.message_arrived(place, requests[place], 10 + place, 1.1) == []
    # Place 3 was wanted by two chunks; nobody is asked before others have finished those as well.
    assert asked(current.lose(3, 1.2)) == {}
    again = asked(finish(current, range(3), 3, 1.3))
    assert sorted(again) == [0, 1, 2]
    assert not set(again.values()) & set(requests.values())
    for place, number in again.items():
        moves = current.message_arrived(place, number, 20 + place, 1.4)
    (solve,) = moves
    assert decode(CODE, solve.received).exact


def test_a_place_that_is_lost_after_its_answer_voids_nothing(current):
    requests = asked(finish(current, range(4), 2))
    assert current.message_arrived(3, requests[3], 13, 1.1) == []
    assert asked(current.lose(3, 1.2)) == {}
    for place in (0, 1, 2):
        moves = current.message_arrived(place, requests[place], 10 + place, 1.3)
    (solve,) = moves
    assert len(solve.received) == 4
    assert decode(CODE, solve.received).exact


def test_a_silent_place_is_left_out_of_the_next_collection(current):
    finish(current, range(4), 3)
    due = current.wakes_at(1.0)
    first = {place: next(n for n in range(4) if current.owns(place, n)) for place in (0, 1, 2)}
    for place, number in first.items():
        current.message_arrived(place, number, 10 + place, 1.01)
    again = asked(current.tick(due))
    assert sorted(again) == [0, 1, 2]
    assert not set(again.values()) & set(first.values())


def test_an_answer_of_a_given_up_collection_is_not_wanted(current):
    requests = asked(finish(current, range(4), 2))
    current.lose(3, 1.1)
    assert current.message_arrived(0, requests[0], 10, 1.2) is None


def test_at_the_deadline_an_adaptive_code_takes_as_many_parts_as_there_are_copies():
    code = make_code("partial_stragglers(4, 3, n_parts=3, adaptive=True)", 4)
    made = Round(0, code, RoundRules(2.0), 0.0, FixedOrder(code.assignment, Paces()), CollectTimes(100))
    for place in range(4):
        made.expect(place)
        made.start([place], 0.0)
    # Every chunk is finished by two places, and by three only if somebody had all the time there is.
    for place in range(4):
        for chunk in code.assignment.orders[place][:2]:
            assert made.chunk_finished(place, chunk, 0.1, 1.0) == []
    asks = made.tick(2.0)
    assert {ask.n_parts for ask in asks} == {2}
    for ask in asks:
        assert made.parts_of(ask.request) == 2
        moves = made.message_arrived(ask.place, ask.request, 10 + ask.place, 2.1)
    (solve,) = moves
    decoding = decode(code, solve.received)
    assert decoding.exact
    assert decoding.weights.shape == (4, 2)
    made.solved(decoding, 0.0, 2.2)
    assert made.outcome.end == "exact"
