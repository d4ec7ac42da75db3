from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from common.delays import Delays
from gradcode.lab.simulator import Simulator
from master.counts import Counts, Spreads
from master.exposition import exposition
from master.metrics import MasterMetrics
from master.settings import RunSettings
from master.status import run_status

VALUES = (0.05, 0.1, 0.3, 1.0, 7.0, 2e7)


def without_created(text: bytes) -> list[str]:
    return [line for line in text.decode().splitlines() if "_created" not in line]


def test_it_is_the_text_of_the_library_for_a_whole_master():
    settings = RunSettings(
        lambda n: __import__("common.codes", fromlist=["CODES"]).CODES["scheduled"](n, 2, 4),
        n_workers=5,
        rounds=3,
        n_rows=20,
        learning=False,
    )
    simulator = Simulator(settings, Delays("constant", seconds=0.01, factors=((1, 3.0),)), n_workers=6)
    metrics = MasterMetrics(
        lambda: run_status(simulator.training, simulator.now), clock=lambda: 1.0, wall_clock=lambda: 2.0
    )
    for record in simulator.play():
        metrics.record(record)
    families = [each for each in metrics.registry.collect() if each.name.startswith("gradcode_")]

    class Kept:
        def collect(self):
            return families

    assert exposition(families) == generate_latest(Kept())
    assert len(families) > 30


def test_odd_labels_and_numbers_are_written_as_the_library_does():
    registry = CollectorRegistry()
    gauge = GaugeMetricFamily("odd", 'with "quotes", a \\ and\nan end', labels=["b", "a"])
    for number, value in enumerate((0, 1, -2.5, 1e6, 1.5e-9, 1e21, math.inf, -math.inf, math.nan, 123456789)):
        gauge.add_metric([f'"{number}"\\\n', "é"], value)

    class Kept:
        def collect(self):
            return [gauge]

    registry.register(Kept())
    assert exposition(registry.collect()) == generate_latest(registry)


def test_plain_counters_and_histograms_show_what_those_of_the_library_show():
    ours, theirs = CollectorRegistry(auto_describe=True), CollectorRegistry(auto_describe=True)
    plain = Counts("things_total", "Things.", ("kind",), ours)
    single = Counts("single_total", "One.", (), ours)
    spread = Spreads("took_seconds", "Took.", ("kind",), (0.1, 1.0, 5.0), ours)
    counter = Counter("things_total", "Things.", ("kind",), registry=theirs)
    alone = Counter("single_total", "One.", registry=theirs)
    histogram = Histogram("took_seconds", "Took.", ("kind",), buckets=(0.1, 1.0, 5.0), registry=theirs)
    for kind in ("a", "b"):
        for made in (plain, counter, spread, histogram):
            made.labels(kind)
    for value in VALUES:
        plain.labels("a").inc(value)
        counter.labels("a").inc(value)
        single.inc()
        alone.inc()
        spread.labels("b").observe(value)
        histogram.labels("b").observe(value)
    assert without_created(generate_latest(ours)) == without_created(generate_latest(theirs))
