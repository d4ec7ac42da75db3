from __future__ import annotations

import pytest

from master.paces import MOST_JUMP, WEIGHT, Paces


def observed(*seconds: float) -> float:
    paces = Paces()
    for each in seconds:
        paces.observe(3, each)
    return paces.seconds[3]


def test_the_first_chunk_counts_whole_and_the_first_few_are_averaged():
    assert observed(2.0) == 2.0
    assert observed(2.0, 4.0) == pytest.approx(3.0)
    assert observed(2.0, 4.0, 6.0) == pytest.approx(4.0)
    assert observed(2.0, 4.0, 6.0, 4.0, 4.0) == pytest.approx(4.0)


def test_then_every_chunk_has_the_same_weight_and_the_past_is_forgotten():
    assert observed(*[1.0] * 20, 2.0) == pytest.approx(1.0 + WEIGHT)
    assert observed(*[5.0] * 20, *[1.0] * 30) == pytest.approx(1.0, rel=0.01)
    assert observed(*[1.0] * 20, *[5.0] * 30) == pytest.approx(5.0, rel=0.01)


def test_one_freeze_counts_as_a_few_chunks():
    assert observed(*[1.0] * 20, 1e6) == pytest.approx(1.0 + WEIGHT * (MOST_JUMP - 1.0))


def test_after_chunks_that_took_no_time_by_the_clock_a_place_can_be_slow():
    assert observed(0.0, 0.0) == 0.0
    assert observed(0.0, 0.0, *[1.0] * 30) == pytest.approx(1.0, rel=0.01)


def test_leads_and_round_trips_are_weighted_means():
    paces = Paces()
    for seconds in (1.0, 2.0):
        paces.observe_lead(0, seconds)
        paces.observe_echo(1, 0.0, 0.0, 3.0 * seconds)
    assert paces.lead_seconds == {0: pytest.approx(1.0 + WEIGHT)}
    assert paces.round_trip_seconds == {1: pytest.approx(3.0 + 3.0 * WEIGHT)}


def test_what_is_typical_is_the_median_over_places():
    paces = Paces()
    assert paces.typical() is None
    assert paces.typical_round_trip() is None
    for place, seconds in enumerate((1.0, 9.0, 2.0)):
        paces.observe(place, seconds)
        paces.observe_echo(place, 0.0, 0.0, 10.0 * seconds)
    assert paces.typical() == 2.0
    assert paces.typical_round_trip() == 20.0


def test_of_a_new_worker_nothing_is_remembered():
    paces = Paces()
    for place in (0, 1):
        for seconds in [1.0] * 10:
            paces.observe(place, seconds)
        paces.observe_lead(place, 1.0)
        paces.observe_echo(place, 0.0, 0.0, 1.0)
        paces.busy_since[place] = 1.0
    paces.forget(0)
    paces.forget(7)
    for known in (paces.seconds, paces.lead_seconds, paces.round_trip_seconds, paces.busy_since):
        assert list(known) == [1]
    paces.observe(0, 3.0)
    paces.observe(0, 5.0)
    assert paces.seconds[0] == 4.0
