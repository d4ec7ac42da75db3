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
MOST_POINTS = 2_000


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
    return bool(len(values)) and values.min() > 0 and values.max() / values.min() >= WIDE_FROM


def decimated(
    x: NDArray[np.float64], y: NDArray[np.float64], most: int = MOST_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most ``most`` points that keep the peaks: the least and the greatest of every stretch, in order.

    >>> x = np.arange(10.0)
    >>> decimated(x, np.where(x == 7, 9.0, 1.0), most=4)[1].tolist()
    [1.0, 1.0, 1.0, 9.0]
    """
    if len(x) <= most:
        return x, y
    kept: list[int] = []
    for piece in np.array_split(np.arange(len(x)), most // 2):
        known = piece[np.isfinite(y[piece])]
        ends = (
            {int(known[np.argmin(y[known])]), int(known[np.argmax(y[known])])} if len(known) else {piece[0]}
        )
        kept += sorted(ends if len(ends) == 2 else {*ends, int(piece[0])})
    return x[kept], y[kept]


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
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def _num_to_string(self, x: float, *_: object) -> str:
            return f"{x:g}"

    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))


def whole_rounds(axes: Axes, n_rounds: int) -> None:
    """The x axis counts rounds."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("round")
    axes.set_xlim(-0.5, max(0.5, n_rounds - 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))


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
