"""``gradcode monitor``: what Prometheus and Grafana read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

monitor = typer.Typer(help="Watch runs with Prometheus and Grafana.", no_args_is_help=True)

EPILOG = """\b
Examples:
  gradcode monitor export monitoring
  gradcode monitor export monitoring --master train.example.org:9100 --worker rack1:9101
"""


@monitor.callback()
def _group() -> None:
    """Watch runs with Prometheus and Grafana."""


@monitor.command(epilog=EPILOG)
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; is made.")],
    master: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the master serves metrics.")
    ] = "master:9100",
    worker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where a worker serves metrics; may be repeated. Without it: all of the name worker.",
        ),
    ] = None,
    prometheus: Annotated[
        str, typer.Option(metavar="URL", help="Where Grafana finds Prometheus.")
    ] = "http://prometheus:9090",
    dashboards: Annotated[
        str, typer.Option(metavar="DIR", help="Where Grafana finds the folder grafana/dashboards.")
    ] = "/etc/grafana/dashboards",
    master_ca: Annotated[
        str,
        typer.Option(metavar="FILE", help="Where Prometheus finds ca.pem, if the master has --metrics-tls."),
    ] = "",
    master_password_file: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Where it finds the password, if there is --metrics-password-file."
        ),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
) -> None:
    """Write Prometheus rules and alerts and Grafana dashboards, for those who have their own of both.

    Without options addresses are those of docker-compose.yml. docs/monitoring.md explains the dashboards.
    """
    from gradcode.monitoring.export import Places
    from gradcode.monitoring.export import export as write

    places = Places(
        master,
        tuple(worker or ()),
        prometheus,
        dashboards,
        master_ca=master_ca,
        master_password=master_password_file,
    )
    for path in write(folder, places, force):
        print(path)
