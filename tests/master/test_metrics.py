from __future__ import annotations

import ast
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.boundaries import SECONDS
from common.codes import CODES
from common.delays import Delays, Interruption
from common.history import RoundRecord
from gradcode.lab.simulator import Simulator
from master.deadlines import FixedDeadline
from master.fleet import WORK
from master.metrics import OTHER, PROTOCOL_ERRORS, MasterMetrics
from master.scrape import WindowMax
from master.settings import RunSettings
from master.status import STATES, PlaceStatus, RunStatus, run_status
from master.traffic import Traffic

ROOT = Path(__file__).resolve().parents[2]
NO_RUN = RunStatus("waiting", "0 of 4 workers are ready", -1, "", 0, None, 0.0, (), ())


def samples(metrics: MasterMetrics) -> dict[tuple[str, ...], float]:
    """What is exposed: (name, label value, ...) in the order of label names -> value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
    }


def summed(shown: dict[tuple[str, ...], float], name: str) -> float:
    return sum(value for key, value in shown.items() if key[0] == name)


class Played:
    """A simulated run of 6 workers and a spare: place 0 is slow, place 1 dies, the deadline cuts rounds."""

    def __init__(self, rounds: int = 12, code: str = "partial_stragglers") -> None:
        settings = RunSettings(
            make_code=lambda n: CODES[code](n, 2),
            n_workers=6,
            rounds=rounds,
            n_rows=60,
            deadline=FixedDeadline(0.5),
            learning=False,
        )
        delays = Delays(
            "constant",
            seconds=0.02,
            factors=((0, 5.0),),
            interruptions=(Interruption(1, "death", at_seconds=0.15),),
        )
        self.simulator = Simulator(settings, delays, n_workers=7)
        self.metrics = MasterMetrics(
            lambda: run_status(self.simulator.training, self.simulator.now), wall_clock=lambda: 1e9
        )
        self.told = 0

    def play(self, until: float = float("inf")) -> dict[tuple[str, ...], float]:
        self.simulator.play(until)
        for record in self.simulator.records[self.told :]:
            self.metrics.record(record)
        self.told = len(self.simulator.records)
        return samples(self.metrics)

    @property
    def records(self) -> list[RoundRecord]:
        return self.simulator.records


@pytest.fixture(scope="module")
def ended() -> tuple[Played, dict[tuple[str, ...], float]]:
    played = Played()
    return played, played.play()


def place(number: int, seconds: float | None, straggles: int = 0) -> PlaceStatus:
    return PlaceStatus(number, f"w{number}", "computing", 0, 2, seconds, 0.5, straggles, 0.001)


# ---- before anything has happened -----------------------------------------------------------------------


def test_every_label_set_starts_at_zero():
    shown = samples(MasterMetrics(lambda: NO_RUN))
    for outcome in ("exact", "approximate", "failed"):
        assert shown["gradcode_round_duration_seconds_count", outcome] == 0.0
        for end in ("exact", "enough", "deadline", "exhausted", "stopped"):
            assert shown["gradcode_rounds_total", end, outcome] == 0.0
    for stage in ("collect", "solve", "combine"):
        assert shown["gradcode_decode_duration_seconds_count", stage] == 0.0
    for state in ("used", "duplicate", "late", "wasted"):
        assert shown["gradcode_chunks_total", state] == 0.0
    for state in (*STATES, "spare"):
        assert shown["gradcode_workers", state] == 0.0
    for kind in PROTOCOL_ERRORS:
        assert shown["gradcode_protocol_errors_total", kind] == 0.0
    for kind in ("stale", "duplicate"):
        assert shown["gradcode_frames_dropped_total", kind] == 0.0
    for direction in ("received", "sent"):
        assert shown["gradcode_bytes_total", direction] == 0.0
    for name in ("links_opened", "links_lost", "stragglers", "straggler_chunks_used", "uncoded_seconds"):
        assert shown[(f"gradcode_{name}_total",)] == 0.0


def test_what_is_not_known_yet_has_no_sample():
    names = {key[0] for key in samples(MasterMetrics(lambda: NO_RUN))}
    unknown = {"loss", "score", "residual", "recovered_fraction", "gradient_norm", "deadline_seconds"}
    unknown |= {"tolerated_losses"}
    assert {f"gradcode_{name}" for name in unknown} & names == set()
    assert "gradcode_plan_info" not in names


def test_the_run_is_not_asked_before_the_first_scrape():
    def no_run_yet() -> RunStatus:
        raise AssertionError("there is no run yet")

    metrics = MasterMetrics(no_run_yet)
    with pytest.raises(AssertionError, match="no run yet"):
        metrics.expose()


def test_masters_in_one_process_count_apart():
    first, second = MasterMetrics(lambda: NO_RUN), MasterMetrics(lambda: NO_RUN)
    first.link_opened()
    assert samples(first)[("gradcode_links_opened_total",)] == 1.0
    assert samples(second)[("gradcode_links_opened_total",)] == 0.0


def test_the_process_and_its_garbage_collector_are_there_and_created_series_are_not():
    names = {key[0] for key in samples(MasterMetrics(lambda: NO_RUN))}
    assert {"process_cpu_seconds_total", "python_gc_collections_total", "python_info"} <= names
    assert [name for name in names if name.endswith("_created")] == []


def test_round_boundaries_go_from_a_millisecond_to_five_minutes_three_a_decade():
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 300.0)
    for decade in range(-3, 2):
        low, high = 10.0**decade * 0.999, 10.0 ** (decade + 1) * 0.999
        assert len([each for each in SECONDS if low <= each < high]) == 3
    assert sorted(set(SECONDS)) == list(SECONDS)


# ---- a run ----------------------------------------------------------------------------------------------


def test_rounds_are_counted_by_outcome_and_end(ended):
    played, shown = ended
    assert len(played.records) == summed(shown, "gradcode_rounds_total") == 12
    for record in played.records:
        alike = [each for each in played.records if (each.outcome, each.end) == (record.outcome, record.end)]
        assert shown["gradcode_rounds_total", record.end, record.outcome] == len(alike)
    assert summed(shown, "gradcode_round_duration_seconds_count") == 12
    assert summed(shown, "gradcode_round_duration_seconds_sum") == pytest.approx(
        sum(record.seconds for record in played.records)
    )


def test_chunks_and_stragglers_agree_with_the_totals_of_the_run(ended):
    played, shown = ended
    totals = played.simulator.training.chronicle.totals
    assert {state: shown["gradcode_chunks_total", state] for state in totals.chunks} == totals.chunks
    assert totals.chunks["used"] > 0
    assert totals.chunks["late"] > 0
    assert shown[("gradcode_stragglers_total",)] == sum(totals.straggles.values())
    assert shown[("gradcode_straggler_chunks_used_total",)] == totals.straggler_chunks_used
    assert shown[("gradcode_uncoded_seconds_total",)] == pytest.approx(totals.uncoded_seconds)
    assert shown[("gradcode_uncoded_endless_rounds_total",)] == totals.uncoded_stuck


def test_seconds_of_work_are_those_of_the_chunks(ended):
    played, shown = ended
    states = [state for state in WORK if state != "rescued"]
    expected = dict.fromkeys(states, 0.0)
    for record in played.records:
        for row in record.chunks:
            expected[row.state] += row.seconds
    told = {state: shown["gradcode_work_seconds_total", state] for state in WORK}
    told["used"] += told.pop("rescued")
    assert told == pytest.approx(expected)
    assert expected["late"] > 0


def test_used_work_of_stragglers_is_rescued(ended):
    played, _ = ended
    metrics = MasterMetrics(lambda: NO_RUN)
    record = next(each for each in played.records if each.chunks_used)
    place = next(row.place for row in record.chunks if row.state == "used")
    metrics.record(replace(record, stragglers=(place,)))
    used = [row for row in record.chunks if row.state == "used"]
    shown = samples(metrics)
    for state, mine in (("rescued", True), ("used", False)):
        seconds = sum(row.seconds for row in used if (row.place == place) is mine)
        assert shown["gradcode_work_seconds_total", state] == pytest.approx(seconds)
        assert seconds > 0


def test_the_histograms_over_all_places_hold_every_chunk(ended):
    played, shown = ended
    rows = [row for record in played.records for row in record.chunks]
    for name, values in (
        ("gradcode_chunk_seconds", [row.seconds for row in rows]),
        ("gradcode_arrival_seconds", [row.arrived_seconds for row in rows]),
    ):
        assert shown[(f"{name}_sum",)] == pytest.approx(sum(values))
        assert shown[(f"{name}_count",)] == len(values) == shown[f"{name}_bucket", "+Inf"]
        for boundary in SECONDS:
            assert shown[f"{name}_bucket", str(boundary)] == sum(value <= boundary for value in values)


def test_chunks_and_seconds_of_a_place_are_those_of_its_rows(ended):
    played, shown = ended
    rows = [row for record in played.records for row in record.chunks]
    for number in (0, 1, 5):
        mine = [row.seconds for row in rows if row.place == number]
        assert shown["gradcode_place_chunks_total", str(number)] == len(mine) > 0
        assert shown["gradcode_place_work_seconds_total", str(number)] == pytest.approx(sum(mine))


def test_every_place_has_its_straggles_and_pace(ended):
    played, shown = ended
    totals = played.simulator.training.chronicle.totals
    straggles = {number: totals.straggles.get(number, 0) for number in range(6)}
    assert {number: shown["gradcode_place_straggles_total", str(number)] for number in straggles} == straggles
    assert straggles[0] > 0
    assert shown["gradcode_place_chunk_seconds", "0"] == pytest.approx(0.1)
    assert shown["gradcode_place_chunk_seconds", "5"] == pytest.approx(0.02)


def test_gauges_tell_of_the_last_round(ended):
    played, shown = ended
    last = played.records[-1]
    assert shown[("gradcode_round",)] == last.round == 11
    assert shown[("gradcode_recovered_fraction",)] == last.recovered_fraction
    assert shown[("gradcode_residual",)] == pytest.approx(last.residual)
    assert shown[("gradcode_noise_amplification",)] == pytest.approx(last.noise_amplification)
    assert shown[("gradcode_round_stragglers",)] == len(last.stragglers)
    assert shown[("gradcode_loss",)] == last.loss
    assert shown[("gradcode_deadline_seconds",)] == 0.5
    assert shown["gradcode_run_phase", "finished"] == 1.0
    code = played.simulator.training.code
    assert code is not None
    assert shown["gradcode_plan_info", code.spec, "0", "6", str(code.n_stragglers)] == 1.0
    assert shown[("gradcode_tolerated_losses",)] == code.n_stragglers == 1


def test_last_arrival_is_the_newest_report_of_the_last_round(ended):
    played, shown = ended
    rows = [row for row in played.records[-1].chunks if row.round == 11]
    assert rows != []
    for number in {row.place for row in rows}:
        newest = max(row.arrived_seconds for row in rows if row.place == number)
        assert shown["gradcode_place_last_arrival_seconds", str(number)] == pytest.approx(newest)


def test_workers_are_in_disjoint_states_all_through_the_run():
    played = Played()
    seen: set[str] = set()
    for step in range(1, 120):
        shown = played.play(until=step * 0.0075)
        counts = {state: shown["gradcode_workers", state] for state in (*STATES, "spare")}
        seen |= {state for state, count in counts.items() if count}
        assert sum(counts.values()) - counts["spare"] == 6
        now = played.simulator.training
        assert shown[("gradcode_round",)] == (-1 if now.round is None else now.round.number)
    assert {"computing", "straggling", "spare", "loading", "idle"} <= seen


def test_last_seen_is_a_time_of_day():
    played = Played()
    shown = played.play(until=0.1)
    now = run_status(played.simulator.training, played.simulator.now)
    since = now.places[3].last_seen_seconds
    assert since is not None
    assert shown["gradcode_place_last_seen_timestamp_seconds", "3"] == pytest.approx(1e9 - since, abs=1e-6)


def test_a_place_without_a_worker_has_no_series():
    played = Played(code="cyclic_repetition")
    simulator = played.simulator
    simulator.at(0.1, lambda: [simulator.cut(worker) for worker in list(simulator.living())[4:]])
    shown = played.play(until=0.12)
    lost = [
        each.place for each in run_status(simulator.training, simulator.now).places if each.state == "lost"
    ]
    assert shown["gradcode_workers", "lost"] == len(lost) == 2
    shown_places = {key[1] for key in shown if key[0].startswith("gradcode_place_")}
    assert shown_places == {str(number) for number in range(6) if number not in lost}


def test_a_value_that_a_round_does_not_have_stays_what_it_was(ended):
    played, _ = ended
    metrics = MasterMetrics(lambda: NO_RUN)
    metrics.record(replace(played.records[0], loss=0.7, score=0.9, gradient_norm=2.0))
    metrics.record(replace(played.records[1], loss=None, score=None, gradient_norm=None, loss_share=0.0))
    shown = samples(metrics)
    assert shown[("gradcode_loss",)] == 0.7
    assert shown[("gradcode_score",)] == 0.9
    assert shown[("gradcode_gradient_norm",)] == 2.0
    assert shown[("gradcode_loss_share",)] == 0.0


# ---- what the service counts ----------------------------------------------------------------------------


def test_traffic_is_counted():
    traffic = Traffic(received=100)
    metrics = MasterMetrics(lambda: NO_RUN, traffic=lambda: traffic)
    traffic.received += 20
    traffic.sent, traffic.stale, traffic.duplicate = 7, 1, 2
    metrics.link_opened()
    metrics.link_lost()
    shown = samples(metrics)
    assert (shown["gradcode_bytes_total", "received"], shown["gradcode_bytes_total", "sent"]) == (120, 7)
    assert shown["gradcode_frames_dropped_total", "stale"] == 1
    assert shown["gradcode_frames_dropped_total", "duplicate"] == 2
    assert shown[("gradcode_links_opened_total",)] == shown[("gradcode_links_lost_total",)] == 1


def test_an_unknown_kind_of_protocol_error_makes_no_new_series():
    metrics = MasterMetrics(lambda: NO_RUN)
    metrics.protocol_error("wrong_dtype")
    metrics.protocol_error("from a peer: \x00")
    metrics.protocol_error("from another peer")
    shown = samples(metrics)
    assert shown["gradcode_protocol_errors_total", "wrong_dtype"] == 1
    assert shown["gradcode_protocol_errors_total", OTHER] == 2
    assert {key[1] for key in shown if key[0] == "gradcode_protocol_errors_total"} == set(PROTOCOL_ERRORS)


def test_every_kind_of_protocol_error_that_the_source_raises_is_told_apart():
    raised: set[str] = set()
    for path in (*ROOT.glob("common/wire/*.py"), *ROOT.glob("master/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
                "ProtocolError",
                "require",
                "_violation",
            ):
                # The kind is the first constant that looks like one; details are f-strings or hold spaces.
                words = [each.value for each in node.args if isinstance(each, ast.Constant)]
                raised |= {word for word in words if isinstance(word, str) and word.isidentifier()}
    assert len(raised) > 10
    assert raised <= set(PROTOCOL_ERRORS)


def test_lag_has_a_distribution_and_a_maximum_over_ten_seconds():
    now = [0.0]
    metrics = MasterMetrics(lambda: NO_RUN, clock=lambda: now[0])
    metrics.loop_lag(0.3)
    now[0] = 6.0
    metrics.loop_lag(0.001)
    shown = samples(metrics)
    assert shown[("gradcode_event_loop_lag_max_seconds",)] == 0.3
    assert shown["gradcode_event_loop_lag_seconds_bucket", "0.001"] == 1
    assert shown["gradcode_event_loop_lag_seconds_bucket", "0.5"] == 2
    now[0] = 10.5
    assert samples(metrics)[("gradcode_event_loop_lag_max_seconds",)] == 0.001
    now[0] = 30.0
    assert samples(metrics)[("gradcode_event_loop_lag_max_seconds",)] == 0.0


def test_the_maximum_of_a_window_is_that_of_all_its_values():
    window = WindowMax(1.0)
    values = [((7 * step) % 11) / 10 for step in range(60)]
    for step, value in enumerate(values):
        window.add(step * 0.25, value)
        assert window.value(step * 0.25) == max(values[max(0, step - 4) : step + 1])


# ---- how much there is ----------------------------------------------------------------------------------


def test_beyond_the_limit_only_the_slowest_places_have_series():
    places = tuple(place(number, None if number == 7 else number / 1000, number) for number in range(500))
    status = replace(NO_RUN, places=places)
    shown = samples(MasterMetrics(lambda: status))
    assert {int(key[1]) for key in shown if key[0] == "gradcode_place_straggles_total"} == set(
        range(300, 500)
    )
    assert shown["gradcode_place_straggles_total", "499"] == 499
    assert {key[1] for key in shown if key[0].startswith("gradcode_place_")} == set(map(str, range(300, 500)))
    assert shown["gradcode_workers", "computing"] == 500


def test_up_to_the_limit_every_place_has_series():
    status = replace(NO_RUN, places=tuple(place(number, None) for number in range(200)))
    shown = samples(MasterMetrics(lambda: status))
    assert len([key for key in shown if key[0] == "gradcode_place_straggles_total"]) == 200
    assert [key for key in shown if key[0] == "gradcode_place_chunk_seconds"] == []


# ---- Prometheus' own opinion ----------------------------------------------------------------------------


def test_promtool_finds_nothing_to_complain_about(ended, needs_tool):
    played, shown = ended
    assert "gradcode_place_straggles_total" in {key[0] for key in shown}
    command = [needs_tool("promtool"), "check", "metrics"]
    run = subprocess.run(command, input=played.metrics.expose(), capture_output=True)
    assert (run.returncode, run.stdout + run.stderr) == (0, b"")
