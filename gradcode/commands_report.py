"""``gradcode report`` and ``gradcode compare``: what runs left behind, as pages, pictures and numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from common.errors import InvalidSpec

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
