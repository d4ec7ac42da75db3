"""The dashboard of the fleet and its transport: who is there, and how frames and machines do."""

from __future__ import annotations

from gradcode.monitoring.panels import Dashboard, Panel, Query, Row
from gradcode.monitoring.queries import quantile, rate, spread

_WORKERS = 'job="gradcode-worker"'

_FLEET = Row(
    "Fleet",
    [
        Panel(
            "Workers by state",
            "Every place in exactly one state, and spare workers. Lost: a place without a worker.",
            [Query("sum by (state) (gradcode_workers{@})", "{{state}}")],
            stacked=True,
        ),
        Panel(
            "Losses left",
            "So many more places may be lost and rounds are exact for sure; dashed what the plan tolerates.",
            [
                Query("gradcode:losses_left{@}", "left"),
                Query("gradcode_tolerated_losses{@}", "tolerated"),
            ],
            width=6,
            lines=["tolerated"],
        ),
        Panel(
            "Processes that answer",
            "Targets that Prometheus reaches, by job.",
            [Query('sum by (job) (up{job=~"gradcode-.*"})', "{{job}}")],
            width=6,
            least=0,
        ),
        Panel(
            "Links",
            "Links that workers opened and that ended, and links that workers made anew, a second.",
            [
                Query(rate("gradcode_links_opened_total"), "opened"),
                Query(rate("gradcode_links_lost_total"), "lost"),
                Query(rate("gradcode_worker_reconnects_total", match=_WORKERS), "made anew"),
            ],
            unit="cps",
            least=0,
        ),
        Panel(
            "Plans",
            "Workers that the run should have, and how often there was another plan, by reason.",
            [
                Query("gradcode_wanted_workers{@}", "wanted"),
                Query("gradcode_replans_total{@}", "{{reason}}"),
            ],
            least=0,
        ),
        Panel(
            "Silence",
            "Time since a place's link last brought a report; the longest 5. A frozen worker climbs.",
            [Query("topk(5, time() - gradcode_place_last_seen_timestamp_seconds{@})", "place {{place}}")],
            unit="s",
        ),
    ],
)

_TRANSPORT = Row(
    "Transport",
    [
        Panel(
            "Bytes",
            "Parameters and messages, by the master's count.",
            [Query(rate("gradcode_bytes_total", "direction"), "{{direction}}")],
            unit="Bps",
            width=8,
        ),
        Panel(
            "Round trips",
            "Time from sending a place a small frame to hearing of it: median and slowest place.",
            [
                Query("quantile(0.5, gradcode_place_round_trip_seconds{@})", "median"),
                Query("max(gradcode_place_round_trip_seconds{@})", "slowest"),
            ],
            unit="s",
            width=8,
            least=0,
        ),
        Panel(
            "Protocol errors and dropped frames",
            "Peers that broke the protocol, by kind; frames that came too late or twice. The latter are "
            "usual, the former are not.",
            [
                Query(rate("gradcode_protocol_errors_total", "kind"), "error: {{kind}}"),
                Query(rate("gradcode_frames_dropped_total", "kind"), "dropped: {{kind}}"),
            ],
            unit="cps",
            width=8,
            least=0,
        ),
    ],
)

_INSIDE = Row(
    "Inside workers",
    [
        Panel(
            "Chunk",
            "From taking a chunk in hand to its gradient, injected delays included.",
            spread("gradcode_worker_chunk_compute_seconds", _WORKERS),
            unit="s",
            width=6,
        ),
        Panel(
            "Waiting in the queue",
            "Of chunks that were then computed, since the parameters were there.",
            spread("gradcode_worker_queue_seconds", _WORKERS),
            unit="s",
            width=6,
        ),
        Panel(
            "Adding up a message",
            "Until it is ready to be sent.",
            [
                Query(quantile(share, "gradcode_worker_encode_seconds", _WORKERS), name)
                for share, name in ((0.5, "half"), (0.99, "99 %"))
            ],
            unit="s",
            width=6,
        ),
        Panel(
            "Writing a frame",
            "A link that is full makes writing wait.",
            spread("gradcode_worker_send_seconds", _WORKERS),
            unit="s",
            width=6,
        ),
        Panel(
            "Processor time",
            "Of the master and of all workers together; 1 is a processor.",
            [
                Query(rate("process_cpu_seconds_total"), "master"),
                Query(rate("process_cpu_seconds_total", match=_WORKERS), "workers"),
            ],
            width=8,
            least=0,
        ),
        Panel(
            "Memory",
            "Resident: the master's, and the largest worker's.",
            [
                Query("process_resident_memory_bytes{@}", "master"),
                Query(f"max(process_resident_memory_bytes{{{_WORKERS}}})", "largest worker"),
            ],
            unit="bytes",
            width=8,
            least=0,
        ),
        Panel(
            "Work in hand",
            "Chunks that wait in workers, and workers that have a link.",
            [
                Query(f"sum(gradcode_worker_queue_length{{{_WORKERS}}})", "chunks"),
                Query(f"sum(gradcode_worker_linked{{{_WORKERS}}})", "linked workers"),
            ],
            width=8,
            least=0,
        ),
        Panel(
            "Checkpoints",
            "What a loss of the master would cost now, for how long one that was due is not written, and "
            "what the newest took to write.",
            [
                Query("gradcode_checkpoint_age_seconds{@}", "age"),
                Query("gradcode_checkpoint_overdue_seconds{@}", "overdue"),
                Query("gradcode_checkpoint_duration_seconds{@}", "time to write"),
            ],
            unit="s",
            width=12,
            least=0,
        ),
        Panel(
            "Size of checkpoints",
            "Of the newest.",
            [Query("gradcode_checkpoint_bytes{@}", "bytes")],
            unit="bytes",
            width=6,
            least=0,
        ),
        Panel(
            "Checkpoints a second",
            "Those that were written; those that failed or were left out should be none.",
            [
                Query(rate("gradcode_checkpoints_total"), "written"),
                Query(rate("gradcode_checkpoint_failures_total"), "failed"),
                Query(rate("gradcode_checkpoints_skipped_total"), "left out"),
            ],
            unit="cps",
            width=6,
            least=0,
        ),
    ],
)

_ANSWERS = Row(
    "Answers of workers",
    [
        Panel(
            "Values verified a second",
            "With verify = all or sample: computed again, agreed on by two workers, or found wrong.",
            [Query(rate("gradcode_values_total", "state"), "{{state}}")],
            unit="cps",
            width=12,
            least=0,
        ),
        Panel(
            "Quarantined workers, rounds undone",
            "Workers that answered wrongly since the master started, and the rounds that this cost.",
            [
                Query("gradcode_quarantined_total{@}", "quarantined"),
                Query("gradcode_undone_rounds_total{@}", "rounds undone"),
            ],
            width=12,
            least=0,
        ),
    ],
)

FLEET = Dashboard(
    "gradcode-fleet",
    "gradcode: fleet and transport",
    "Who is there, and how do frames and machines do?",
    [_FLEET, _TRANSPORT, _INSIDE, _ANSWERS],
)
