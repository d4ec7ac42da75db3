"""The run as a whole, mostly played through the simulator; single frames are fed by hand."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest

from common.codes.base import decode
from common.delays import Delays, Interruption
from common.history import RoundRecord
from common.spec import make_code
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from master import commands as cmd
from master import events as ev
from master.deadlines import AdaptiveDeadline, FixedDeadline
from master.settings import RunSettings
from master.training import Training


def settings(code: str = "uncoded(n)", n: int | None = 4, **more: Any) -> RunSettings:
    known = {"n_workers": n, "rounds": 10, "n_rows": 100, "learning": False}
    return RunSettings(make_code=lambda n: make_code(code, n), **{**known, **more})


def simulator(
    code: str, n: int = 8, delays: Delays | None = None, network: Network | None = None, **more: Any
) -> Simulator:
    steady = Delays("constant", seconds=0.02)
    return Simulator(settings(code, n, **more), delays or steady, n, network)


def dying(*places: int, at_seconds: float = 0.05) -> Delays:
    deaths = tuple(Interruption(place, "death", at_seconds) for place in places)
    return Delays("constant", seconds=0.02, interruptions=deaths)


def ends(records: list[RoundRecord]) -> set[tuple[str, str]]:
    return {(record.end, record.outcome) for record in records}


# ---- deadlines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["uncoded(n)", "fractional_repetition(n, 1)", "partial_stragglers(n, 3, 4)"])
@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_one_worker_50_times_slower_200_rounds_the_adaptive_deadline_stays(code, factor):
    delays = Delays("constant", seconds=0.02, factors=((3, 50.0),))
    sim = simulator(code, delays=delays, rounds=200, deadline=AdaptiveDeadline(factor))
    records = sim.play()
    assert len(records) == 200
    normal_seconds = 0.02 * len(sim.training.code.assignment.orders[0])
    deadlines = [record.deadline_seconds for record in records[1:]]
    assert all(deadline == pytest.approx(factor * normal_seconds, rel=0.2) for deadline in deadlines)
    slow_ends = {"uncoded(n)": ("deadline", "approximate")}
    assert ends(records[1:]) == {slow_ends.get(code, ("exact", "exact"))}


def test_a_dead_worker_does_not_move_the_adaptive_deadline():
    sim = simulator("uncoded(n)", n=16, delays=dying(3), rounds=200, deadline=AdaptiveDeadline(2.0))
    deadlines = [record.deadline_seconds for record in sim.play()[1:]]
    assert max(deadlines) <= 1.2 * min(deadlines)


def test_when_all_workers_slow_down_the_adaptive_deadline_follows():
    """Five times slower than any deadline so far allows: late reports are what it learns from."""

    class Slowing(Delays):
        def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002
            return 0.02 if round < 20 else 0.1

    sim = simulator("uncoded(n)", delays=Slowing(), rounds=60, deadline=AdaptiveDeadline(2.0))
    records = sim.play()
    assert len(records) == 60
    assert ends(records[:20]) == ends(records[40:]) == {("exact", "exact")}
    assert records[-1].deadline_seconds == pytest.approx(0.2, rel=0.1)


def test_parameter_transfer_is_inside_the_deadline():
    network = Network(bytes_per_second=1e6)
    sim = simulator("uncoded(n)", network=network, n_parameters=50_000, rounds=1, deadline=FixedDeadline(0.1))
    (record,) = sim.play()
    assert record.end == "deadline"


# ---- too many workers are gone ----------------------------------------------------------------------------


CODES_BEYOND_REPAIR = [
    ("uncoded(n)", dying(3)),
    ("fractional_repetition(n, 1)", dying(2, 6)),
    ("cyclic_repetition(n, 1)", dying(2, 3, at_seconds=0.03)),
    ("partial_stragglers(n, 2)", dying(2, 3, at_seconds=0.01)),
    ("ignore_stragglers(n, 1)", dying(2, 3, at_seconds=0.01)),
]


@pytest.mark.parametrize("deadline", [None, FixedDeadline(0.2)], ids=["no deadline", "deadline"])
@pytest.mark.parametrize(
    ("code", "delays"), CODES_BEYOND_REPAIR, ids=[code for code, _ in CODES_BEYOND_REPAIR]
)
class TestTooManyAreGone:
    def play(self, code: str, delays: Delays, deadline: FixedDeadline | None, **more: Any) -> Simulator:
        if deadline is not None:
            more["deadline"] = deadline
        sim = simulator(code, delays=delays, rounds=30, lost_seconds=5.0, **more)
        sim.play(most_events=100_000)
        assert sim.finished is not None
        return sim

    def test_approximate_goes_on_with_what_is_there(self, code, delays, deadline):
        sim = self.play(code, delays, deadline, on_shortfall="approximate", least_recovered=0.25)
        assert (len(sim.records), sim.finished.exit_code) == (30, 0)
        assert ends(sim.records[5:]) == {("exhausted", "approximate")}
        assert all(record.stepped for record in sim.records)
        assert all(0.25 <= record.recovered_fraction < 1.0 for record in sim.records[5:])

    def test_approximate_skips_below_least_recovered(self, code, delays, deadline):
        sim = self.play(code, delays, deadline, on_shortfall="approximate", least_recovered=0.95)
        assert "below least_recovered = 0.95" in sim.records[-1].reason
        assert sim.finished.exit_code == 3

    def test_ten_skips_fail_the_run(self, code, delays, deadline):
        sim = self.play(code, delays, deadline, on_shortfall="skip")
        assert sim.finished.exit_code == 3
        assert sim.finished.reason.startswith("10 rounds in a row had no step, the last one: nothing more")
        assert [record.stepped for record in sim.records[-10:]] == [False] * 10
        assert len(sim.records) < 20

    def test_fail_ends_the_run(self, code, delays, deadline):
        sim = self.play(code, delays, deadline, on_shortfall="fail")
        assert sim.finished.exit_code == 3
        assert sim.finished.reason.endswith("on_shortfall = fail")
        assert [record.outcome for record in sim.records].count("failed") == 1

    def test_wait_says_so_and_ends_after_lost_seconds(self, code, delays, deadline):
        sim = self.play(code, delays, deadline, on_shortfall="wait")
        assert sim.finished.exit_code == 3
        assert "have delivered all they can, and nobody came back in 5 s" in sim.finished.reason
        (told,) = [(seconds, note.text) for seconds, note in sim.notes if note.kind == "stuck"]
        assert "waiting up to 5 s" in told[1]
        assert sim.now == pytest.approx(told[0] + 5.0)
        assert {record.outcome for record in sim.records} <= {"exact", "approximate"}


def test_wait_goes_on_when_the_lost_worker_comes_back():
    sim = simulator("uncoded(n)", delays=dying(3), on_shortfall="wait")
    sim.at(3.0, partial(sim.join, "w3"))
    sim.play()
    assert sim.finished == cmd.Finish("all 10 rounds are done", 0)
    assert ends(sim.records) == {("exact", "exact")}
    assert max(record.seconds for record in sim.records) == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("on_shortfall", ["wait", "approximate", "skip", "fail"])
@pytest.mark.parametrize("deadline", [None, FixedDeadline(0.2)], ids=["no deadline", "deadline"])
def test_if_nobody_is_left_the_run_waits_says_so_and_ends(on_shortfall, deadline):
    more = {} if deadline is None else {"deadline": deadline}
    sim = simulator(
        "fractional_repetition(n, 1)",
        delays=dying(*range(8)),
        on_shortfall=on_shortfall,
        lost_seconds=7.0,
        **more,
    )
    sim.play()
    assert sim.finished == cmd.Finish("no worker is left, and nobody came back in 7 s", 3)
    told = [seconds for seconds, note in sim.notes if note.text.startswith("no worker is left: waiting")]
    assert len(told) == 1
    assert sim.now == pytest.approx(told[0] + 7.0)


# ---- ends of rounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "code", "more"),
    [
        ("exact", "fractional_repetition(n, 1)", {"delays": dying(0)}),
        ("enough", "uncoded(n)", {"enough": 0.5}),
        ("enough", "ignore_stragglers(n, 2)", {}),
        ("deadline", "uncoded(n)", {"deadline": FixedDeadline(0.01), "least_recovered": 0.0}),
        ("exhausted", "uncoded(n)", {"delays": dying(0)}),
    ],
)
def test_every_reason_for_an_end(end, code, more):
    records = simulator(code, **more).play()
    assert records[-1].end == end
    assert {record.round for record in records} == set(range(10))


@pytest.mark.parametrize("limit", [0.1, 0.2, 0.3, 0.7, 1.1, 1.3])
def test_max_seconds_ends_the_run_without_spinning(limit):
    """Also where first + limit - first is a little less than limit in floating point."""
    for started in (0.0, 0.1, 0.3, 1 / 3, 1e5 + 0.1):
        training = Training(settings("uncoded(n)", 1, max_seconds=limit), started)
        training.begin()
        training.handle(ev.LinkUp(1, "ann"), started)
        training.handle(ev.LinkReady(1, 1), started)
        wakes_at = training.wakes_at(started)
        commands = training.handle(ev.Tick(), wakes_at)
        assert commands[-1] == cmd.Finish(f"max_seconds = {limit:g} have passed", 0)


def test_a_worker_stopped_between_collect_and_its_message_costs_under_half_a_second():
    sim = simulator("partial_stragglers(n, 3, 4)", rounds=20)
    stopped: list[int] = []

    def stop_whoever_is_asked_first(item: Any) -> None:
        if isinstance(item, cmd.Collect) and item.stamp.round == 10 and not stopped:
            sim.workers[item.link].mute_until = math.inf
            stopped.append(item.link)

    sim.watch = stop_whoever_is_asked_first
    sim.play()
    assert ends(sim.records) == {("exact", "exact")}
    usual = simulator("partial_stragglers(n, 3, 4)", rounds=20).play()
    assert 0.0 < sim.records[10].seconds - usual[10].seconds < 0.5


def test_a_worker_that_never_answers_costs_the_same_in_every_round():
    sim = simulator("partial_stragglers(n, 3, 4)", rounds=200)
    sim.at(0.02, lambda: setattr(sim.workers[0], "mute_until", 1e9))
    records = sim.play()
    assert len(records) == 200
    assert max(record.seconds for record in records[1:]) < 0.25


def test_a_network_slower_than_assumed_is_learnt():
    """Messages that take 4 s where 1 s was expected: the first rounds fail, then patience has grown."""
    network = Network(bytes_per_second=1e6)
    sim = simulator("partial_stragglers(n, 3, 4)", network=network, n_parameters=1_000_000, rounds=20)
    records = sim.play()
    assert len(records) == 20
    assert ends(records[5:]) == {("exact", "exact")}


# ---- beginning and ending ---------------------------------------------------------------------------------


def test_an_impossible_code_ends_the_run_with_exit_code_2():
    training = Training(settings("fractional_repetition(n, 2)", 4), 0.0)
    assert training.begin() == [
        cmd.Finish("n_stragglers: n_stragglers + 1 must divide n_workers = 4, got 2", 2)
    ]
    assert training.handle(ev.LinkUp(1, "ann"), 0.1) == [cmd.CloseLink(1, "the run is over")]


def test_too_few_workers_end_the_run_saying_how_many_came():
    sim = Simulator(settings("uncoded(n)", 4, join_timeout_seconds=3.0), Delays(), 2)
    sim.play()
    reason = "2 of 4 workers came within 3 s, and uncoded(4) can do without 0"
    assert sim.finished == cmd.Finish(reason, 3)
    assert sim.now == pytest.approx(3.0)


def test_whoever_comes_and_leaves_before_the_start_does_not_count():
    run = settings("uncoded(n)", None, join_seconds=1.0)
    sim = Simulator(run, Delays("constant", seconds=0.02), 1)
    sim.at(0.5, lambda: sim.cut(sim.workers[0]))
    sim.at(5.0, partial(sim.join, "late"))
    sim.play()
    assert sim.finished == cmd.Finish("all 10 rounds are done", 0)
    assert sim.training.code.n_workers == 1


def test_a_run_begins_without_those_the_code_can_spare():
    run = settings("fractional_repetition(n, 1)", 4, join_timeout_seconds=3.0)
    sim = Simulator(run, Delays("constant", seconds=0.02), 3)
    records = sim.play()
    assert ends(records) == {("exact", "exact")}
    assert "beginning without 1 workers" in records[0].events
    assert {record.lost for record in records} == {(3,)}


# ---- single frames ----------------------------------------------------------------------------------------


def begun(code: str = "uncoded(n)", n: int = 2, **more: Any) -> Training:
    """Round 0 has begun, link k + 1 sits at place k."""
    training = Training(settings(code, n, **more), 0.0)
    training.begin()
    for place in range(n):
        training.handle(ev.LinkUp(place + 1, f"w{place}"), 0.0)
    for place in range(n):
        training.handle(ev.LinkReady(place + 1, place + 1), 0.0)
    assert training.phase == "running"
    return training


def message(place: int, payload: int, number: int | None = None, round_number: int = 0) -> ev.MessageArrived:
    stamp = ev.Stamp(0, round_number, place + 1)
    return ev.MessageArrived(place + 1, stamp, place if number is None else number, payload, 8)


def report(place: int, chunk: int, round_number: int = 0, **more: Any) -> ev.ChunkFinished:
    known = {"seconds": 0.02, "loss": 1.0, "rows": 50, "finite": True}
    return ev.ChunkFinished(place + 1, ev.Stamp(0, round_number, place + 1), chunk, **{**known, **more})


def solved(training: Training, n_messages: int) -> ev.Solved:
    code = training.code
    return ev.Solved(training.round.number, decode(code, code.messages[:n_messages]), 0.0)


@pytest.mark.parametrize("stamp", [ev.Stamp(1, 0, 1), ev.Stamp(0, 0, 9)], ids=["epoch", "incarnation"])
def test_frames_with_another_stamp_are_stale(stamp):
    training = begun()
    assert training.handle(ev.MessageArrived(1, stamp, 0, 5, 8), 0.1) == [cmd.Discard(5)]
    assert training.handle(ev.ChunkFinished(1, stamp, 0, 0.02, 1.0, 50, True), 0.1) == []
    assert training.chronicle.totals.stale_frames == 2
    assert training.round.payloads() == ()


def test_frames_of_unknown_links_and_spares_are_stale():
    training = begun()
    training.handle(ev.LinkUp(3, "spare"), 0.1)
    for link in (3, 99):
        frame = ev.MessageArrived(link, ev.Stamp(0, 0, 3), 0, link, 8)
        assert training.handle(frame, 0.1) == [cmd.Discard(link)]


@pytest.mark.parametrize(
    "frame",
    [
        message(0, 7, number=1),
        message(0, 7, number=5),
        message(0, 7, round_number=3),
        report(0, 1),
        report(0, 77),
        report(0, -1),
        report(0, 0, round_number=1),
    ],
    ids=repr,
)
def test_what_no_honest_worker_sends_ends_its_link_and_the_run_goes_on(frame):
    training = begun()
    commands = training.handle(frame, 0.1)
    (close,) = [command for command in commands if isinstance(command, cmd.CloseLink)]
    assert (close.link, close.kind) == (
        1,
        "foreign_message" if hasattr(frame, "payload") else "foreign_chunk",
    )
    assert training.members.at(0) is None
    assert training.handle(ev.LinkDown(1, "the stream ended"), 0.2) == []
    assert training.phase == "running"


@pytest.mark.parametrize(
    ("wrong", "what"),
    [({"finite": False}, "gradient"), ({"loss": math.inf}, "loss"), ({"loss": math.nan}, "loss")],
)
def test_a_chunk_that_is_not_finite_ends_the_run_naming_worker_and_chunk(wrong, what):
    training = begun()
    reason = f"worker w1: the {what} of chunk 1 is not finite in round 0: the run diverged"
    assert training.handle(report(1, 1, **wrong), 0.1)[-1] == cmd.Finish(reason, 3)


def test_a_message_that_is_not_finite_ends_the_run_naming_the_worker():
    training = begun(learning=True)
    training.handle(message(0, 7), 0.1)
    training.handle(message(1, 8), 0.1)
    training.handle(solved(training, 2), 0.1)
    commands = training.handle(ev.Combined(0, math.inf, 8, 0.0), 0.1)
    reason = "the message of worker w1 is not finite in round 0: the run diverged"
    assert commands[-1] == cmd.Finish(reason, 3)


def test_parameters_that_are_not_finite_end_the_run():
    training = begun(learning=True)
    training.handle(message(0, 7), 0.1)
    training.handle(message(1, 8), 0.1)
    training.handle(solved(training, 2), 0.1)
    assert training.handle(ev.Combined(0, 1.0, None, 0.0), 0.1) == [cmd.Step(0)]
    reason = "the parameters are not finite after round 0: the run diverged"
    assert training.handle(ev.Stepped(0, False, 0.0), 0.1)[-1] == cmd.Finish(reason, 3)


def test_a_second_ready_does_not_start_the_round_again():
    training = begun("partial_stragglers(n, 2)")
    training.handle(report(0, 0), 0.1)
    assert training.handle(ev.LinkReady(1, 1), 0.2) == []
    assert list(training.round.works[0].arrived) == [0]


def test_a_stop_while_a_step_is_taken_is_obeyed_after_it():
    """The step is in the parameters, so its round must be in the history."""
    training = begun(learning=True)
    training.handle(message(0, 7), 0.1)
    training.handle(message(1, 8), 0.1)
    training.handle(solved(training, 2), 0.1)
    assert training.handle(ev.StopRequested("interrupted", 130), 0.1) == []
    assert training.wakes_at(0.1) is None
    training.handle(ev.Combined(0, 1.0, None, 0.0), 0.1)
    assert training.handle(ev.Stepped(0, True, 0.0), 0.1) == [cmd.Evaluate(0)]
    commands = training.handle(ev.Evaluated(0, 0.75), 0.1)
    assert commands[0].record.score == 0.75
    assert commands[-1] == cmd.Finish("interrupted", 130)


def test_a_stop_in_mid_round_drops_what_has_arrived():
    training = begun()
    training.handle(message(0, 7), 0.1)
    commands = training.handle(ev.StopRequested("interrupted", 130), 0.2)
    assert commands == [
        cmd.Discard(7),
        cmd.CloseLink(1, "the run is over"),
        cmd.CloseLink(2, "the run is over"),
        cmd.Finish("interrupted", 130),
    ]
    assert training.handle(message(1, 8), 0.3) == [cmd.Discard(8)]
    assert training.handle(ev.LinkUp(9, "late"), 0.3) == [cmd.CloseLink(9, "the run is over")]


def test_scores_are_asked_for_while_the_next_round_runs():
    training = begun(learning=True, evaluate_every=1)
    training.handle(message(0, 7), 0.1)
    training.handle(message(1, 8), 0.1)
    training.handle(solved(training, 2), 0.1)
    training.handle(ev.Combined(0, 1.0, None, 0.0), 0.1)
    commands = training.handle(ev.Stepped(0, True, 0.0), 0.1)
    assert [type(command) for command in commands] == [cmd.StartRound, cmd.StartRound, cmd.Evaluate]
    (written,) = training.handle(ev.Evaluated(0, 0.5), 0.2)
    assert (written.record.round, written.record.score) == (0, 0.5)


def test_a_loss_counts_every_chunk_once():
    training = begun("fractional_repetition(n, 1)")
    training.handle(report(0, 0, loss=10.0), 0.1)
    training.handle(report(1, 0, loss=10.0), 0.1)
    training.handle(report(1, 1, loss=30.0, rows=30), 0.1)
    assert training.chronicle.ledger.loss == pytest.approx(40.0 / 80)
    assert training.chronicle.ledger.loss_share == pytest.approx(0.8)


def test_late_reports_are_written_down_with_the_next_round():
    training = begun("fractional_repetition(n, 1)")
    training.handle(message(0, 7), 0.1)
    training.handle(solved(training, 1), 0.1)
    training.handle(report(1, 0), 0.15)
    training.handle(message(0, 8, round_number=1), 0.2)
    commands = training.handle(solved(training, 1), 0.2)
    (record,) = [command.record for command in commands if isinstance(command, cmd.Record)]
    (row,) = [row for row in record.chunks if row.state == "late"]
    assert (row.round, row.place, row.chunk, row.arrived_seconds) == (0, 1, 0, pytest.approx(0.15))
    assert record.chunks_late == 1
