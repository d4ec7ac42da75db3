"""How pictures look: colours that colour-blind people tell apart, dark text, few lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, and greys.
BLUE, SKY, GREEN, ORANGE, RED, PINK = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7"
INK, GREY, PALE = "#1f2328", "#8c959f", "#e7eaee"
SERIES = (BLUE, RED, GREEN, PINK, ORANGE, SKY, INK, GREY)
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))

OUTCOMES = {"exact": (BLUE, "o"), "approximate": (ORANGE, "D"), "failed": (RED, "X")}
"""Colour and mark of every outcome."""

STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": PALE,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    # A name such as $x$ is a name, not a formula.
    "text.parse_math": False,
}

WIDE_FROM = 20.0
"""From this ratio of the largest to the smallest value on, an axis is logarithmic."""
MOST_POINTS = 1_000


def new_figure(height: float, width: float = 10.0) -> Figure:
    """An empty figure; make it, fill it and save it inside ``matplotlib.rc_context(STYLE)``."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=130, layout="constrained")


def is_wide(values: NDArray[np.float64]) -> bool:
    """Whether values are better seen on a logarithmic axis.

    >>> is_wide(np.array([0.1, 5.0])), is_wide(np.array([0.0, 5.0])), is_wide(np.array([]))
    (True, False, False)
    """
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() / values.min() >= WIDE_FROM)


def thinned(n_points: int, most: int = MOST_POINTS) -> NDArray[np.intp]:
    """At most ``most`` evenly spaced indices, the first and the last among them.

    >>> thinned(10, most=4).tolist()
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, n_points - 1, min(n_points, most)).round().astype(np.intp))


def stretches(x: NDArray[np.float64], y: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """``n`` stretches of points: mean x, and least, median and greatest y, shape (4, n); NaN without values.

    >>> stretches(np.arange(4.0), np.array([1.0, 3.0, 2.0, np.nan]), 2).tolist()
    [[0.5, 2.5], [1.0, 2.0], [2.0, 2.0], [3.0, 2.0]]
    """
    found = np.full((4, n), np.nan)
    for index, piece in enumerate(np.array_split(np.arange(len(x)), n)):
        known = y[piece][np.isfinite(y[piece])]
        found[0, index] = x[piece].mean()
        if len(known):
            found[1:, index] = known.min(), np.median(known), known.max()
    return found


def log_y(axes: Axes, values: NDArray[np.float64]) -> None:
    """A logarithmic axis for values that are far apart, otherwise one that begins at 0."""
    if is_wide(values):
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis)
    else:
        axes.set_ylim(bottom=min(0.0, float(np.nanmin(values, initial=0.0))))


def log_x(axes: Axes) -> None:
    """A logarithmic axis with plain numbers."""
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def whole_rounds(axes: Axes, n_rounds: int) -> None:
    """The x axis counts rounds."""
    axes.set_xlabel("round")
    axes.set_xlim(-0.5, max(0.5, n_rounds - 0.5))
    whole_numbers(axes.xaxis)


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 4) -> None:
    """One legend for all, below the picture, where it covers nothing."""
    found: dict[str, Any] = {}
    for each in axes:
        handles, labels = each.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    if found:
        figure.legend(
            list(found.values()), list(found), loc="outside lower center", ncols=columns, fontsize=9
        )
