"""What Grafana needs of a dashboard's file, and what a reader needs of a dashboard."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from gradcode.metrics_page import master_registry
from gradcode.monitoring.export import DEPLOY
from gradcode.monitoring.panels import COLUMNS, Panel, Query, Row, _laid_out
from gradcode.monitoring.rules import ALERTS, RULES
from worker.metrics import WorkerMetrics

FILES = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
UNITS = {"Bps", "bytes", "cps", "none", "percentunit", "s", "short"}
KINDS = {"bargauge", "heatmap", "row", "stat", "status-history", "timeseries"}
OF_PROMETHEUS = {"up"}
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def board(request) -> dict[str, Any]:
    return json.loads(request.param.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Every series that master, worker and Prometheus' rules have."""
    names = {rule.record for rule in RULES} | OF_PROMETHEUS
    for registry in (master_registry(), WorkerMetrics().registry):
        for family in registry.collect():
            names |= {family.name + ending for ending in ENDINGS.get(family.type, ("",))}
    return names


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def series_in(expr: str) -> set[str]:
    """Names of metrics in a query: what is neither a label nor a word of PromQL."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expr)
    bare = re.sub(r"\b(by|on|ignoring|group_left)\s*\([^)]*\)", "", bare)
    words = re.findall(r"\b[a-z_:][a-z0-9_:]*\b(?!\s*\()", bare)
    return set(words) - {"and", "or", "unless", "sum", "max", "quantile", "by"}


def test_there_are_three_with_fixed_names():
    uids = [json.loads(path.read_text())["uid"] for path in FILES]
    assert uids == [f"gradcode-{path.stem}" for path in FILES]
    assert uids == ["gradcode-fleet", "gradcode-overview", "gradcode-stragglers"]


def test_the_file_is_what_grafana_reads(board):
    assert board["schemaVersion"] >= 36  # Grafana 9: panels name their datasource by type and uid
    assert "id" not in board  # Grafana gives one; a fixed one would collide
    assert board["title"]
    assert board["description"]
    assert set(board["time"]) == {"from", "to"}
    assert board["editable"] is False
    assert {each["name"] for each in board["templating"]["list"]} == {"datasource", "master"}
    ids = [panel["id"] for panel in board["panels"]]
    assert sorted(set(ids)) == sorted(ids)


def test_every_panel_is_complete(board):
    for panel in panels(board):
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["options"]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(values)
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == [chr(ord("A") + number) for number in range(len(refs))]
        assert refs != []
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["instant"] is not target["range"]
            assert (target["format"] == "heatmap") is (panel["type"] == "heatmap")
            assert target["legendFormat"]


def test_what_an_override_names_is_in_the_legend(board):
    for panel in panels(board):
        legends = {target["legendFormat"] for target in panel["targets"]}
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["options"] in legends


def test_panels_lie_side_by_side(board):
    """No two overlap, and all lie within the grid's columns."""
    places = [panel["gridPos"] for panel in board["panels"]]
    for each in places:
        assert min(each.values()) >= 0
        assert each["w"] > 0
        assert each["h"] > 0
        assert each["x"] + each["w"] <= COLUMNS
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_only_metrics_that_exist_are_asked_for(board, known):
    for panel in panels(board):
        for target in panel["targets"]:
            named = series_in(target["expr"])
            assert named != set(), target["expr"]
            assert named <= known, (panel["title"], named - known)


def test_rules_and_alerts_ask_only_for_metrics_that_exist(known):
    for expr in (*(rule.expr for rule in RULES), *(alert.expr for alert in ALERTS)):
        named = series_in(expr)
        assert named != set(), expr
        assert named <= known, (expr, named - known)


def test_names_are_found_in_queries():
    expr = 'sum by (le) (rate(a_bucket{b="c"}[5m])) / on (d) group_left () (quantile by (e) (0.5, f:g) > 0)'
    assert series_in(expr) == {"a_bucket", "f:g"}
    assert series_in("time() - h and on (i) j == 1") == {"h", "j"}


def test_masters_are_told_apart(board):
    """What one master says is not mixed with what another says."""
    for panel in panels(board):
        for target in panel["targets"]:
            of_workers = 'job="gradcode-worker"' in target["expr"] or "up{" in target["expr"]
            assert ('instance=~"$master"' in target["expr"]) is not of_workers, target["expr"]


def test_every_metric_of_a_run_is_shown_somewhere(known):
    """Nobody measures for nothing; a few speak for themselves or are details of others."""
    shown: set[str] = set()
    for path in FILES:
        for panel in panels(json.loads(path.read_text())):
            shown |= {name for target in panel["targets"] for name in series_in(target["expr"])}
    for each in (*RULES, *ALERTS):
        shown |= series_in(each.expr)
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known if name.startswith("gradcode_")}
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert stems - used == {
        "gradcode_build_info",
        "gradcode_checkpoint_round",
        "gradcode_checkpoint_timestamp_seconds",
        "gradcode_loss_share",
        "gradcode_plan_info",
        "gradcode_straggler_chunks_used_total",
        "gradcode_worker_chunks_total",
        "gradcode_worker_fetched_ranges_total",
        "gradcode_worker_fetched_rows_total",
        "gradcode_worker_late_chunks_total",
        "gradcode_worker_messages_total",
        "gradcode_worker_protocol_errors_total",
        "gradcode_worker_receive_bytes_total",
        "gradcode_worker_send_bytes_total",
        "gradcode_worker_stale_frames_total",
        "gradcode_place_chunks_total",
        "gradcode_place_work_seconds_total",
    }


def test_panels_that_do_not_fit_begin_a_new_line():
    row = Row("row", [Panel("a", "A.", [Query("up")], width=width) for width in (12, 12, 8)])
    places = [tuple(each["gridPos"].values()) for each in _laid_out([row, row])]
    assert places[:4] == [(0, 0, 24, 1), (0, 1, 12, 8), (12, 1, 12, 8), (0, 9, 8, 8)]
    assert places[4] == (0, 17, 24, 1)
