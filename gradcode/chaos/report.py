"""A chaos run's result for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table

from gradcode.chaos.play import Result

MEBIBYTE = 1 << 20


def table(result: Result) -> Table:
    """Rounds, faults by kind, what history tells of them, and what processes came to hold."""
    made = Table("", "", "", box=SIMPLE_HEAD, show_header=False)
    made.columns[2].justify = "right"
    for title, rows in _groups(result):
        for number, (name, value) in enumerate(rows):
            made.add_row("" if number else title, name, value, end_section=number + 1 == len(rows))
    return made


def _groups(result: Result) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    proof, account = result.proof, result.account
    yield "played", [("seconds", f"{result.seconds:.0f}"), ("rounds", str(proof.n_rounds))]
    yield "rounds", [(name, str(count)) for name, count in proof.outcomes.most_common()]
    faults = [(name, str(count)) for name, count in sorted(result.counts.items())]
    yield f"{result.counts.total()} faults", faults
    if result.missed:
        yield "met nobody", [(name, str(count)) for name, count in sorted(result.missed.items())]
    yield (
        "in history",
        [
            ("told of", str(account.told.total())),
            ("gone with the master's memory", str(account.with_master.total())),
            ("without consequence", str(account.untold.total())),
            ("missing", str(len(account.missing))),
        ],
    )
    if result.restarts:
        ended = [(name, str(count)) for name, count in sorted(result.restarts.items())]
        yield "ended by themselves", ended
    if result.growths:
        yield (
            "growth, the most of any process",
            [
                ("open files", str(max(each.n_files for each in result.growths))),
                ("threads", str(max(each.n_threads for each in result.growths))),
                ("memory", f"{max(each.n_bytes for each in result.growths) / MEBIBYTE:.1f} MiB"),
                ("processes that lived long enough", str(len(result.growths))),
            ],
        )
    yield "steps", [("equal to plain descent", "no" if proof.complaints else f"all {proof.n_steps}")]
