"""What went over the links of a run: counted by the driver as plain numbers, read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

DIRECTIONS = ("received", "sent")
DROPS = ("stale", "duplicate")


@dataclass(slots=True)
class Traffic:
    """Payload bytes ``received`` from and ``sent`` to workers; frames that came too late or twice."""

    received: int = 0
    sent: int = 0
    stale: int = 0
    duplicate: int = 0


class TrafficFamilies(Collector):
    """The families that show it; ``traffic`` is called at every scrape."""

    def __init__(self, traffic: Callable[[], Traffic]) -> None:
        self._traffic = traffic

    def describe(self) -> Iterator[Metric]:
        """The families, before there is any traffic."""
        return self._families(Traffic())

    def collect(self) -> Iterator[Metric]:
        """The families as they stand."""
        return self._families(self._traffic())

    def _families(self, now: Traffic) -> Iterator[Metric]:
        moved = CounterMetricFamily(
            "gradcode_bytes_total", "Bytes of parameters and messages on all links.", labels=("direction",)
        )
        for direction in DIRECTIONS:
            moved.add_metric((direction,), getattr(now, direction))
        yield moved
        dropped = CounterMetricFamily(
            "gradcode_frames_dropped_total", "Frames that came too late or twice.", labels=("kind",)
        )
        for kind in DROPS:
            dropped.add_metric((kind,), getattr(now, kind))
        yield dropped
