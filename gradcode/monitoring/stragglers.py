"""The dashboard of straggler behaviour: who is slow, when, and what became of the work."""

from __future__ import annotations

from gradcode.monitoring.panels import GREEN, RED, YELLOW, Dashboard, Panel, Query, Row
from gradcode.monitoring.queries import mean, quantile, rate

_WHEN = Row(
    "Worker by time",
    [
        Panel(
            "Slowness",
            "A row is a place, a column a moment: its time for a chunk, as a multiple of the median place's. "
            "Red is twice the median and more: a straggler. A gap: no worker.",
            [Query("gradcode:place_slowness:ratio{@}", "{{place}}")],
            "status-history",
            "none",
            height=10,
            least=0.5,
            most=2.0,
        ),
        Panel(
            "Last report in the round",
            "A row is a place: when its newest report of the last round came, after that round's start.",
            [Query("gradcode_place_last_arrival_seconds{@}", "{{place}}")],
            "status-history",
            "s",
            height=10,
        ),
    ],
)

_ARRIVALS = Row(
    "Arrivals",
    [
        Panel(
            "Arrival distribution",
            "How many chunk reports came how long after the start of their round, late ones too.",
            [Query("sum by (le) (increase(gradcode_arrival_seconds_bucket{@}[$__rate_interval]))", "{{le}}")],
            "heatmap",
            "short",
        ),
        Panel(
            "Arrivals against the deadline",
            "So long after the start half, 90 % and 99 % of the reports come; dashed the deadline. What is "
            "above it is late.",
            [
                Query(quantile(0.5, "gradcode_arrival_seconds"), "half"),
                Query(quantile(0.9, "gradcode_arrival_seconds"), "90 %"),
                Query(quantile(0.99, "gradcode_arrival_seconds"), "99 %"),
                Query("gradcode_deadline_seconds{@}", "deadline"),
            ],
            unit="s",
            lines=["deadline"],
        ),
    ],
)

_WHO = Row(
    "Who straggles",
    [
        Panel(
            "Straggler in so many rounds",
            "Share of the last five minutes' rounds in which the place was a straggler; the worst 20.",
            [Query("topk(20, gradcode:place_straggles:share5m{@})", "place {{place}}")],
            "bargauge",
            "percentunit",
            width=8,
            height=10,
            limits=((0, GREEN), (0.25, YELLOW), (0.5, RED)),
            least=0,
            most=1,
        ),
        Panel(
            "Time for a chunk",
            "What the master remembers of each place and plans with; the slowest 20.",
            [Query("topk(20, gradcode_place_chunk_seconds{@})", "place {{place}}")],
            "bargauge",
            "s",
            width=8,
            height=10,
            limits=((0, GREEN),),
            least=0,
        ),
        Panel(
            "Stragglers of a round",
            "In the last round at each scrape, and the mean over rounds. Places without a worker count.",
            [
                Query("gradcode_round_stragglers{@}", "last round"),
                Query(
                    f"{rate('gradcode_stragglers_total')} / ({rate('gradcode_rounds_total')} > 0)",
                    "mean",
                ),
            ],
            width=8,
            height=10,
            least=0,
        ),
    ],
)

_WORK = Row(
    "What became of the work",
    [
        Panel(
            "Work rescued and wasted",
            "Seconds of computing a second. Rescued: of stragglers, and part of a gradient all the same. "
            "Duplicate: another worker's copy was used. Late: after the outcome. Wasted: in time, but of no "
            "use.",
            [Query(rate("gradcode_work_seconds_total", "state"), "{{state}}")],
            stacked=True,
        ),
        Panel(
            "Share of work that was wasted",
            "Duplicate, late and wasted seconds of all, over five minutes: the price of redundancy.",
            [Query("gradcode:wasted_work:share5m{@}", "wasted")],
            unit="percentunit",
            width=6,
            least=0,
            most=1,
        ),
        Panel(
            "Rounds that would have waited for ever",
            "Rounds a second in which a place had no worker: without redundancy they would not have ended.",
            [Query(rate("gradcode_uncoded_endless_rounds_total"), "endless without redundancy")],
            unit="cps",
            width=6,
            least=0,
        ),
        Panel(
            "Chunks",
            "Finished chunks by what became of them.",
            [Query(rate("gradcode_chunks_total", "state"), "{{state}}")],
            unit="cps",
            stacked=True,
        ),
        Panel(
            "Chunk time",
            "Over all places: mean and 99 %. A wide gap: few are slow, or chunks come in bursts.",
            [
                Query(mean("gradcode_chunk_seconds"), "mean"),
                Query(quantile(0.99, "gradcode_chunk_seconds"), "99 %"),
            ],
            unit="s",
        ),
    ],
)

STRAGGLERS = Dashboard(
    "gradcode-stragglers",
    "gradcode: stragglers",
    "Who is slow, when, and what became of the work?",
    [_WHEN, _ARRIVALS, _WHO, _WORK],
)
