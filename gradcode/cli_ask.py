"""The commands that ask a master somewhere; ``gradcode.cli`` offers them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradcode.cli_runs import Format, Plain

if TYPE_CHECKING:
    from common.wire.access import Access


TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="File with the master's token.")
]
Tls = Annotated[
    Path | None,
    typer.Option(
        "--tls", metavar="DIR", help="Folder of an operator's certificate: ca.pem, cert.pem, key.pem."
    ),
]
TlsCa = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Whom to trust, instead of the folder's ca.pem.")
]
TlsCert = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The certificate, instead of the folder's.")
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, instead of the folder's.")]
TlsName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What the master's certificate is for, if not the host that is dialed."
    ),
]
Address = Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where the master listens.")]


def access_of(
    token: Path | None,
    tls: Path | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_name: str | None,
) -> Access:
    """What the options of a command that asks a master come to; what it shows that master.

    Raises:
        InvalidSpec: the token cannot be read, or files are missing.
    """
    from common.tls import tls_files
    from common.tokens import token_file
    from common.wire.access import Access

    return Access(tls_files(tls, tls_ca, tls_cert, tls_key, tls_name), token_file(token))


def shown_form(form: Format) -> str:
    """``live``, ``text`` or ``json``; what ``auto`` stands for depends on the terminal."""
    if form is not Format.auto:
        return str(form.value)
    return "live" if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb") else "text"


ASK_CODES = """\b
Exit codes:
  0  the master answered
  2  bad input, such as a wrong token or certificate
  3  no master answers
"""


STATUS_EPILOG = (
    "\b\nExamples:\n  gradcode status 127.0.0.1:7070\n"
    "  gradcode status train.example.org:7070 --tls operator-tls --format json\n\n" + ASK_CODES
)


def status(
    address: Address,
    token_file: TokenFile = None,
    tls: Tls = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = None,
    form: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.text,
) -> None:
    """Show how a run stands: rounds, loss, and what every place is doing."""
    from gradcode.commands_ask import show_status

    show_status(address, access_of(token_file, tls, tls_ca, tls_cert, tls_key, tls_name), form.value)


WATCH_EPILOG = """\b
Examples:
  gradcode watch 127.0.0.1:7070
  gradcode watch train.example.org:7070 --tls operator-tls --format json | jq .loss

\b
Exit codes: those of the run.
  0    the run ended
  2    bad input, such as a wrong token or certificate
  3    the run failed or diverged, or no master answers
  130  interrupted, the run or the watch (Ctrl-C ends the watch; the run goes on)
"""


def watch(
    address: Address,
    token_file: TokenFile = None,
    tls: Tls = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = None,
    form: Annotated[
        Format, typer.Option("--format", help="auto: live on a terminal, text otherwise.")
    ] = Format.auto,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="How long the master may be away.")
    ] = 600.0,
) -> None:
    """Watch a run elsewhere until it ends: the newest rounds, then every new one.

    While its master is away, as in a restart, the watch waits for it and goes on where it was.
    """
    from gradcode.commands_watch import watch as run

    raise typer.Exit(
        run(
            address,
            access_of(token_file, tls, tls_ca, tls_cert, tls_key, tls_name),
            shown_form(form),
            patience,
        )
    )


STOP_EPILOG = "\b\nExample:\n  gradcode stop 127.0.0.1:7070 --reason 'good enough'\n\n" + ASK_CODES


def stop(
    address: Address,
    token_file: TokenFile = None,
    tls: Tls = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = None,
    reason: Annotated[str, typer.Option(help="Why; is written into the run folder.")] = "",
) -> None:
    """End a run in order: its folder is whole, its workers leave."""
    from gradcode.commands_ask import stop_run

    accepted = stop_run(address, access_of(token_file, tls, tls_ca, tls_cert, tls_key, tls_name), reason)
    print("the run ends" if accepted else "the run is over already")


SCALE_EPILOG = """\b
Examples:
  gradcode scale 12 127.0.0.1:7070
  gradcode scale 6 train.example.org:7070 --tls operator-tls

\b
Exit codes:
  0  the run goes on with so many, from the next round on or as soon as they are there
  2  bad input, such as a number that the code cannot have
  3  no master answers
"""


def scale(
    n_workers: Annotated[int, typer.Argument(metavar="N", help="How many workers to go on with.")],
    address: Address,
    token_file: TokenFile = None,
    tls: Tls = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = None,
) -> None:
    """Change the number of workers while a run goes on; only rows whose ranges change move."""
    from gradcode.commands_ask import scale_run

    access = access_of(token_file, tls, tls_ca, tls_cert, tls_key, tls_name)
    waits = scale_run(address, access, n_workers)
    workers = "1 worker" if n_workers == 1 else f"{n_workers} workers"
    print(f"the run goes on with {workers}" + (f"; it {waits}" if waits else ""))
