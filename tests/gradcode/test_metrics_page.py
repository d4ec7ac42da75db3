from __future__ import annotations

import re

from gradcode import metrics_page
from master.metrics import MasterMetrics
from master.status import RunStatus
from worker.metrics import WorkerMetrics

NO_RUN = RunStatus("waiting", "", -1, "", 0, None, 0.0, (), ())


def rows(text: str) -> dict[str, list[str]]:
    """Name of a metric -> type, unit, labels, meaning."""
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {name.strip("`"): [cell.strip() for cell in cells] for name, *cells in found}


def test_the_page_is_fresh():
    assert metrics_page.PAGE.read_text(encoding="utf-8") == metrics_page.page(), (
        "run python -m gradcode.metrics_page"
    )


def test_the_page_has_every_metric_of_master_and_worker():
    exposed = set()
    for registry in (MasterMetrics(lambda: NO_RUN).registry, WorkerMetrics().registry):
        for family in registry.collect():
            if family.name.startswith("gradcode_"):
                exposed.add(family.name + "_total" * (family.type == "counter"))
    shown = rows(metrics_page.page())
    assert set(shown) == exposed
    assert {"gradcode_rounds_total", "gradcode_worker_chunk_compute_seconds"} <= exposed
    assert all(re.search(r"[\w)]\.$", meaning) for _, _, _, meaning in shown.values())


def test_rows_say_type_unit_and_labels():
    shown = rows(metrics_page.page())
    assert shown["gradcode_rounds_total"][:3] == ["counter", "", "`outcome`, `end`"]
    assert shown["gradcode_round_duration_seconds"][:3] == ["histogram", "seconds", "`outcome`"]
    assert shown["gradcode_place_last_seen_timestamp_seconds"][:3] == [
        "gauge",
        "seconds since 1970",
        "`place`",
    ]
    assert shown["gradcode_plan_info"][2] == "`code`, `n`, `s`, `epoch`"
    assert "`state` of `gradcode_chunks_total`: `used`, `duplicate`, `late`, `wasted`" in metrics_page.page()


def test_a_stale_page_is_found_and_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(metrics_page, "PAGE", tmp_path / "metrics.md")
    assert metrics_page.main(["--check"]) == 1
    assert "docs/metrics.md is stale" in capsys.readouterr().err
    assert metrics_page.main([]) == 0
    assert metrics_page.main(["--check"]) == 0
    with (tmp_path / "metrics.md").open("a") as file:
        file.write("more\n")
    assert metrics_page.main(["--check"]) == 1
