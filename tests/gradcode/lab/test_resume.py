"""A simulated master that is killed at any instant: from its newest checkpoint the run comes to the same."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from common.delays import Delays
from common.spec import make_code
from gradcode.lab.learning import LocalLearning
from gradcode.lab.network import Network
from gradcode.lab.playing import L2, RATE, known_code, world
from gradcode.lab.simulator import Simulator
from master import events as ev
from master.arithmetic import Arithmetic
from master.deadlines import NoDeadline
from master.optimizers import ConstantRate, make_optimizer
from master.settings import RunSettings
from master.snapshot import Origin, Snapshot

CODES = (
    "fractional_repetition(n, 1)",
    "partial_stragglers(n, 2, 2)",
    "scheduled(n, 2, 3)",
    "cyclic_repetition(n, 2)",
)
N = 4
ROUNDS = 12
NETWORK = Network(latency_seconds=0.0005, arithmetic_seconds=0.001)


def learner() -> LocalLearning:
    model, data = world()
    optimizer = make_optimizer("nesterov", model.initial(), ConstantRate(RATE))
    arithmetic = Arithmetic(
        optimizer, data.n_rows, L2, model.regularised(), lambda parameters: 0.5, wire_dtype="float64"
    )
    return LocalLearning(arithmetic, model, data, wire_dtype="float64")


def settings(code: str, **more) -> RunSettings:
    model, data = world()
    made = known_code(code, N)
    return RunSettings(
        make_code=lambda n_workers: made,
        n_workers=N,
        rounds=ROUNDS,
        n_rows=data.n_rows,
        n_parameters=model.n_parameters,
        item_bytes=8,
        deadline=NoDeadline(),
        evaluate_every=3,
        **{"checkpoint_seconds": 0.05, **more},
    )


DELAYS = Delays("shifted_exponential", seconds=0.002, mean_seconds=0.01, factors=((1, 5.0),), seed=3)


def timed(code: str, **more) -> RunSettings:
    return replace(settings(code, **more), learning=False)


def through_json(snapshot: Snapshot) -> Snapshot:
    return Snapshot.from_plain(json.loads(json.dumps(snapshot.to_plain())))


@pytest.mark.parametrize("code", CODES)
def test_a_master_killed_at_any_instant_comes_to_the_same(code):
    whole = Simulator(settings(code), DELAYS, N, NETWORK, learner())
    whole.play()
    assert whole.finished is not None
    assert whole.finished.exit_code == 0
    expected = whole.learning.arithmetic.optimizer.parameters
    rng = random.Random(code)
    n_kills = 0
    for _ in range(12):
        history, kept, starts = [], None, 0
        while True:
            learning = learner()
            if kept is not None:
                learning.arithmetic.optimizer.restore(kept[1])
            resumed = None if kept is None else through_json(kept[0])
            sim = Simulator(settings(code), DELAYS, N, NETWORK, learning, origin=Origin(resumed))
            assert sim.training.run_seconds(0.0) == (0.0 if kept is None else kept[0].run_seconds)
            # The first starts are killed, each a while after its beginning.
            sim.play(until=rng.uniform(0.0, 0.6 * whole.now) if starts < 3 else float("inf"))
            n_done = 0 if resumed is None else resumed.round
            history = [*history[:n_done], *sim.records]
            kept = sim.kept or kept
            starts += 1
            if sim.finished is not None:
                break
            n_kills += 1
        assert [record.round for record in history] == list(range(ROUNDS))
        assert {record.outcome for record in history} == {"exact"}
        times = [record.start_seconds for record in history]
        assert times == sorted(times)
        found = learning.arithmetic.optimizer.parameters
        assert np.allclose(found, expected, rtol=1e-9, atol=0.0)
    assert n_kills > 12


def test_what_was_learnt_of_workers_is_known_after_a_restart():
    first = Simulator(timed(CODES[2], checkpoint_seconds=None, checkpoint_rounds=5), DELAYS, N, NETWORK)
    first.play(until=0.4)
    snapshot = through_json(first.kept[0])
    assert snapshot.round % 5 == 0
    again = Simulator(timed(CODES[2]), DELAYS, N, NETWORK, origin=Origin(snapshot))
    again.play(until=0.01)
    paces = again.training.experience.paces
    assert paces.seconds.keys() == set(range(N))
    assert paces.seconds[1] > 2 * paces.seconds[0]
    assert again.play()[0].round == snapshot.round
    assert {again.training.members.name_at(place) for place in range(N)} == {f"w{i}" for i in range(N)}


def test_another_worker_at_a_place_is_not_taken_for_the_one_before():
    first = Simulator(timed(CODES[0]), DELAYS, N, NETWORK)
    first.play(until=0.4)
    snapshot = through_json(first.kept[0])
    again = Simulator(timed(CODES[0]), DELAYS, 0, NETWORK, origin=Origin(snapshot))
    for name in ("w3", "new", "w0", "w1"):
        again.at(0.0, lambda name=name: again.join(name))
    again.play(until=0.002)
    places = {name: link.place for link in again.training.members.links.values() for name in [link.name]}
    former = snapshot.members["former"]
    assert places["w3"] == former["w3"]
    assert places["new"] not in (None, former["w3"])
    assert places["new"] not in again.training.experience.paces.seconds


def test_a_run_goes_on_with_as_many_as_there_were():
    """Somebody who was gone before the master was killed is not waited for."""
    first = Simulator(timed(CODES[0]), DELAYS, N, NETWORK)
    first.at(0.05, lambda: first.cut(first.workers[2]))
    first.play(until=0.4)
    snapshot = through_json(first.kept[0])
    assert snapshot.n_linked == N - 1
    again = Simulator(timed(CODES[0]), DELAYS, N - 1, NETWORK, origin=Origin(snapshot))
    again.play(until=1.0)
    assert again.records
    lonely = Simulator(timed(CODES[0]), DELAYS, N - 2, NETWORK, origin=Origin(snapshot))
    lonely.play(until=1.0)
    assert not lonely.records


@pytest.mark.parametrize(("exit_code", "kept"), [(130, True), (3, True), (0, False)])
def test_a_run_that_may_go_on_leaves_a_last_checkpoint(exit_code, kept):
    sim = Simulator(settings(CODES[0], checkpoint_seconds=1e6), DELAYS, N, NETWORK, learner())
    sim.at(0.3, lambda: sim.feed(ev.StopRequested("enough", exit_code)))
    sim.play()
    assert (sim.kept is not None) is kept
    if kept:
        assert sim.kept[0].round == len(sim.records) > 0


def test_what_an_operator_asked_for_is_kept_with_the_round_in_hand():
    """Rounds that are played again would not ask for it again."""
    run = RunSettings(
        make_code=lambda n_workers: make_code("cyclic_repetition(n, 1)", n_workers),
        n_workers=N,
        rounds=1000,
        n_rows=60,
        learning=False,
        checkpoint_seconds=1e6,
    )
    first = Simulator(run, DELAYS, N, NETWORK)
    first.play(until=0.4)
    assert first.kept is None
    first.feed(ev.ScaleRequested(N - 1))
    asked_in = first.training.round.number
    while first.kept is None:
        first.play(most_events=1)
    snapshot = through_json(first.kept[0])
    assert (snapshot.wanted, snapshot.n_places, snapshot.round) == (N - 1, N, asked_in + 1)
    again = Simulator(run, DELAYS, N, NETWORK, origin=Origin(snapshot))
    again.play(until=0.5)
    assert again.training.members.n_places == N - 1
    first.play(until=first.now + 0.2)
    assert first.kept[0].epoch == 1, "and so is the new plan"
