from __future__ import annotations

import pytest

from common.experiment import Experiment
from gradcode.lab.digest import Digest
from gradcode.lab.learning import simulate

DELAYS = {"distribution": "shifted_exponential", "seconds": 0.01, "mean_seconds": 0.02, "factors": {2: 5.0}}


def test_numbers_are_those_of_the_records():
    records = simulate(Experiment(rounds=20, delays=DELAYS), learning=False).play()
    digest = Digest()
    for record in records:
        digest.add(record)
    held = digest.numbers()
    rows = [row for record in records for row in record.chunks]
    used = sum(row.seconds for row in rows if row.state == "used")
    assert held["used_seconds"] == pytest.approx(used)
    assert held["wasted_seconds"] == pytest.approx(sum(row.seconds for row in rows) - used)
    assert held["wasted_share"] == pytest.approx(held["wasted_seconds"] / sum(row.seconds for row in rows))
    times = sorted(record.seconds for record in records)
    assert [held[f"p{share}_seconds"] for share in (50, 90, 99)] == [times[9], times[17], times[19]]
    assert held["bytes_received"] == sum(record.bytes_received for record in records)
    assert held["seconds"] == records[-1].start_seconds + records[-1].seconds
    assert (held["oracle_ratio"], held["oracle_rounds"]) == (None, 0)


def test_a_run_without_rounds_has_no_means():
    held = Digest().numbers()
    assert (held["rounds"], held["p50_seconds"], held["exact_share"], held["residual"]) == (
        0,
        None,
        None,
        None,
    )
