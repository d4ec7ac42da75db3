from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gradcode.monitoring.export import DEPLOY, Places, export
from gradcode.monitoring.rules import ALERTS, RULES, Alert, alerts_yaml

FOLDER = DEPLOY / "prometheus"


def promtool(program: str, *arguments: str | Path) -> str:
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("workers", [(), ("10.0.0.1:9101", "[::1]:9101")], ids=["service", "listed"])
def test_promtool_accepts_the_configuration(needs_tool, tmp_path, workers):
    export(tmp_path, Places(workers=workers))
    said = promtool(needs_tool("promtool"), "check", "config", tmp_path / "prometheus" / "prometheus.yml")
    assert "2 rule files found" in said


def test_promtool_accepts_the_rules(needs_tool):
    said = promtool(needs_tool("promtool"), "check", "rules", FOLDER / "rules.yml", FOLDER / "alerts.yml")
    assert f"{len(RULES)} rules found" in said
    assert f"{len(ALERTS)} rules found" in said


@pytest.mark.parametrize("file", ["rules.yml", "alerts.yml"])
def test_rules_and_alerts_do_as_their_tests_say(needs_tool, file):
    promtool(needs_tool("promtool"), "test", "rules", FOLDER / "tests" / file)


def test_every_rule_and_alert_is_tested():
    """An alert is seen to fire, and seen not to."""
    rules = (FOLDER / "tests" / "rules.yml").read_text()
    alerts = (FOLDER / "tests" / "alerts.yml").read_text()
    assert [rule.record for rule in RULES if rule.record not in rules] == []
    for alert in ALERTS:
        assert f"alertname: {alert.name}, eval_time" in alerts, f"{alert.name} is never seen to be silent"
        assert f"alertname: {alert.name}\n" in alerts, f"{alert.name} is never seen to fire"


def test_names_follow_one_form_and_severities_are_two():
    for rule in RULES:
        assert re.fullmatch(r"gradcode:[a-z_]+(:[a-z0-9_]+)?", rule.record)
        assert rule.meaning.endswith(".")
    for alert in ALERTS:
        assert re.fullmatch(r"Gradcode([A-Z][a-z]+)+", alert.name)
        assert alert.severity in ("critical", "warning")
        assert all(
            (
                alert.summary,
                alert.description.endswith("."),
                alert.when.endswith("."),
                alert.action.endswith("."),
            )
        )
    assert len({each.record for each in RULES}) == len(RULES)
    assert len({each.name for each in ALERTS}) == len(ALERTS)


def test_texts_with_quotes_stay_whole(needs_tool, tmp_path):
    alert = Alert(
        "GradcodeQuoted", 'up{job="it\'s"} == 0', "1m", "warning", "it's: {a}", "#1: 'b'", "Now.", "None."
    )
    file = tmp_path / "alerts.yml"
    file.write_text(alerts_yaml([alert]))
    assert "1 rules found" in promtool(needs_tool("promtool"), "check", "rules", file)
