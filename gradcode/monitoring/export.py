"""Writes what Prometheus and Grafana read: into ``deploy/``, or wherever somebody has their own."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import InvalidSpec
from common.wire.rpc import parse_address
from gradcode.monitoring.fleet import FLEET
from gradcode.monitoring.overview import OVERVIEW
from gradcode.monitoring.rules import alerts_yaml, rules_yaml
from gradcode.monitoring.stragglers import STRAGGLERS

USER = "gradcode"
"""Of whoever looks at a master's metrics with a password."""
DASHBOARDS = (OVERVIEW, STRAGGLERS, FLEET)
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
"""Where a checkout keeps these files."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are; as they stand those of docker-compose.yml.

    Attributes:
        master: HOST:PORT of the master's metrics.
        workers: those of workers; none: all addresses of the name ``worker``, port 9101.
        prometheus: where Grafana finds Prometheus. dashboards: where it finds the dashboards' files.
        scrape: how often to ask for metrics and to look at rules, as Prometheus writes times.
        master_ca: where Prometheus finds the authority of the master's certificate; empty: no TLS.
        master_password: where it finds the password of the master's metrics; empty: there is none.
    """

    master: str = "master:9100"
    workers: Sequence[str] = ()
    prometheus: str = "http://prometheus:9090"
    dashboards: str = "/etc/grafana/dashboards"
    scrape: str = "2s"
    master_ca: str = ""
    master_password: str = ""


def files(places: Places = Places()) -> dict[str, str]:
    """Path below the folder -> text.

    Raises:
        InvalidSpec: an address is none.
    """
    _check(places)
    boards = {
        f"grafana/dashboards/{board.uid.removeprefix('gradcode-')}.json": json.dumps(board.json(), indent=1)
        + "\n"
        for board in DASHBOARDS
    }
    return {
        "prometheus/prometheus.yml": _prometheus(places),
        "prometheus/rules.yml": rules_yaml(),
        "prometheus/alerts.yml": alerts_yaml(),
        "grafana/provisioning/datasources/prometheus.yml": _DATASOURCE.format(places=places),
        "grafana/provisioning/dashboards/gradcode.yml": _PROVIDER.format(places=places),
        **boards,
    }


def _check(places: Places) -> None:
    """Addresses are addresses, and nothing would break out of the files."""
    addresses = [("--master", places.master), *(("--worker", each) for each in places.workers)]
    for option, address in addresses:
        parse_address(option, address)
    if not places.prometheus.startswith(("http://", "https://")):
        raise InvalidSpec("--prometheus", "must be an http or https URL", places.prometheus)
    for option, text in (
        *addresses,
        ("--prometheus", places.prometheus),
        ("--dashboards", places.dashboards),
        *(("--master-ca", each) for each in [places.master_ca] if each),
        *(("--master-password-file", each) for each in [places.master_password] if each),
    ):
        if not re.fullmatch(r"[\w.:/@~%+\-\[\]]+", text):
            raise InvalidSpec(option, "must have no spaces, quotes or other signs of YAML", text)


def export(folder: Path, places: Places = Places(), force: bool = False) -> list[Path]:
    """Write all files below ``folder``; returns their paths.

    Args:
        force: replace files that are there and differ.

    Raises:
        InvalidSpec: an address is none, or a file is there and differs.
    """
    wanted = {folder / name: text for name, text in files(places).items()}
    for path, text in wanted.items():
        if not force and path.exists() and path.read_text(encoding="utf-8") != text:
            raise InvalidSpec(
                str(path), "must not differ from what would be written (--force replaces it)", "another text"
            )
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(wanted)


def _prometheus(places: Places) -> str:
    return _PROMETHEUS.format(places=places, access=_access(places), workers=_workers(places.workers))


def _access(places: Places) -> str:
    """How Prometheus is let in at the master."""
    tls = f"    scheme: https\n    tls_config: {{ca_file: {places.master_ca}}}\n" if places.master_ca else ""
    file = places.master_password
    return tls + (f"    basic_auth: {{username: {USER}, password_file: {file}}}\n" if file else "")


def _workers(addresses: Sequence[str]) -> str:
    if addresses:
        return f"    static_configs:\n      - targets: {json.dumps(list(addresses))}"
    return _ALL_OF_THE_SERVICE


_HEAD = "# Written by `gradcode monitor export`; edit gradcode/monitoring/export.py, not this file.\n"

_ALL_OF_THE_SERVICE = """\
    # The name of the service stands for all of its containers, so this follows `--scale worker=N`.
    dns_sd_configs:
      - names: ["worker"]
        type: A
        port: 9101
        refresh_interval: 2s"""

_PROMETHEUS = (
    _HEAD
    + """\
global:
  scrape_interval: {places.scrape}
  scrape_timeout: {places.scrape}
  evaluation_interval: {places.scrape}

rule_files: [rules.yml, alerts.yml]

scrape_configs:
  - job_name: gradcode-master
{access}    static_configs:
      - targets: ["{places.master}"]

  - job_name: gradcode-worker
{workers}
"""
)

_DATASOURCE = (
    _HEAD
    + """\
apiVersion: 1

datasources:
  - name: Prometheus
    uid: prometheus
    type: prometheus
    access: proxy
    url: {places.prometheus}
    isDefault: true
    editable: false
    jsonData:
      httpMethod: POST
      timeInterval: {places.scrape}
"""
)

_PROVIDER = (
    _HEAD
    + """\
apiVersion: 1

providers:
  - name: gradcode
    folder: gradcode
    type: file
    allowUiUpdates: false
    disableDeletion: true
    options:
      path: {places.dashboards}
"""
)
