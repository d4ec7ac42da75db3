"""``gradcode codes``: all codes and what each costs, or one plan and what it is worth with absent workers."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from common.codes import CODES
from common.codes.base import EXACT_TOLERANCE, GradientCode
from common.errors import InvalidSpec
from common.history import strict_json
from common.spec import make_code, parse_call
from gradcode.lab.catalogue import (
    USUAL_WORKERS,
    Entry,
    entry,
    example_plan,
    n_workers_of,
    nearest_possible,
)
from gradcode.lab.plan_picture import assignment_text, draw_plan, message_text
from gradcode.lab.plan_report import (
    Absence,
    PlanFacts,
    WireVerdict,
    absences,
    affordable,
    plan_facts,
    wire_verdicts,
    without,
)

DECODING_SECONDS = 2.0
"""So long may trying sets of absent workers take, about."""

_PROBE_SECONDS = 0.05
_MOST_NAMED = 12

SEARCH_SECONDS = 1.5
"""So long may looking for possible parameters take."""

HOW_TO_READ = """\
load      share of the training rows that one worker holds
copies    workers that hold the same chunk
messages  sent to the master in a round, at most; d: the number of parameters
absent    any so many workers may be missing, and the gradient is exact for sure"""


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say about one plan."""

    code: GradientCode
    about: Entry
    facts: PlanFacts
    rows: tuple[Absence, ...]
    wire: tuple[WireVerdict, ...]


# ---- all codes ------------------------------------------------------------------------------------------


def show_codes(n_workers: int | None, form: str) -> None:
    """Print every code: what its example plan costs, what it promises, where it comes from.

    Args:
        n_workers: of the plans, where possible; None for the usual number.
        form: ``text``, or ``json`` for one object a line.
    """
    wanted = n_workers or USUAL_WORKERS
    found = [(entry(name), plan_facts(example_plan(name, wanted))) for name in CODES]
    if form == "json":
        for about, facts in found:
            print(strict_json({**_entry_values(about), "plan": _facts_values(facts)}))
        return
    console = Console(highlight=False)
    console.print(f"Plans for n = {wanted} workers, or as near as the code allows\n", style="bold")
    console.print(_codes_table([facts for _, facts in found]))
    console.print(HOW_TO_READ, style="dim")
    for about, facts in found:
        console.print(f"\n[bold]{escape(about.signature)}[/bold]", soft_wrap=True)
        console.print(Padding(escape(about.summary), (0, 0, 0, 2), expand=False))
        lines = {"promise": facts.promise, "when": about.when, "source": about.source}
        console.print(Padding(_grid({name: text for name, text in lines.items() if text}), (0, 0, 0, 2)))
    console.print("\nMore of one plan: gradcode codes 'cyclic_repetition(12, 3)'", style="dim")


def _codes_table(found: Sequence[PlanFacts]) -> Table:
    table = Table("plan", "load", "copies", "messages", "absent", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for facts in found:
        messages = f"{facts.n_messages} x {facts.message_length}"
        copies = span_text(facts.least_replication, facts.most_replication)
        absent = "-" if facts.exact_without is None else str(facts.exact_without)
        table.add_row(escape(facts.spec), f"{facts.load:.1%}", copies, messages, absent)
    return table


def _entry_values(about: Entry) -> dict[str, Any]:
    values = asdict(about)
    del values["idea"]
    return {"code": values.pop("name"), **values}


def _facts_values(facts: PlanFacts) -> dict[str, Any]:
    least = facts.least_possible_load
    return {
        **asdict(facts),
        "least_possible_load": None if least is None else float(least),
        "load": facts.load,
        "message_length": facts.message_length,
        "promise": facts.promise,
    }


# ---- one plan -------------------------------------------------------------------------------------------


def show_plan(text: str, n_workers: int | None, form: str, plot: Path | None) -> bool:
    """Print what the plan costs and what is left of the gradient when workers are absent.

    Args:
        text: in the notation of experiments; a bare name stands for the code's example.
        n_workers: what ``n`` is in it; None for the usual number.
        form: ``text``, or ``json`` for one object.
        plot: where to draw it, or None.

    Returns:
        Whether the plan is possible; if not, stderr says why and what is possible instead.

    Raises:
        InvalidSpec: the picture cannot be written.
    """
    try:
        code = _plan(text, n_workers)
    except InvalidSpec as error:
        print(f"gradcode: {error}", file=sys.stderr)
        ends = time.monotonic() + SEARCH_SECONDS
        near = nearest_possible(text, n_workers, go_on=lambda: time.monotonic() < ends)
        if near:
            print(f"possible near it: {', '.join(near)}", file=sys.stderr)
        return False
    report = make_report(code)
    if plot is not None:
        draw_plan(code, report.rows, plot)
    if form == "json":
        print(strict_json(_report_values(report)))
    else:
        _print_report(report, Console(highlight=False))
    return True


def make_report(code: GradientCode) -> Report:
    """Try the plan, as thoroughly as ``DECODING_SECONDS`` allow."""
    rows = absences(code, affordable(code, DECODING_SECONDS / _decoding_seconds(code)))
    about = entry(code.spec.partition("(")[0])
    return Report(code, about, plan_facts(code), rows, wire_verdicts(code, rows))


def _plan(text: str, n_workers: int | None) -> GradientCode:
    """The plan that is asked for; the code's example where only a name is given that says too little."""
    call = parse_call(text, {"n": n_workers or USUAL_WORKERS}, what="code", nested=True)
    try:
        return make_code(text, n_workers or n_workers_of(text) or USUAL_WORKERS)
    except InvalidSpec:
        if call.name not in CODES or call.args or call.kwargs:
            raise
        return example_plan(call.name, n_workers or USUAL_WORKERS)


def _decoding_seconds(code: GradientCode) -> float:
    """What one decoding takes, about: the quickest of some attempts, since the first ones are slow."""
    generator, quickest = np.random.default_rng(0), []
    for share in (6, 3, 2):
        absent = frozenset(generator.permutation(code.n_workers)[: code.n_workers // share].tolist())
        spent: list[float] = []
        while len(spent) < 2 or (sum(spent) < _PROBE_SECONDS and len(spent) < 20):
            began = time.perf_counter()
            without(code, absent)
            spent.append(time.perf_counter() - began)
        quickest.append(min(spent))
    return max(1e-6, sum(quickest) / len(quickest))


def _report_values(report: Report) -> dict[str, Any]:
    about = _entry_values(report.about)
    return {
        **about,
        "plan": _facts_values(report.facts),
        "assignment": report.code.assignment.orders,
        "absences": [asdict(row) for row in report.rows],
        "wire": [asdict(verdict) for verdict in report.wire],
    }


def _print_report(report: Report, console: Console) -> None:
    code, about = report.code, report.about
    console.print(f"[bold]{escape(code.spec)}[/bold]\n{escape(about.summary)}\n")
    console.print(_grid(_facts_lines(report)))
    console.print("\n[bold]Who holds what[/bold]: a row a worker, a column a chunk; 1 is computed first\n")
    console.print(escape(assignment_text(code, console.width)), soft_wrap=True)
    console.print("\n[bold]When workers are absent[/bold] and all others have finished everything")
    console.print(_absence_table(report.rows))
    console.print(_grid(_how_tried(report.rows)), style="dim")


def _facts_lines(report: Report) -> dict[str, str]:
    """Name -> what there is to say, of the plan as a whole."""
    facts = report.facts
    chunks = span_text(facts.n_chunks, facts.n_chunks, "chunk")
    load = f"{span_text(facts.least_load, facts.most_load)} of {chunks} ({facts.load:.1%})"
    if facts.least_possible_load is not None and facts.exact_without:
        least = float(facts.least_possible_load)
        load += f"; exact without any {facts.exact_without} needs at least {least:g} on average"
    messages = f"at most {facts.n_messages} of length {facts.message_length}"
    if facts.enough_messages is not None:
        messages += ", then the round ends: whoever is slower counts as absent"
    if facts.on_request:
        messages += ", when asked for; and a few bytes for every finished chunk"
    if facts.per_worker > 1:
        messages += f", up to {facts.per_worker} a worker"
    copies = span_text(facts.least_replication, facts.most_replication, "worker")
    lines = {
        "promise": facts.promise,
        "when": report.about.when,
        "load": load,
        "copies": f"every chunk on {copies}",
        "messages": messages,
    }
    if report.code.messages:
        own = [report.code.messages[number] for number in report.code.messages_of[0]]
        sent = [message_text(message, facts.n_parts) for message in own[:3]]
        hidden = [f"{len(own) - 3} more"] * (len(own) > 3)
        lines["worker 0"] = f"sends {'; '.join([*sent, *hidden])}"
    lines["wire"] = _wire_text(report.wire)
    return lines | ({"source": report.about.source} if report.about.source else {})


def _wire_text(verdicts: Sequence[WireVerdict]) -> str:
    """How much rounding on the wire disturbs, and which dtypes are refused."""
    if not math.isfinite(verdicts[0].noise):
        said = "some sets of absent workers cannot be decoded in float64"
    else:
        errors = [f"about {each.relative_error:.0e} of the gradient in {each.dtype}" for each in verdicts]
        said = f"rounding is amplified {verdicts[0].noise:.3g} times: {', '.join(errors)}"
    refused = [each.dtype for each in verdicts if not each.carries]
    return said + (f"; {', '.join(refused)} is refused" if refused else "")


def _absence_table(rows: Sequence[Absence]) -> Table:
    """A row for every number of absent workers."""
    table = Table("absent", "sets tried", "exact", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("residual", "recovered", "noise"):
        table.add_column(f"{name}\nworst")
        table.add_column("\nmean")
    for column in table.columns:
        column.justify = "right"
        column.no_wrap = True
    for row in rows:
        tried = f"all {row.n_patterns}" if row.exhaustive else f"{row.n_patterns} sampled"
        table.add_row(
            str(row.n_absent),
            tried,
            share_text(row.exact_share),
            *(number_text(value) for value in (row.worst_residual, row.mean_residual)),
            *(share_text(value) for value in (row.worst_recovered, row.mean_recovered)),
            *(number_text(value) for value in (row.worst_noise, row.mean_noise)),
        )
    return table


def _how_tried(rows: Sequence[Absence]) -> dict[str, str]:
    """Name -> what the columns mean, and what is not known where sets were sampled."""
    lines = {
        "residual": "||E W - J||, the error of the coefficients",
        "recovered": "1 - residual^2 / (m N), at least 0",
        "noise": "||W||, how much errors of messages are amplified",
    }
    if not all(row.exhaustive for row in rows):
        lines["sampled"] = (
            "sets of neighbours, sets of holders of the same chunks, and random ones: the truly worst may be "
            "worse; mean and exact are over the random ones"
        )
    if len(rows) <= rows[-1].n_absent:
        lines["absent"] = "some numbers are left out"
    worst = next(
        (row for row in rows if row.worst_residual > EXACT_TOLERANCE * rows[-1].worst_residual), None
    )
    if worst is not None and 0 < worst.n_absent <= _MOST_NAMED:
        lines["worst set"] = f"of {worst.n_absent}: {', '.join(map(str, worst.worst_pattern))}"
    return lines


def _grid(lines: Mapping[str, str]) -> Table:
    """A line for every name and its text."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, text in lines.items():
        grid.add_row(f"[dim]{name}[/dim]", escape(text))
    return grid


def number_text(value: float) -> str:
    """Three digits; what is exact up to rounding is 0.

    >>> number_text(3e-15), number_text(1.41421), number_text(12345.6)
    ('0', '1.41', '1.23e+04')
    """
    return f"{_steady(value):.3g}"


def share_text(value: float) -> str:
    """A share in per cent.

    >>> share_text(0.8125), share_text(1.0 - 1e-15)
    ('81.2%', '100.0%')
    """
    return f"{_steady(value):.1%}"


def _steady(value: float) -> float:
    """Without the digits that rounding errors decide, so that every machine shows the same."""
    return float(f"{value:.9g}") if value > 1e-9 else 0.0


def span_text(least: int, most: int, what: str = "") -> str:
    """``4 workers`` or ``1 to 4 workers``.

    >>> span_text(1, 1, "worker"), span_text(2, 3, "worker"), span_text(2, 2)
    ('1 worker', '2 to 3 workers', '2')
    """
    numbers = str(most) if least == most else f"{least} to {most}"
    return f"{numbers} {what}{'s' * (most != 1)}" if what else numbers
