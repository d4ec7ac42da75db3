"""Certificates as a table: who they are for, and how long they last."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography import x509
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from common.history import strict_json
from gradcode.certs.authority import is_due, names_in, now, read_certificate, role_of


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate; times in ISO 8601.

    Attributes:
        state: ``valid``, ``due`` (less than a third of its lifetime is left), ``expired`` or ``not yet``.
    """

    where: str
    role: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    days_left: float
    state: str

    @staticmethod
    def of(where: Path, certificate: x509.Certificate, at: datetime.datetime) -> Shown:
        """What a certificate says, and how it stands at a time."""
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        state = (
            "not yet"
            if at < begin
            else "expired"
            if at > end
            else "due"
            if is_due(certificate, at)
            else "valid"
        )
        names = tuple(names_in(certificate))
        left = (end - at) / datetime.timedelta(days=1)
        times = (begin.isoformat(), end.isoformat())
        return Shown(str(where), role_of(certificate), names, *times, round(left, 3), state)


def show_certificates(folders: Sequence[Path], form: str) -> None:
    """Print certificates as ``text`` or ``json``; warn on standard error of those that end soon.

    Raises:
        InvalidSpec: there is none in one of the folders.
    """
    at = now()
    shown = [Shown.of(each, read_certificate(each), at) for each in folders]
    if form == "json":
        print(strict_json({"certificates": [asdict(each) for each in shown]}))
    else:
        Console(highlight=False).print(_table(shown))
    for each in shown:
        if each.state != "valid":
            said = (
                "has expired"
                if each.state == "expired"
                else f"is {each.state}: {each.days_left:.1f} days left"
            )
            print(
                f"gradcode: {each.where}: {said}; gradcode certs rotate CA_DIR {each.where}", file=sys.stderr
            )


def _table(shown: Sequence[Shown]) -> Table:
    table = Table(
        "where",
        "role",
        "names",
        "valid until (UTC)",
        "days left",
        "state",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for each in shown:
        until = datetime.datetime.fromisoformat(each.not_after)
        left = f"{each.days_left:.1f}"
        table.add_row(
            each.where, each.role, ", ".join(each.names), f"{until:%Y-%m-%d %H:%M}", left, each.state
        )
    return table
