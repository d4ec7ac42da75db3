"""What is read from the run's status when Prometheus asks, rather than counted as it happens."""

from __future__ import annotations

from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from common.history import RoundRecord
from common.version import __version__
from master.fleet import Fleet
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


class _Place(NamedTuple):
    """What is known of a place with a worker at a scrape."""

    number: int
    status: PlaceStatus
    arrived_seconds: float | None
    chunks: float
    work_seconds: float
    now: float

    @property
    def seen_at(self) -> float | None:
        ago = self.status.last_seen_seconds
        return None if ago is None else self.now - ago


_OfPlace = Callable[[_Place], float | None]
_PLACES: tuple[tuple[type[GaugeMetricFamily] | type[CounterMetricFamily], str, str, _OfPlace], ...] = (
    (
        GaugeMetricFamily,
        "gradcode_place_last_arrival_seconds",
        "Time from the start of its round to the place's newest report in the last round's record.",
        lambda place: place.arrived_seconds,
    ),
    (
        GaugeMetricFamily,
        "gradcode_place_last_seen_timestamp_seconds",
        "When the place's link last brought a report or a message.",
        lambda place: place.seen_at,
    ),
    (
        GaugeMetricFamily,
        "gradcode_place_chunk_seconds",
        "Speed estimate: remembered time the place takes for a chunk.",
        lambda place: place.status.seconds_per_chunk,
    ),
    (
        GaugeMetricFamily,
        "gradcode_place_round_trip_seconds",
        "Remembered time from sending the place a small frame to hearing of it.",
        lambda place: place.status.round_trip_seconds,
    ),
    (
        CounterMetricFamily,
        "gradcode_place_straggles",
        "Rounds in which the place was a straggler.",
        lambda place: place.status.straggles,
    ),
    (
        CounterMetricFamily,
        "gradcode_place_chunks",
        "Chunks that the place has finished, late ones included.",
        lambda place: place.chunks,
    ),
    (
        CounterMetricFamily,
        "gradcode_place_work_seconds",
        "Seconds that these chunks took, by the worker's clock.",
        lambda place: place.work_seconds,
    ),
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
        self._fleet = Fleet()

    def record(self, record: RoundRecord) -> None:
        """Remember what the last round came to, and add it up, later. Cost O(finished chunks)."""
        for name, _, value_of in _LAST_ROUND:
            value = value_of(record)
            if value is not None:
                self._latest[name] = value
        self._fleet.record(record)

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
        yield from self._fleet.families()
        yield from self._places(self._slowest([each for each in status.places if each.state != "lost"]))

    def _run(self, status: RunStatus) -> Iterator[Metric]:
        build = GaugeMetricFamily("gradcode_build_info", "The version that runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        plan = GaugeMetricFamily(
            "gradcode_plan_info",
            "The plan: its code, number n of places, any s of which may be lost, and epoch.",
            labels=["code", "n", "s", "epoch"],
        )
        if status.code:
            n, s = len(status.places), status.n_stragglers
            plan.add_metric([status.code, str(n), str(s), str(status.epoch)], 1)
        yield plan
        yield GaugeMetricFamily(
            "gradcode_tolerated_losses",
            "Any so many places may be lost and rounds are still exact; no sample without a plan.",
            value=status.n_stragglers if status.code else None,
        )
        yield from self._plans(status)
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

    def _plans(self, status: RunStatus) -> Iterator[Metric]:
        replans = CounterMetricFamily(
            "gradcode_replans",
            "Plans after the first: places were lost, spares made it grow, or an operator scaled it.",
            labels=["reason"],
        )
        for reason, count in status.replans.items():
            replans.add_metric([reason], count)
        yield replans
        yield GaugeMetricFamily(
            "gradcode_wanted_workers",
            "Workers that the run should have; no sample before that is known.",
            value=status.wanted,
        )

    def _slowest(self, places: Sequence[PlaceStatus]) -> Sequence[PlaceStatus]:
        if len(places) <= self._max_places:
            return places
        return sorted(places, key=lambda each: -(each.seconds_per_chunk or 0.0))[: self._max_places]

    def _places(self, places: Sequence[PlaceStatus]) -> Iterator[Metric]:
        """One sample a place; where there is no worker, or no value yet, there is none."""
        known = list(self._known(places))
        # Made once for all families; adding them one by one takes three times as long.
        labels = [{"place": str(each.number)} for each in known]
        for kind, name, meaning, value_of in _PLACES:
            family = kind(name, meaning, labels=["place"])
            full_name = f"{name}_total" if kind is CounterMetricFamily else name
            values = zip(labels, map(value_of, known), strict=True)
            family.samples = [Sample(full_name, own, value) for own, value in values if value is not None]
            yield family

    def _known(self, places: Sequence[PlaceStatus]) -> Iterator[_Place]:
        now, arrivals = self._wall_clock(), self._fleet.arrivals()
        chunks, seconds = (numbers.tolist() for numbers in self._fleet.of_places())
        for each in places:
            number = each.place
            if number is not None:
                done, took = (chunks[number], seconds[number]) if number < len(chunks) else (0.0, 0.0)
                yield _Place(number, each, arrivals.get(number), done, took, now)
