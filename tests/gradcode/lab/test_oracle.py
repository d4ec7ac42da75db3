from __future__ import annotations

import pytest

from common.delays import Delays
from common.experiment import Experiment
from common.spec import make_code
from gradcode.lab.learning import simulate
from gradcode.lab.network import Network
from gradcode.lab.oracle import Oracle

SLOW = Delays("constant", seconds=0.1, factors=((0, 5.0),))


def test_uncoded_waits_for_the_slowest_and_one_round_trip():
    assert Oracle(make_code("uncoded(n)", 4), SLOW, latency_seconds=0.01).seconds(3, ()) == pytest.approx(
        0.52
    )


def test_the_dead_compute_nothing_and_their_chunks_go_to_others():
    code = make_code("fractional_repetition(n, 1)", 4)
    oracle = Oracle(code, SLOW)
    (partner,) = set(code.assignment.holders[code.assignment.orders[0][0]]) - {0}
    assert oracle.seconds(0, ()) == pytest.approx(0.2)
    assert oracle.seconds(0, lost=(partner,)) == pytest.approx(1.0)
    assert oracle.seconds(0, lost=(0, 1, 2, 3)) is None


def test_several_parts_of_a_code_on_request_need_several_copies():
    codes = [make_code(f"partial_stragglers(n, 2, 2, n_parts={n_parts})", 4) for n_parts in (1, 2)]
    once, twice = (Oracle(code, Delays("constant", seconds=0.1)) for code in codes)
    assert once.seconds(0, ()) == pytest.approx(0.2)
    assert twice.seconds(0, ()) == pytest.approx(0.4)


def test_no_delay_leaves_the_round_trip():
    assert Oracle(make_code("uncoded(n)", 4), Delays(), latency_seconds=0.01).seconds(0, ()) == 0.02


def test_a_large_run_is_sampled():
    large = Oracle(make_code("uncoded(n)", 1001), SLOW)
    assert [number for number in range(21) if large.sampled(number)] == [0, 10, 20]
    assert Oracle(make_code("uncoded(n)", 1000), SLOW).sampled(7)


@pytest.mark.parametrize("code", ["uncoded(n)", "cyclic_repetition(n, 2)", "partial_stragglers(n, 3, 4)"])
def test_nobody_is_faster_than_the_oracle(code):
    """With constant delays the bound is strict for every round that recovers all chunks."""
    delays = {"distribution": "constant", "seconds": 0.02, "factors": {2: 5.0}}
    experiment = Experiment(code=code, rounds=10, deadline={"rule": "none"}, delays=delays)
    network = Network(latency_seconds=0.001)
    simulator = simulate(experiment, learning=False, network=network)
    records = simulator.play()
    oracle = Oracle(simulator.training.code, simulator.delays, network.latency_seconds)
    for record in records:
        assert record.outcome == "exact"
        assert record.seconds >= oracle.seconds(record.round, record.lost)
