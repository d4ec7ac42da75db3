"""The failure search finds nothing in the master as it is, and every fault that is put into it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

import gradcode.lab.simulator
import master.arithmetic
import master.intake
from common.codes import CODES
from common.codes.base import Decoding, decode
from gradcode.lab import playing
from gradcode.lab.failure_search import Found, ending, main, play_seed, search
from gradcode.lab.invariants import BrokenInvariant
from gradcode.lab.lies import LIES
from gradcode.lab.playing import play, play_twice
from gradcode.lab.plots import ACTIONS, MOST_CHUNKS, PLAYED, known_code, plot_of_seed
from master import commands as cmd
from master import disputing
from master.bookkeeping import Ledger
from master.chronicle import Chronicle
from master.collecting import Collecting
from master.examination import Examination
from master.keeping import Keeping
from master.policies import Verdict
from master.round import Round
from master.training import Training
from master.verification import Kept

RUNS = 1500
MUTANT_RUNS = 1000
"""Within so many runs a fault in the master must be found."""


def test_1500_random_runs_break_no_invariant():
    found = search(range(RUNS))
    assert found.failure is None, f"{found.failure.error}\nplay it again: {found.failure.replay}"
    assert found.runs == RUNS
    assert set(found.outcomes) == {"exact", "approximate", "failed"}
    assert set(found.endings) == {"done", "failed", "interrupted", "waits for a lost frame"}
    frames = {f"frame {kind}" for kind in ("twice", "later", "replayed", "lost")}
    lies = {f"lie {kind}" for kind in LIES if kind != "digest"}
    assert set(found.faults) - lies == {*ACTIONS, *frames, "freeze", "death", "master killed"}
    assert len(set(found.faults) & lies) >= 4
    assert found.codes.keys() == CODES.keys()


# ---- plots ------------------------------------------------------------------------------------------------


def test_every_code_is_played():
    assert CODES.keys() <= PLAYED.keys()


def test_a_seed_stands_for_one_plot():
    assert plot_of_seed(5) == plot_of_seed(5)
    assert plot_of_seed(5) != plot_of_seed(6)


def test_plots_show_everything_there_is():
    plots = [plot_of_seed(seed) for seed in range(300)]
    assert {type(plot.settings["deadline"]).__name__ for plot in plots} == {
        "NoDeadline",
        "FixedDeadline",
        "AdaptiveDeadline",
    }
    assert {plot.settings["on_shortfall"] for plot in plots} == {"wait", "approximate", "skip", "fail"}
    assert {plot.learning for plot in plots} == {True, False}
    assert any(plot.settings["n_workers"] is None for plot in plots)
    assert any(plot.n_coming < plot.n_workers for plot in plots)
    assert len({plot.delays.distribution for plot in plots}) >= 4
    for plot in plots:
        assert known_code(plot.code, plot.n_workers).n_chunks <= MOST_CHUNKS
        assert all(line for line in plot.lines())


def test_playing_twice_gives_the_same_bytes():
    played = [play_twice(plot_of_seed(seed)) for seed in range(5)]
    again = [play(plot_of_seed(seed)) for seed in range(5)]
    assert [each.history() for each in played] == [each.history() for each in again]
    assert any(each.history() for each in played)


# ---- faults that are put into the master ------------------------------------------------------------------


def forgets_a_discard(monkeypatch):
    right = Training._message_arrived

    def wrong(self, event, now):
        return [each for each in right(self, event, now) if not isinstance(each, cmd.Discard)]

    monkeypatch.setattr(Training, "_message_arrived", wrong)


def adds_a_payload_twice(monkeypatch):
    right = Training._settle

    def wrong(self, now):
        doubled = lambda each: replace(each, weights=each.weights + each.weights[:1])  # noqa: E731
        commands = right(self, now)
        return [doubled(each) if isinstance(each, cmd.Combine) else each for each in commands]

    monkeypatch.setattr(Training, "_settle", wrong)


def takes_in_stale_frames(monkeypatch):
    right = master.intake.fate_of

    def wrong(link, stamp, epoch, current):
        fate = right(link, stamp, epoch, current)
        return "current" if fate == "late" and current.outcome is None else fate

    monkeypatch.setattr(master.intake, "fate_of", wrong)


def takes_in_frames_of_former_links(monkeypatch):
    right = master.intake.fate_of

    def wrong(link, stamp, epoch, current):
        known = link is not None and link.place is not None
        return right(link, replace(stamp, incarnation=link.incarnation) if known else stamp, epoch, current)

    monkeypatch.setattr(master.intake, "fate_of", wrong)


def decodes_with_a_wrong_coefficient(monkeypatch):
    def wrong(code, received) -> Decoding:
        decoding = decode(code, received)
        weights = decoding.weights.copy()
        weights[:1] *= 2.0
        return replace(decoding, weights=weights)

    monkeypatch.setattr(master.arithmetic, "decode", wrong)
    monkeypatch.setattr(gradcode.lab.simulator, "decode", wrong)


def calls_everything_exact(monkeypatch):
    right = Chronicle.close_round

    def wrong(self, verdict):
        return right(self, replace(verdict, kind="exact") if verdict.steps else verdict)

    monkeypatch.setattr(Chronicle, "close_round", wrong)


def loses_a_place_without_asking_others(monkeypatch):
    right = Round.lose

    def wrong(self, place, now, successor=None):
        right(self, place, now, successor)
        return []

    monkeypatch.setattr(Round, "lose", wrong)


def waits_for_silent_workers_for_ever(monkeypatch):
    monkeypatch.setattr(Collecting, "overdue", lambda self, now: ())


def waits_beyond_the_deadline(monkeypatch):
    right = Round.deadline_at.fget

    def wrong(self):
        at = right(self)
        return None if at is None else at + 0.05

    monkeypatch.setattr(Round, "deadline_at", property(wrong))


def asks_as_long_as_it_likes(monkeypatch):
    monkeypatch.setattr("master.round.ASKS_AFTER_DEADLINE", 1000)


def writes_down_no_late_chunk(monkeypatch):
    monkeypatch.setattr(Ledger, "report_late", lambda *given: None)


def tells_too_much_of_a_chunk(monkeypatch):
    right = Chronicle.close_round

    def wrong(self, verdict: Verdict):
        record = right(self, verdict)
        self._waiting = replace(record, chunks=(*record.chunks, record.chunks[0]))
        return record

    monkeypatch.setattr(Chronicle, "close_round", wrong)


def keeps_a_record_back(monkeypatch):
    right = Chronicle.write_down

    def wrong(self, score=None):
        commands = right(self, score)
        return [each for each in commands if each.record.round != 2]

    monkeypatch.setattr(Chronicle, "write_down", wrong)


def starts_a_round_twice(monkeypatch):
    right = Training._send_round

    def wrong(self, link, now):
        commands = right(self, link, now)
        return [commands[0], *commands]

    monkeypatch.setattr(Training, "_send_round", wrong)


def steps_with_a_part_of_the_sum(monkeypatch):
    right = master.arithmetic.Arithmetic.combine

    def wrong(self, weights):
        return right(self, weights[1:] if len(weights) > 2 else weights)

    monkeypatch.setattr(master.arithmetic.Arithmetic, "combine", wrong)


def depends_on_what_was_played_before(monkeypatch):
    right, numbers = Chronicle.note, itertools.count()

    def wrong(self, kind, text, place=None):
        return right(self, kind, f"{text} {next(numbers)}", place)

    monkeypatch.setattr(Chronicle, "note", wrong)


def crashes(monkeypatch):
    def wrong(self, link, now):
        raise KeyError(link)

    monkeypatch.setattr(Round, "revive", wrong)


def believes_everything(monkeypatch):
    monkeypatch.setattr(Examination, "_compare", lambda self, position, question: self._take(question))


def takes_honest_workers_for_liars(monkeypatch):
    monkeypatch.setattr("master.examination._alike", lambda value, truth, slack: bool((value == 0).all()))


def accuses_the_other_one(monkeypatch):
    right = disputing._exposed

    def wrong(question, case):
        found = right(question, case)
        return replace(found, workers=found.workers[::-1])

    monkeypatch.setattr(disputing, "_exposed", wrong)


def returns_too_little(monkeypatch):
    monkeypatch.setattr(Kept, "before", lambda self, number: self._numbers[-1])


def rule(error: BrokenInvariant) -> str:
    return re.split(r" \(|:", str(error))[0]


MUTANTS: dict[Callable, str] = {
    forgets_a_discard: "every message is used or discarded",
    adds_a_payload_twice: "a payload is added once",
    takes_in_stale_frames: "",
    takes_in_frames_of_former_links: "",
    decodes_with_a_wrong_coefficient: "a decoding claims the coefficients that its weights achieve",
    calls_everything_exact: "what is called exact is exact",
    loses_a_place_without_asking_others: "",
    waits_for_silent_workers_for_ever: "",
    waits_beyond_the_deadline: "",
    asks_as_long_as_it_likes: "after the deadline there is one collection and one repair",
    writes_down_no_late_chunk: "every finished chunk is in the record exactly once",
    tells_too_much_of_a_chunk: "every finished chunk is in the record exactly once",
    keeps_a_record_back: "",
    starts_a_round_twice: "a link is sent a round once",
    steps_with_a_part_of_the_sum: "steps are those of the same sums in one process",
    depends_on_what_was_played_before: "the same seed gives the same",
    crashes: "the master does not crash",
    believes_everything: "",
    takes_honest_workers_for_liars: "only liars are quarantined",
    accuses_the_other_one: "only liars are quarantined",
    returns_too_little: "steps are those of the same sums in one process",
}
"""Faults, and the invariant by which each is found; empty where several may be the first."""

VERIFYING = (
    believes_everything,
    takes_honest_workers_for_liars,
    accuses_the_other_one,
    returns_too_little,
)


def with_liars(mutate: Callable) -> Iterator[int]:
    """Seeds of runs in which somebody lies; all others are of no use against faults in verifying."""
    plots = ((seed, plot_of_seed(seed)) for seed in range(20 * MUTANT_RUNS))
    only = {accuses_the_other_one: {"all"}}.get(mutate, {"all", "sample"})
    return (seed for seed, plot in plots if plot.liars and plot.verify in only)


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_a_fault_in_the_master_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    found = search(with_liars(mutate) if mutate in VERIFYING else range(MUTANT_RUNS))
    assert found.failure is not None
    assert MUTANTS[mutate] in str(found.failure.error)
    with pytest.raises(BrokenInvariant) as again:
        play_twice(plot_of_seed(found.failure.seed))
    assert rule(again.value) == rule(found.failure.error)


# ---- the command line -------------------------------------------------------------------------------------


def test_a_search_counts_what_it_played(capsys):
    assert main(["--runs", "30", "--first-seed", "70"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    words = told.out.split()
    assert words[words.index("runs") + 1] == "30"
    assert {"exact", "done", "partial_stragglers"} <= set(words)


def test_a_failure_names_its_seed_its_invariant_and_the_command_that_replays_it(monkeypatch, capsys):
    calls_everything_exact(monkeypatch)
    assert main(["--minutes", "1"]) == 1
    told = capsys.readouterr().out
    seed = told.split("--seed ")[1].split()[0]
    assert f"Seed {seed} breaks an invariant: what is called exact is exact (in round" in told
    assert f"Play it again: python -m gradcode.lab.failure_search --seed {seed}" in told
    assert main(["--seed", seed]) == 1
    told = capsys.readouterr().out
    assert plot_of_seed(int(seed)).code in told
    assert "Broken: what is called exact is exact" in told
    monkeypatch.undo()
    assert main(["--seed", seed]) == 0
    told = capsys.readouterr().out
    assert "worker w0 took place 0" in told
    assert "All invariants hold." in told


def test_a_crash_is_shown_with_its_traceback(monkeypatch, capsys):
    crashes(monkeypatch)
    failure = search(range(MUTANT_RUNS)).failure
    assert main(["--seed", str(failure.seed)]) == 1
    told = capsys.readouterr().out
    assert "Traceback" in told
    assert "the master does not crash" in told


@pytest.mark.parametrize("given", [["--runs", "0"], ["--minutes", "-1"], ["--seed", "1", "--runs", "2"]])
def test_what_cannot_be_played_is_refused(given, capsys):
    with pytest.raises(SystemExit) as refused:
        main(given)
    assert refused.value.code == 2
    assert "error" in capsys.readouterr().err


def test_time_ends_a_search():
    ticks = iter([False, False, True])
    assert search(itertools.count(), lambda: next(ticks)).runs == 3


def test_counts_of_faults_add_up():
    found = Found()
    plot = plot_of_seed(3)
    played = play(plot)
    found.add(plot, replace(played, faults=Counter(cut=1)))
    found.add(plot, replace(played, faults=Counter(cut=2)))
    assert found.faults == Counter(cut=3)
    assert found.endings == Counter({ending(played): 2})
    assert np.isfinite(played.seconds)


def test_a_frame_from_before_a_restart_that_counts_is_found(monkeypatch):
    """Links of a second start with the incarnations of the first."""
    after_a_kill = playing._Stage.after_a_kill

    def with_former_incarnations(stage):
        stage.incarnations = -(1 << playing.STARTS_SHIFT)
        return after_a_kill(stage)

    assert play_seed(299)[1].faults["master killed"] == 1
    monkeypatch.setattr(playing._Stage, "after_a_kill", with_former_incarnations)
    with pytest.raises(BrokenInvariant, match="honest workers break no rule"):
        play_seed(299)


def test_a_snapshot_of_the_wrong_round_is_found(monkeypatch):
    snapshot = Keeping.snapshot

    def too_late(keeping):
        held = snapshot(keeping)
        return replace(held, round=held.round + 1)

    monkeypatch.setattr(Keeping, "snapshot", too_late)
    with pytest.raises(BrokenInvariant, match="records come in order"):
        play_seed(55)
