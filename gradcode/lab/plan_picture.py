"""Pictures of a plan: who holds what, as text and as PNG, and what is left when workers are absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.codes.base import GradientCode, Message
from common.errors import InvalidSpec
from gradcode.lab.plan_report import Absence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

NOT_HELD = "."
LATER = "#"
_POSITIONS = "123456789abcdefghijklmnopqrstuvwxyz"
_MOST_DRAWN = 400
_GREEN, _RED = "#2a9d8f", "#9b2226"


def assignment_text(code: GradientCode, width: int = 80, most_workers: int = 16) -> str:
    """A row a worker and a column a chunk: 1 is computed first, then 2, ..., 9, a, ..., z, and # is later.

    What does not fit is left out, and a last line says how much that is.

    Args:
        code: any code.
        width: of the terminal, in characters.
        most_workers: rows, at most.

    >>> from common.codes.cyclic_repetition import cyclic_repetition
    >>> print(assignment_text(cyclic_repetition(4, 1)))
      0 12..
      1 .12.
      2 ..12
      3 2..1
    """
    left = len(str(code.n_workers - 1)) + 3
    n_columns = min(code.n_chunks, max(10, width - left))
    n_rows = code.n_workers if code.n_workers <= most_workers + 1 else most_workers
    lines = []
    for worker, order in enumerate(code.assignment.orders[:n_rows]):
        cells = [NOT_HELD] * n_columns
        for place, chunk in enumerate(order):
            if chunk < n_columns:
                cells[chunk] = _POSITIONS[place] if place < len(_POSITIONS) else LATER
        lines.append(f"{worker:>{left - 1}} {''.join(cells)}")
    hidden = [
        f"{count} more {what}"
        for count, what in ((code.n_workers - n_rows, "workers"), (code.n_chunks - n_columns, "chunks"))
        if count
    ]
    return "\n".join([*lines, *([f"{'':{left}}... and {' and '.join(hidden)}"] if hidden else [])])


def message_text(message: Message, n_parts: int, most_terms: int = 8) -> str:
    """What a message is, ``g3`` being the gradient of chunk 3 and ``g3[1]`` its part 1.

    >>> from common.codes.base import Term
    >>> message_text(Message(0, (Term(0, 0, 1.0), Term(1, 0, -0.5), Term(2, 0, 1.618034))), n_parts=1)
    'g0 - 0.5 g1 + 1.618 g2'
    """
    largest = max(abs(term.coefficient) for term in message.terms)
    terms = [term for term in message.terms if abs(term.coefficient) > 1e-12 * largest]
    text = ""
    for chunk, part, coefficient in terms[:most_terms]:
        minus, plus = (" - ", " + ") if text else ("-", "")
        size = f"{abs(coefficient):.4g}"
        text += (minus if coefficient < 0 else plus) + ("" if size == "1" else f"{size} ") + f"g{chunk}"
        text += f"[{part}]" if n_parts > 1 else ""
    hidden = len(terms) - most_terms
    return text + (f" + {hidden} more" if hidden > 0 else "")


def draw_plan(code: GradientCode, rows: Sequence[Absence], out: Path) -> None:
    """Draw the assignment, and the residual against the number of absent workers, into ``out``.

    Args:
        code: any code. rows: of the same code.
        out: a file whose name ends in .png, .svg or .pdf.

    Raises:
        InvalidSpec: the file cannot be written, or is of another kind.
    """
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InvalidSpec("--plot", "must end in .png, .svg or .pdf", str(out))
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _draw_assignment(left, code)
    _draw_residual(right, code, rows)
    figure.suptitle(code.spec)
    try:
        figure.savefig(out)
    except OSError as error:
        raise InvalidSpec("--plot", f"must be writable ({error.strerror})", str(out)) from None


def _draw_assignment(axes: Axes, code: GradientCode) -> None:
    """A dark square is computed first; of a large plan the corner is drawn."""
    n_rows, n_columns = min(code.n_workers, _MOST_DRAWN), min(code.n_chunks, _MOST_DRAWN)
    shade = np.full((n_rows, n_columns), np.nan)
    for worker, order in enumerate(code.assignment.orders[:n_rows]):
        for place, chunk in enumerate(order, 1):
            if chunk < n_columns:
                shade[worker, chunk] = place
    most = code.assignment.max_load
    image = axes.imshow(
        shade, aspect="auto", cmap="viridis", vmin=1, vmax=max(most, 2), interpolation="nearest"
    )
    if n_rows <= 32 and n_columns <= 64:
        axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=0.8)
        axes.tick_params(which="minor", length=0)
    _whole_numbers(axes.xaxis, axes.yaxis)
    axes.set_xlabel("chunk" if n_columns == code.n_chunks else f"chunk (the first {n_columns})")
    axes.set_ylabel("worker" if n_rows == code.n_workers else f"worker (the first {n_rows})")
    axes.set_title(f"load {most} of {code.n_chunks} chunks, each on {code.assignment.replication} workers")
    bar = axes.figure.colorbar(image, ax=axes, label="place in the worker's order")
    _whole_numbers(bar.ax.yaxis)


def _draw_residual(axes: Axes, code: GradientCode, rows: Sequence[Absence]) -> None:
    """Worst and mean; the worst of a sample is a lower bound and gets an open mark."""
    counts = [row.n_absent for row in rows]
    axes.plot(counts, [row.worst_residual for row in rows], color=_RED, label="worst set of absent workers")
    axes.plot(counts, [row.mean_residual for row in rows], color=_GREEN, label="mean")
    for exhaustive, face in ((True, _RED), (False, "white")):
        own = [row for row in rows if row.exhaustive == exhaustive]
        label = None if exhaustive or not own else "worst of those tried"
        axes.scatter(
            [row.n_absent for row in own],
            [row.worst_residual for row in own],
            color=face, edgecolor=_RED, s=22, zorder=3, label=label,
        )  # fmt: skip
    if code.n_stragglers and rows[0].exact_share == 1.0 and code.enough_messages is None:
        label = f"exact with any {code.n_stragglers} absent"
        axes.axvspan(0, code.n_stragglers, color=_GREEN, alpha=0.15, linewidth=0, label=label)
    axes.set_xlabel("absent workers")
    axes.set_ylabel("residual ||E W - J||")
    axes.set_ylim(bottom=0)
    _whole_numbers(axes.xaxis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _whole_numbers(*each: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in each:
        axis.set_major_locator(MaxNLocator(integer=True))
