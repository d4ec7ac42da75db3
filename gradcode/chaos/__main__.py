"""``python -m gradcode.chaos``: a real cluster, disturbed for minutes; its run must come out right."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from common.errors import GradcodeError
from gradcode.chaos.long_run import long_run
from gradcode.chaos.plan import KINDS
from gradcode.chaos.play import Wanted, play
from gradcode.chaos.report import table
from master.logs import configure_logs

EXAMPLES = f"""\
examples:
  python -m gradcode.chaos                                  10 minutes, a master and 11 workers
  python -m gradcode.chaos --minutes 1 --seed 7
  python -m gradcode.chaos --minutes 2 --kinds "kill,kill master" --every 1
  python -m gradcode.chaos --long-run 100000                many short rounds: nothing may grow

kinds of faults: {", ".join(KINDS)}

exit codes: 0 everything is proved, 1 a proof fails, 2 bad input, 3 the run hangs or cannot be played
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    given = _parser().parse_args(arguments)
    console = Console(highlight=False)
    configure_logs("warning", "text")
    if given.long_run is not None:
        return _long_run(given.long_run, console)
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    folder = given.folder or Path(tempfile.mkdtemp(prefix="gradcode-chaos-"))
    again = _again(given, seed)
    console.print(f"seed {seed}; again: {again}", soft_wrap=True)
    wanted = Wanted(seed, 60.0 * given.minutes, given.workers, given.every, given.kinds)
    shown = sys.stderr.isatty()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, end="\r" if shown else "\n", flush=True)

    try:
        result = asyncio.run(play(wanted, folder, tell))
    except (GradcodeError, OSError) as error:
        console.print(f"[red]{escape(str(error))}[/]\nlogs: {escape(str(folder))}", soft_wrap=True)
        return 3
    console.print(table(result))
    for note in result.notes:
        console.print(escape(note), soft_wrap=True)
    if not result.complaints:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
        console.print("Every proof holds.")
        return 0
    for complaint in result.complaints:
        console.print(f"[red]{escape(complaint)}[/]", soft_wrap=True)
    console.print(f"Again: {again}\nlogs: {escape(str(folder))}", soft_wrap=True)
    return 1


def _again(given: argparse.Namespace, seed: int) -> str:
    """The command that injects the same faults at the same times."""
    same = f"--minutes {given.minutes:g} --workers {given.workers} --every {given.every:g} --seed {seed}"
    kinds = "" if given.kinds == KINDS else f' --kinds "{",".join(given.kinds)}"'
    return f"python -m gradcode.chaos {same}{kinds}"


def _long_run(n_rounds: int, console: Console) -> int:
    result = asyncio.run(long_run(n_rounds, lambda line: print(line, file=sys.stderr, flush=True)))
    for line in result.lines():
        console.print(escape(line), soft_wrap=True)
    return 1 if result.complaints else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gradcode.chaos",
        description="Disturb a real cluster in every way there is, and prove that its run came out right.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=_above(0.4), default=10.0, help="how long (default %(default)g)")
    add("--workers", type=_count, default=11, help="beside the master (default %(default)s)")
    add("--every", type=_above(0.05), default=2.5, metavar="SECONDS", help="mean time between two faults")
    add("--seed", type=int, help="of everything (default: another one every time)")
    add("--kinds", type=_kinds, default=KINDS, metavar="KIND,...", help="only these faults")
    add("--folder", type=Path, help="for logs and the run; kept (default: a new one, kept if a proof fails)")
    add("--long-run", type=_count, metavar="ROUNDS", help="no faults: so many short rounds in one process")
    return parser


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(each.strip() for each in text.split(","))
    for kind in kinds:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"must be of {', '.join(KINDS)}, got {kind!r}")
    return kinds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _above(least: float) -> type[float]:
    def read(text: str) -> float:
        value = float(text)
        if not least <= value < 1e6:
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, got {text}")
        return value

    read.__name__ = "number"
    return read  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
