"""What one round leaves to the next."""

from __future__ import annotations

import pytest

from common.codes.base import GradientCode
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.scheduled import scheduled
from master.deadlines import AdaptiveDeadline, NoDeadline
from master.experience import Experience
from master.planned import Planned
from master.round import Round
from master.schedule import FixedOrder


def experienced(code: GradientCode) -> Experience:
    made = Experience()
    made.plan(code, message_bytes=8)
    return made


def begun(experience: Experience, n: int, number: int = 0, now: float = 0.0) -> Round:
    current = experience.new_round(number, NoDeadline(), range(n), waits=False, enough=1.0, now=now)
    for place in range(n):
        current.expect(place)
    current.start(range(n), now)
    return current


def test_only_scheduled_codes_have_a_planned_schedule():
    assert isinstance(begun(experienced(scheduled(3, 2, 2)), 3).schedule, Planned)
    assert isinstance(begun(experienced(cyclic_repetition(3, 1)), 3).schedule, FixedOrder)


def warnings(chunk: float, trip: float, n_rounds: int = 5) -> list[str]:
    made = experienced(scheduled(3, 2, 2))
    found = []
    for number in range(n_rounds):
        begun(made, 3, number)
        for place in range(3):
            made.paces.observe(place, chunk)
            made.paces.observe_echo(place, 0.0, 0.0, trip)
        found.append(made.warning())
    return found


def test_chunks_of_less_than_five_round_trips_are_warned_of_once_after_a_few_rounds():
    found = warnings(chunk=0.004, trip=0.001)
    assert found[2].startswith("chunks are short: one takes 0.004 s and a round trip 0.001 s")
    assert "\n" not in found[2]
    assert [bool(each) for each in found] == [False, False, True, False, False]


def test_chunks_of_five_round_trips_are_long_enough():
    assert warnings(chunk=0.005, trip=0.001) == [""] * 5


def test_a_new_plan_is_judged_anew():
    made = experienced(scheduled(3, 2, 2))
    made.paces.observe(0, 0.001)
    made.paces.observe_echo(0, told_at=0.0, held_seconds=0.0, now=0.001)
    for _ in range(2):
        assert [bool(begun(made, 3, number) and made.warning()) for number in range(4)].count(True) == 1
        made.plan(scheduled(3, 2, 3), message_bytes=8)


def test_where_round_trips_are_not_measured_nothing_is_said_of_them():
    made = experienced(cyclic_repetition(3, 1))
    for number in range(5):
        begun(made, 3, number)
        made.paces.observe(0, 1e-6)
        assert made.warning() == ""


def test_a_chunk_in_hand_at_the_end_of_a_round_counts_in_the_next_until_it_is_reported():
    made = experienced(scheduled(3, 3, 2))
    for place in range(3):
        made.paces.observe(place, 1.0)
    made.observe_round(begun(made, 3), now=0.25)
    assert made.paces.busy_since == dict.fromkeys(range(3), 0.0)
    following = begun(made, 3, number=1, now=0.5)
    assert following.schedule.busy_since(0.5) == dict.fromkeys(range(3), 0.0)
    made.observe_late(0, 1, after_seconds=0.75, seconds=0.7)
    assert made.paces.busy_since == {0: 0.0, 2: 0.0}


def test_a_late_first_chunk_tells_how_long_an_equal_part_of_all_computations_takes():
    made = experienced(scheduled(3, 2, 4))
    rule = AdaptiveDeadline(1.0)
    for place in range(3):
        made.observe_late(0, place, after_seconds=3.0, seconds=2.0)
    current = made.new_round(1, rule, range(3), waits=False, enough=1.0, now=0.0)
    assert current.rules.deadline_seconds == pytest.approx(3.0 + 3 * 2.0)


def test_of_a_new_worker_nothing_is_known():
    made = experienced(scheduled(3, 2, 4))
    for place in range(3):
        made.paces.observe(place, 1.0 + place)
        made.observe_late(0, place, after_seconds=3.0 + place, seconds=0.0)
    for place in (1, 2):
        made.forget(place)
    assert made.paces.seconds == {0: 1.0}
    assert made.new_round(1, AdaptiveDeadline(1.0), range(3), False, 1.0, 0.0).rules.deadline_seconds is None
