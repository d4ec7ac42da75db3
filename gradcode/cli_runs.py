"""The commands that look at what runs left behind; ``gradcode.cli`` offers them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a run is shown."""

    auto = "auto"
    live = "live"
    text = "text"
    json = "json"


class Plain(StrEnum):
    """How an answer is printed."""

    text = "text"
    json = "json"


REPORT_EPILOG = """\b
Examples:
  gradcode report runs/demo-20250304-120000              writes report/report.html in that folder
  gradcode report runs/demo-20250304-120000 -o out       writes out/report.html and the pictures
"""


def report(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER", help="A run: ended, killed or going on.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to; made if missing.")
    ] = None,
) -> None:
    """Write what a run left behind as one HTML page, and its pictures beside it."""
    from gradcode.commands_report import write_report

    print(write_report(run_folder, out))


COMPARE_EPILOG = """\b
Examples:
  gradcode compare runs/demo-20250304-120000 runs/demo-20250304-130000
  gradcode compare runs/demo-* -o compared.html
  gradcode compare runs/demo-* --format json | jq '.runs[].p50_seconds'
"""


def compare(
    run_folders: Annotated[list[Path], typer.Argument(metavar="RUN_FOLDER...", help="Two runs or more.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.html", help="Write a page with curves, too.")
    ] = None,
    form: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.text,
) -> None:
    """Lay runs side by side: their numbers, and where their experiments differ."""
    from gradcode.commands_report import compare_runs

    compare_runs(run_folders, out, form.value)
