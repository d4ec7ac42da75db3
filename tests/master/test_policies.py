from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.codes.base import certify
from common.codes.uncoded import uncoded
from common.history import RoundRecord
from master.outcome import Outcome
from master.policies import SKIPS_IN_A_ROW, Verdict, end_of_run, judge, reason_to_stop
from master.settings import RunSettings


def outcome(end: str, recovered: int, n: int = 10) -> Outcome:
    messages = uncoded(n).messages[:recovered]
    decoding = certify(n, 1, messages, np.ones((recovered, 1)))
    return Outcome(end, "because", decoding, (), messages, (), (), 1.0, 0.0, 0.0)


def policies(**fields) -> RunSettings:
    return RunSettings(**{"make_code": uncoded, "n_workers": 10, "rounds": 100, "n_rows": 10, **fields})


def record(**fields) -> RoundRecord:
    numbers = dict.fromkeys(
        [
            name
            for name, kind in RoundRecord.__annotations__.items()
            if kind in ("int", "float", "float | None")
        ],
        0,
    )
    rest = {"outcome": "exact", "end": "exact", "reason": "", "stepped": True, "stragglers": ()}
    return RoundRecord(**{**numbers, **rest, "contributors": (), "lost": (), **fields})


# ---- what becomes of an outcome ---------------------------------------------------------------------------


@pytest.mark.parametrize("on_shortfall", ["wait", "approximate", "skip", "fail"])
def test_exact_and_enough_step_whatever_the_policy(on_shortfall):
    found = judge(outcome("exact", 10), policies(on_shortfall=on_shortfall))
    assert found == Verdict("exact", True, False, "because")
    found = judge(outcome("enough", 3), policies(on_shortfall=on_shortfall))
    assert found == Verdict("approximate", True, False, "because")


@pytest.mark.parametrize("end", ["deadline", "exhausted"])
@pytest.mark.parametrize(
    ("on_shortfall", "recovered", "expected"),
    [
        ("approximate", 7, Verdict("approximate", True, False, "because")),
        ("approximate", 6, Verdict("failed", False, False, "because, below least_recovered = 0.7")),
        ("skip", 9, Verdict("failed", False, False, "because; on_shortfall = skip")),
        ("fail", 9, Verdict("failed", False, True, "because; on_shortfall = fail")),
    ],
)
def test_shortfalls(end, on_shortfall, recovered, expected):
    wanted = policies(on_shortfall=on_shortfall, least_recovered=0.7)
    assert judge(outcome(end, recovered), wanted) == expected


def test_rounding_does_not_make_a_shortfall():
    """1 - 93/100 is a little less than 0.07."""
    assert judge(outcome("deadline", 7, n=100), policies(least_recovered=0.07)).steps


# ---- the end of the run -----------------------------------------------------------------------------------


def test_the_last_round_is_the_end():
    assert reason_to_stop(record(round=98), policies()) is None
    assert reason_to_stop(record(round=99), policies()) == "all 100 rounds are done"


def test_a_target_loss_counts_only_over_enough_rows():
    wanted = policies(target_loss=0.5, least_recovered=0.8)
    assert reason_to_stop(record(loss=0.51, loss_share=1.0), wanted) is None
    assert reason_to_stop(record(loss=0.5, loss_share=0.7), wanted) is None
    assert reason_to_stop(record(loss=None, loss_share=0.0), wanted) is None
    found = reason_to_stop(record(loss=0.4, loss_share=0.8), wanted)
    assert found == "the training loss 0.4 reached the target 0.5"


def test_a_small_gradient_is_the_end():
    wanted = policies(gradient_tolerance=0.01)
    assert reason_to_stop(record(gradient_norm=0.02), wanted) is None
    assert reason_to_stop(record(gradient_norm=None), wanted) is None
    found = reason_to_stop(record(gradient_norm=0.002), wanted)
    assert found == "the gradient norm 0.002 is within the tolerance 0.01"


def test_a_failed_round_ends_the_run_and_so_do_ten_skips():
    failed = Verdict("failed", False, True, "because")
    assert end_of_run(record(round=3), failed, 1, policies()) == ("round 3 failed: because", 3)
    skipped = replace(failed, fails=False)
    assert end_of_run(record(), skipped, SKIPS_IN_A_ROW - 1, policies()) is None
    reason = "10 rounds in a row had no step, the last one: because"
    assert end_of_run(record(), skipped, SKIPS_IN_A_ROW, policies()) == (reason, 3)
    stepped = Verdict("exact", True, False, "")
    assert end_of_run(record(round=99), stepped, 0, policies()) == ("all 100 rounds are done", 0)
