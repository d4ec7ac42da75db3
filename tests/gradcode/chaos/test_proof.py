"""The proof finds what is wrong, also where it is small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from common.history import record_from_json
from gradcode.chaos.injecting import Injected
from gradcode.chaos.plan import Fault
from gradcode.chaos.play import Wanted, experiment_of
from gradcode.chaos.proof import account, replay
from gradcode.local import run_in_process

N_ROUNDS = 12


@pytest.fixture(scope="module")
def experiment():
    wanted = experiment_of(Wanted(seed=5, seconds=1.0, n_workers=3))
    delays = wanted.delays.model_copy(update={"seconds": 0.002, "mean_seconds": 0.001})
    return wanted.model_copy(update={"rounds": N_ROUNDS, "delays": delays})


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory) -> Path:
    """The folder of a run that nobody disturbed."""
    import asyncio

    folder = tmp_path_factory.mktemp("proof") / "run"
    asyncio.run(run_in_process(experiment, folder, 3))
    return folder


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy of it, to be tampered with."""
    for name in ("history.jsonl", "parameters.npz"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    return tmp_path


def edit(folder: Path, number: int, **changes) -> None:
    lines = (folder / "history.jsonl").read_text().splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | changes)
    record_from_json(lines[number])
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")


def test_an_undisturbed_run_is_proved(experiment, folder):
    proof = replay(experiment, folder)
    assert proof.complaints == []
    assert proof.n_rounds == proof.n_steps == proof.outcomes["exact"] == N_ROUNDS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gradient_norm": lambda old: old * (1 + 1e-5)}, "round 7: gradient norm"),
        ({"loss": lambda old: old + 1e-6}, "round 7: loss"),
        ({"loss_share": lambda old: 0.9}, "round 7 is exact, and its loss covers a share of 0.9"),
        ({"outcome": lambda old: "approximate"}, "round 7 stepped and is approximate"),
        ({"round": lambda old: 9}, "line 7 of history is round 9"),
        ({"stepped": lambda old: False}, "round 8: loss"),
    ],
)
def test_a_record_that_is_wrong_is_found(experiment, folder, changes, said):
    old = json.loads((folder / "history.jsonl").read_text().splitlines()[7])
    edit(folder, 7, **{name: change(old[name]) for name, change in changes.items()})
    assert replay(experiment, folder).complaints[0].startswith(said)


def test_final_parameters_that_are_wrong_are_found(experiment, folder):
    with np.load(folder / "parameters.npz") as archive:
        held = dict(archive)
    held["parameters"] = held["parameters"] * (1 + 1e-6)
    np.savez(folder / "parameters.npz", **held)
    (complaint,) = replay(experiment, folder).complaints
    assert complaint.startswith("the final parameters are ")


# ---- accounting -------------------------------------------------------------------------------------------


def injected(kind: str, rounds: tuple[int, int] = (3, 5), **changes) -> Injected:
    worker = None if kind in ("kill master", "fill disk") else "w1"
    values = {"at_seconds": 10.0, "worker": 1, "for_seconds": 6.0} | changes
    return Injected(Fault(kind, **values), worker, values["at_seconds"], values["at_seconds"] + 1.0, *rounds)


def test_an_event_that_names_the_worker_tells_of_a_fault(folder):
    edit(folder, 4, events=["worker w1: the connection was lost"])
    found = account([injected("kill"), injected("cut", (6, 9))], folder)
    assert found.told == {"kill": 1}
    assert found.missing == ["cut of w1 at 10.0 s, rounds 6 to 9: history does not tell of it"]


def test_another_worker_s_event_does_not(folder):
    edit(folder, 4, events=["worker w11: the connection was lost", "worker w0 took place 1"])
    assert len(account([injected("kill")], folder).missing) == 1


def test_a_straggler_or_lost_place_tells_of_a_fault(folder):
    edit(folder, 0, events=["worker w1 took place 2"], stragglers=[])
    edit(folder, 4, lost=[2], stragglers=[])
    assert account([injected("freeze")], folder).told == {"freeze": 1}


def test_what_need_not_have_consequences_need_not_be_told(folder):
    for number in range(N_ROUNDS):
        edit(folder, number, events=[], stragglers=[], lost=[])
    found = account([injected("delay"), injected("corrupt"), injected("freeze", for_seconds=1.0)], folder)
    assert found.untold == {"delay": 1, "corrupt": 1, "freeze": 1}
    assert found.missing == []


def test_a_killed_master_takes_its_notes_along_and_superseded_rounds_are_read(folder):
    for number in range(N_ROUNDS):
        edit(folder, number, events=[], stragglers=[], lost=[])
    edit(folder, 5, events=["the master was started again: it goes on with round 5"])
    kill = injected("kill master", at_seconds=14.0)
    found = account([injected("kill"), injected("kill", at_seconds=100.0), kill], folder)
    assert found.with_master == {"kill": 1}
    assert found.told == {"kill master": 1}
    assert len(found.missing) == 1
    lines = (folder / "history.jsonl").read_text().splitlines()
    again = json.loads(lines[4]) | {"events": ["worker w1: it said goodbye"]}
    (folder / "superseded.jsonl").write_text(json.dumps(again) + "\n" + lines[5][:40])
    assert account([injected("kill", at_seconds=100.0)], folder).told == {"kill": 1}


def test_a_disk_that_was_full_must_be_told(folder):
    assert len(account([injected("fill disk")], folder).missing) == 1
    edit(folder, 4, events=["the disk is full: records wait in memory until there is room"])
    assert account([injected("fill disk")], folder).told == {"fill disk": 1}
