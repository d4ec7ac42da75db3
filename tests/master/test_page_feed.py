from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

import pytest

from common.history import ChunkRow, RoundRecord, record_from_json
from master.page_feed import CELLS, CURVE, NOTES, Curve, PageFacts, PageFeed, round_cells, rounds_kept
from master.status import STATES, PlaceStatus, RunStatus

FACTS = PageFacts("r1", "digits", 1000, "0.1.0", 1.7e9)
PLACES = (
    PlaceStatus(0, "a", "computing", 1, 4, 0.0123456, 0.1, 0),
    PlaceStatus(1, "b", "idle", 4, 4, 0.01, 0.1, 0),
    PlaceStatus(2, "", "lost", 0, 4, None, None, 7),
)
STATUS = RunStatus("running", "2 of 3 places have a worker", 5, "uncoded(3)", 0, 0.25, 1.5, PLACES, ())
LINE = json.dumps(
    {
        "round": 0, "outcome": "exact", "end": "exact", "reason": "every chunk is recovered", "stepped": True,
        "loss": 0.5, "loss_share": 1.0, "residual": 0.0, "recovered_fraction": 1.0,
        "noise_amplification": 1.0, "deadline_seconds": None, "start_seconds": 0.0, "seconds": 0.1,
        "collect_seconds": 0.0, "solve_seconds": 0.0, "combine_seconds": 0.0, "step_seconds": 0.0,
        "gradient_norm": 1.0, "score": None, "stragglers": [], "contributors": [0], "lost": [],
        "bytes_sent": 0, "bytes_received": 0, "chunks_used": 3, "chunks_duplicate": 0, "chunks_late": 0,
        "chunks_wasted": 0, "straggler_chunks_used": 0, "uncoded_seconds": None, "epoch": 0, "events": [],
    }
)  # fmt: skip


def a_record(number: int, *rows: ChunkRow, **changes: object) -> RoundRecord:
    return replace(record_from_json(LINE), round=number, chunks=rows, **changes)


def a_row(place: int, arrived: float, state: str = "used", chunk: int = 0) -> ChunkRow:
    return ChunkRow(place, "w", 0, chunk, arrived, arrived, state)


def a_feed() -> PageFeed:
    return PageFeed(FACTS)


def test_a_newcomer_gets_all_and_later_only_what_is_new():
    feed = a_feed()
    feed.hear_record(a_record(0, a_row(0, 0.1), events=("worker a took place 0",)))
    assert feed.news(STATUS) is not None
    whole = feed.snapshot()
    assert whole["run"] == {
        "id": "r1",
        "name": "digits",
        "rounds": 1000,
        "version": "0.1.0",
        "started": 1.7e9,
    }
    assert whole["states"] == STATES
    assert whole["places"][0] == [0, STATES.index("computing"), 1, 4, 1, 0.0123, 0, 0]
    assert whole["places"][2] == [2, STATES.index("lost"), 0, 4, 0, None, 7, 0]
    assert whole["names"] == {0: "a", 1: "b", 2: ""}
    assert whole["notes"] == [[0, "worker a took place 0"]]
    assert whole["curve"] == [(0, 0.5)]
    moved = replace(STATUS, round=6, places=(replace(PLACES[0], chunks_finished=2), *PLACES[1:]))
    feed.hear_record(a_record(1))
    news = feed.news(moved)
    assert news is not None
    assert [row[:3] for row in news["places"]] == [[0, STATES.index("computing"), 2]]
    assert (news["names"], news["notes"]) == ({}, [])
    assert [row[0] for row in news["rounds"]] == [1]
    assert news["totals"] == {"exact": 2, "approximate": 0, "failed": 0}


def test_time_alone_is_no_news():
    feed = a_feed()
    assert feed.news(STATUS) is not None
    assert feed.news(replace(STATUS, elapsed_seconds=99.0)) is None
    assert feed.pulse()["now"]["elapsed"] == 99.0
    assert feed.news(replace(STATUS, phase="finished")) is not None


def test_news_added_to_a_snapshot_are_the_next_snapshot():
    feed = a_feed()
    feed.news(STATUS)
    mirror = feed.snapshot()
    for number in range(30):
        feed.hear_record(a_record(number, a_row(number % 3, 0.1), events=(f"note {number}",)))
        if number % 4 == 0:
            finished = replace(PLACES[1], chunks_finished=number % 5, worker=f"w{number % 2}")
            news = feed.news(replace(STATUS, round=number, places=(PLACES[0], finished, PLACES[2])))
            assert news is not None
            rows = {row[0]: row for row in [*mirror["places"], *news["places"]]}
            mirror = {
                **mirror, **{key: news[key] for key in ("now", "totals")}, "places": list(rows.values()),
                "names": {**mirror["names"], **news["names"]}, "rounds": mirror["rounds"] + news["rounds"],
                "notes": (mirror["notes"] + news["notes"])[-NOTES:],
            }  # fmt: skip
            told = feed.snapshot()
            assert {key: told[key] for key in mirror if key != "curve"} == {
                key: value for key, value in mirror.items() if key != "curve"
            }


def test_cells_say_how_slow_and_who_straggled():
    in_time = (a_row(0, 0.1), a_row(1, 0.1), a_row(2, 0.2, "wasted"), a_row(3, 0.8, "duplicate"))
    record = a_record(0, *in_time, a_row(4, 9.0, "late"), stragglers=(3, 4, 6), lost=(6,))
    # The median of 0.1, 0.1, 0.2 and 0.8 is 0.15; what came late is no part of this round.
    assert round_cells(record, 8) == "113Hs-x-"


def test_seconds_a_chunk_and_not_seconds_count():
    rows = [a_row(0, 0.1 * (chunk + 1), chunk=chunk) for chunk in range(4)]
    assert round_cells(a_record(0, *rows, a_row(1, 0.1))) == "22"


def test_rows_without_any_time_are_as_usual():
    assert round_cells(a_record(0, a_row(0, 0.0), a_row(1, 0.0))) == "22"


def test_late_chunks_are_counted_for_their_place():
    feed = a_feed()
    feed.hear_record(a_record(0, a_row(1, 0.5, "late"), a_row(1, 0.6, "late", 1)))
    feed.news(STATUS)
    assert [row[7] for row in feed.snapshot()["places"]] == [0, 2, 0]


def test_numbers_that_are_none_are_left_out_of_json():
    feed = a_feed()
    feed.hear_record(a_record(0, loss=float("nan"), recovered_fraction=float("inf"), seconds=1 / 3))
    feed.news(STATUS)
    told = json.loads(json.dumps(feed.snapshot(), allow_nan=False))
    assert told["rounds"][0][2:6] == [0.333333, None, None, None]
    assert told["curve"] == []


@pytest.mark.parametrize("n_places", [3, 1500])
def test_what_is_remembered_is_bounded_whatever_the_length_of_the_run(n_places):
    feed = a_feed()
    places = tuple(PlaceStatus(place, "w", "idle", 1, 1, 0.1, 0.1, 0) for place in range(n_places))
    feed.news(replace(STATUS, places=places))
    sizes = []
    for part in range(2):
        for number in range(part * 1000, part * 1000 + 1000):
            feed.hear_record(a_record(number, a_row(0, 0.1), events=("x" * 5000,)))
        told = feed.snapshot()
        assert len(told["rounds"]) == told["keep"] == rounds_kept(n_places)
        assert sum(len(row[7]) for row in told["rounds"]) <= CELLS
        assert len(told["curve"]) < CURVE
        assert len(told["notes"]) == NOTES
        sizes.append(len(json.dumps(told)))
    assert sizes[1] < 1.3 * sizes[0]
    news = feed.news(replace(STATUS, places=places))
    assert news is not None
    assert len(news["rounds"]) <= rounds_kept(n_places)


def test_the_curve_keeps_the_course_from_first_to_last():
    curve = Curve(100)
    for number in range(100_000):
        curve.add(number, float(number))
    rounds = [at for at, _ in curve.points]
    assert 50 <= len(rounds) < 100
    assert rounds[0] == 0
    assert rounds[-1] > 97_000
    assert len({b - a for a, b in itertools.pairwise(rounds)}) == 1


def test_a_round_of_64_workers_costs_well_under_a_millisecond():
    places = [(place, chunk) for place in range(64) for chunk in range(4)]
    record = a_record(0, *(a_row(place, 0.1 + place / 1000, chunk=chunk) for place, chunk in places))
    feed = a_feed()
    best = min(_seconds(feed, record) for _ in range(50))
    assert best < 0.0005


def _seconds(feed: PageFeed, record: RoundRecord) -> float:
    began = time.perf_counter()
    feed.hear_record(record)
    return time.perf_counter() - began


def test_places_that_the_next_plan_does_not_have_are_forgotten():
    feed = a_feed()
    feed.hear_record(a_record(0, a_row(2, 0.1)))
    feed.news(STATUS)
    feed.news(replace(STATUS, epoch=1, places=PLACES[:2]))
    whole = feed.snapshot()
    assert [row[0] for row in whole["places"]] == [0, 1]
    assert whole["names"].keys() == {0, 1}
    feed.hear_record(a_record(1, a_row(1, 0.1), epoch=1))
    assert len(feed.snapshot()["rounds"][-1][-1]) == 2
    assert feed.news(STATUS)["places"][0][0] == 2
