from __future__ import annotations

import json

import pytest
from made_records import a_record

from common.history import strict_json
from gradcode.summary import as_text, in_words, plural, summarise_run, summary_rows, uncoded_wait


def test_without_losses_the_waits_are_added_up():
    wait = uncoded_wait([a_record(number) for number in range(10)])
    assert (wait.rounds, wait.endless_from, wait.away_seconds) == (10, None, 0.0)
    assert wait.seconds == pytest.approx(4.0)
    assert wait.coded_seconds == pytest.approx(1.0)
    assert wait.speed_up == pytest.approx(4.0)
    assert in_words(wait) == "at least 4.0 s for what took 1.0 s here: 4.0 times as long."


def test_a_worker_lost_for_good_makes_an_uncoded_run_wait_for_ever():
    alive = [a_record(number) for number in range(6)]
    after = [a_record(number, uncoded=None, lost=(6,)) for number in range(6, 10)]
    wait = uncoded_wait(alive + after)
    assert (wait.rounds, wait.endless_from, wait.endless_places) == (6, 6, (6,))
    assert wait.seconds == pytest.approx(2.4)
    assert wait.coded_seconds == pytest.approx(0.6)
    text = in_words(wait)
    assert "rounds 0 to 5, which took 0.6 s here" in text
    assert "From round 6 on it would have waited for ever: place 6 was lost and did not come back." in text


def test_a_worker_that_comes_back_costs_an_uncoded_run_the_time_it_was_away():
    away = {3, 4, 5}
    records = [a_record(n, None if n in away else 0.4, (2,) if n in away else ()) for n in range(10)]
    wait = uncoded_wait(records)
    assert wait.endless_from is None
    assert wait.away_seconds == pytest.approx(0.6)
    assert wait.seconds == pytest.approx(7 * 0.4 + 0.6)
    assert "0.6 s of it for lost workers to come back." in in_words(wait)


def test_the_wait_is_endless_from_the_first_loss_that_lasts():
    """Place 2 is away for a while; place 5 is lost meanwhile, for good, and then place 7."""
    lost = {3: (2,), 4: (2, 5), 5: (2, 5), 6: (5,), 7: (5,), 8: (5, 7), 9: (5, 7)}
    records = [a_record(n, None if n in lost else 0.4, lost.get(n, ())) for n in range(10)]
    wait = uncoded_wait(records)
    assert (wait.rounds, wait.endless_from, wait.endless_places) == (4, 4, (5,))
    assert wait.away_seconds == pytest.approx(0.2)


def test_a_place_lost_twice_counts_from_its_last_loss():
    lost = {1: (2,), 4: (2,), 5: (2,)}
    records = [a_record(n, None if n in lost else 0.4, lost.get(n, ())) for n in range(6)]
    assert uncoded_wait(records).endless_from == 4


def test_lost_from_the_first_round_on_there_is_nothing_to_compare():
    wait = uncoded_wait([a_record(n, None, (0, 1)) for n in range(3)])
    assert wait.speed_up is None
    assert in_words(wait).endswith("for ever: places 0 and 1 were lost and did not come back.")


def test_no_round_at_all_is_a_summary_too():
    summary = summarise_run([], {"reason": "interrupted", "exit_code": 130, "score": None}, "runs/x")
    assert as_text(summary).splitlines() == [
        "Interrupted",
        "  time                0.0 s for 0 rounds",
        "  rounds              0 exact, 0 approximate, 0 failed",
        "  run folder          runs/x",
    ]


def test_a_killed_master_leaves_no_summary_and_is_summarised_all_the_same():
    summary = summarise_run([a_record(0, score=0.5)], None, "runs/x")
    assert (summary.exit_code, summary.rounds, summary.score) == (None, 1, 0.5)
    assert "without a summary" in summary.reason
    assert "predict" not in as_text(summary)


def test_text_holds_what_people_ask_and_fits_the_width():
    records = [a_record(n) for n in range(9)] + [a_record(9, outcome="approximate")]
    held = {"reason": "all 10 rounds are done", "exit_code": 0, "score": 0.9583, "score_name": "accuracy"}
    summary = summarise_run(records, held, "runs/demo-20250304-120000")
    rows = dict(summary_rows(summary))
    assert rows["held-out accuracy"] == "0.9583"
    assert rows["rounds"] == "9 exact, 1 approximate, 0 failed"
    assert rows["stragglers' work"] == "10 chunks of the 80 used came from stragglers"
    assert rows["time"].startswith("1.9 s for 10 rounds")
    text = as_text(summary, 80)
    assert "gradcode predict runs/demo-20250304-120000 DATA.csv" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_event_is_strict_json():
    summary = summarise_run([a_record(0), a_record(1)], {"reason": "done", "exit_code": 0}, "runs/x")
    held = json.loads(strict_json(summary.to_event()))
    assert held["event"] == "summary"
    assert held["uncoded"]["speed_up"] == pytest.approx(4.0)
    assert held["rounds"] == 2


def test_plural():
    assert [plural(count, "chunk") for count in (0, 1, 2)] == ["0 chunks", "1 chunk", "2 chunks"]


def test_what_was_verified_is_told_with_those_who_lied_and_what_it_cost():
    records = [
        a_record(0, verified=False, values_audited=2),
        a_record(1, verified=None, values_audited=3, values_wrong=1, quarantined=("w3",), returned_to=0),
        a_record(2, verified=True),
    ]
    summary = summarise_run(records, None, "runs/x")
    told = "1 of 2 rounds wholly verified, 5 values computed again; quarantined: w3; 2 rounds undone"
    assert ("answers", told) in summary_rows(summary)
    assert summarise_run([a_record(0)], None, "runs/x").answers == ""
