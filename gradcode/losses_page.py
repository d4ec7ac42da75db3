"""Writes the table of losses in docs/operations.md by decoding: ``python -m gradcode.losses_page``."""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from pathlib import Path

from common.codes import CODES
from common.codes.base import GradientCode
from common.settings import MembershipSettings
from gradcode.lab.catalogue import example_plan
from gradcode.lab.plan_report import without
from master.outcome import ROUNDING
from master.policies import SKIPS_IN_A_ROW

PAGE = Path(__file__).resolve().parents[1] / "docs" / "operations.md"
BEGIN = "<!-- Written by `python -m gradcode.losses_page`, down to the next such line. -->"
END = "<!-- End of what `python -m gradcode.losses_page` writes. -->"

WORKERS = 6
"""Or as near to it as a code can have."""

LEAST_RECOVERED = 0.5
"""The default of experiments: with less there is no step."""

EXACT, EITHER, APPROXIMATE, MAYBE, NOTHING, NOBODY = "=", "+", "~", "?", "-", "."


def losses(code: GradientCode) -> str:
    """What a round comes to with 0, 1, ..., n places lost: one sign for each number.

    ``=`` exact whoever is lost; ``+`` exact or approximate; ``~`` approximate; ``?`` approximate or, below
    half, no step; ``-`` no step; ``.`` nobody is left. Cost: a decoding for every set of lost places.

    >>> from common.codes.fractional_repetition import fractional_repetition
    >>> losses(fractional_repetition(4, 1))
    '==+~.'
    """
    signs = [_sign(code, n_lost) for n_lost in range(code.n_workers)]
    return "".join([*signs, NOBODY])


def _sign(code: GradientCode, n_lost: int) -> str:
    n, enough = code.n_workers, code.enough_messages
    ends_early = enough is not None and len(code.messages) == n and n - n_lost >= enough
    # Such a round ends before the last messages come, as if their workers were lost, and has a step whatever
    # it recovers.
    n_counted = n - enough if ends_early and enough is not None else n_lost
    found = [without(code, frozenset(lost)) for lost in combinations(range(n), n_counted)]
    least = min(LEAST_RECOVERED, code.enough_recovered) - ROUNDING
    steps = [ends_early or each.recovered_fraction >= least for each in found]
    exact = [each.exact for each in found]
    if all(exact):
        return EXACT if code.enough_recovered == 1.0 else EITHER
    if all(steps):
        return EITHER if any(exact) else APPROXIMATE
    return MAYBE if any(steps) else NOTHING


def table() -> str:
    """The part of the page that is written."""
    plans = [example_plan(name, WORKERS) for name in CODES]
    lines = ["| plan | places | with 0, 1, 2, ... places lost |", "|---|---|---|"]
    lines += [f"| `{code.spec}` | {code.n_workers} | `{losses(code)}` |" for code in plans]
    membership = MembershipSettings()
    lost, empty = f"{membership.lost_seconds:g} s", f"{membership.empty_seconds:g} s"
    text = f"""\
| sign | a round is | `on_shortfall = "approximate"` | `"skip"` | `"fail"` | `"wait"` |
|---|---|---|---|---|---|
| `=` | exact | goes on | goes on | goes on | goes on |
| `+` | exact or approximate, by who is lost | goes on | as `=` or `-` | as `=` or `-` | as `=` or `-` |
| `~` | approximate | goes on | as `-` | stop | pause |
| `?` | one of `+`, or recovers less than half | as `~` or `-` | as `-` | stop | pause |
| `-` | failed: less than half is recovered | pause | pause | stop | pause |
| `.` | not possible: nobody is left | pause | pause | pause | pause |

* **goes on**: a step is taken. **stop**: the run ends with exit code 3, its folder whole.
* **pause** by `approximate` and `skip`: rounds without a step, and {SKIPS_IN_A_ROW} of them in a row stop
  the run. By `wait`, and with nobody left: the run waits `membership.lost_seconds` ({lost}) for workers, then
  stops.
* All of this is before another plan: with `membership.on_empty = "replan"`, the default, a place that stays
  empty for `membership.empty_seconds` ({empty}) ends the plan, and the workers that are left begin the next
  one at the first sign of its line.
"""
    return "\n".join([BEGIN, "", *lines, "", text + END])


def page(before: str) -> str:
    """The whole page as it should be now, made from the page ``before``."""
    head, found, rest = before.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"docs/operations.md lacks the lines {BEGIN} and {END}")
    return head + table() + tail


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 when written or fresh, 1 when ``--check`` finds the page stale."""
    parser = argparse.ArgumentParser(prog="python -m gradcode.losses_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    check = parser.parse_args(argv).check
    before = PAGE.read_text(encoding="utf-8")
    fresh = page(before)
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
    elif before != fresh:
        print("docs/operations.md is stale: run python -m gradcode.losses_page", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
