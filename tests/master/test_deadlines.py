from __future__ import annotations

import pytest

from common.errors import InvalidSpec
from master.deadlines import (
    WEIGHT,
    AdaptiveDeadline,
    FinishingTimes,
    FixedDeadline,
    NoDeadline,
    deadline_rule,
    sooner,
)
from master.outcome import Work


def work(place: int, arrived: list[float], load: int, seconds: float = 0.1, started_at: float = 0.0) -> Work:
    return Work(
        place,
        load,
        load,
        present=True,
        started_at=started_at,
        arrived=dict(enumerate(arrived)),
        seconds=[seconds] * len(arrived),
    )


def test_never_is_later_than_any_time():
    assert sooner(None, None) is None
    assert sooner(2.0, None) == sooner(None, 2.0) == 2.0
    assert sooner(2.0, 1.0) == sooner(1.0, 2.0) == 1.0


def test_rules_by_name():
    assert deadline_rule("none", 1.0, 2.0) == NoDeadline()
    assert deadline_rule("fixed", 1.0, 2.0) == FixedDeadline(1.0)
    assert deadline_rule("adaptive", 1.0, 2.0) == AdaptiveDeadline(2.0)
    with pytest.raises(InvalidSpec, match=r"deadline\.rule"):
        deadline_rule("sometimes", 1.0, 2.0)


@pytest.mark.parametrize("make", [FixedDeadline, AdaptiveDeadline])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_deadlines_are_positive(make, value):
    with pytest.raises(InvalidSpec, match="deadline"):
        make(value)


def test_none_and_fixed_need_no_times():
    assert NoDeadline().seconds(FinishingTimes(), [0]) is None
    assert FixedDeadline(0.3).seconds(FinishingTimes(), []) == 0.3


def test_adaptive_is_a_multiple_of_the_median_over_live_places():
    times = FinishingTimes()
    for place, seconds in enumerate([1.0, 2.0, 50.0, 3.0]):
        times.observe(place, seconds)
    assert AdaptiveDeadline(2.0).seconds(times, [0, 1, 2]) == 4.0
    assert AdaptiveDeadline(2.0).seconds(times, [0, 1, 3]) == 4.0


def test_adaptive_waits_until_half_of_the_live_places_were_observed():
    times = FinishingTimes()
    times.observe(0, 1.0)
    assert AdaptiveDeadline(2.0).seconds(times, [0, 1, 2]) is None
    assert AdaptiveDeadline(2.0).seconds(times, [0, 1]) == 2.0
    assert AdaptiveDeadline(2.0).seconds(times, []) is None


def test_memory_is_exponentially_weighted():
    times = FinishingTimes()
    times.observe(0, 1.0)
    times.observe(0, 2.0)
    assert times.typical([0]) == pytest.approx(1.0 + WEIGHT)
    times.forget(0)
    assert times.typical([0]) is None


def test_an_unfinished_load_is_extrapolated_by_seconds_per_chunk():
    """Transfer and a chunk in hand from the round before count once, however little was reported."""
    times = FinishingTimes()
    times.observe_round(0, [work(0, [10.0, 10.1], load=4, started_at=9.0)])
    assert times.typical([0]) == pytest.approx(1.1 + 2 * 0.1)


def test_where_chunks_are_handed_out_a_place_counts_with_an_equal_part_of_them():
    """Whether it computed more or less of its load than that."""
    times = FinishingTimes()
    for place, arrived in ((0, [0.1, 0.2]), (1, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])):
        done = work(place, arrived, load=12)
        done.share = 4.0
        times.observe_round(0, [done])
    assert times.typical([0]) == pytest.approx(0.4)
    assert times.typical([1]) == pytest.approx(0.4)


def test_who_reported_nothing_in_a_round_is_left_out():
    times = FinishingTimes()
    gone = work(1, [1.0], load=1)
    gone.present = False
    times.observe_round(0, [work(0, [], load=1), gone])
    assert times.typical([0]) is None
    assert times.typical([1]) is None


def test_a_first_report_after_the_outcome_counts_and_a_further_one_does_not():
    times = FinishingTimes()
    times.observe_late(3, 0, after_seconds=0.5, left_seconds=0.2)
    assert times.typical([0]) == pytest.approx(0.7)
    times.observe_late(3, 0, after_seconds=9.0, left_seconds=0.0)
    assert times.typical([0]) == pytest.approx(0.7)
    times.observe_round(4, [work(1, [0.1], load=1)])
    times.observe_late(4, 1, after_seconds=9.0, left_seconds=0.0)
    assert times.typical([1]) == pytest.approx(0.1)
