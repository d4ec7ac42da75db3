"""What Prometheus is told of a run's checkpoints, read from their counts at a scrape."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from master.checkpointer import CheckpointCounts


class CheckpointFamilies(Collector):
    """Families of metrics over counts.

    Args:
        counts: kept by the run's checkpointer.
    """

    def __init__(self, counts: CheckpointCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """All families, those without a value empty."""
        counts, known = self._counts, self._counts.written > 0
        yield CounterMetricFamily(
            "gradcode_checkpoints_total", "Checkpoints that were written.", counts.written
        )
        yield CounterMetricFamily(
            "gradcode_checkpoint_failures_total",
            "Checkpoints that could not be written; each is tried again.",
            counts.failures,
        )
        yield CounterMetricFamily(
            "gradcode_checkpoints_skipped_total",
            "Checkpoints that were left out, as an earlier one was still being written.",
            counts.skipped,
        )
        yield GaugeMetricFamily(
            "gradcode_checkpoint_timestamp_seconds",
            "When the newest checkpoint was taken; no sample before the first.",
            counts.written_unix_seconds,
        )
        yield GaugeMetricFamily(
            "gradcode_checkpoint_age_seconds",
            "Since the newest checkpoint, or since the master began: what its loss would cost now.",
            counts.age_seconds,
        )
        yield GaugeMetricFamily(
            "gradcode_checkpoint_overdue_seconds",
            "For so long a checkpoint that was due is not written; 0 while all is well.",
            counts.overdue_seconds,
        )
        yield GaugeMetricFamily(
            "gradcode_checkpoint_duration_seconds",
            "Time that the newest checkpoint took.",
            counts.seconds if known else None,
        )
        yield GaugeMetricFamily(
            "gradcode_checkpoint_bytes",
            "Size of the newest checkpoint.",
            counts.n_bytes if known else None,
        )
        yield GaugeMetricFamily(
            "gradcode_checkpoint_round", "Rounds that the newest checkpoint holds.", counts.round
        )
