"""Writes docs/monitoring.md from dashboards, rules and alerts: ``python -m gradcode.monitoring.page``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from gradcode.monitoring.export import DASHBOARDS
from gradcode.monitoring.panels import Dashboard
from gradcode.monitoring.rules import ALERTS, RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "monitoring.md"

HEAD = """\
# Watching runs

<!-- Written by `python -m gradcode.monitoring.page`; edit gradcode/monitoring, not this page. -->

Master and workers serve metrics; Prometheus reads and keeps them, evaluates rules and alerts; Grafana draws.
What is measured is in [metrics.md](metrics.md).

`docker compose up` starts all of it: Grafana on http://127.0.0.1:3000 opens on the overview and asks for no
password; whoever reaches it may look and change nothing. Prometheus is on http://127.0.0.1:9090 and follows
`--scale worker=N`.

With a Prometheus and a Grafana of your own:

```
gradcode master experiment.toml --metrics 0.0.0.0:9100 ...
gradcode worker --metrics-address 0.0.0.0:9101 ...
gradcode monitor export monitoring --master HOST:9100 --worker HOST1:9101 --worker HOST2:9101
```

* `monitoring/prometheus/`: a configuration, `rules.yml` and `alerts.yml`. Into a configuration of your own
  take the two jobs `gradcode-master` and `gradcode-worker` by these names, and name the two files under
  `rule_files`. The dashboards use the rules.
* `monitoring/grafana/dashboards/`: import them in Grafana (Dashboards, New, Import), or provision them as
  `monitoring/grafana/provisioning` does. They ask which Prometheus and which master to show, and have fixed
  addresses: `/d/gradcode-overview`, `/d/gradcode-stragglers`, `/d/gradcode-fleet`.

## How to read the dashboards

Start at *Losses left* and *Exact rounds* of the overview. When rounds are slow or not exact, *Slowness* tells
whether one place is the reason (a red line across), all at times (red columns), or none (then chunks are too
short, or the master is busy: *Event loop*, *Decoding*). *Work rescued and wasted* tells what redundancy costs
and brings. A **place** is a worker's seat in the plan; `gradcode status` names the worker that sits there.
"""

RULES_HEAD = """
## Recording rules

Per master (`instance`), over the window in the name.

| series | meaning |
|---|---|
"""

ALERTS_HEAD = """
## Alerts

`critical`: the run does not go on, or its result suffers; `warning`: it soon may.

| alert | fires when | severity | what to do |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be now."""
    boards = "".join("\n".join(_board(board)) + "\n" for board in DASHBOARDS)
    rules = "".join(f"| `{rule.record}` | {rule.meaning} |\n" for rule in RULES)
    alerts = "".join(
        f"| `{alert.name}` | {alert.when} | {alert.severity} | {alert.action} |\n" for alert in ALERTS
    )
    return HEAD + boards + ALERTS_HEAD + alerts + RULES_HEAD + rules


def _board(board: Dashboard) -> Iterator[str]:
    yield f"\n### {board.title.removeprefix('gradcode: ').capitalize()}\n\n{board.description}\n"
    for row in board.rows:
        for panel in row.panels:
            yield f"* **{panel.title}**: {panel.description}"


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 when written or fresh, 1 when ``--check`` finds the page stale."""
    parser = argparse.ArgumentParser(prog="python -m gradcode.monitoring.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    fresh = page()
    if parser.parse_args(argv).check:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == fresh:
            return 0
        print("docs/monitoring.md is stale: run python -m gradcode.monitoring.page", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
