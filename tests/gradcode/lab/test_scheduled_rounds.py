"""What scheduled rounds promise, played in simulated time: 16 workers, delta = 3, c = 8, 1 ms round trip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import pytest

from common.delays import Delays, Interruption, Walk
from common.history import RoundRecord
from common.spec import make_code
from gradcode.lab.draws import DelaySource
from gradcode.lab.network import Network
from gradcode.lab.oracle import Oracle
from gradcode.lab.simulator import Simulator
from master import commands as cmd
from master import events as ev
from master.deadlines import AdaptiveDeadline, FixedDeadline
from master.settings import RunSettings

CODE = "scheduled(n, 3, 8)"
CHUNK = 0.02
ROUND_TRIP = 0.001
PLAIN = 8 * CHUNK + 2 * ROUND_TRIP
"""Of a round without stragglers: eight chunks, the way there and back, and a collection."""

CONSTANT = Delays("constant", seconds=CHUNK)
NOISY = Delays("shifted_exponential", seconds=0.9 * CHUNK, mean_seconds=0.1 * CHUNK)
TWO_SLOW = ((3, 5.0), (7, 5.0))
DEAD = (Interruption(11, "death", 0.001),)


def simulator(
    code: str = CODE,
    delays: DelaySource = CONSTANT,
    n: int = 16,
    latency: float = ROUND_TRIP / 2,
    **more: Any,
) -> Simulator:
    settings = RunSettings(
        make_code=lambda k: make_code(code, k),
        n_workers=n,
        n_rows=64 * n,
        learning=False,
        **{"rounds": 10, "on_shortfall": "wait", **more},
    )
    return Simulator(settings, delays, n, Network(latency_seconds=latency))


@cache
def played(code: str, noisy: bool, stragglers: bool) -> Simulator:
    base = NOISY if noisy else CONSTANT
    delays = Delays(
        base.distribution,
        base.seconds,
        base.mean_seconds,
        factors=TWO_SLOW if stragglers else (),
        interruptions=DEAD if stragglers else (),
    )
    sim = simulator(code, delays, rounds=20)
    sim.play()
    assert {record.outcome for record in sim.records} == {"exact"}
    return sim


def ratios(sim: Simulator) -> list[float]:
    """Rounds as multiples of the oracle."""
    assert sim.training.code is not None
    oracle = Oracle(sim.training.code, sim.delays, sim.network.latency_seconds)
    return [record.seconds / oracle.seconds(record.round, record.lost) for record in sim.records]


def redundant_share(records: list[RoundRecord]) -> float:
    useless = sum(each.chunks_duplicate + each.chunks_late + each.chunks_wasted for each in records)
    return useless / (useless + sum(each.chunks_used for each in records))


def done_by(place: int, records: list[RoundRecord]) -> list[int]:
    """How many chunks a place finished in every round."""
    return [sum(row.place == place for row in record.chunks) for record in records]


# ---- how fast rounds are --------------------------------------------------------------------------------

CASES = pytest.mark.parametrize("noisy", [False, True], ids=["constant", "noisy"])
PLACEMENTS = pytest.mark.parametrize("code", [CODE, "scheduled(n, 3, 8, placement='cyclic')"])


@CASES
@PLACEMENTS
def test_with_two_slow_and_one_dead_a_round_takes_at_most_1_10_of_the_oracle(code, noisy):
    sim = played(code, noisy, stragglers=True)
    assert sim.records[-1].lost == (11,)
    assert median(ratios(sim)) <= 1.10


@CASES
@PLACEMENTS
def test_without_stragglers_a_round_takes_at_most_1_10_of_the_oracle_and_of_the_uncoded_round(code, noisy):
    sim = played(code, noisy, stragglers=False)
    assert median(ratios(sim)) <= 1.10
    delays = sim.delays
    uncoded = [
        ROUND_TRIP + max(sum(delays.chunk_seconds(p, r, 8 * p + k) for k in range(8)) for p in range(16))
        for r in range(20)
    ]
    assert median(record.seconds for record in sim.records) <= 1.10 * median(uncoded)


@CASES
@PLACEMENTS
@pytest.mark.parametrize("stragglers", [False, True], ids=["clean", "stragglers"])
def test_fewer_than_one_in_twenty_computations_are_redundant(code, noisy, stragglers):
    assert redundant_share(played(code, noisy, stragglers).records) < 0.05


def test_no_round_is_faster_than_the_oracle_when_chunks_take_equally_long():
    assert min(ratios(played(CODE, False, stragglers=True))) >= 1.0
    assert min(ratios(played(CODE, False, stragglers=False))) >= 1.0


def test_with_two_parts_every_chunk_is_computed_twice_and_hardly_any_a_third_time():
    sim = simulator("scheduled(n, 3, 4, 2)", NOISY)
    records = sim.play()
    assert {record.outcome for record in records} == {"exact"}
    assert median(ratios(sim)) <= 1.10
    assert redundant_share(records) < 0.05


# ---- who is lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("into_the_round", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_worker_that_dies_in_mid_round_costs_at_most_two_chunks(into_the_round):
    died_at = (5 + into_the_round) * PLAIN
    sim = simulator(delays=Delays("constant", CHUNK, interruptions=(Interruption(5, "death", died_at),)))
    times = [record.seconds for record in sim.play()]
    assert sim.records[-1].lost == (5,)
    assert times[:5] == pytest.approx([PLAIN] * 5)
    assert max(times) <= PLAIN + 2 * CHUNK + ROUND_TRIP


@pytest.mark.parametrize("code", [CODE, "scheduled(n, 3, 4, 2)"])
def test_a_worker_that_dies_when_it_is_asked_costs_the_time_to_compute_its_chunks_elsewhere(code):
    sim = simulator(code)

    def watch(item: ev.Event | cmd.Command) -> None:
        if isinstance(item, cmd.Collect) and item.stamp.round == 4:
            worker = sim.workers[item.link]
            if worker.place == 5:
                sim.cut(worker)

    sim.watch = watch
    records = sim.play()
    assert {record.outcome for record in records} == {"exact"}
    assert 5 in records[3].contributors
    assert 5 not in records[4].contributors
    assert records[4].lost == (5,)
    assert records[4].seconds <= PLAIN + 2 * CHUNK + 3 * ROUND_TRIP
    assert not sim.violations


def test_a_worker_that_does_not_answer_is_asked_no_more_and_counts_again_when_it_answers():
    sim = simulator(rounds=8)

    def mute() -> None:
        next(worker for worker in sim.workers.values() if worker.place == 5).mute_until = sim.now + 2 * PLAIN

    sim.at(2.5 * PLAIN, mute)
    records = sim.play()
    assert {record.outcome for record in records} == {"exact"}
    assert any(5 not in record.contributors for record in records)
    assert 5 in records[-1].contributors
    assert all(record.lost == () for record in records)


def test_as_many_workers_as_replication_less_one_may_die_and_rounds_stay_exact():
    deaths = tuple(Interruption(place, "death", 1.5 * PLAIN) for place in (1, 2))
    sim = simulator(delays=Delays("constant", CHUNK, interruptions=deaths))
    records = sim.play()
    assert {record.outcome for record in records} == {"exact"}
    assert median(ratios(sim)) <= 1.10


def test_who_comes_back_takes_part_again_at_once():
    away = Interruption(1, "death", 1.5 * PLAIN, for_seconds=1.5 * PLAIN)
    sim = simulator(delays=Delays("constant", CHUNK, interruptions=(away,)))
    records = sim.play()
    shares = done_by(1, records)
    assert shares[0] == 8
    assert min(shares) < 4
    assert shares[-5:] == [8] * 5
    assert [record.seconds for record in records[-5:]] == pytest.approx([PLAIN] * 5)


# ---- what is remembered ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SlowForAWhile:
    """Place 3 is slower in the rounds 5 to 14."""

    factor: float

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002
        return CHUNK * (self.factor if place == 3 and 5 <= round < 15 else 1.0)

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        return CONSTANT.walk(place, up_since, start, work_seconds, served)


@pytest.mark.parametrize("factor", [5.0, 100.0])
def test_a_place_that_was_slow_for_a_while_has_its_full_share_within_four_rounds(factor):
    records = simulator(delays=SlowForAWhile(factor), rounds=25).play()
    shares = done_by(3, records)
    assert shares[:5] == [8] * 5
    assert max(shares[5:15]) <= 2
    assert shares[19:] == [8] * 6
    times = [record.seconds for record in records]
    assert max(times) <= PLAIN + 2 * CHUNK + ROUND_TRIP
    assert times[19:] == pytest.approx([PLAIN] * 6)


def test_a_freeze_is_forgotten():
    freeze = Interruption(3, "freeze", 2.5 * PLAIN, 1.0)
    sim = simulator(delays=Delays("constant", CHUNK, interruptions=(freeze,)), rounds=20)
    records = sim.play()
    assert {record.outcome for record in records} == {"exact"}
    assert done_by(3, records)[-5:] == [8] * 5


def test_a_place_that_is_too_slow_to_be_of_use_is_not_asked_and_nobody_waits_for_it():
    records = simulator(delays=Delays("constant", CHUNK, factors=((3, 100.0),)), rounds=12).play()
    assert all(3 not in record.contributors for record in records)
    assert max(record.seconds for record in records) <= PLAIN + CHUNK + ROUND_TRIP


def test_a_chunk_in_hand_when_a_round_ends_early_delays_its_place_only():
    """Rounds that need half of the chunks begin while everybody has one in hand."""
    records = simulator(enough=0.5).play()
    assert {record.end for record in records} == {"enough"}
    assert all(record.seconds <= 5 * CHUNK + 2 * ROUND_TRIP + CHUNK for record in records)


# ---- as for every code ----------------------------------------------------------------------------------


def test_at_the_deadline_whatever_is_finished_is_collected():
    records = simulator(deadline=FixedDeadline(5.5 * CHUNK), on_shortfall="approximate").play()
    assert {record.end for record in records} == {"deadline"}
    assert records[0].recovered_fraction == pytest.approx(5 / 8)
    for record in records:
        assert record.seconds <= 5.5 * CHUNK + 2 * ROUND_TRIP
        assert record.recovered_fraction >= 0.5
        assert record.stepped
        assert record.chunks_used == record.recovered_fraction * 128


def test_an_adaptive_deadline_is_a_multiple_of_an_equal_share():
    slow = Delays("constant", CHUNK, factors=TWO_SLOW)
    records = simulator(delays=slow, deadline=AdaptiveDeadline(1.5), on_shortfall="approximate").play()
    assert {record.outcome for record in records} == {"exact"}
    for record in records[2:]:
        assert record.deadline_seconds == pytest.approx(1.5 * 8 * CHUNK, rel=0.03)


def test_with_two_parts_adaptive_messages_recover_at_the_deadline_what_one_place_has_finished():
    found = []
    for adaptive in (False, True):
        code = f"scheduled(n, 3, 4, 2, adaptive={adaptive})"
        rule = FixedDeadline(5.5 * CHUNK)
        records = simulator(code, n=8, deadline=rule, on_shortfall="approximate").play()
        assert {record.end for record in records} == {"deadline"}
        found.append(records[0].recovered_fraction)
    assert 0.0 < found[0] < found[1] < 1.0


def test_few_workers_are_asked_when_others_have_finished_the_same_chunks():
    """All hold everything, and a slow place finishes copies of what others have in hand."""
    sim = simulator("scheduled(n, n, 2)", Delays("constant", CHUNK, factors=((0, 3.0),)), n=4)
    asked: dict[int, int] = {}

    def watch(item: ev.Event | cmd.Command) -> None:
        if isinstance(item, cmd.Collect):
            asked[item.stamp.round] = asked.get(item.stamp.round, 0) + 1

    sim.watch = watch
    for record in sim.play():
        finishers = {row.place for row in record.chunks if row.state == "used"}
        assert set(record.contributors) == finishers
        assert asked[record.round] == len(finishers)


def test_chunks_of_less_than_five_round_trips_are_noted_once():
    sim = simulator(delays=Delays("constant", 4.0 * ROUND_TRIP))
    sim.play()
    assert [note.text.split(":")[0] for _, note in sim.notes if note.kind == "chunks"] == ["chunks are short"]
    sim = simulator(delays=Delays("constant", 6.0 * ROUND_TRIP))
    sim.play()
    assert [note for _, note in sim.notes if note.kind == "chunks"] == []


def test_with_long_round_trips_workers_have_more_waiting_and_are_not_idle():
    sim = simulator(delays=Delays("constant", CHUNK), latency=CHUNK)
    times = [record.seconds for record in sim.play()]
    assert times[0] > times[-1]
    assert times[-1] == pytest.approx(8 * CHUNK + 4 * CHUNK)


def test_reports_tell_the_round_trip_that_the_network_has():
    sim = simulator(latency=0.003)
    sim.play()
    trips = sim.training.experience.paces.round_trip_seconds
    assert set(trips) == set(range(16))
    assert list(trips.values()) == pytest.approx([0.006] * 16)
