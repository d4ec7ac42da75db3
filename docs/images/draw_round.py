"""Draws a round of a run as README shows it: ``python docs/images/draw_round.py RUN [ROUND] [OUT.png]``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from common.folder import read_chunks, read_history
from common.history import ChunkRow, RoundRecord

COLOURS = {"used": "#2a9d8f", "duplicate": "#a8d5cf", "wasted": "#e9c46a", "late": "#c9c9c9"}
MEANING = {
    "used": "used in the sum",
    "duplicate": "finished, another worker's copy was used",
    "late": "in hand when the round ended",
}


def draw(record: RoundRecord, rows: list[ChunkRow], n_places: int, out: Path) -> None:
    """A bar for every chunk, a line where the round ended and one where an uncoded round would have."""
    figure, axes = plt.subplots(figsize=(9, 3.4), dpi=150)
    for row in rows:
        left = row.arrived_seconds - row.seconds
        axes.barh(row.place, row.seconds, left=left, height=0.7, color=COLOURS[row.state], edgecolor="white")
    for place in record.lost:
        axes.text(0.002, place, "no worker", va="center", color="#9b2226", fontsize=9)
    axes.axvline(record.seconds, color="#1d3557", linewidth=2)
    uncoded = record.uncoded_seconds
    limit = 1.25 * max(record.seconds, uncoded or 0.0)
    if uncoded is not None:
        axes.axvline(uncoded, color="#9b2226", linewidth=2, linestyle="--")
    axes.set_xlim(0, limit)
    axes.set_yticks(range(n_places), [f"worker {place}" for place in range(n_places)])
    axes.invert_yaxis()
    axes.set_xlabel("seconds since the round began")
    axes.spines[["top", "right"]].set_visible(False)
    marks: list[Patch | Line2D] = [Patch(color=COLOURS[state], label=text) for state, text in MEANING.items()]
    marks.append(Line2D([], [], color="#1d3557", linewidth=2, label="the exact sum is there"))
    if uncoded is not None:
        marks.append(
            Line2D([], [], color="#9b2226", linewidth=2, linestyle="--", label="an uncoded round ends")
        )
    figure.legend(handles=marks, loc="upper center", ncols=3, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 0.88))
    figure.savefig(out)


def main() -> None:
    """Draw the round that is asked for, or the one where most straggler's work was used."""
    folder = Path(sys.argv[1])
    history = read_history(folder)
    number = (
        int(sys.argv[2])
        if len(sys.argv) > 2
        else max(history, key=lambda each: (each.straggler_chunks_used, -each.round)).round
    )
    rows = [row for row in read_chunks(folder) if row.round == number]
    places = 1 + max(row.place for row in read_chunks(folder))
    out = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(__file__).with_name("round.png")
    draw(history[number], rows, places, out)


if __name__ == "__main__":
    main()
