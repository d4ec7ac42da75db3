"""Workers that are killed, frozen, late or leaving: the run goes on, and history says what happened."""

from __future__ import annotations

import signal
import socket
import time

import pytest

pytestmark = pytest.mark.xdist_group("processes")

CODE = "code=partial_stragglers(n, 3, 2)"
LONG = (
    "data.source=synthetic(rows=120, features=4)",
    "rounds=100000",
    "evaluate_every=0",
    "delays.distribution=constant",
    "delays.seconds=0.01",
)


def events(cluster):
    return [(record.round, text) for record in cluster.history() for text in record.events]


def said(cluster, text):
    return [number for number, each in events(cluster) if text in each]


def stop(cluster):
    """End the run in order; nothing may have failed."""
    cluster.master.send_signal(signal.SIGTERM)
    assert cluster.wait() == 130, cluster.log("master")
    assert cluster.summary()["exit_code"] == 130
    assert {record.outcome for record in cluster.history()} == {"exact"}


def test_a_worker_killed_in_mid_round_and_its_restart(cluster):
    cluster.start(4, CODE, *LONG)
    cluster.until_round(5)
    place = cluster.place_of("w1")
    cluster.signal("w1", signal.SIGKILL)
    cluster.until(lambda: said(cluster, "worker w1: "), "the loss to be noticed", 5)
    lost_at = cluster.status().round
    cluster.until_round(lost_at + 5)
    cluster.start_worker("w1")
    cluster.until(lambda: len(said(cluster, "worker w1 took place")) == 2, "the return", 10)
    # Whether its copy of a chunk is used is up to the set cover; that it computes again is not.
    cluster.until(lambda: cluster.places()[place].chunks_finished > 0, "work at the place", 10)
    stop(cluster)
    assert any(place in record.lost for record in cluster.history())


def test_a_worker_dies_comes_back_by_itself_and_takes_its_place_again(cluster):
    death = 'delays.interruptions=[{ place = 1, kind = "death", at_seconds = 0.3, for_seconds = 0.3 }]'
    # Waiting rounds: on a busy machine one that the death befalls may miss its deadline.
    cluster.start(3, "code=fractional_repetition(n, 2)", *LONG, death, "on_shortfall=wait")
    cluster.until(lambda: len(said(cluster, "took place 1")) == 2, "the return", 10)
    first, again = (text for _, text in events(cluster) if "took place 1" in text)
    assert first == again
    name = first.split()[1]
    assert [text for _, text in events(cluster) if text.startswith(f"worker {name}: ")]
    cluster.until(lambda: cluster.places()[1].chunks_finished > 0, "work at the place", 10)
    stop(cluster)
    # The process that came back has the number of the one that died, so whoever waits for it still does.
    assert cluster.workers[name].wait(8) == 0
    assert cluster.log(name).count("linked to run") == 2
    assert any(1 in record.lost for record in cluster.history())


def test_a_dead_worker_can_be_told_to_leave(cluster):
    death = 'delays.interruptions=[{ place = 0, kind = "death", at_seconds = 0.1, for_seconds = 60.0 }]'
    cluster.start(2, "code=fractional_repetition(n, 1)", *LONG, death)
    cluster.until(lambda: said(cluster, "place 0"), "somebody at the place", 10)
    name = next(text.split()[1] for _, text in events(cluster) if "took place 0" in text)
    cluster.until(lambda: any(0 in record.lost for record in cluster.history()), "the death", 10)
    assert cluster.workers[name].poll() is None
    cluster.signal(name, signal.SIGTERM)
    assert cluster.workers[name].wait(2) == 0
    stop(cluster)


def test_a_frozen_worker_is_noticed_within_4_seconds_and_returns(cluster):
    cluster.start(4, CODE, *LONG)
    cluster.until_round(5)
    cluster.signal("w2", signal.SIGSTOP)
    frozen = time.monotonic()
    cluster.until(lambda: said(cluster, "worker w2: "), "the frozen link to be noticed", 10)
    assert time.monotonic() - frozen < 4.0
    cluster.signal("w2", signal.SIGCONT)
    cluster.until(lambda: len(said(cluster, "worker w2 took place")) == 2, "the return", 10)
    stop(cluster)


def test_a_late_worker_joins_the_running_rounds(cluster):
    cluster.start_master("workers=4", CODE, *LONG, "membership.join_timeout_seconds=3")
    for number in range(3):
        cluster.start_worker(f"w{number}")
    cluster.until_round(3)
    cluster.start_worker("late")
    cluster.until(lambda: said(cluster, "worker late took place 3"), "the late worker", 10)
    cluster.until(lambda: cluster.history()[-1].lost == (), "a round with everybody", 10)
    stop(cluster)
    assert said(cluster, "beginning without 1 workers") == [0]


def test_a_worker_that_is_told_to_leave_drains(cluster):
    cluster.start(4, CODE, *LONG)
    cluster.until_round(5)
    cluster.signal("w3", signal.SIGTERM)
    assert cluster.workers["w3"].wait(8) == 0
    cluster.until(lambda: said(cluster, "worker w3: it has drained"), "the drain in history", 5)
    before = cluster.status().round
    cluster.until_round(before + 5)
    stop(cluster)


def test_a_spare_takes_the_place_of_a_lost_worker(cluster):
    cluster.start(4, CODE, *LONG)
    cluster.until_round(3)
    cluster.start_worker("spare")
    cluster.until(lambda: cluster.status().n_spares == 1, "the spare", 10)
    place = cluster.place_of("w0")
    cluster.signal("w0", signal.SIGKILL)
    cluster.until(lambda: said(cluster, f"worker spare took place {place}"), "the spare to sit down", 10)
    stop(cluster)


def test_when_nobody_is_left_the_run_waits_says_so_and_ends_whole(cluster):
    cluster.start(2, "code=fractional_repetition(n, 1)", *LONG, "membership.lost_seconds=1.5")
    cluster.until_round(3)
    for name in cluster.workers:
        cluster.signal(name, signal.SIGKILL)
    killed = time.monotonic()
    assert cluster.wait(20) == 3
    assert time.monotonic() - killed > 1.5
    assert "no worker is left: waiting up to 1.5 s" in cluster.log("master")
    assert cluster.summary()["reason"].startswith("no worker is left")
    assert (cluster.folder / "parameters.npz").exists()


@pytest.mark.parametrize(
    ("policy", "exit_code", "outcome", "reason"),
    [
        ("approximate", 0, "approximate", "all 20 rounds are done"),
        ("skip", 3, "failed", "10 rounds in a row had no step"),
        ("fail", 3, "failed", "on_shortfall = fail"),
        ("wait", 3, "exact", "nobody came back in 1 s"),
    ],
)
def test_on_shortfall_when_too_many_workers_are_gone(cluster, policy, exit_code, outcome, reason):
    cluster.start(
        3, "code=uncoded(n)", *LONG, "rounds=20", f"on_shortfall={policy}", "membership.lost_seconds=1",
        "delays.seconds=0.05", "deadline.rule=fixed", "deadline.seconds=0.4",
    )  # fmt: skip
    cluster.until_round(3)
    cluster.signal("w0", signal.SIGKILL)
    assert cluster.wait(30) == exit_code, cluster.log("master")
    assert reason in cluster.summary()["reason"]
    assert cluster.history()[-1].outcome == outcome


def test_workers_may_start_before_the_master(cluster):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("w0", "w1"):
        cluster.start_worker(name, f"127.0.0.1:{port}")
    time.sleep(1.0)
    cluster.start_master("workers=2", "code=uncoded(n)", *LONG, "rounds=3", listen=f"127.0.0.1:{port}")
    assert cluster.wait(30) == 0
    for name, worker in cluster.workers.items():
        assert worker.wait(10) == 0
        assert "UNAVAILABLE" in cluster.log(name) or "127.0.0.1" in cluster.log(name)


def test_divergence_stops_the_run_and_names_who_saw_it(cluster):
    cluster.start(
        2, "code=uncoded(n)", "data.source=diabetes", "rounds=1000", "optimizer.learning_rate=1e12",
        "wire_dtype=float64", "evaluate_every=0",
    )  # fmt: skip
    assert cluster.wait(30) == 3
    summary = cluster.summary()
    assert summary["reason"].endswith("the run diverged"), summary["reason"]
    assert "worker w" in summary["reason"]
    assert "chunk" in summary["reason"]
    assert (cluster.folder / "parameters.npz").exists()
    assert len(cluster.history()) < 1000
