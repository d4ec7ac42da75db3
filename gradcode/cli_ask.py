"""Commands that ask something of a master that runs somewhere; ``gradcode.cli`` offers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SCALE_EPILOG = """\b
Examples:
  gradcode scale 12 127.0.0.1:7070
  gradcode scale 6 train.example.org:7070 --token-file token

\b
Exit codes:
  0  the run goes on with so many, from the next round on or as soon as they are there
  2  bad input, such as a number that the code cannot have
  3  no master answers
"""


def scale(
    n_workers: Annotated[int, typer.Argument(metavar="N", help="How many workers to go on with.")],
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where the master listens.")],
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="File with the master's token.")
    ] = None,
) -> None:
    """Change the number of workers while a run goes on; only rows whose ranges change move."""
    from common.tokens import read_token
    from gradcode.commands_ask import scale_run

    waits = scale_run(address, read_token(token_file), n_workers)
    workers = "1 worker" if n_workers == 1 else f"{n_workers} workers"
    print(f"the run goes on with {workers}" + (f"; it {waits}" if waits else ""))
