"""The pictures of one run; each is a figure, drawn from what was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.history import RoundRecord
from gradcode.report.reading import RunRead
from gradcode.report.style import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    INK,
    ORANGE,
    OUTCOMES,
    PINK,
    RED,
    SKY,
    is_wide,
    legend_below,
    log_x,
    log_y,
    new_figure,
    stretches,
    thinned,
    whole_numbers,
    whole_rounds,
)
from gradcode.report.work import STATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
FEW = 40
"""With fewer rounds than this every round has a mark of its own."""
MANY = 1_200
"""With more rounds than this a line shows medians of neighbouring rounds."""
MOST_BARS = 150


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the report.

    Attributes:
        name: of its file, without .png. title: above it. caption: what is to be seen, in words.
        draw: makes the figure. drawable: whether the run has what it shows.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[RunRead], Figure]
    drawable: Callable[[RunRead], bool] = lambda run: bool(run.records)


def column(run: RunRead, name: str) -> Floats:
    """A field of all records; NaN for None."""
    values = (getattr(record, name) for record in run.records)
    return np.array([np.nan if value is None else float(value) for value in values])


def ends(run: RunRead) -> Floats:
    """When every round ended, in seconds since the first one began."""
    return column(run, "start_seconds") + column(run, "seconds")


def rounds(run: RunRead) -> Floats:
    """The numbers of the rounds."""
    return np.arange(len(run.records), dtype=np.float64)


def line(axes: Axes, x: Floats, y: Floats, label: str, colour: str, **more: Any) -> None:
    """A line, with marks where there are few points; of many, the median and a band around all of them."""
    marks = {"marker": "o", "markersize": 3.5} if len(x) <= FEW else {}
    look: dict[str, Any] = {"linewidth": 1.6, **marks, **more}
    if len(x) > MANY:
        x, low, y, high = stretches(x, y, MANY // 4)
        axes.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(x, y, color=colour, label=label, **look)


# ---- loss -----------------------------------------------------------------------------------------------


def draw_loss(run: RunRead) -> Figure:
    """Loss against time and against rounds; the score in a row of its own if there is one."""
    scores, losses = column(run, "score"), column(run, "loss")
    scored = np.isfinite(scores)
    n_rows = 2 if scored.any() else 1
    figure = new_figure(3.4 * n_rows)
    grid = np.atleast_2d(figure.subplots(n_rows, 2, sharex="col", squeeze=False))
    for axes, x in zip(grid[0], (ends(run), rounds(run)), strict=True):
        line(axes, x, losses, "training loss", BLUE)
        if np.isfinite(losses).any():
            log_y(axes, losses[np.isfinite(losses)])
        axes.set_ylabel("training loss")
    if n_rows == 2:
        for axes, x in zip(grid[1], (ends(run), rounds(run)), strict=True):
            line(axes, x[scored], scores[scored], "held-out score", GREEN, marker="o", markersize=3.5)
            axes.set_ylabel(f"held-out {run.summary.score_name or 'score'}")
    grid[-1][0].set_xlim(left=0)
    grid[-1][0].set_xlabel("seconds since the first round began")
    whole_rounds(grid[-1][1], len(run.records))
    return figure


# ---- rounds ---------------------------------------------------------------------------------------------


def draw_rounds(run: RunRead) -> Figure:
    """How long every round took, with its deadline; below its outcome and residual."""
    figure = new_figure(5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    x, seconds, deadlines = rounds(run), column(run, "seconds"), column(run, "deadline_seconds")
    uncoded = column(run, "uncoded_seconds")
    if np.isfinite(uncoded).any():
        line(upper, x, uncoded, "uncoded, same chunk times", RED, linestyle=DASHES[1], linewidth=1.1)
    if np.isfinite(deadlines).any():
        line(upper, x, deadlines, "deadline", GREY, linestyle=DASHES[2], markersize=2)
    line(upper, x, seconds, "round", BLUE)
    log_y(upper, np.concatenate([each[np.isfinite(each)] for each in (seconds, deadlines, uncoded)]))
    upper.set_ylabel("seconds")
    upper.set_title("Duration of rounds")
    residuals = column(run, "residual")
    for kind, (colour, mark) in OUTCOMES.items():
        mine = np.array([record.outcome == kind for record in run.records])
        if mine.any():
            label = f"{kind} ({int(mine.sum())})"
            points = thinned(int(mine.sum()))
            size = 22 if len(x) < 400 else 9
            lower.scatter(
                x[mine][points],
                residuals[mine][points],
                s=size,
                color=colour,
                marker=mark,
                label=label,
                linewidths=0,
            )
    lower.set_ylabel("residual ‖EW − J‖")
    lower.set_title("Outcome and residual (0 is the exact sum)")
    top = float(np.nanmax(np.where(np.isfinite(residuals), residuals, 0.0), initial=0.0))
    lower.set_ylim(-0.05 * (top or 1.0), 1.1 * (top or 1.0))
    whole_rounds(lower, len(x))
    legend_below(figure, (upper, lower), columns=6)
    return figure


# ---- arrivals -------------------------------------------------------------------------------------------

KINDS = {
    "used": ("used in the gradient", BLUE),
    "duplicate": ("another worker's copy was used", SKY),
    "wasted": ("in time, part of nothing", ORANGE),
    "late": ("after the outcome", GREY),
}


def draw_arrivals(run: RunRead) -> Figure:
    """When chunks arrived, by what became of them, with the rounds' deadlines."""
    figure = new_figure(3.8)
    axes = figure.subplots()
    sample = run.work.arrivals
    values, kinds = np.array(sample.values), np.array(sample.kinds)
    values = np.maximum(values, 1e-6)
    deadlines = column(run, "deadline_seconds")
    deadlines = deadlines[np.isfinite(deadlines)]
    wide = is_wide(np.quantile(values, (0.01, 0.5, 1.0)))
    low, high = float(values.min()), max(float(values.max()), float(np.max(deadlines, initial=0.0)))
    high = high * 1.02 if high > low else low * 1.5
    edges = np.geomspace(low, high, 61) if wide else np.linspace(0.0, high, 61)
    bottom = np.zeros(60)
    for state in KINDS:
        label, colour = KINDS[state]
        mine = values[kinds == [*STATES].index(state)]  # type: ignore[arg-type]
        if not len(mine):
            continue
        counts = np.histogram(mine, edges)[0] * float(sample.weight)
        axes.bar(edges[:-1], counts, np.diff(edges), bottom, align="edge", color=colour, label=label)
        bottom += counts
    if len(deadlines):
        least, middle, most = np.quantile(deadlines, (0.1, 0.5, 0.9))
        if most > least:
            axes.axvspan(least, most, color=INK, alpha=0.10, linewidth=0,
                         label="deadlines, 10 to 90 %")  # fmt: skip
        axes.axvline(middle, color=INK, linestyle=DASHES[1], linewidth=1.6,
                     label=f"median deadline, {middle:.3g} s")  # fmt: skip
    end = float(np.median(column(run, "seconds")))
    axes.axvline(end, color=GREEN, linewidth=1.6, label=f"median end of a round, {end:.3g} s")
    if wide:
        log_x(axes)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("seconds from the round's start to the chunk's report")
    axes.set_ylabel("chunks")
    legend_below(figure, [axes], columns=3)
    return figure


# ---- work and waiting -----------------------------------------------------------------------------------


def draw_work(run: RunRead) -> Figure:
    """Seconds of computing in every round, by what became of it."""
    figure = new_figure(3.8)
    axes = figure.subplots()
    used = run.work.by_state[STATES.index("used")]
    unused = {state: run.work.by_state[STATES.index(state)] for state in STATES if state != "used"}
    layers = [
        ("used", used - run.work.rescued, BLUE),
        ("rescued: used, computed by stragglers", run.work.rescued, GREEN),
        *((f"not used: {KINDS[state][0]}", values, KINDS[state][1]) for state, values in unused.items()),
    ]
    n = len(run.records)
    each = -(-n // MOST_BARS)
    starts = np.arange(0, n, each)
    sizes = np.diff(np.append(starts, n))
    bottom = np.zeros(len(starts))
    for label, values, colour in layers:
        means = np.add.reduceat(np.maximum(values, 0.0), starts) / sizes
        if means.any():
            left, width = starts - 0.5, np.full(len(starts), float(each))
            axes.bar(left, means, width, bottom, align="edge", color=colour, label=label, linewidth=0)
            bottom += means
    axes.set_ylabel("worker seconds a round" if each == 1 else f"worker seconds a round, mean of {each}")
    whole_rounds(axes, n)
    legend_below(figure, [axes], columns=3)
    return figure


def draw_waiting(run: RunRead) -> Figure:
    """Waiting added up over the rounds: here, uncoded, and ignoring stragglers."""
    figure = new_figure(3.8)
    axes = figure.subplots()
    x = rounds(run) + 1.0
    seconds, ignoring = column(run, "seconds"), run.work.ignoring
    curves = [("this run", np.cumsum(seconds), BLUE, DASHES[0])]
    uncoded, n_compared = uncoded_curve(run)
    if n_compared:
        curves.append(("uncoded: waits for everybody", uncoded, RED, DASHES[1]))
    if np.isfinite(ignoring).any() and run.n_ignored:
        # Rounds in which too many are lost are left out of all comparison, in favour of ignoring.
        total = np.cumsum(np.nan_to_num(ignoring))
        label = f"ignoring the {run.n_ignored} slowest: inexact"
        curves.append((label, total, PINK, DASHES[2]))
    for label, values, colour, dashes in curves:
        line(axes, x, values, label, colour, linestyle=dashes, linewidth=2.0)
    if n_compared < len(x):
        axes.axvline(n_compared, color=RED, linewidth=1.0, alpha=0.6)
        at_right = n_compared > 0.6 * len(x)
        axes.annotate("from here an uncoded run waits for ever ", (n_compared, 0.97), rotation=0,
                      xycoords=("data", "axes fraction"), xytext=(-4 if at_right else 4, 0),
                      textcoords="offset points", ha="right" if at_right else "left",
                      va="top", fontsize=9, color=RED)  # fmt: skip
        axes.margins(y=0.18)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rounds done")
    whole_numbers(axes.xaxis)
    axes.set_xlim(0, len(x) + 0.5)
    axes.set_ylabel("seconds, added up")
    legend_below(figure, [axes], columns=3)
    return figure


def uncoded_curve(run: RunRead) -> tuple[Floats, int]:
    """What an uncoded run would have waited up to each round, as its summary adds it up; NaN when endless."""
    n = run.summary.uncoded.rounds
    total, curve = 0.0, np.full(len(run.records), np.nan)
    for number in range(n):
        total += _uncoded(run.records, number)
        curve[number] = total
    return curve, n


def _uncoded(records: list[RoundRecord], number: int) -> float:
    record = records[number]
    if record.uncoded_seconds is not None:
        return record.uncoded_seconds
    following = records[number + 1].start_seconds if number + 1 < len(records) else None
    return (following or record.start_seconds + record.seconds) - record.start_seconds
