"""When there is another plan, and for how many; played through the simulator where it takes a run."""

from __future__ import annotations

from typing import Any

import pytest

from common.delays import Delays, Interruption
from common.errors import InvalidSpec
from common.spec import make_code
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from master import events as ev
from master.membership import Membership
from master.replanning import Change, Replanning
from master.settings import RunSettings

STEADY = Delays("constant", seconds=0.02)


def settings(code: str = "scheduled(n, 2, 2)", n: int | None = 8, **more: Any) -> RunSettings:
    known = {"rounds": 50, "n_rows": 100, "learning": False, "on_empty": "replan", "empty_seconds": 0.3}
    return RunSettings(make_code=lambda n: make_code(code, n), n_workers=n, **{**known, **more})


def simulator(
    code: str = "scheduled(n, 2, 2)", n: int = 8, coming: int | None = None, **more: Any
) -> Simulator:
    delays, network = more.pop("delays", STEADY), more.pop("network", Network())
    return Simulator(settings(code, n, **more), delays, coming or n, network)


def epochs(sim: Simulator) -> list[tuple[int, int]]:
    """(epoch, places that had a link or not) of rounds, once each."""
    seen: dict[tuple[int, int], None] = {}
    for record in sim.records:
        seen[record.epoch, 0] = None
    return list(seen)


def said(sim: Simulator, kind: str) -> list[str]:
    return [note.text for _, note in sim.notes if note.kind == kind]


def named(sim: Simulator, name: str):
    return next(worker for worker in sim.workers.values() if worker.name == name and worker.alive)


# ---- a place stays empty ----------------------------------------------------------------------------------


def test_a_place_that_stays_empty_ends_the_plan_and_the_workers_that_are_left_share_all_chunks():
    sim = simulator()
    sim.at(0.2, lambda: sim.cut(named(sim, "w3")))
    sim.play()
    assert said(sim, "replanned") == ["a new plan for 7 workers instead of 8: nobody came back to place 3"]
    at = next(seconds for seconds, note in sim.notes if note.kind == "replanned")
    assert 0.5 <= at < 0.5 + 0.2
    assert [record.epoch for record in sim.records] == sorted(record.epoch for record in sim.records)
    assert [record.round for record in sim.records] == list(range(50))
    assert {record.outcome for record in sim.records} == {"exact"}
    assert any(record.lost == (3,) for record in sim.records)
    assert all(record.lost == () for record in sim.records if record.epoch == 1)
    assert sim.training.plans.replanning.counts == {"lost": 1, "grown": 0, "scaled": 0}


def test_who_comes_back_in_time_finds_the_plan_as_it_was():
    sim = simulator()
    sim.at(0.2, lambda: sim.cut(named(sim, "w3")))
    sim.at(0.4, lambda: sim.join("w3"))
    sim.play()
    assert sim.training.epoch == 0


def test_by_the_policy_wait_a_place_stays_empty():
    sim = simulator(on_empty="wait")
    sim.at(0.2, lambda: sim.cut(named(sim, "w3")))
    sim.play()
    assert sim.training.epoch == 0
    assert sim.records[-1].lost == (3,)


def test_when_the_worker_comes_back_the_plan_grows_again_to_what_was_wanted():
    sim = simulator(rounds=100)
    sim.at(0.2, lambda: sim.cut(named(sim, "w3")))
    sim.at(1.0, lambda: sim.join("w3"))
    sim.play()
    assert said(sim, "replanned")[1:] == ["a new plan for 8 workers instead of 7: 8 workers are there"]
    assert {record.outcome for record in sim.records} == {"exact"}
    grown_at = [seconds for seconds, note in sim.notes if note.kind == "replanned"][1]
    assert 1.3 <= grown_at < 1.3 + 0.2


def test_a_worker_that_comes_and_goes_starves_nobody_and_is_not_planned_for():
    sim = simulator(rounds=150)
    for name in ("w3", "w4"):
        sim.at(0.2, lambda name=name: sim.cut(named(sim, name)))
    sim.at(1.0, lambda: sim.join("w3"))
    for k in range(12):
        sim.at(1.0 + 0.2 * k, lambda: sim.join("flapping"))
        sim.at(1.1 + 0.2 * k, lambda: sim.cut(named(sim, "flapping")))
    sim.play(until=2.0)
    assert sim.training.code.n_workers >= 7


def test_places_for_which_there_is_no_plan_are_passed_over():
    sim = simulator("fractional_repetition(n, 1)", rounds=100)
    sim.at(0.2, lambda: sim.cut(named(sim, "w3")))
    sim.play()
    assert said(sim, "replanned") == ["a new plan for 6 workers instead of 8: nobody came back to place 3"]
    assert len(list(sim.training.members.spares())) == 1
    assert {record.outcome for record in sim.records} == {"exact"}


def test_without_any_plan_for_fewer_it_says_so_once_and_goes_on():
    sim = simulator("cyclic_repetition(8, 2)", rounds=100)
    sim.at(0.2, lambda: sim.cut(named(sim, "w3")))
    sim.play()
    (told,) = said(sim, "replan")
    assert told.startswith("no other plan for 7 workers: code: n_workers must equal workers (7)")
    assert (sim.training.epoch, sim.finished.exit_code) == (0, 0)


def test_a_round_that_can_not_go_on_is_played_again_under_the_next_plan():
    sim = simulator("uncoded(n)", on_shortfall="wait", rounds=20)
    sim.at(0.05, lambda: sim.cut(named(sim, "w3")))
    sim.play()
    (told,) = said(sim, "again")
    number = int(told.split()[1])
    assert [record.round for record in sim.records] == list(range(20))
    assert (sim.records[number].epoch, sim.records[number].outcome) == (1, "exact")
    assert told in sim.records[number].events
    assert sim.finished.exit_code == 0


def test_all_links_lost_while_rows_are_loaded_for_the_next_plan():
    """Patience decides, as in a round."""
    sim = simulator(lost_seconds=1.0, network=Network(ready_seconds=0.5), rounds=100)
    sim.at(0.8, lambda: sim.feed(ev.ScaleRequested(7)))

    def cut_all() -> None:
        for worker in list(sim.living()):
            sim.cut(worker)

    sim.at(1.1, cut_all)
    sim.play()
    assert sim.finished.exit_code == 3
    assert sim.finished.reason == "no worker is left, and nobody came back in 1 s"
    assert said(sim, "replanned")


def test_workers_that_return_while_rows_are_loaded_take_places_of_the_next_plan():
    sim = simulator(network=Network(ready_seconds=0.5), rounds=60)
    sim.at(0.8, lambda: sim.feed(ev.ScaleRequested(7)))
    sim.at(1.0, lambda: sim.cut(named(sim, "w1")))
    sim.at(1.1, lambda: sim.join("w1"))
    sim.play()
    assert (sim.training.code.n_workers, sim.finished.exit_code) == (7, 0)
    assert len(sim.records) == 60


# ---- an operator scales -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["wait", "replan"])
def test_an_operator_scales_down_and_up_again(policy):
    sim = simulator(on_empty=policy, rounds=60)
    sim.at(0.3, lambda: sim.feed(ev.ScaleRequested(5)))
    sim.at(0.9, lambda: sim.feed(ev.ScaleRequested(8)))
    sim.play()
    assert [text.split(":")[0] for text in said(sim, "replanned")] == [
        "a new plan for 5 workers instead of 8",
        "a new plan for 8 workers instead of 5",
    ]
    assert {record.outcome for record in sim.records} == {"exact"}
    assert [record.round for record in sim.records] == list(range(60))
    assert sim.training.plans.replanning.counts["scaled"] == 2


def test_scaling_up_waits_for_the_workers_and_does_not_hold_up_rounds():
    sim = simulator(on_empty="wait", rounds=60)
    sim.at(0.3, lambda: sim.feed(ev.ScaleRequested(10)))
    sim.at(0.6, lambda: sim.join("w8"))
    sim.at(0.9, lambda: sim.join("w9"))
    sim.play()
    at = next(seconds for seconds, note in sim.notes if note.kind == "replanned")
    assert 0.9 <= at < 1.1
    assert sim.training.code.n_workers == 10
    slowest = max(record.seconds for record in sim.records)
    assert slowest < 0.2


def test_scaling_to_what_there_is_changes_nothing():
    sim = simulator()
    sim.at(0.3, lambda: sim.feed(ev.ScaleRequested(8)))
    sim.play()
    assert (sim.training.epoch, sim.training.plans.replanning.wanted) == (0, 8)


@pytest.mark.parametrize("n", [0, -1, 101, 10**12])
def test_scaling_to_what_cannot_be_is_refused_in_words(n):
    sim = simulator()
    sim.at(0.3, lambda: sim.feed(ev.ScaleRequested(n)))
    sim.play()
    (told,) = said(sim, "scale")
    assert told == (
        f"an operator wants {n} workers, but workers: must be from 1 to the training rows (100), got {n}"
    )
    assert (sim.training.epoch, sim.training.plans.replanning.wanted) == (0, 8)


def test_scaling_before_the_first_round_lets_fewer_begin():
    sim = simulator("uncoded(n)", coming=5)
    sim.at(0.3, lambda: sim.feed(ev.ScaleRequested(5)))
    sim.play()
    assert (sim.finished.exit_code, sim.training.code.n_workers) == (0, 5)
    assert sim.records[0].epoch == 1


def test_scaling_in_the_lobby_says_how_many_take_part():
    sim = Simulator(settings(n=None, join_seconds=1.0), STEADY, 8)
    sim.at(0.3, lambda: sim.feed(ev.ScaleRequested(5)))
    sim.play()
    assert (sim.training.epoch, sim.training.code.n_workers, sim.finished.exit_code) == (0, 5, 0)


def test_many_plans_in_a_row():
    sim = simulator("cyclic_repetition(n, 1)", rounds=200, coming=12)
    for k in range(40):
        sim.at(0.2 + 0.05 * k, lambda k=k: sim.feed(ev.ScaleRequested(3 + 5 * k % 9)))
    sim.play()
    assert sim.training.epoch > 15
    assert [record.round for record in sim.records] == list(range(200))
    assert {record.outcome for record in sim.records} == {"exact"}


# ---- leaving ----------------------------------------------------------------------------------------------


def test_a_worker_that_drains_and_was_needed_is_planned_without_at_once():
    sim = simulator("uncoded(n)", empty_seconds=100.0, lost_seconds=200.0)
    sim.at(0.31, lambda: sim.drain(named(sim, "w3")))
    sim.play()
    assert {record.outcome for record in sim.records} == {"exact"}
    assert said(sim, "replanned") == ["a new plan for 7 workers instead of 8: nobody came back to place 3"]


def test_a_worker_that_drains_and_can_be_spared_is_waited_for():
    sim = simulator(empty_seconds=100.0, lost_seconds=200.0)
    sim.at(0.31, lambda: sim.drain(named(sim, "w3")))
    sim.play()
    assert {record.outcome for record in sim.records} == {"exact"}
    assert sim.training.epoch == 0


# ---- what is known of workers -----------------------------------------------------------------------------


def test_speeds_go_with_their_workers_and_fit_the_new_chunks():
    slow = Delays("constant", seconds=0.02, factors=((6, 3.0),))
    sim = simulator(delays=slow, rounds=30)
    sim.at(0.5, lambda: sim.feed(ev.ScaleRequested(4)))
    known: dict[str, dict[str, float]] = {}

    def look(when: str) -> None:
        paces, members = sim.training.experience.paces.seconds, sim.training.members
        known[when] = {members.name_at(place): seconds for place, seconds in paces.items()}

    sim.watch = lambda item: look("before") if isinstance(item, ev.ScaleRequested) else None
    sim.play(until=0.5)
    look("before")
    while sim.training.epoch == 0:
        sim.play(most_events=1)
    look("after")
    assert known["after"]
    for name, seconds in known["after"].items():
        assert seconds == pytest.approx(2.0 * known["before"][name], rel=0.3)


def test_replanning_alone_needs_no_clock():
    members, replanning = Membership(2), Replanning(settings("uncoded(n)", n=2))
    code = make_code("uncoded(n)", 2)
    for number in range(2):
        members.join(number, f"w{number}", now=0.0)
    members.leave(1)
    replanning.changed(members, [1], now=5.0)
    assert replanning.wakes_at(members, 5.0) == 5.3
    assert replanning.look(members, code, 5.29) == ""
    found = replanning.look(members, code, 5.3)
    assert isinstance(found, Change)
    assert (found.code.n_workers, found.reason) == (1, "lost")


def test_a_number_without_a_plan_is_named():
    with pytest.raises(InvalidSpec, match=r"n_workers must equal workers \(7\)"):
        Replanning(settings("uncoded(8)")).check(7)


def test_a_worker_that_dies_and_returns_by_itself_is_welcome_under_any_plan():
    deaths = tuple(Interruption(place, "death", 0.2 + 0.1 * place, 0.8) for place in range(3))
    sim = simulator(delays=Delays("constant", seconds=0.02, interruptions=deaths), rounds=200)
    sim.play()
    assert (sim.training.code.n_workers, sim.finished.exit_code) == (8, 0)
    assert {record.outcome for record in sim.records[-50:]} == {"exact"}
