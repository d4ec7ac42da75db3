"""What the master tells Prometheus: counted as things happen, or read from the run's status at a scrape.

Counting is an addition (`master.counts`); everything else is done when Prometheus asks.
Everything is in a registry of its own, so that several masters can live in one process. Label values come
from fixed sets and all of them start at 0; only ``place`` grows with the run, and at most MAX_PLACES of them
are shown. What has no value yet (a loss before the first round) has no sample, rather than a 0 that lies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from common.boundaries import SECONDS, SHORT_SECONDS
from common.history import ChunkState, End, OutcomeKind, RoundRecord
from master.checkpoint_metrics import CheckpointFamilies
from master.checkpointer import CheckpointCounts
from master.counts import Count, Counts, Spreads
from master.exposition import exposition
from master.scrape import MAX_PLACES, Scrape
from master.status import RunStatus
from master.traffic import Traffic, TrafficFamilies

LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Boundaries of the event loop's lag."""

STAGES = ("collect", "solve", "combine")
VALUES = ("audited", "compared", "wrong")
OTHER = "other"
PROTOCOL_ERRORS = (
    "bad_terms",
    "bad_value",
    "corrupt",
    "expired",
    "foreign_chunk",
    "foreign_message",
    "foreign_rows",
    "no_handshake",
    "replayed_token",
    "too_large",
    "too_many_calls",
    "too_many_fetches",
    "too_many_frames",
    "too_many_links",
    "too_slow",
    "unknown_frame",
    "unreadable",
    "wrong_digest",
    "wrong_dtype",
    "wrong_length",
    "wrong_name",
    "wrong_order",
    "wrong_role",
    "wrong_token",
    "wrong_version",
    OTHER,
)
"""Kinds of protocol errors that are told apart; any other kind counts as ``other``."""


class MasterMetrics:
    """All metrics of one master. Its methods are called from the event loop's thread.

    Args:
        status: how the run stands now; called once at every scrape.
        clock: monotonic seconds, for the lag's window. wall_clock: seconds since 1970, for timestamps.
        max_places: most places with series of their own.
        traffic: what went over the links; called once at every scrape.
    """

    def __init__(
        self,
        status: Callable[[], RunStatus],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        max_places: int = MAX_PLACES,
        traffic: Callable[[], Traffic] = Traffic,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._clock = clock
        self._count_rounds()
        self._count_answers()
        self._count_traffic(traffic)
        lag = "How late the event loop was for a timer."
        self._lag = Spreads("gradcode_event_loop_lag_seconds", lag, (), LAG_BUCKETS, self.registry).labels()
        self._scrape = Scrape(status, clock, wall_clock, max_places)
        self.registry.register(self._scrape)
        self.checkpoints = CheckpointCounts(clock)
        self.registry.register(CheckpointFamilies(self.checkpoints))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _count_rounds(self) -> None:
        outcomes = get_args(OutcomeKind)
        rounds = self._counter(
            "gradcode_rounds_total", "Finished rounds by outcome and by what ended them.", "outcome", "end"
        )
        self._rounds = {
            (outcome, end): rounds.labels(outcome, end) for outcome in outcomes for end in get_args(End)
        }
        durations = Spreads(
            "gradcode_round_duration_seconds",
            "Time from the start of a round to its outcome.",
            ("outcome",),
            SECONDS,
            self.registry,
        )
        self._durations = {outcome: durations.labels(outcome) for outcome in outcomes}
        decoding = Spreads(
            "gradcode_decode_duration_seconds",
            "Time a round took to collect messages on request, to solve for weights and to combine.",
            ("stage",),
            SHORT_SECONDS,
            self.registry,
        )
        self._decoding = {stage: decoding.labels(stage) for stage in STAGES}
        self._chunks = self._counters(
            "gradcode_chunks_total", "Finished chunks by what became of them.", "state", get_args(ChunkState)
        )
        self._stragglers = self._counter("gradcode_stragglers_total", "Stragglers, summed over the rounds.")
        self._straggler_chunks = self._counter(
            "gradcode_straggler_chunks_used_total", "Chunks of stragglers that entered a gradient."
        )
        self._uncoded_seconds = self._counter(
            "gradcode_uncoded_seconds_total",
            "What the rounds would have taken without redundancy, those without an end left out.",
        )
        self._uncoded_endless = self._counter(
            "gradcode_uncoded_endless_rounds_total",
            "Rounds in which a run without redundancy would have waited for ever.",
        )

    def _count_answers(self) -> None:
        self._values = self._counters(
            "gradcode_values_total",
            "Answers that were verified: computed again, agreed on by two workers, or found wrong.",
            "state",
            VALUES,
        )
        self._quarantined = self._counter("gradcode_quarantined_total", "Workers that answered wrongly.")
        self._undone = self._counter(
            "gradcode_undone_rounds_total", "Rounds whose steps were undone, as wrong answers were in them."
        )

    def _count_traffic(self, traffic: Callable[[], Traffic]) -> None:
        self._protocol_errors = self._counters(
            "gradcode_protocol_errors_total",
            "Links or calls that ended because the peer broke the protocol.",
            "kind",
            PROTOCOL_ERRORS,
        )
        self.registry.register(TrafficFamilies(traffic))
        self._opened = self._counter("gradcode_links_opened_total", "Links that workers opened.")
        self._lost = self._counter("gradcode_links_lost_total", "Links that ended, for whatever reason.")

    def _counter(self, name: str, meaning: str, *labels: str) -> Counts:
        return Counts(name, meaning, labels, self.registry)

    def _counters(self, name: str, meaning: str, label: str, values: Sequence[str]) -> dict[str, Count]:
        counter = self._counter(name, meaning, label)
        return {value: counter.labels(value) for value in values}

    # ---- what the service counts ------------------------------------------------------------------------

    def record(self, record: RoundRecord) -> None:
        """A round has ended. Cost O(finished chunks)."""
        self._rounds[record.outcome, record.end].inc()
        self._durations[record.outcome].observe(record.seconds)
        for stage, histogram in self._decoding.items():
            histogram.observe(getattr(record, f"{stage}_seconds"))
        for state, counter in self._chunks.items():
            counter.inc(getattr(record, f"chunks_{state}"))
        self._stragglers.inc(len(record.stragglers))
        self._straggler_chunks.inc(record.straggler_chunks_used)
        if record.uncoded_seconds is None:
            self._uncoded_endless.inc()
        else:
            self._uncoded_seconds.inc(record.uncoded_seconds)
        for state, counter in self._values.items():
            counter.inc(getattr(record, f"values_{state}"))
        self._quarantined.inc(len(record.quarantined))
        if record.returned_to is not None:
            self._undone.inc(record.round + 1 - record.returned_to)
        self._scrape.record(record)

    def protocol_error(self, kind: str) -> None:
        """A peer broke the protocol; ``kind`` as in ProtocolError."""
        self._protocol_errors[kind if kind in self._protocol_errors else OTHER].inc()

    def link_opened(self) -> None:
        """A worker opened a link and passed the handshake."""
        self._opened.inc()

    def link_lost(self) -> None:
        """A link ended, for whatever reason."""
        self._lost.inc()

    def loop_lag(self, seconds: float) -> None:
        """The event loop was ``seconds`` late for a timer."""
        self._lag.observe(seconds)
        self._scrape.lag.add(self._clock(), seconds)

    def expose(self) -> bytes:
        """Everything in Prometheus' text format, version 0.0.4. Cost O(n)."""
        return exposition(self.registry.collect())
