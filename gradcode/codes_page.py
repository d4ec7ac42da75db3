"""Writes docs/codes.md from the constructions themselves: ``python -m gradcode.codes_page``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from common.codes import CODES
from common.codes.base import GradientCode
from gradcode.commands_codes import number_text, share_text, span_text
from gradcode.lab.catalogue import USUAL_WORKERS, Entry, entry, example_plan
from gradcode.lab.plan_picture import assignment_text, message_text
from gradcode.lab.plan_report import Absence, Effort, PlanFacts, absence, plan_facts, wire_verdicts

PAGE = Path(__file__).resolve().parents[1] / "docs" / "codes.md"

EFFORT = Effort(exhaustive=1000)

HEAD = f"""\
# Codes

<!-- Written by `python -m gradcode.codes_page`; edit the constructions and their examples, not this page. -->

Every code with a plan for {USUAL_WORKERS} workers, or as many as it needs. `gradcode codes PLAN` shows the
same for any other plan, and what is left with any number of workers absent. `code = "PLAN"` in an experiment
uses it; `n` there may stand for the number of workers.

* **load**: chunks that a worker computes, of all chunks. **copies**: workers that hold the same chunk.
* **messages**: what workers send to the master in a round, at most; d is the number of parameters.
* **exact without**: any so many workers may be absent, and the gradient is exact for sure.
* **residual**: the error of the coefficients, ||E W - J||; **recovered**: 1 - residual^2 / (m N). Both for
  the smallest number of absent workers that does any harm: for the worst set of them, and the mean over all.
* **rounding**: how much errors of the messages, about 6e-8 in float32, are amplified at worst.
* In the pictures a row is a worker and a column a chunk: 1 is computed first, then 2, ..., 9, a, ..., z.
  `g3` is the gradient of chunk 3, and `g3[1]` its part 1 where messages are shorter than the gradient.
"""


def page() -> str:
    """The page as it should be now."""
    sections = [(entry(name), example_plan(name, USUAL_WORKERS)) for name in CODES]
    return "\n".join([HEAD, _overview(sections), *(_section(about, code) for about, code in sections)])


def _overview(sections: Iterable[tuple[Entry, GradientCode]]) -> str:
    lines = ["| code | load | messages | promise of the example |", "|---|---|---|---|"]
    for about, code in sections:
        facts = plan_facts(code)
        messages = f"{facts.n_messages} x {facts.message_length}"
        lines.append(f"| [{about.name}](#{about.name}) | {facts.load:.1%} | {messages} | {facts.promise} |")
    return "\n".join(lines) + "\n"


def _section(about: Entry, code: GradientCode) -> str:
    parameters = [f"* `{name}`: {text}" for name, text in about.parameters.items()]
    paragraphs = [
        f"## {about.name}",
        _wrapped(about.summary),
        *about.idea,
        f"```\n{about.signature}\n```",
        "\n".join(_wrapped(text, hanging=2) for text in parameters),
        _wrapped(f"**When.** {about.when}"),
        f"For example `{code.spec}`:",
        f"```\n{_picture(code)}\n```",
        _costs(code),
    ]
    if about.source:
        paragraphs.append(_wrapped(f"**Source.** {about.source}"))
    return "\n\n".join(paragraphs) + "\n"


def _picture(code: GradientCode) -> str:
    lines = [assignment_text(code, width=100)]
    if code.messages:
        own = [message_text(code.messages[number], code.n_parts) for number in code.messages_of[0]]
        more = [f"{len(own) - 2} more"] * (len(own) > 2)
        lines += ["", f"worker 0 sends {'; '.join([*own[:2], *more])}"]
    return "\n".join(lines)


def _costs(code: GradientCode) -> str:
    """A row of numbers, and what the first absent worker costs that costs anything."""
    facts = plan_facts(code)
    row = _first_that_hurts(code, facts)
    residual = f"{number_text(row.worst_residual)}, {number_text(row.mean_residual)}"
    recovered = f"{share_text(row.worst_recovered)}, {share_text(row.mean_recovered)}"
    cells = {
        "load": f"{span_text(facts.least_load, facts.most_load)} of {facts.n_chunks}",
        "copies": span_text(facts.least_replication, facts.most_replication),
        "messages": f"{facts.n_messages} x {facts.message_length}",
        "exact without": "-" if facts.exact_without is None else str(facts.exact_without),
        f"residual without {row.n_absent}": residual,
        f"recovered without {row.n_absent}": recovered,
        "rounding": f"x {number_text(wire_verdicts(code)[0].noise)}",
    }
    return "\n".join(f"| {' | '.join(each)} |" for each in (cells, ["---"] * len(cells), cells.values()))


def _first_that_hurts(code: GradientCode, facts: PlanFacts) -> Absence:
    """The smallest number of absent workers that may leave an error in a round."""
    n = code.n_workers
    first = 0 if facts.enough_messages is None else n - facts.enough_messages
    rows = (
        absence(code, n_absent, EFFORT) for n_absent in range(max(first, facts.exact_without or 0), n + 1)
    )
    return next(row for row in rows if row.exact_share < 1.0)


def _wrapped(text: str, hanging: int = 0) -> str:
    return textwrap.fill(
        text, 110, subsequent_indent=" " * hanging, break_long_words=False, break_on_hyphens=False
    )


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 when written or fresh, 1 when ``--check`` finds the page stale."""
    parser = argparse.ArgumentParser(prog="python -m gradcode.codes_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    check = parser.parse_args(argv).check
    fresh = page()
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == fresh:
        return 0
    print("docs/codes.md is stale: run python -m gradcode.codes_page", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
