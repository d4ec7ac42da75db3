from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
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
    fresh = Delays(
        **{f: getattr(delays, f) for f in ("distribution", "seconds", "mean_seconds", "shape", "seed")}
    )
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


@pytest.mark.parametrize("name", ["shifted_exponential", "pareto"])
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
        ((0, "death", 1.0, 2.0), "death for_seconds"),
    ],
)
def test_impossible_interruptions_are_refused(values, field):
    with pytest.raises(InvalidSpec) as caught:
        Interruption(*values)
    assert caught.value.field == field


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


def death(at, place=0):
    return Interruption(place, "death", at)


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
        st.builds(death, times, place=st.integers(0, 1)),
    ),
    max_size=6,
)


@settings(max_examples=50, deadline=None)
@given(interruptions, st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.integers(0, 6))
def test_work_adds_up_unless_the_process_dies(listed, up_since, wait, work, served):
    mine = sum(each.place == 0 for each in listed)
    served = min(served, mine)
    found = walk(*listed, up_since=up_since, start=up_since + wait, work=work, served=served)
    worked = math.fsum(seconds for kind, seconds in found.pieces if kind == "work")
    if found.dies:
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
    mine = sorted((each for each in listed if each.place == 0), key=lambda each: (each.at_seconds, each.kind))
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
        assert frozen <= sum(each.for_seconds for each in gone_by) + 1e-9
    else:
        assert frozen == pytest.approx(sum(each.for_seconds for each in gone_by))


def test_importing_delays_loads_nothing_but_the_standard_library():
    program = "import sys, common.delays; print('numpy' in sys.modules)"
    root = Path(common.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert found.stdout.strip() == "False"
