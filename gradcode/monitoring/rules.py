"""Recording rules and alerts of Prometheus, described once: files and the table in docs come from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_ROUNDS_5M = "(sum by (instance) (increase(gradcode_rounds_total[5m])) > 0)"
_RUNNING = 'on (instance) gradcode_run_phase{phase="running"} == 1'


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule: the name of a series, what it means, and how it is computed."""

    record: str
    meaning: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert.

    Attributes:
        name: in CamelCase. expr: fires while this has a value. hold: for so long before it fires.
        severity: ``critical``: the run does not go on or its result suffers; ``warning``: it soon may.
        summary, description: with labels and ``$value`` in double braces, as Prometheus fills them in.
        when: in words when it fires, and action: what to do then; for the table in docs/monitoring.md.
    """

    name: str
    expr: str
    hold: str
    severity: str
    summary: str
    description: str
    when: str
    action: str


RULES = (
    Rule(
        "gradcode:rounds:rate1m",
        "Rounds a second.",
        "sum by (instance) (rate(gradcode_rounds_total[1m]))",
    ),
    Rule(
        "gradcode:rounds:share5m",
        "Share of the rounds with an outcome.",
        "sum by (instance, outcome) (increase(gradcode_rounds_total[5m]))"
        f" / on (instance) group_left () {_ROUNDS_5M}",
    ),
    Rule(
        "gradcode:round_duration:uncoded_ratio5m",
        "Time of rounds, against the same rounds without redundancy.",
        "sum by (instance) (increase(gradcode_round_duration_seconds_sum[5m]))"
        " / (sum by (instance) (increase(gradcode_uncoded_seconds_total[5m])) > 0)",
    ),
    Rule(
        "gradcode:losses_left",
        "So many more places may be lost and rounds are exact for sure.",
        'gradcode_tolerated_losses - on (instance) gradcode_workers{state="lost"}',
    ),
    Rule(
        "gradcode:place_straggles:share5m",
        "Share of the rounds in which a place was a straggler.",
        "sum by (instance, place) (increase(gradcode_place_straggles_total[5m]))"
        f" / on (instance) group_left () {_ROUNDS_5M}",
    ),
    Rule(
        "gradcode:place_slowness:ratio",
        "A place's time for a chunk, as a multiple of the median place's.",
        "sum by (instance, place) (gradcode_place_chunk_seconds)"
        " / on (instance) group_left () quantile by (instance) (0.5, gradcode_place_chunk_seconds)",
    ),
    Rule(
        "gradcode:wasted_work:share5m",
        "Share of the seconds of finished chunks that entered no gradient.",
        'sum by (instance) (increase(gradcode_work_seconds_total{state!~"used|rescued"}[5m]))'
        " / (sum by (instance) (increase(gradcode_work_seconds_total[5m])) > 0)",
    ),
)

ALERTS = (
    Alert(
        "GradcodeNoLossToSpare",
        f"gradcode:losses_left < 1 and on (instance) gradcode_tolerated_losses > 0 and {_RUNNING}",
        "30s",
        "warning",
        "One more lost worker and rounds of {{ $labels.instance }} may not be exact",
        "The plan tolerates losses, but so many places have no worker that {{ $value }} more are tolerated.",
        "So many places have no worker, for 30 s, that one more loss may cost exactness.",
        "Start workers; a spare worker takes a lost place at once. The panel *Workers by state* shows who is "
        "missing.",
    ),
    Alert(
        "GradcodeApproximateRounds",
        'gradcode:rounds:share5m{outcome="approximate"} > 0.1',
        "2m",
        "warning",
        "{{ $value | humanizePercentage }} of the rounds of {{ $labels.instance }} are approximate",
        "Over the last 5 minutes more than a tenth of the rounds ended with an estimate of the gradient.",
        "More than a tenth of the last 5 minutes' rounds were approximate, for 2 minutes.",
        "If approximation is the plan, as with `ignore_stragglers`, silence it. Otherwise raise the deadline "
        "or the replication, or replace the workers that *Who straggles* names.",
    ),
    Alert(
        "GradcodeFailedRounds",
        'sum by (instance) (increase(gradcode_rounds_total{outcome="failed"}[5m])) > 0',
        "0s",
        "critical",
        "Rounds of {{ $labels.instance }} failed",
        "In the last 5 minutes about {{ $value | humanize }} rounds came to no gradient that could be used.",
        "A round of the last 5 minutes failed; at once.",
        "*What ended rounds* tells why: at the deadline, raise it or choose another `on_shortfall`; "
        "exhausted, start workers. `history.jsonl` in the run folder has the reason of every round.",
    ),
    Alert(
        "GradcodePlaceStraggles",
        "gradcode:place_straggles:share5m > 0.5",
        "2m",
        "warning",
        "Place {{ $labels.place }} of {{ $labels.instance }} straggles in "
        "{{ $value | humanizePercentage }} of the rounds",
        "Over the last 5 minutes it was slower than twice the median in most rounds.",
        "A place was a straggler in more than half of the last 5 minutes' rounds, for 2 minutes.",
        "`gradcode status` names the worker. Look at its machine: what else runs there, how much processor "
        "time it gets; or stop the worker, and a spare takes its place.",
    ),
    Alert(
        "GradcodeRoundsStopped",
        f"sum by (instance) (increase(gradcode_rounds_total[1m])) == 0 and {_RUNNING}",
        "4m",
        "critical",
        "The run of {{ $labels.instance }} does not go on",
        "It is running, but no round has ended for 5 minutes.",
        "The run is on, and no round has ended for 5 minutes.",
        "Without a deadline, rounds wait for workers that never answer: `gradcode status` shows which. If "
        "rounds of this run take longer than that, silence it.",
    ),
    Alert(
        "GradcodeCheckpointStale",
        f"gradcode_checkpoint_overdue_seconds > 60 and {_RUNNING}",
        "1m",
        "warning",
        "{{ $labels.instance }} cannot keep its run",
        "A checkpoint has been due for {{ $value | humanizeDuration }}; a loss of the master would cost "
        "what was done since the one before.",
        "A checkpoint that was due could not be written for 2 minutes.",
        "The master's log says why: no room, a store that does not answer, no permission. The run goes on, "
        "and every 10 seconds it is tried again.",
    ),
    Alert(
        "GradcodeTargetDown",
        'up{job=~"gradcode-.*"} == 0',
        "1m",
        "warning",
        "{{ $labels.job }} {{ $labels.instance }} does not answer",
        "Prometheus knows the process but got no metrics from it for a minute.",
        "A master or worker has not answered Prometheus for a minute.",
        "A run that is over takes its processes with it. Otherwise look at the process: killed, frozen, or "
        "`--metrics` at another address.",
    ),
)


def rules_yaml(rules: Iterable[Rule] = RULES) -> str:
    """The file of recording rules."""
    lines = [_HEAD, "groups:", "  - name: gradcode", "    rules:"]
    for rule in rules:
        lines += [f"      # {rule.meaning}", f"      - record: {rule.record}", *_expr(rule.expr)]
    return "\n".join(lines) + "\n"


def alerts_yaml(alerts: Iterable[Alert] = ALERTS) -> str:
    """The file of alerts."""
    lines = [_HEAD, "groups:", "  - name: gradcode", "    rules:"]
    for alert in alerts:
        lines += [
            f"      - alert: {alert.name}",
            *_expr(alert.expr),
            f"        for: {alert.hold}",
            f"        labels: {{ severity: {alert.severity} }}",
            "        annotations:",
            f"          summary: {_quoted(alert.summary)}",
            f"          description: {_quoted(alert.description)}",
        ]
    return "\n".join(lines) + "\n"


_HEAD = "# Written by `gradcode monitor export`; edit gradcode/monitoring/rules.py, not this file."


def _expr(expr: str) -> list[str]:
    return ["        expr: |-", f"          {expr}"]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
