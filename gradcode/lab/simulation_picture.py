"""A picture of simulated runs: how long rounds take, as a distribution and over the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import InvalidSpec
from gradcode.lab.digest import Digest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2a9d8f", "#e76f51", "#264653", "#e9c46a", "#9b2226", "#6a4c93", "#577590", "#8ab17d")
_LOG_FROM = 20.0
"""From this ratio of the slowest to the fastest round on, seconds are drawn on a logarithmic axis."""
_MOST_POINTS = 2_000


def check_plot(out: Path) -> None:
    """Say at once that a picture cannot be drawn, not after the runs.

    Raises:
        InvalidSpec: the file is of another kind than .png, .svg or .pdf, or its folder is missing.
    """
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InvalidSpec("--plot", "must end in .png, .svg or .pdf", str(out))
    if not out.absolute().parent.is_dir():
        raise InvalidSpec("--plot", "must be in a folder that exists", str(out))


def draw_simulations(results: Sequence[tuple[str, Digest]], out: Path) -> None:
    """Draw the round times of every code into ``out``: their distribution, and round by round.

    Args:
        results: (code, digest), at most 8 codes in colours of their own.
        out: a file whose name ends in .png, .svg or .pdf.

    Raises:
        InvalidSpec: the file cannot be written, or is of another kind.
    """
    check_plot(out)
    from matplotlib.figure import Figure

    height = 4.8 + 0.24 * len(results)
    figure = Figure(figsize=(11.5, height), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    _draw_distribution(left, results)
    _draw_rounds(right, results)
    figure.suptitle("Round times, simulated")
    _legend(figure, right)
    try:
        figure.savefig(out)
    except OSError as error:
        raise InvalidSpec("--plot", f"must be writable ({error.strerror})", str(out)) from None


def _draw_distribution(axes: Axes, results: Sequence[tuple[str, Digest]]) -> None:
    for number, (_, digest) in enumerate(results):
        times = np.sort(digest.round_seconds)
        if len(times):
            shares = np.arange(1, len(times) + 1) / len(times)
            colour = COLOURS[number % len(COLOURS)]
            axes.step(np.r_[times[0], times], np.r_[0.0, shares], where="post", color=colour, linewidth=1.8)
    axes.set_ylim(0, 1.02)
    axes.set_yticks((0, 0.25, 0.5, 0.75, 0.9, 1), ("0", "25 %", "50 %", "75 %", "90 %", "100 %"))
    axes.set_xlabel("seconds of a round")
    axes.set_ylabel("rounds that took no longer")
    axes.set_title("distribution", fontsize=11)
    if _wide(results):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.set_xlim(left=0)
    _tidy(axes)


def _draw_rounds(axes: Axes, results: Sequence[tuple[str, Digest]]) -> None:
    """Solid what a round took, dashed what the oracle would have needed with the same placement."""
    from matplotlib.ticker import MaxNLocator

    for number, (code, digest) in enumerate(results):
        colour = COLOURS[number % len(COLOURS)]
        times = digest.round_seconds
        every = max(1, -(-len(times) // _MOST_POINTS))
        rounds = range(0, len(times), every)
        dots = "o" if len(times) < 20 else None
        axes.plot(rounds, times[::every], color=colour, linewidth=1.3, marker=dots, markersize=3, label=code)
        least = digest.oracle_seconds
        if least:
            axes.plot(
                [number for number, _ in least],
                [seconds for _, seconds in least],
                color=colour, linewidth=1.0, linestyle=(0, (4, 2)), alpha=0.75,
            )  # fmt: skip
    axes.plot([], [], color="0.4", linewidth=1.0, linestyle=(0, (4, 2)), label="oracle of the same placement")
    axes.set_xlabel("round")
    axes.set_ylabel("seconds")
    axes.set_title("round by round", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    if _wide(results):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    _tidy(axes)


def _wide(results: Sequence[tuple[str, Digest]]) -> bool:
    times = [seconds for _, digest in results for seconds in digest.round_seconds]
    times += [seconds for _, digest in results for _, seconds in digest.oracle_seconds]
    return bool(times) and min(times) > 0.0 and max(times) / min(times) >= _LOG_FROM


def _tidy(axes: Axes) -> None:
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, axes: Axes) -> None:
    """Below both halves, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) < 60 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
