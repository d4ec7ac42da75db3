"""Runs side by side: their numbers, what differs between their experiments, and their curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from common.history import strict_json
from gradcode.commands_simulate import sized
from gradcode.report.numbers import key_numbers, reached
from gradcode.report.page import as_page, as_png, figure_html, shown, table_html
from gradcode.report.pictures import column, ends, line, rounds
from gradcode.report.reading import RunRead, flat
from gradcode.report.style import (
    DASHES,
    SERIES,
    is_wide,
    legend_below,
    log_x,
    log_y,
    new_figure,
    thinned,
    whole_rounds,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        runs: as they were given. labels: short names, all different.
        loss: the least training loss that every run reached; None if one has none.
        score: the greatest held-out score that every run reached; None without, or if they differ in kind.
        numbers: of every run, as `gradcode.report.numbers.key_numbers`, and when it reached loss and score.
        differences: dotted field -> value in every run's experiment, as text; only fields that differ.
    """

    runs: Sequence[RunRead]
    labels: Sequence[str]
    loss: float | None
    score: float | None
    numbers: Sequence[dict[str, Any]]
    differences: dict[str, list[str]]

    def plain(self) -> dict[str, Any]:
        """The comparison as plain values."""
        pairs = zip(self.runs, self.labels, self.numbers, strict=True)
        return {
            "runs": [{"folder": str(run.folder), "label": label, **held} for run, label, held in pairs],
            "common_loss": self.loss,
            "common_score": self.score,
            "differences": self.differences,
        }


def compared(runs: Sequence[RunRead]) -> Comparison:
    """Lay runs side by side."""
    loss, score = _common_loss(runs), _common_score(runs)
    numbers = []
    for run in runs:
        by_loss = None if loss is None else reached(run, loss)
        by_score = None if score is None else _scored(run, score)
        held = key_numbers(run)
        for name, found in (("common_loss", by_loss), ("common_score", by_score)):
            held[f"rounds_to_{name}"] = None if found is None else found[0] + 1
            held[f"seconds_to_{name}"] = None if found is None else found[1]
        numbers.append(held)
    return Comparison(runs, _labels(runs), loss, score, numbers, _differences(runs))


def _common_loss(runs: Sequence[RunRead]) -> float | None:
    least = [min((each.loss for each in run.records if each.loss is not None), default=None) for run in runs]
    return None if None in least else max(each for each in least if each is not None)


def _common_score(runs: Sequence[RunRead]) -> float | None:
    best = [max((each.score for each in run.records if each.score is not None), default=None) for run in runs]
    kinds = {run.summary.score_name for run in runs if run.summary.score_name is not None}
    return None if None in best or len(kinds) > 1 else min(each for each in best if each is not None)


def _scored(run: RunRead, score: float) -> tuple[int, float] | None:
    for record in run.records:
        if record.score is not None and record.score >= score:
            return record.round, record.start_seconds + record.seconds
    return None


def _labels(runs: Sequence[RunRead]) -> list[str]:
    """Folders' names, with a number where two are the same."""
    names = [run.folder.resolve().name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})"
        for index, name in enumerate(names)
    ]


def _differences(runs: Sequence[RunRead]) -> dict[str, list[str]]:
    held = [
        dict(flat(run.experiment.model_dump(mode="json"))) if run.experiment is not None else {}
        for run in runs
    ]
    fields = dict.fromkeys(name for values in held for name in values)
    texts = {name: [_text(values[name]) if name in values else ABSENT for values in held] for name in fields}
    return {name: values for name, values in texts.items() if len(set(values)) > 1}


def _text(value: object) -> str:
    return value if isinstance(value, str) else strict_json(value)


# ---- tables ---------------------------------------------------------------------------------------------


def number_rows(found: Comparison) -> list[tuple[str, list[str]]]:
    """What is compared, and its value in every run, as texts."""

    def row(what: str, name: str, form: str, unit: str = "") -> tuple[str, list[str]]:
        return what, [shown(held[name], form, unit) for held in found.numbers]

    counts = [f"{held['exact']:,} / {held['approximate']:,} / {held['failed']:,}" for held in found.numbers]
    rows = [
        row("rounds", "rounds", ",d"),
        row("exact rounds", "exact_share", ".1%"),
        ("exact / approximate / failed", counts),
        row("time", "seconds", ".2f", " s"),
        row("round, median", "p50_seconds", ".4g", " s"),
        row("round, 90 %", "p90_seconds", ".4g", " s"),
        row("training loss", "loss", ".5g"),
        row("held-out score", "score", ".4f"),
    ]
    if found.loss is not None:
        rows.append(row(f"time to loss {found.loss:.5g}", "seconds_to_common_loss", ".2f", " s"))
        rows.append(row(f"rounds to loss {found.loss:.5g}", "rounds_to_common_loss", ",d"))
    if found.score is not None:
        rows.append(row(f"time to score {found.score:.4f}", "seconds_to_common_score", ".2f", " s"))
    return [
        *rows,
        ("bytes received", [sized(held["bytes_received"]) for held in found.numbers]),
        ("bytes sent", [sized(held["bytes_sent"]) for held in found.numbers]),
        row("computed, not used", "wasted_share", ".1%"),
        row("rescued from stragglers", "rescued_seconds", ".3g", " worker s"),
        row("uncoded, times as long", "uncoded_speed_up", ".2f"),
        ("ended", [held["reason"] if held["ended"] else "no summary" for held in found.numbers]),
    ]


def comparison_page(found: Comparison) -> str:
    """One HTML page with everything in it."""
    head = ("", *found.labels)
    numbers = table_html(head, ([name, *values] for name, values in number_rows(found)), frozenset())
    fields = table_html(
        ("field", *found.labels), ([n, *v] for n, v in found.differences.items()), frozenset()
    )
    if not found.differences:
        fields = "<p>The experiments are the same.</p>"
    troubles = [
        f"<p>{escape(label)}: {escape(run.trouble)}</p>"
        for run, label in zip(found.runs, found.labels, strict=True)
        if run.trouble
    ]
    body = [f"<h1>{len(found.runs)} runs compared</h1>", numbers, "<h2>What differs</h2>", *troubles, fields]
    if any(run.records for run in found.runs):
        caption = "Training loss against time and against rounds."
        body += ["<h2>Loss</h2>", figure_html(as_png(lambda: draw_losses(found)), "Loss", caption)]
        caption = "Left, the share of rounds that took no longer; right, round by round."
        body += ["<h2>Rounds</h2>", figure_html(as_png(lambda: draw_times(found)), "Rounds", caption)]
    return as_page(f"{len(found.runs)} runs compared", body)


# ---- curves ---------------------------------------------------------------------------------------------


def _look(index: int) -> dict[str, Any]:
    """A colour and, so that colour is not all there is, a dash."""
    return {
        "colour": SERIES[index % len(SERIES)],
        "linestyle": DASHES[index % len(DASHES)],
        "markersize": 2.0,
    }


def draw_losses(found: Comparison) -> Figure:
    """Loss against time and against rounds, a line for each run."""
    figure = new_figure(3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    drawn = []
    for index, (run, label) in enumerate(zip(found.runs, found.labels, strict=True)):
        losses = column(run, "loss")
        known = np.isfinite(losses)
        drawn.append(losses[known])
        line(left, ends(run)[known], losses[known], label, **_look(index))
        line(right, rounds(run)[known], losses[known], label, **_look(index))
    log_y(left, np.concatenate(drawn))
    left.set_xlabel("seconds since the first round began")
    left.set_xlim(left=0)
    left.set_ylabel("training loss")
    whole_rounds(right, max(len(run.records) for run in found.runs))
    legend_below(figure, [left], columns=2)
    return figure


def draw_times(found: Comparison) -> Figure:
    """Round times as a distribution and one by one, a line for each run."""
    figure = new_figure(3.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    everything = np.concatenate([column(run, "seconds") for run in found.runs])
    for index, (run, label) in enumerate(zip(found.runs, found.labels, strict=True)):
        times = np.sort(column(run, "seconds"))
        if not len(times):
            continue
        shares = np.arange(1, len(times) + 1) / len(times)
        step: dict[str, Any] = {"drawstyle": "steps-post", "marker": None, "linewidth": 1.8}
        points = thinned(len(times))
        left_look = {**_look(index), **step}
        line(left, np.r_[times[0], times[points]], np.r_[0.0, shares[points]], label, **left_look)
        line(right, rounds(run), column(run, "seconds"), label, **_look(index), linewidth=1.2)
    left.set_ylim(0, 1.02)
    left.set_yticks((0, 0.25, 0.5, 0.75, 0.9, 1), ("0", "25 %", "50 %", "75 %", "90 %", "100 %"))
    left.set_xlabel("seconds of a round")
    left.set_ylabel("rounds that took no longer")
    if is_wide(everything):
        log_x(left)
    else:
        left.set_xlim(left=0)
    log_y(right, everything)
    right.set_ylabel("seconds")
    whole_rounds(right, max(len(run.records) for run in found.runs))
    legend_below(figure, [left], columns=2)
    return figure
