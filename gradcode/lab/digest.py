"""Pure: the numbers of a simulated run, folded together record by record so that no record is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from common.history import RoundRecord
from gradcode.lab.oracle import Oracle


class Digest:
    """What the rounds of one run came to.

    Args:
        oracle: of the same run; None leaves the ratio out.

    Attributes:
        round_seconds: of every round, in order.
        oracle_seconds: (round, seconds) of the sampled rounds.
    """

    def __init__(self, oracle: Oracle | None = None) -> None:
        self.round_seconds: list[float] = []
        self.oracle_seconds: list[tuple[int, float]] = []
        self._oracle = oracle
        self._counts: Counter[str] = Counter()
        self._sums = {"residual": 0.0, "recovered": 0.0, "used": 0.0, "wasted": 0.0, "ratio": 0.0}
        self._seconds = 0.0
        self._loss: float | None = None

    def add(self, record: RoundRecord) -> None:
        """Fold in a round. Cost: O(finished chunks), and the oracle's."""
        self.round_seconds.append(record.seconds)
        self._seconds = record.start_seconds + record.seconds
        self._loss = record.loss
        self._counts[record.outcome] += 1
        for name in ("bytes_sent", "bytes_received", "straggler_chunks_used"):
            self._counts[name] += getattr(record, name)
        self._sums["residual"] += record.residual
        self._sums["recovered"] += record.recovered_fraction
        for row in record.chunks:
            self._sums["used" if row.state == "used" else "wasted"] += row.seconds
        if self._oracle is not None and self._oracle.sampled(record.round):
            self._compare(record, self._oracle)

    def _compare(self, record: RoundRecord, oracle: Oracle) -> None:
        least = oracle.seconds(record.round, record.lost)
        if least:
            self.oracle_seconds.append((record.round, least))
            self._sums["ratio"] += record.seconds / least

    def numbers(self) -> dict[str, Any]:
        """The numbers by name; None where there is nothing to take a mean of. All seconds are simulated.

        ``used_seconds`` are those of chunks that entered a gradient, ``wasted_seconds`` of chunks that were
        finished in vain: another copy was used, or none. ``oracle_ratio`` is the mean over ``oracle_rounds``
        rounds of their seconds in times of the oracle's.
        """
        n, times = len(self.round_seconds), sorted(self.round_seconds)
        used, wasted = self._sums["used"], self._sums["wasted"]
        compared = len(self.oracle_seconds)
        return {
            "rounds": n,
            **{kind: self._counts[kind] for kind in ("exact", "approximate", "failed")},
            "exact_share": _share(self._counts["exact"], n),
            "p50_seconds": quantile(times, 0.5),
            "p90_seconds": quantile(times, 0.9),
            "p99_seconds": quantile(times, 0.99),
            "seconds": self._seconds,
            "residual": _share(self._sums["residual"], n),
            "recovered": _share(self._sums["recovered"], n),
            "used_seconds": used,
            "wasted_seconds": wasted,
            "wasted_share": _share(wasted, used + wasted),
            "bytes_sent": self._counts["bytes_sent"],
            "bytes_received": self._counts["bytes_received"],
            "oracle_ratio": _share(self._sums["ratio"], compared),
            "oracle_rounds": compared,
            "straggler_chunks_used": self._counts["straggler_chunks_used"],
            "loss": self._loss,
        }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the ascending values do not exceed; None without values.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5), quantile([1.0, 2.0, 3.0, 4.0], 0.95)
    (2.0, 4.0)
    """
    if not ordered:
        return None
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
