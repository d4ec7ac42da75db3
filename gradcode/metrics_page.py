"""Writes docs/metrics.md from the registries themselves: ``python -m gradcode.metrics_page``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from common.codes.uncoded import uncoded
from common.delays import Delays
from gradcode.lab.simulator import Simulator
from master.metrics import MasterMetrics
from master.settings import RunSettings
from master.status import run_status
from worker.metrics import WorkerMetrics

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
OPEN_LABELS = ("place", "code", "n", "s", "epoch", "version")
"""Labels whose values depend on the run or the release; those of all others are a fixed set."""

HEAD = """\
# Metrics

<!-- Written by `python -m gradcode.metrics_page`; edit the metrics, not this page. -->

The master and every worker serve `/metrics` in Prometheus' text format and `/healthz` for health checks.
`deploy/prometheus/prometheus.yml` reads them all. What has no value yet, such as a loss before the first
round, has no sample; a place without a worker has none at all. Above 200 places only the 200 slowest have
series of their own (`gradcode master --metrics-places N` changes that); the histograms over all places count
everybody. Histograms have the series `_bucket`, `_sum` and `_count`. What to make of these numbers is told
in [monitoring.md](monitoring.md).
"""

TAIL = """
## Of the processes

The usual `process_*` (CPU seconds, resident memory, open files), `python_gc_*` and `python_info` of
prometheus-client.
"""


def master_registry() -> CollectorRegistry:
    """A master's registry after a simulated round, so that every label has a value."""
    settings = RunSettings(uncoded, n_workers=2, rounds=1, n_rows=2, learning=False)
    simulator = Simulator(settings, Delays("constant", seconds=0.01), n_workers=2)
    metrics = MasterMetrics(lambda: run_status(simulator.training, simulator.now))
    for record in simulator.play():
        metrics.record(record)
    return metrics.registry


def page() -> str:
    """The page as it should be now."""
    sections = {"Of the master": master_registry(), "Of a worker": WorkerMetrics().registry}
    texts = [HEAD]
    for title, registry in sections.items():
        families = [each for each in registry.collect() if each.name.startswith("gradcode_")]
        texts.append(f"\n## {title}\n\n" + _table(families) + _label_values(families))
    return "".join(texts) + TAIL


def _table(families: Iterable[Metric]) -> str:
    rows = ["| metric | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    for family in families:
        name = _name(family)
        labels = ", ".join(f"`{label}`" for label in _labels(family))
        rows.append(f"| `{name}` | {family.type} | {unit_of(name)} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"


def _label_values(families: Iterable[Metric]) -> str:
    """What the labels with a fixed set of values can be."""
    lines = []
    for family in families:
        for label, values in _labels(family).items():
            if label not in OPEN_LABELS:
                shown = ", ".join(f"`{value}`" for value in values)
                lines.append(f"* `{label}` of `{_name(family)}`: {shown}\n")
    return "\n" + "".join(lines) if lines else ""


def _name(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def _labels(family: Metric) -> dict[str, list[str]]:
    """Labels of a family with the values that are there, in the order of the samples."""
    found: dict[str, dict[str, None]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                found.setdefault(label, {})[value] = None
    return {label: list(values) for label, values in found.items()}


def unit_of(name: str) -> str:
    """The unit that a metric's name states; empty for plain numbers.

    >>> unit_of("gradcode_round_duration_seconds"), unit_of("gradcode_bytes_total"), unit_of("gradcode_loss")
    ('seconds', 'bytes', '')
    """
    stem = name.removesuffix("_total")
    if stem.endswith("_timestamp_seconds"):
        return "seconds since 1970"
    return next((unit for unit in ("seconds", "bytes") if stem.endswith(f"_{unit}")), "")


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 when written or fresh, 1 when ``--check`` finds the page stale."""
    parser = argparse.ArgumentParser(prog="python -m gradcode.metrics_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    fresh = page()
    if parser.parse_args(argv).check:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == fresh:
            return 0
        print("docs/metrics.md is stale: run python -m gradcode.metrics_page", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
