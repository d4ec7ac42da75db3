"""The map of places and rounds: how fast each place was, and where it straggled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradcode.report.reading import RunRead
from gradcode.report.style import GREY, INK, ORANGE, PALE, is_wide, new_figure, whole_numbers, whole_rounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NONE = "#f6f8fa"


def draw_places(run: RunRead) -> Figure:
    """Above seconds per chunk, below straggling and lost; rows are places, columns rounds."""
    height = min(5.0, max(1.7, 0.22 * run.n_places + 0.6))
    figure = new_figure(2 * height + 1.2)
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    _draw_seconds(figure, upper, run)
    _draw_straggling(figure, lower, run)
    for axes in (upper, lower):
        axes.grid(False)
        axes.set_ylabel("place")
        whole_numbers(axes.yaxis)
        axes.set_ylim(run.n_places - 0.5, -0.5)
    whole_rounds(lower, len(run.records))
    return figure


def _extent(run: RunRead) -> tuple[float, float, float, float]:
    """The last column may stand for fewer rounds than the others; the axis ends where the rounds do."""
    columns = run.work.seconds.shape[1]
    return -0.5, columns * run.work.per_column - 0.5, run.n_places - 0.5, -0.5


def _show(axes: Axes, run: RunRead, values: Any, **more: Any) -> Any:
    return axes.imshow(values, aspect="auto", interpolation="nearest", extent=_extent(run), **more)


def _draw_seconds(figure: Figure, axes: Axes, run: RunRead) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import LogLocator, NullFormatter

    seconds, counts = run.work.seconds, run.work.counts
    means = np.ma.masked_where(counts == 0, seconds / np.maximum(counts, 1))
    known = means.compressed()
    colours = colormaps["cividis"].with_extremes(bad=PALE)
    if is_wide(known) or (len(known) and known.min() > 0 and known.max() / known.min() > 4):
        norm: Any = LogNorm(float(known.min()), float(known.max()))
    else:
        norm = Normalize(0.0, float(known.max()) if len(known) and known.max() > 0 else 1.0)
    image = _show(axes, run, means, norm=norm, cmap=colours)
    bar = figure.colorbar(image, ax=axes, pad=0.01, label="seconds per chunk", format="{x:.3g}")
    if isinstance(norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("Seconds per chunk (pale: no chunk was finished)")


def _draw_straggling(figure: Figure, axes: Axes, run: RunRead) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    each = run.work.per_column
    slow, lost = np.zeros(run.work.seconds.shape), np.zeros(run.work.seconds.shape)
    for record in run.records:
        for place in record.stragglers:
            slow[place, record.round // each] += 1
        for place in record.lost:
            lost[place, record.round // each] += 1
    # Who is lost counts as a straggler too; a column of several rounds is black if nothing else was in them.
    shares = np.ma.masked_where((lost > 0) & (lost >= slow), slow / each)
    steps = [NONE, ORANGE] if each == 1 else [NONE, ORANGE, "#a04000"]
    colours = LinearSegmentedColormap.from_list("slow", steps, N=2 if each == 1 else 256)
    image = _show(axes, run, shares, vmin=0.0, vmax=1.0, cmap=colours.with_extremes(bad=INK))
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    if each == 1:
        bar.set_ticks([0.25, 0.75], labels=["no", "yes"])
        bar.ax.tick_params(length=0)
        bar.set_label("straggler")
    else:
        bar.set_label(f"share of {each} rounds")
    bar.outline.set_edgecolor(GREY)
    axes.set_title("Straggling (black: no worker was there)")
