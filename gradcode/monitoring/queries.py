"""Pieces of PromQL that several panels share; ``@`` stands for the chosen master."""

from __future__ import annotations

from gradcode.monitoring.panels import Panel, Query

Limits = tuple[tuple[float, str], ...]


def rate(metric: str, by: str = "", match: str = "@") -> str:
    """Increase a second of a counter, summed over everything but the labels ``by``.

    >>> rate("gradcode_bytes_total", "direction")
    'sum by (direction) (rate(gradcode_bytes_total{@}[$__rate_interval]))'
    """
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({metric}{{{match}}}[$__rate_interval]))"


def quantile(share: float, histogram: str, match: str = "@") -> str:
    """The value that ``share`` of a histogram's observations do not exceed."""
    return f"histogram_quantile({share:g}, {rate(f'{histogram}_bucket', 'le', match)})"


def mean(histogram: str, by: str = "", match: str = "@") -> str:
    """Mean of what a histogram has observed."""
    sums, counts = rate(f"{histogram}_sum", by, match), rate(f"{histogram}_count", by, match)
    return f"{sums} / ({counts} > 0)"


def spread(histogram: str, match: str = "@") -> list[Query]:
    """Half, 95 % and 99 % of a histogram."""
    names = ((0.5, "half"), (0.95, "95 %"), (0.99, "99 %"))
    return [Query(quantile(share, histogram, match), name) for share, name in names]


def number(
    title: str, description: str, expr: str, unit: str = "short", limits: Limits = (), legend: str = ""
) -> Panel:
    """A single number that is large enough to be read from afar."""
    return Panel(title, description, [Query(expr, legend)], "stat", unit, 3, 4, limits=limits)
