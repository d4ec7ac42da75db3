from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import common
from common.delays import DISTRIBUTIONS, Delays, Interruption, Walk
from common.errors import InvalidSpec

EXAMPLES = {
    "none": Delays("none"),
    "constant": Delays("constant", seconds=0.02),
    "shifted_exponential": Delays("shifted_exponential", seconds=0.1, mean_seconds=0.3, seed=5),
    "weibull": Delays("weibull", seconds=0.1, mean_seconds=0.3, shape=0.7, seed=5),
    "pareto": Delays("pareto", seconds=0.2, shape=3.0, seed=5),
}
"""One line a distribution: how it is tried here."""

every_distribution = pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))


def draws(delays, n_places=20, n_rounds=40, n_chunks=25):
    return [
        delays.chunk_seconds(place, round_, chunk)
        for place, round_, chunk in itertools.product(range(n_places), range(n_rounds), range(n_chunks))
    ]


# ---- seconds of a chunk -----------------------------------------------------------------------------------


def test_every_distribution_is_tried():
    assert set(EXAMPLES) == set(DISTRIBUTIONS)


@every_distribution
def test_a_draw_depends_on_nothing_but_seed_place_round_and_chunk(name):
    delays = EXAMPLES[name]
    first = delays.chunk_seconds(3, 7, 11)
    draws(delays, 3, 3, 3)
    fresh = replace(delays)
    assert fresh.chunk_seconds(3, 7, 11) == first


@every_distribution
def test_a_factor_multiplies_the_draws_of_its_place_only(name):
    plain = EXAMPLES[name]
    slowed = Delays(
        name, plain.seconds, plain.mean_seconds, plain.shape, factors=((2, 5.0),), seed=plain.seed
    )
    for round_ in range(5):
        assert slowed.chunk_seconds(2, round_, 1) == 5.0 * plain.chunk_seconds(2, round_, 1)
        assert slowed.chunk_seconds(1, round_, 1) == plain.chunk_seconds(1, round_, 1)


@pytest.mark.parametrize("name", ["shifted_exponential", "weibull", "pareto"])
def test_draws_differ_between_seeds_places_rounds_and_chunks(name):
    delays = EXAMPLES[name]
    other_seed = Delays(name, delays.seconds, delays.mean_seconds, delays.shape, seed=6)
    values = draws(delays) + draws(other_seed)
    assert len(set(values)) == len(values)


def test_swapping_place_round_and_chunk_gives_other_draws():
    delays = EXAMPLES["shifted_exponential"]
    assert len({delays.chunk_seconds(*order) for order in itertools.permutations((1, 2, 3))}) == 6


def test_draws_stay_the_same_from_version_to_version():
    """Recorded; a change here changes every seeded run."""
    assert EXAMPLES["shifted_exponential"].chunk_seconds(3, 7, 11) == pytest.approx(
        0.20088602769103447, rel=1e-12
    )
    assert EXAMPLES["pareto"].chunk_seconds(3, 7, 11) == pytest.approx(0.2237239560573969, rel=1e-12)
    bursty = replace(BURSTY, seed=5)
    assert "".join(".#"[bursty.in_burst(3, round_)] for round_ in range(60)) == RECORDED_BURSTS


def test_none_and_constant():
    assert set(draws(EXAMPLES["none"], 3, 3, 3)) == {0.0}
    assert set(draws(EXAMPLES["constant"], 3, 3, 3)) == {0.02}


def test_shifted_exponential_has_its_mean_spread_and_least_value():
    values = sorted(draws(EXAMPLES["shifted_exponential"]))
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    assert mean == pytest.approx(0.4, rel=0.02)
    assert deviation == pytest.approx(0.3, rel=0.03)
    assert 0.1 < values[0] < 0.101
    assert values[len(values) // 2] == pytest.approx(0.1 + 0.3 * math.log(2), rel=0.03)


def test_pareto_has_its_least_value_mean_and_tail():
    values = draws(EXAMPLES["pareto"])
    assert 0.2 < min(values) < 0.2001
    assert sum(values) / len(values) == pytest.approx(0.3, rel=0.03)
    for times in (1.5, 2.0, 4.0):
        share = sum(value > 0.2 * times for value in values) / len(values)
        assert share == pytest.approx(times**-3.0, rel=0.15)


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_weibull_has_its_mean_and_quantiles(shape):
    delays = Delays("weibull", seconds=0.1, mean_seconds=0.3, shape=shape, seed=5)
    values = sorted(draws(delays))
    assert sum(values) / len(values) == pytest.approx(0.4, rel=0.03)
    assert values[0] > 0.1
    scale = 0.3 / math.gamma(1.0 + 1.0 / shape)
    for share in (0.1, 0.5, 0.9, 0.99):
        quantile = 0.1 + scale * (-math.log(1.0 - share)) ** (1.0 / shape)
        assert values[int(share * len(values))] == pytest.approx(quantile, rel=0.06)


def test_weibull_of_shape_1_is_the_shifted_exponential():
    one = Delays("weibull", seconds=0.1, mean_seconds=0.3, shape=1.0, seed=5)
    assert draws(one, 5, 5, 5) == pytest.approx(draws(EXAMPLES["shifted_exponential"], 5, 5, 5), rel=1e-14)


@pytest.mark.parametrize("axis", ["place", "round", "chunk"])
def test_neighbouring_draws_are_not_correlated(axis):
    delays = Delays("shifted_exponential", mean_seconds=1.0)
    shift = {"place": (1, 0, 0), "round": (0, 1, 0), "chunk": (0, 0, 1)}[axis]
    keys = list(itertools.product(range(20), range(20), range(25)))
    here = [delays.chunk_seconds(*key) - 1.0 for key in keys]
    there = [delays.chunk_seconds(*(a + b for a, b in zip(key, shift, strict=True))) - 1.0 for key in keys]
    assert abs(sum(a * b for a, b in zip(here, there, strict=True)) / len(keys)) < 0.04


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(),
    place=st.integers(0, 2**40),
    round_=st.integers(0, 2**40),
    chunk=st.integers(0, 2**40),
    name=st.sampled_from(sorted(EXAMPLES)),
)
def test_every_draw_is_finite_and_at_least_its_least_value(seed, place, round_, chunk, name):
    plain = EXAMPLES[name]
    value = Delays(name, plain.seconds, plain.mean_seconds, 0.1, seed=seed).chunk_seconds(
        place, round_, chunk
    )
    assert math.isfinite(value)
    assert value >= plain.seconds


# ---- how often it is drawn --------------------------------------------------------------------------------


@every_distribution
@pytest.mark.parametrize(("varies", "n_different"), [("chunk", 60), ("round", 12), ("run", 3)])
def test_a_draw_holds_for_a_chunk_a_round_or_the_run(name, varies, n_different):
    delays = replace(EXAMPLES[name], varies=varies)
    found = {key: delays.chunk_seconds(*key) for key in itertools.product(range(3), range(4), range(5))}
    length = {"chunk": 3, "round": 2, "run": 1}[varies]
    for place, round_, chunk in found:
        same = (place, round_, chunk)[:length]
        assert found[place, round_, chunk] == found[(*same, *(0,) * (3 - length))]
    assert len(set(found.values())) == (1 if name in ("none", "constant") else n_different)


@pytest.mark.parametrize("varies", ["round", "run"])
def test_what_is_drawn_seldom_has_the_same_law(varies):
    """As many draws as there are rounds or places; factors multiply them as ever."""
    delays = replace(EXAMPLES["weibull"], varies=varies, factors=((1, 3.0),))
    size = (2, 20_000, 1) if varies == "round" else (20_000, 2, 1)
    values = draws(delays, *size)
    plain = replace(EXAMPLES["weibull"], varies=varies)
    assert values != draws(plain, *size)
    assert sum(draws(plain, *size)) / len(values) == pytest.approx(0.4, rel=0.03)
    assert delays.chunk_seconds(1, 0, 0) == 3.0 * plain.chunk_seconds(1, 0, 0)


# ---- bursts -----------------------------------------------------------------------------------------------

BURSTY = Delays("constant", seconds=0.1, burst_share=0.25, burst_rounds=8.0, burst_factor=4.0)
RECORDED_BURSTS = ".................###........#######.................######.."


def runs_of(states):
    """Lengths of runs in a burst that lie within."""
    lengths = [(state, len(list(group))) for state, group in itertools.groupby(states)]
    return [length for state, length in lengths[1:-1] if state]


@pytest.mark.parametrize(
    ("share", "rounds"), [(0.25, 8.0), (0.5, 2.0), (0.9, 10.0), (0.02, 30.0), (0.5, 40.0)]
)
def test_bursts_have_their_share_and_mean_length(share, rounds):
    delays = replace(BURSTY, burst_share=share, burst_rounds=rounds)
    places = [[delays.in_burst(place, round_) for round_ in range(1500)] for place in range(60)]
    states = [state for place in places for state in place]
    lengths = [length for place in places for length in runs_of(place)]
    # Neighbours are alike, so that the states tell as much as this many that are not.
    n_like_independent = len(states) / (2 * rounds)
    deviation = math.sqrt(share * (1 - share) / n_like_independent)
    assert sum(states) / len(states) == pytest.approx(share, abs=4 * deviation)
    assert sum(lengths) / len(lengths) == pytest.approx(rounds, rel=0.15)


def test_bursts_have_geometric_lengths():
    lengths = [n for place in range(200) for n in runs_of([BURSTY.in_burst(place, r) for r in range(500)])]
    for longer in (4, 8, 16):
        share = sum(length > longer for length in lengths) / len(lengths)
        assert share == pytest.approx((1 - 1 / 8.0) ** longer, abs=0.03)


def test_the_first_round_is_as_often_in_a_burst_as_any_other():
    for round_ in (0, 1, 50):
        found = sum(BURSTY.in_burst(place, round_) for place in range(8000)) / 8000
        assert found == pytest.approx(0.25, abs=0.02)


def test_the_shortest_bursts_are_drawn_anew_every_round():
    """Then a round's state tells nothing about the next one's."""
    delays = replace(BURSTY, burst_share=0.9, burst_rounds=10.0)
    states = [[delays.in_burst(place, round_) for round_ in range(200)] for place in range(100)]
    both = sum(a and b for place in states for a, b in itertools.pairwise(place)) / (100 * 199)
    assert both == pytest.approx(0.81, abs=0.01)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=60),
    st.floats(0.05, 0.8),
    st.floats(5.0, 30.0),
)
def test_bursts_are_the_same_whatever_order_rounds_are_asked_in(asked, share, rounds):
    delays = replace(BURSTY, burst_share=share, burst_rounds=rounds)
    found = {key: delays.in_burst(*key) for key in asked}
    again = {key: delays.in_burst(*key) for key in reversed(asked)}
    in_order = replace(delays)
    table = {(place, r): in_order.in_burst(place, r) for place in range(3) for r in range(61)}
    assert found == again == {key: table[key] for key in found}


def test_a_burst_multiplies_the_seconds_of_all_chunks_of_its_rounds():
    calm = Delays("pareto", seconds=0.2, seed=3, factors=((1, 2.0),))
    bursty = replace(calm, burst_share=0.4, burst_factor=0.5)
    assert {bursty.in_burst(place, round_) for place in range(3) for round_ in range(50)} == {True, False}
    for place, round_, chunk in itertools.product(range(3), range(50), range(3)):
        factor = 0.5 if bursty.in_burst(place, round_) else 1.0
        expected = factor * calm.chunk_seconds(place, round_, chunk)
        assert bursty.chunk_seconds(place, round_, chunk) == pytest.approx(expected, rel=1e-15)


def test_without_a_share_nobody_is_in_a_burst():
    calm = replace(BURSTY, burst_share=0.0)
    assert not any(calm.in_burst(place, round_) for place in range(20) for round_ in range(100))
    assert set(draws(calm, 3, 3, 3)) == {0.1}


def test_what_was_asked_changes_nothing_about_the_value():
    asked = replace(BURSTY)
    asked.in_burst(0, 40)
    assert asked == BURSTY
    assert hash(asked) == hash(BURSTY)
    assert asked.in_burst(0, 3) == BURSTY.in_burst(0, 3)


# ---- bad values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"distribution": "gamma"}, "delays distribution"),
        ({"seconds": -1.0}, "delays seconds"),
        ({"seconds": math.nan}, "delays seconds"),
        ({"mean_seconds": math.inf}, "delays mean_seconds"),
        ({"distribution": "pareto"}, "delays seconds"),
        ({"shape": 0.0}, "delays shape"),
        ({"distribution": "weibull", "shape": 0.05}, "delays shape"),
        ({"varies": "never"}, "delays varies"),
        ({"burst_share": 1.0}, "delays burst_share"),
        ({"burst_share": -0.1}, "delays burst_share"),
        ({"burst_share": math.nan}, "delays burst_share"),
        ({"burst_rounds": 0.5}, "delays burst_rounds"),
        ({"burst_rounds": math.inf}, "delays burst_rounds"),
        ({"burst_share": 0.8, "burst_rounds": 4.9}, "delays burst_rounds"),
        ({"burst_factor": 0.0}, "delays burst_factor"),
        ({"burst_factor": math.inf}, "delays burst_factor"),
        ({"factors": ((0, 0.0),)}, "delays factor of place 0"),
        ({"factors": ((-1, 2.0),)}, "delays factors"),
        ({"factors": ((1, 2.0), (1, 3.0))}, "delays factors"),
    ],
)
def test_impossible_delays_are_refused(fields, field):
    with pytest.raises(InvalidSpec) as caught:
        Delays(**fields)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((-1, "freeze", 1.0, 1.0), "interruption place"),
        ((0, "nap", 1.0, 1.0), "interruption kind"),
        ((0, "death", 0.0), "interruption at_seconds"),
        ((0, "death", math.nan), "interruption at_seconds"),
        ((0, "freeze", 1.0), "freeze for_seconds"),
        ((0, "freeze", 1.0, math.inf), "freeze for_seconds"),
        ((0, "death", 1.0, -2.0), "death for_seconds"),
        ((0, "death", 1.0, math.inf), "death for_seconds"),
        ((0, "death", 1.0, math.nan), "death for_seconds"),
    ],
)
def test_impossible_interruptions_are_refused(values, field):
    with pytest.raises(InvalidSpec) as caught:
        Interruption(*values)
    assert caught.value.field == field


def test_a_burst_may_be_as_short_as_its_share_lets_it_be():
    """Also where 1 - share is not what it looks like: 10 (1 - 0.9) is less than 1 in floats."""
    for share in (0.0, 0.3, 0.8, 0.9, 0.99):
        assert Delays(burst_share=share, burst_rounds=1 / (1 - share)).burst_share == share
    assert Delays(burst_share=0.9, burst_rounds=10.0).burst_rounds == 10.0


def test_delays_are_values():
    delays = Delays("constant", 0.1, factors=((1, 2.0),), interruptions=(Interruption(0, "death", 1.0),))
    twin = Delays("constant", 0.1, factors=((1, 2.0),), interruptions=(Interruption(0, "death", 1.0),))
    delays.walk(0, 0.0, 0.0, delays.chunk_seconds(0, 0, 0))
    assert delays == twin
    assert hash(delays) == hash(twin)
    with pytest.raises(FrozenInstanceError):
        delays.seed = 3


# ---- walks ------------------------------------------------------------------------------------------------


def freeze(at, seconds, place=0):
    return Interruption(place, "freeze", at, seconds)


def death(at, place=0, back_after=0.0):
    return Interruption(place, "death", at, back_after)


def walk(*interruptions, up_since=0.0, start=0.0, work=1.0, served=0):
    return Delays(interruptions=interruptions).walk(0, up_since, start, work, served)


def test_without_interruptions_there_is_only_work():
    assert walk() == Walk((("work", 1.0),), False, 0)
    assert walk(freeze(0.5, 1.0, place=1), death(0.5, place=2)) == Walk((("work", 1.0),), False, 0)


def test_a_freeze_in_the_middle_of_a_chunk():
    assert walk(freeze(0.25, 3.0)) == Walk((("work", 0.25), ("freeze", 3.0), ("work", 0.75)), False, 1)
    assert walk(freeze(0.25, 3.0)).seconds == 4.0


def test_a_death_in_the_middle_of_a_chunk():
    assert walk(death(0.25)) == Walk((("work", 0.25),), True, 1)


def test_a_death_tells_after_how_long_a_process_comes_back():
    assert walk(death(0.25, back_after=3.0)) == Walk((("work", 0.25),), True, 1, 3.0)
    assert walk(death(0.25)).returns_after is None
    assert walk(freeze(0.25, 3.0)).returns_after is None
    assert walk(freeze(0.25, 3.0), death(1.25, back_after=2.0)).returns_after == 2.0


def test_who_came_back_is_spared_the_death_and_what_fell_into_it_but_not_what_comes_later():
    listed = (death(2.0, back_after=3.0), freeze(3.5, 1.0), death(5.0), freeze(7.5, 0.5))
    assert walk(*listed, start=1.5) == Walk((("work", 0.5),), True, 1, 3.0)
    returned = walk(*listed, up_since=5.0, start=5.5)
    assert returned == Walk((("work", 1.0),), False, 3)
    later = walk(*listed, up_since=5.0, start=7.0, served=returned.served)
    assert later == Walk((("work", 0.5), ("freeze", 0.5), ("work", 0.5)), False, 4)


def test_an_interruption_after_the_chunk_is_left_for_later():
    assert walk(freeze(1.5, 3.0)) == Walk((("work", 1.0),), False, 0)


def test_one_at_the_moment_the_chunk_is_finished_is_left_for_the_next_chunk():
    first = walk(death(1.0))
    assert first == Walk((("work", 1.0),), False, 0)
    assert walk(death(1.0), start=1.0, served=first.served) == Walk((), True, 1)


def test_one_that_fell_in_an_idle_gap_takes_hold_when_the_next_chunk_starts():
    assert walk(freeze(5.0, 3.0), start=7.0) == Walk((("freeze", 3.0), ("work", 1.0)), False, 1)
    assert walk(death(5.0), start=7.0) == Walk((), True, 1)


def test_what_was_served_does_not_happen_again():
    assert walk(freeze(5.0, 3.0), start=7.0, served=1) == Walk((("work", 1.0),), False, 1)


def test_a_process_that_came_up_later_is_spared():
    assert walk(freeze(5.0, 3.0), up_since=5.0, start=7.0) == Walk((("work", 1.0),), False, 1)
    assert walk(freeze(5.0, 3.0), up_since=4.9, start=7.0).pieces[0] == ("freeze", 3.0)


def test_a_restarted_process_does_not_die_of_the_former_death_but_of_the_next():
    deaths = (death(2.0), death(6.0))
    assert walk(*deaths, start=1.5).dies
    restarted = walk(*deaths, up_since=3.0, start=3.0)
    assert restarted == Walk((("work", 1.0),), False, 1)
    assert walk(*deaths, up_since=3.0, start=5.5, served=1) == Walk((("work", 0.5),), True, 2)


def test_the_order_in_which_interruptions_are_listed_does_not_matter():
    listed = (freeze(0.5, 1.0), freeze(0.25, 2.0), death(9.0))
    expected = walk(*listed)
    for order in itertools.permutations(listed):
        assert walk(*order) == expected


def test_a_freeze_that_falls_into_another_takes_hold_when_that_ends():
    found = walk(freeze(0.25, 2.0), freeze(0.5, 1.0))
    assert found == Walk((("work", 0.25), ("freeze", 2.0), ("freeze", 1.0), ("work", 0.75)), False, 2)


def test_time_lost_in_a_freeze_brings_later_interruptions_into_the_chunk():
    found = walk(freeze(0.5, 3.0), freeze(3.75, 1.0))
    assert found.pieces == (("work", 0.5), ("freeze", 3.0), ("work", 0.25), ("freeze", 1.0), ("work", 0.25))


def test_a_death_cuts_a_freeze_short():
    assert walk(freeze(0.25, 3.0), death(1.25)) == Walk((("work", 0.25), ("freeze", 1.0)), True, 2)
    assert walk(freeze(0.25, 3.0), death(3.25)) == Walk((("work", 0.25), ("freeze", 3.0)), True, 2)
    assert walk(freeze(5.0, 3.0), death(6.0), start=9.0) == Walk((), True, 2)


def test_of_two_at_one_time_the_death_comes_first():
    assert walk(freeze(0.25, 3.0), death(0.25)) == Walk((("work", 0.25),), True, 1)


def test_a_chunk_without_work():
    assert walk(work=0.0) == Walk((), False, 0)
    assert walk(freeze(2.0, 1.0), start=2.0, work=0.0) == Walk((("freeze", 1.0),), False, 1)
    assert walk(freeze(2.1, 1.0), start=2.0, work=0.0) == Walk((), False, 0)


def test_a_process_that_was_there_before_the_run():
    assert walk(death(0.1), up_since=-30.0, start=0.0).pieces == (("work", 0.1),)


times = st.floats(0.001, 20.0)
interruptions = st.lists(
    st.one_of(
        st.builds(freeze, times, st.floats(0.001, 5.0), place=st.integers(0, 1)),
        st.builds(death, times, st.integers(0, 1), st.just(0.0) | st.floats(0.001, 5.0)),
    ),
    max_size=6,
)


def sorted_of(listed):
    """The interruptions of place 0 in the order in which they happen."""
    return sorted((each for each in listed if each.place == 0), key=lambda each: (each.at_seconds, each.kind))


@settings(max_examples=50, deadline=None)
@given(interruptions, st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.integers(0, 6))
def test_work_adds_up_unless_the_process_dies(listed, up_since, wait, work, served):
    mine = sum(each.place == 0 for each in listed)
    served = min(served, mine)
    found = walk(*listed, up_since=up_since, start=up_since + wait, work=work, served=served)
    worked = math.fsum(seconds for kind, seconds in found.pieces if kind == "work")
    assert found.dies or found.returns_after is None
    if found.dies:
        cause = sorted_of(listed)[found.served - 1]
        assert (cause.kind, cause.for_seconds or None) == ("death", found.returns_after)
        assert worked <= work * (1 + 1e-9) + 1e-12
    else:
        assert worked == pytest.approx(work, rel=1e-9, abs=1e-12)
    assert served <= found.served <= mine
    assert all(kind in {"work", "freeze"} and seconds > 0.0 for kind, seconds in found.pieces)
    assert found == walk(*listed, up_since=up_since, start=up_since + wait, work=work, served=served)


@settings(max_examples=50, deadline=None)
@given(interruptions, st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 3.0)), max_size=12))
def test_over_a_whole_life_everything_happens_once_and_never_early(listed, chunks):
    """Chunk after chunk with idle gaps: freezes in full, the first death ends it."""
    mine = sorted_of(listed)
    now, served, frozen, dead = 0.0, 0, 0.0, False
    for gap, work in chunks:
        started = now + gap
        found = walk(*listed, up_since=0.0, start=started, work=work, served=served)
        assert found.served >= served
        now, served, dead = started + found.seconds, found.served, found.dies
        frozen += math.fsum(seconds for kind, seconds in found.pieces if kind == "freeze")
        if dead:
            break
        assert all(each.at_seconds <= now + 1e-9 for each in mine[:served])
        assert all(each.at_seconds >= now - 1e-9 for each in mine[served:])
    gone_by = mine[:served]
    deaths = [each for each in gone_by if each.kind == "death"]
    assert dead == bool(deaths)
    if dead:
        assert gone_by[-1].kind == "death"
        assert now == pytest.approx(max(started, deaths[0].at_seconds))
        freezes = [each for each in gone_by if each.kind == "freeze"]
        assert frozen <= sum(each.for_seconds for each in freezes) + 1e-9
    else:
        assert frozen == pytest.approx(sum(each.for_seconds for each in gone_by))


def test_importing_delays_loads_nothing_but_the_standard_library():
    program = "import sys, common.delays; print('numpy' in sys.modules)"
    root = Path(common.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert found.stdout.strip() == "False"
