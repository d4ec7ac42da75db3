from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from common.delays import Delays, Interruption
from common.errors import InvalidSpec
from common.experiment import Experiment
from common.spec import make_code
from gradcode.lab.learning import simulate
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from master import commands as cmd
from master import events as ev
from master.build import build_dataset, build_model
from master.settings import RunSettings

EXACT = {
    "uncoded": "uncoded(n)",
    "ignore_stragglers": "ignore_stragglers(n, 0)",
    "fractional_repetition": "fractional_repetition(n, 1)",
    "cyclic_repetition": "cyclic_repetition(n, 3)",
    "partial_stragglers": "partial_stragglers(n, 3, 4)",
}
SLOW = {
    "distribution": "shifted_exponential",
    "seconds": 0.01,
    "mean_seconds": 0.02,
    "factors": {2: 5.0, 5: 9.0},
}


def timing(code: str, n: int = 4, delays: Delays | None = None, **more: Any) -> Simulator:
    known = {"rounds": 3, "n_rows": 100, "learning": False}
    run = RunSettings(make_code=lambda n: make_code(code, n), n_workers=n, **{**known, **more})
    return Simulator(run, delays or Delays("constant", seconds=0.1), n)


def full_batch(experiment: Experiment) -> np.ndarray:
    """Plain gradient descent in one process."""
    data = build_dataset(experiment)
    model = build_model(experiment, data)
    point = model.initial()
    for _ in range(experiment.rounds):
        gradient = model.loss_and_gradient(point, data.X_train, data.y_train)[1] / data.n_rows
        l2 = experiment.model.l2 * np.where(model.regularised(), point, 0.0)
        point = point - experiment.optimizer.learning_rate * (gradient + l2)
    return point


# ---- learning ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wire_dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-5)])
@pytest.mark.parametrize("name", EXACT)
def test_50_rounds_without_deadline_equal_full_batch_gradient_descent(name, wire_dtype, tolerance):
    experiment = Experiment(
        code=EXACT[name],
        rounds=50,
        wire_dtype=wire_dtype,
        deadline={"rule": "none"},
        data={"source": "synthetic(rows=250, features=12)"},
        delays=SLOW,
    )
    sim = simulate(experiment)
    records = sim.play()
    assert sim.finished == cmd.Finish("all 50 rounds are done", 0)
    assert {record.outcome for record in records} == {"exact"}
    assert any(record.stragglers for record in records)
    expected = full_batch(experiment)
    assert sim.learning is not None
    found = sim.learning.arithmetic.optimizer.parameters
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


def test_softmax_on_digits_learns_while_workers_die_and_freeze():
    interruptions = [
        {"place": 5, "kind": "death", "at_seconds": 0.3},
        {"place": 7, "kind": "freeze", "at_seconds": 0.4, "for_seconds": 0.5},
    ]
    delays = {
        "distribution": "constant",
        "seconds": 0.02,
        "factors": {2: 5.0},
        "interruptions": interruptions,
    }
    sim = simulate(Experiment(rounds=20, evaluate_every=10, delays=delays))
    records = sim.play()
    # Two go in the same round, one of them with chunks that it had finished: that round may fall short.
    short = [record for record in records if record.outcome != "exact"]
    assert len(short) <= 1
    assert all(record.stepped and record.recovered_fraction > 0.8 for record in short)
    assert records[-1].loss < records[0].loss
    assert [record.round for record in records if record.score is not None] == [9, 19]
    assert records[-1].score > 0.8
    assert any("the process died" in event for record in records for event in record.events)
    assert {5, 2} <= set(records[-1].stragglers)


def test_the_first_loss_is_that_of_all_rows():
    experiment = Experiment(rounds=1, deadline={"rule": "none"}, data={"source": "breast_cancer"})
    (record,) = simulate(experiment).play()
    assert record.loss == pytest.approx(np.log(2.0))
    assert record.loss_share == 1.0


def test_target_loss_and_gradient_tolerance_stop_a_run():
    reached = simulate(Experiment(stop={"target_loss": 0.5}))
    reached.play()
    assert "reached the target 0.5" in reached.finished.reason
    flat = simulate(Experiment(stop={"gradient_tolerance": 0.3}))
    flat.play()
    assert "is within the tolerance 0.3" in flat.finished.reason
    assert flat.finished.exit_code == 0


def test_divergence_stops_a_run_with_exit_code_3():
    wild = Experiment(
        rounds=500, optimizer={"learning_rate": 1e6}, data={"source": "diabetes"}, model={"l2": 0.0}
    )
    sim = simulate(wild)
    sim.play()
    assert sim.finished.exit_code == 3
    assert sim.finished.reason.endswith("the run diverged")


def test_joined_workers_need_a_number():
    with pytest.raises(InvalidSpec, match="n_workers"):
        simulate(Experiment(workers="joined"))
    sim = simulate(Experiment(workers="joined", rounds=3), n_workers=5)
    sim.play()
    assert sim.training.code.n_workers == 5


# ---- timing -----------------------------------------------------------------------------------------------


def test_timing_mode_has_the_times_of_learning_mode():
    experiment = Experiment(rounds=10, evaluate_every=0, delays=SLOW)
    learnt = simulate(experiment).play()
    timed = simulate(experiment, learning=False).play()
    assert [record.seconds for record in timed] == [record.seconds for record in learnt]
    assert [record.contributors for record in timed] == [record.contributors for record in learnt]


def test_an_uncoded_round_takes_a_chunk_and_two_ways():
    network = Network(latency_seconds=0.001, bytes_per_second=1e6)
    run = RunSettings(
        make_code=lambda n: make_code("uncoded(n)", n),
        n_workers=4,
        rounds=1,
        n_rows=100,
        n_parameters=1000,
        item_bytes=4,
        learning=False,
    )
    (record,) = Simulator(run, Delays("constant", seconds=0.1), 4, network).play()
    assert record.seconds == pytest.approx(0.1 + 2 * (0.001 + 0.004))


def test_the_uncoded_wait_is_what_an_uncoded_run_takes():
    delays = Delays("constant", seconds=0.02, factors=((2, 5.0),))
    coded = timing("fractional_repetition(n, 1)", 8, delays, rounds=30).play()
    uncoded = timing("uncoded(n)", 8, delays, rounds=30).play()
    # In the first round the slow place has reported nothing yet.
    assert [record.uncoded_seconds for record in coded[5:]] == pytest.approx([0.1] * 25)
    assert [record.seconds for record in uncoded[5:]] == pytest.approx([0.1] * 25, abs=0.01)


def test_a_death_is_noticed_and_a_short_freeze_only_delays():
    dead = timing(
        "uncoded(n)",
        delays=Delays(interruptions=(Interruption(1, "death", 0.05),), seconds=0.1, distribution="constant"),
    )
    dead.play()
    assert [note.text for _, note in dead.notes if note.kind == "lost"] == ["worker w1: the process died"]
    frozen = Delays("constant", seconds=0.1, interruptions=(Interruption(1, "freeze", 0.05, 1.0),))
    sim = timing("uncoded(n)", delays=frozen)
    records = sim.play()
    assert [note for _, note in sim.notes if note.kind == "lost"] == []
    assert records[0].seconds == pytest.approx(1.1, abs=0.01)


def test_a_long_freeze_loses_the_link_and_the_worker_dials_again():
    frozen = Delays("constant", seconds=0.1, interruptions=(Interruption(1, "freeze", 0.05, 6.0),))
    sim = timing("fractional_repetition(n, 1)", delays=frozen, rounds=100)
    records = sim.play()
    told = [(round(seconds, 1), note.kind) for seconds, note in sim.notes if note.place == 1][1:]
    assert told == [(2.1, "lost"), (6.1, "joined")]
    assert {record.outcome for record in records} == {"exact"}
    assert 1 in records[20].lost
    assert 1 not in records[-1].lost


def told_of(sim: Simulator, place: int) -> list[tuple[float, str]]:
    """What was noted of a place after it was taken first, and when."""
    return [(round(seconds, 1), note.kind) for seconds, note in sim.notes if note.place == place][1:]


def test_who_comes_back_from_a_death_gets_the_former_place_and_does_not_die_again():
    death = Interruption(1, "death", 1.05, 2.0)
    delays = Delays("constant", seconds=0.1, interruptions=(death, Interruption(1, "freeze", 2.0, 1.0)))
    sim = timing("fractional_repetition(n, 1)", delays=delays, rounds=100)
    records = sim.play()
    assert told_of(sim, 1) == [(1.1, "lost"), (3.1, "joined")]
    assert [worker.name for worker in sim.workers.values()] == ["w0", "w1", "w2", "w3", "w1"]
    assert {record.outcome for record in records} == {"exact"}
    # A round of two chunks takes 0.2 s, and nobody waits for the dead or, later, for a frozen worker.
    assert [record.round for record in records if 1 in record.lost] == list(range(5, 15))
    assert all(record.seconds < 0.25 for record in records)


def test_every_death_of_a_place_befalls_who_is_there_then():
    deaths = tuple(Interruption(1, "death", at, 1.0) for at in (0.45, 2.05, 4.05))
    sim = timing(
        "fractional_repetition(n, 1)", delays=Delays("constant", 0.1, interruptions=deaths), rounds=60
    )
    sim.play()
    times = [0.5, 1.5, 2.1, 3.1, 4.1, 5.1]
    assert [kind for _, kind in told_of(sim, 1)] == ["lost", "joined"] * 3
    assert [seconds for seconds, _ in told_of(sim, 1)] == pytest.approx(times, abs=0.11)


def test_a_spare_that_takes_a_dead_place_is_spared_the_death():
    """As a real worker, it takes its life to begin with its first round."""
    delays = Delays("constant", seconds=0.1, interruptions=(Interruption(1, "death", 0.45, 1.0),))
    sim = timing("fractional_repetition(n, 1)", delays=delays, rounds=40)
    sim.at(0.2, partial(sim.join, "spare"))
    sim.play()
    assert told_of(sim, 1) == [(0.5, "lost"), (0.5, "joined")]
    assert [worker.place for worker in sim.living()] == [0, 2, 3, 1, None]


@pytest.mark.parametrize(("returns", "kinds"), [(0.0, ["lost"]), (1.0, ["lost", "joined"])])
def test_who_dies_in_a_freeze_that_cost_the_link_does_not_wake_up(returns, kinds):
    listed = (Interruption(1, "freeze", 0.45, 9.0), Interruption(1, "death", 4.0, returns))
    delays = Delays("constant", seconds=0.1, interruptions=listed)
    sim = timing("fractional_repetition(n, 1)", delays=delays, rounds=100)
    sim.play()
    assert [kind for _, kind in told_of(sim, 1)] == kinds
    assert [seconds for seconds, _ in told_of(sim, 1)] == pytest.approx([2.5, 5.0][: len(kinds)], abs=0.11)


def test_bursts_and_lasting_speeds_show_in_the_rounds():
    delays = Delays("constant", seconds=0.1, burst_share=0.3, burst_rounds=5.0, burst_factor=4.0)
    bursty = timing("uncoded(n)", 4, delays, rounds=40).play()
    for record in bursty:
        slow = any(delays.in_burst(place, record.round) for place in range(4))
        assert record.seconds == pytest.approx(0.4 if slow else 0.1, abs=0.01)
    lasting = Delays("weibull", mean_seconds=0.1, shape=0.7, varies="run")
    slowest = max(lasting.chunk_seconds(place, 0, 0) for place in range(4))
    for record in timing("uncoded(n)", 4, lasting, rounds=10).play():
        assert record.seconds == pytest.approx(slowest, abs=0.01)


def test_a_wrong_frame_ends_the_link_of_its_worker():
    sim = timing("uncoded(n)", rounds=5)
    wrong = ev.ChunkFinished(0, ev.Stamp(0, 0, 1), 3, 0.1, 0.0, 1, True)
    sim.at(0.05, partial(sim.feed, wrong))
    records = sim.play()
    assert [close.kind for close in sim.violations] == ["foreign_chunk"]
    assert not sim.workers[0].alive
    assert {record.lost for record in records} == {(0,)}


def test_who_is_told_to_go_first_computes_a_chunk_once():
    """After deaths chunks are computed again, in another order; none is computed twice by one worker."""
    deaths = tuple(Interruption(place, "death", 0.3 + place / 100) for place in (3, 4))
    delays = Delays("shifted_exponential", seconds=0.02, mean_seconds=0.02, interruptions=deaths)
    orders: list[cmd.NextChunk] = []
    sim = timing("partial_stragglers(n, 3, 4)", 8, delays, rounds=10)
    sim.watch = lambda item: orders.append(item) if isinstance(item, cmd.NextChunk) else None
    sim.play()
    assert orders
    assert sim.training.chronicle.totals.duplicate_frames == 0


def test_ten_thousand_workers():
    sim = timing("fractional_repetition(n, 3)", 10_000, rounds=1)
    (record,) = sim.play()
    assert record.outcome == "exact"
