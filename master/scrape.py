"""What is read from the run's status when Prometheus asks, rather than counted as it happens."""

from __future__ import annotations

from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from common.history import RoundRecord
from common.version import __version__
from master.status import STATES, PlaceStatus, RunStatus

MAX_PLACES = 200
"""Most places with series of their own; beyond it the slowest are shown."""

LAG_WINDOW_SECONDS = 10.0
"""So long the largest lag of the event loop is remembered."""

PHASES = ("waiting", "running", "finished")
"""The phases of a run."""

_LAST_ROUND: tuple[tuple[str, str, Callable[[RoundRecord], float | None]], ...] = (
    (
        "gradcode_recovered_fraction",
        "Recovered fraction of the last round: 1 is the whole gradient.",
        lambda record: record.recovered_fraction,
    ),
    (
        "gradcode_residual",
        "Distance of the last round's decoded coefficients from the exact sum (Frobenius norm).",
        lambda record: record.residual,
    ),
    (
        "gradcode_noise_amplification",
        "Norm of the last round's decoding weights: how much rounding errors may grow.",
        lambda record: record.noise_amplification,
    ),
    (
        "gradcode_round_stragglers",
        "Stragglers of the last round: places without a link or slower than twice the median.",
        lambda record: len(record.stragglers),
    ),
    (
        "gradcode_loss",
        "Newest training loss: mean over the rows of the chunks that were finished.",
        lambda record: record.loss,
    ),
    (
        "gradcode_loss_share",
        "Share of the training rows that the last round's loss covers, 0 to 1.",
        lambda record: record.loss_share,
    ),
    (
        "gradcode_gradient_norm",
        "Norm of the newest combined gradient, taken as a mean over the training rows.",
        lambda record: record.gradient_norm,
    ),
    ("gradcode_score", "Newest score on the held-out rows.", lambda record: record.score),
)


class WindowMax:
    """The largest value of the last ``seconds``.

    >>> lag = WindowMax(10.0)
    >>> lag.add(0.0, 0.5)
    >>> lag.add(4.0, 0.2)
    >>> lag.value(5.0), lag.value(11.0), lag.value(60.0)
    (0.5, 0.2, 0.0)
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._falling: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> None:
        """Take in a value. Cost O(1) amortised."""
        while self._falling and self._falling[-1][1] <= value:
            self._falling.pop()
        self._falling.append((now, value))
        self._forget(now)

    def value(self, now: float) -> float:
        """The maximum; 0 when there is nothing in the window."""
        self._forget(now)
        return self._falling[0][1] if self._falling else 0.0

    def _forget(self, now: float) -> None:
        while self._falling and self._falling[0][0] < now - self._seconds:
            self._falling.popleft()


class Scrape(Collector):
    """Gauges of the moment, made when Prometheus asks."""

    def __init__(
        self,
        status: Callable[[], RunStatus],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        max_places: int,
    ) -> None:
        self.lag = WindowMax(LAG_WINDOW_SECONDS)
        self._status = status
        self._clock = clock
        self._wall_clock = wall_clock
        self._max_places = max_places
        self._latest: dict[str, float] = {}
        self._arrivals: dict[int, float] = {}

    def record(self, record: RoundRecord) -> None:
        """Remember what the last round came to, and when each place last reported in it."""
        for name, _, value_of in _LAST_ROUND:
            value = value_of(record)
            if value is not None:
                self._latest[name] = value
        newest = sorted(record.chunks, key=lambda row: (row.round, row.arrived_seconds))
        self._arrivals = {row.place: row.arrived_seconds for row in newest}

    def describe(self) -> Iterator[Metric]:
        """The names only: there may be no run to ask yet."""
        nothing = RunStatus("waiting", "", -1, "", 0, None, 0.0, (), ())
        return self._families(nothing)

    def collect(self) -> Iterator[Metric]:
        """All families, those without a value empty."""
        return self._families(self._status())

    def _families(self, status: RunStatus) -> Iterator[Metric]:
        yield from self._run(status)
        for name, meaning, _ in _LAST_ROUND:
            yield GaugeMetricFamily(name, meaning, value=self._latest.get(name))
        yield GaugeMetricFamily(
            "gradcode_event_loop_lag_max_seconds",
            f"Largest lag of the event loop in the last {LAG_WINDOW_SECONDS:g} s.",
            value=self.lag.value(self._clock()),
        )
        yield from self._places(self._slowest(status.places))

    def _run(self, status: RunStatus) -> Iterator[Metric]:
        build = GaugeMetricFamily("gradcode_build_info", "The version that runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        plan = GaugeMetricFamily(
            "gradcode_plan_info",
            "The plan: its code, number of places and epoch.",
            labels=["code", "n", "epoch"],
        )
        if status.code:
            plan.add_metric([status.code, str(len(status.places)), str(status.epoch)], 1)
        yield plan
        phase = GaugeMetricFamily("gradcode_run_phase", "1 for the phase of the run.", labels=["phase"])
        for each in PHASES:
            phase.add_metric([each], float(each == status.phase))
        yield phase
        yield GaugeMetricFamily(
            "gradcode_round", "Number of the round in hand; -1 before the first.", value=status.round
        )
        yield GaugeMetricFamily(
            "gradcode_deadline_seconds",
            "Deadline of the round in hand; no sample without one.",
            value=status.deadline_seconds,
        )
        workers = GaugeMetricFamily(
            "gradcode_workers", "Places by state, and spare workers; every one counts once.", labels=["state"]
        )
        counts = Tally(each.state for each in (*status.places, *status.spares))
        for state in (*STATES, "spare"):
            workers.add_metric([state], counts[state])
        yield workers

    def _slowest(self, places: Sequence[PlaceStatus]) -> Sequence[PlaceStatus]:
        if len(places) <= self._max_places:
            return places
        return sorted(places, key=lambda each: -(each.seconds_per_chunk or 0.0))[: self._max_places]

    def _places(self, places: Sequence[PlaceStatus]) -> Iterator[Metric]:
        arrival = GaugeMetricFamily(
            "gradcode_place_last_arrival_seconds",
            "Time from the start of its round to the place's newest report in the last round's record.",
            labels=["place"],
        )
        seen = GaugeMetricFamily(
            "gradcode_place_last_seen_timestamp_seconds",
            "When the place's link last brought a report or a message; no sample without a link.",
            labels=["place"],
        )
        pace = GaugeMetricFamily(
            "gradcode_place_chunk_seconds", "Remembered time the place takes for a chunk.", labels=["place"]
        )
        straggles = CounterMetricFamily(
            "gradcode_place_straggles", "Rounds in which the place was a straggler.", labels=["place"]
        )
        now = self._wall_clock()
        for each in places:
            place = [str(each.place)]
            if each.place in self._arrivals:
                arrival.add_metric(place, self._arrivals[each.place])
            if each.last_seen_seconds is not None:
                seen.add_metric(place, now - each.last_seen_seconds)
            if each.seconds_per_chunk is not None:
                pace.add_metric(place, each.seconds_per_chunk)
            straggles.add_metric(place, each.straggles)
        yield from (arrival, seen, pace, straggles)
