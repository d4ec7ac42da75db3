"""Every query of the dashboards, and every rule, put to a Prometheus that watches a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine import ROOT, Failure, Project, eventually

DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
BUILT_IN = {
    "__rate_interval": "30s",
    "__interval": "15s",
    "__range": "5m",
    "__interval_ms": "15000",
    "__range_s": "300",
}
ANSWER_SECONDS = 45.0


def expressions(dashboard: Path) -> Iterator[tuple[str, str]]:
    """Title and query of every panel's targets; variables have values that fit any run."""
    model = json.loads(dashboard.read_text(encoding="utf-8"))
    listed = {each["name"]: each for each in model.get("templating", {}).get("list", [])}
    for panel in _panels(model.get("panels", [])):
        for target in panel.get("targets", []):
            if target.get("expr"):
                yield panel.get("title", "untitled"), _filled(target["expr"], listed)


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", []))


def _filled(expression: str, listed: dict[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        if name in BUILT_IN:
            return BUILT_IN[name]
        current = listed.get(name, {}).get("current", {}).get("value")
        if isinstance(current, list):
            current = current[0] if current else None
        return ".*" if current in (None, "", "$__all") else str(current)

    return re.sub(r"\$(?:\{(?P<braced>\w+)(?::\w+)?\}|(?P<plain>\w+))", value, expression)


def ask_every_query(project: Project) -> str:
    """Ask them all; a query answers when its result is not empty.

    Raises:
        Failure: one has no answer, or a rule is not well; names the first three.
    """
    asked = [(path.stem, *each) for path in sorted(DASHBOARDS.glob("*.json")) for each in expressions(path)]
    silent, idle = [], 0
    for dashboard, title, expression in asked:
        try:
            rows = eventually(title, lambda expression=expression: _rows(project, expression), ANSWER_SECONDS)
            idle += all(row["value"][1] == "NaN" for row in rows)
        except Failure as failure:
            silent.append(f"{dashboard}: {title}: {expression} ({failure})")
    rules = [rule for group in project.prometheus("rules")["groups"] for rule in group["rules"]]
    silent += [f"rule {rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    if silent:
        raise Failure(f"{len(silent)} of {len(asked) + len(rules)} have none: {'; '.join(silent[:3])}")
    if not asked and not rules:
        return "left out: there are no dashboards and no rules"
    # Not a number is the quantile of what did not happen of late.
    nothing = f" ({idle} say that nothing of the kind happened)" if idle else ""
    return f"{len(asked)} queries of dashboards have an answer{nothing}, {len(rules)} rules are well"


def _rows(project: Project, expression: str) -> list[Any]:
    return list(project.prometheus("query", query=expression)["result"])
