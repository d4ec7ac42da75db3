"""Counters and histograms that are plain numbers, made into families when Prometheus asks.

Those of prometheus-client lock for every value, which costs more than all else that a master does with a
report. These belong to one thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry


class Count:
    """One number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``, at least 0."""
        self.value += amount


class Counts(Collector):
    """A counter, or one for each set of label values that was asked for.

    Args:
        name: ends with ``_total``. meaning: for people. labels: names of labels. registry: shows it.

    >>> registry = CollectorRegistry(auto_describe=True)
    >>> rounds = Counts("rounds_total", "Rounds.", ("outcome",), registry)
    >>> rounds.labels("exact").inc()
    >>> registry.get_sample_value("rounds_total", {"outcome": "exact"})
    1.0
    """

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...], registry: CollectorRegistry) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        self._counts: dict[tuple[str, ...], Count] = {}
        if not labels:
            self.labels()
        registry.register(self)

    def labels(self, *values: str) -> Count:
        """The counter with these label values; it is shown from now on."""
        assert len(values) == len(self._labels), f"{self._name} has the labels {self._labels}"
        return self._counts.setdefault(values, Count())

    def inc(self, amount: float = 1) -> None:
        """Add ``amount`` to a counter without labels."""
        self._counts[()].value += amount

    def collect(self) -> Iterator[Metric]:
        """The family as it stands."""
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count.value)
        yield family


class Spread:
    """How values are spread over ranges.

    >>> waits = Spread((0.1, 1.0))
    >>> for seconds in (0.05, 0.1, 0.3, 7.0):
    ...     waits.observe(seconds)
    >>> waits.buckets()
    [('0.1', 2), ('1.0', 3), ('+Inf', 4)]
    """

    __slots__ = ("_boundaries", "_counts", "sum")

    def __init__(self, boundaries: tuple[float, ...]) -> None:
        self.sum = 0.0
        self._boundaries = boundaries
        self._counts = [0] * (len(boundaries) + 1)

    def observe(self, value: float) -> None:
        """Take in a value. Cost O(log boundaries)."""
        self._counts[bisect_left(self._boundaries, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper boundary, number of values up to it), the last for all."""
        names = [*map(str, self._boundaries), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))


class Spreads(Collector):
    """A histogram, or one for each label value that was asked for; see `Counts`."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        boundaries: tuple[float, ...],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._meaning, self._labels, self._boundaries = name, meaning, labels, boundaries
        self._spreads: dict[tuple[str, ...], Spread] = {}
        if not labels:
            self.labels()
        registry.register(self)

    def labels(self, *values: str) -> Spread:
        """The histogram with these label values; it is shown from now on."""
        assert len(values) == len(self._labels), f"{self._name} has the labels {self._labels}"
        return self._spreads.setdefault(values, Spread(self._boundaries))

    def collect(self) -> Iterator[Metric]:
        """The family as it stands."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, spread in self._spreads.items():
            family.add_metric(values, spread.buckets(), spread.sum)
        yield family
