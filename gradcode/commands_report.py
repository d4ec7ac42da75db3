"""``gradcode report`` and ``gradcode compare``: what runs left behind, as pages, pictures and numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from common.errors import InvalidSpec
from common.history import strict_json

if TYPE_CHECKING:
    from gradcode.report.comparing import Comparison

T = TypeVar("T")
TOLD_EVERY = 500
PAGE = "report.html"


def write_report(run_folder: Path, out: Path | None) -> Path:
    """Write the report of a run; returns the page's file.

    Args:
        run_folder: of a run that has ended, was killed, or goes on.
        out: folder to write to, made if missing; None for ``report`` in the run's folder.

    Raises:
        InvalidData: the folder holds no run, or files that cannot be used.
        InvalidSpec: the report cannot be written there.
    """
    from gradcode.report.page import report_page
    from gradcode.report.reading import read_run

    with _Progress() as progress:
        run = read_run(run_folder, progress.track)
        page, pictures = report_page(run, progress.begin)
    folder = out or run_folder / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, png in pictures.items():
            (folder / f"{name}.png").write_bytes(png)
        (folder / PAGE).write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidSpec("--out", f"must be a folder to write to ({error.strerror})", str(folder)) from None
    return folder / PAGE


def compare_runs(run_folders: Sequence[Path], out: Path | None, form: str) -> None:
    """Print runs side by side, and write a page with their curves.

    Args:
        run_folders: two or more. out: the page's file, or None. form: ``text`` or ``json``.

    Raises:
        InvalidData: a folder holds no run, or files that cannot be used.
        InvalidSpec: there is only one run, or the page cannot be written.
    """
    from gradcode.report.comparing import compared, comparison_page
    from gradcode.report.reading import read_run

    if len(run_folders) < 2:
        raise InvalidSpec("RUN_FOLDER", "must be two runs or more", str(run_folders[0]))
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise InvalidSpec("--out", "must end in .html", str(out))
    with _Progress() as progress:
        found = compared([read_run(folder, progress.track) for folder in run_folders])
        progress.begin("drawing")
        page = None if out is None else comparison_page(found)
    if form == "json":
        print(strict_json(found.plain()))
    else:
        _print_comparison(found)
    if out is not None and page is not None:
        try:
            out.write_text(page, encoding="utf-8")
        except OSError as error:
            raise InvalidSpec("--out", f"must be writable ({error.strerror})", str(out)) from None
        if form == "text":
            print(out)


def _print_comparison(found: Comparison) -> None:
    """Tables, as wide as they need to be; a terminal that is narrower wraps names, never numbers."""
    from gradcode.report.comparing import number_rows

    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console = Console(highlight=False, width=max(console.width, 40 + 36 * len(found.runs)))
    tables = [("", number_rows(found)), ("what differs", list(found.differences.items()))]
    for title, rows in tables:
        table = Table(title, box=SIMPLE_HEAD, padding=(0, 2, 0, 0))
        for label in found.labels:
            table.add_column(Text(label), overflow="fold")
        for name, values in rows:
            table.add_row(Text(name), *(Text(value) for value in values))
        if rows:
            console.print(table)
    if not found.differences:
        console.print("The experiments are the same.")
    for run, label in zip(found.runs, found.labels, strict=True):
        if run.trouble:
            console.print(Text(f"{label}: {run.trouble}"))


class _Progress:
    """What is being done, on stderr if that is a terminal."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        console = Console(stderr=True, highlight=False)
        self._shown = Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())

    def __enter__(self) -> _Progress:
        self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.stop()

    def begin(self, what: str) -> None:
        """The next thing is being done."""
        for task in self._shown.task_ids:
            self._shown.remove_task(task)
        self._shown.add_task(what.replace("[", r"\["), total=None)

    def track(self, rows: Iterable[T], what: str) -> Iterable[T]:
        """Pass rows on and count them."""
        self.begin(f"reading {what}")
        for number, row in enumerate(rows):
            if number % TOLD_EVERY == 0:
                self._shown.update(self._shown.task_ids[-1], description=f"reading {what}, line {number:,}")
            yield row
