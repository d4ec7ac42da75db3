"""``gradcode certs``: an authority of one's own, and certificates for master, workers and operators."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gradcode.cli_runs import Plain

certs = typer.Typer(
    help="Certificates for TLS between master, workers and operators.",
    no_args_is_help=True,
    epilog="\b\nA secure cluster:\n  gradcode certs init ca\n"
    "  gradcode certs issue ca --role master --out tls/master --host train.example.org\n"
    "  gradcode certs issue ca --role worker --out tls/worker\n"
    "  gradcode certs issue ca --role operator --out tls/operator",
)


class Role(StrEnum):
    """Who a certificate is for."""

    master = "master"
    worker = "worker"
    operator = "operator"


Authority = Annotated[
    Path, typer.Argument(metavar="CA_DIR", help="The authority's folder; only who issues ever needs it.")
]
Days = Annotated[float, typer.Option(help="For how long it is valid.")]


@certs.callback()
def _group() -> None:
    """Certificates for TLS between master, workers and operators."""


@certs.command(epilog="\b\nExample:\n  gradcode certs init ca")
def init(
    folder: Annotated[Path, typer.Argument(metavar="CA_DIR", help="Folder to make the authority in.")],
    days: Days = 3650.0,
    name: Annotated[str, typer.Option(help="What it calls itself.")] = "gradcode authority",
) -> None:
    """Make an authority: ca.pem, which all may see, and ca-key.pem, which stays where it is."""
    from gradcode.certs.authority import make_authority

    make_authority(folder, name, _lifetime(days))
    print(f"an authority in {folder}; keep {folder / 'ca-key.pem'} off every machine of a run")


@certs.command(
    epilog="\b\nExamples:\n"
    "  gradcode certs issue ca --role master --out tls/master --host train.example.org --host 10.0.0.5\n"
    "  gradcode certs issue ca --role worker --name worker-3 --days 7 --out tls/worker-3\n"
    "  gradcode certs issue ca --role worker --out tls/worker          any number of workers: worker-*\n"
    "  gradcode certs issue ca --role operator --name operator-anna --out tls/anna"
)
def issue(
    folder: Authority,
    role: Annotated[Role, typer.Option(help="Who it is for.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to; is made.")],
    name: Annotated[
        str | None,
        typer.Option(help="worker-..., a last * stands for any rest; operator or operator-...; master."),
    ] = None,
    days: Days = 7.0,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Name or address that the master is dialed by; may be repeated."),
    ] = None,
) -> None:
    """Issue a certificate: ca.pem, cert.pem and key.pem, for --tls."""
    from gradcode.certs.authority import Wanted, issue_into

    usual = {Role.master: "master", Role.worker: "worker-*", Role.operator: "operator"}
    wanted = Wanted(str(role.value), name or usual[role], _lifetime(days), tuple(host or ()))
    print(issue_into(folder, wanted, out))


@certs.command(
    epilog="\b\nExamples:\n  gradcode certs rotate ca tls/*\n"
    "  gradcode certs rotate ca tls/* --due                           in a daily job"
)
def rotate(
    folder: Authority,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="What `issue` wrote.")],
    due: Annotated[
        bool, typer.Option("--due", help="Only those with less than a third of their lifetime left.")
    ] = False,
) -> None:
    """Issue certificates anew: new keys, the same names, from now on.

    Running masters and workers take them without losing a run. The former ones count until they expire; those
    of another authority, until its ca.pem is gone.
    """
    from gradcode.certs.authority import rotate_in

    for each in folders:
        print(rotate_in(folder, each, due))


@certs.command(epilog="\b\nExamples:\n  gradcode certs show tls/*\n  gradcode certs show tls/* --format json")
def show(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="What `issue` wrote, or files in PEM.")
    ],
    form: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.text,
) -> None:
    """Show who certificates are for, and how long they are valid; warns of those that end soon."""
    from gradcode.certs.table import show_certificates

    show_certificates(folders, str(form.value))


def _lifetime(days: float) -> timedelta:
    from common.errors import InvalidSpec

    if not 0.0 < days <= 36500.0:
        raise InvalidSpec("--days", "must be above 0 and at most 36500", days)
    return timedelta(days=days)
