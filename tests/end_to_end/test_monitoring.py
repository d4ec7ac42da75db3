"""A real run and a real Prometheus: every panel's, rule's and alert's query is answered."""

from __future__ import annotations

import asyncio
import json
import math
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidSpec
from common.experiment import load_experiment, to_toml
from gradcode.local import LocalProcesses
from gradcode.monitoring.export import DASHBOARDS, Places, export
from gradcode.monitoring.rules import ALERTS, RULES
from master.run import MasterOptions

pytestmark = pytest.mark.xdist_group("processes")

N_WORKERS = 5
SETTINGS = (
    "data.source=synthetic(rows=400, features=8)",
    f"workers={N_WORKERS}",
    "code=scheduled(n, 3, 4)",
    "rounds=1000000",
    "evaluate_every=5",
    "deadline.rule=fixed",
    "deadline.seconds=2.0",
    "delays.distribution=constant",
    "delays.seconds=0.02",
    "delays.factors={ 1 = 5.0 }",
)
PATIENCE_SECONDS = 25.0


class Prometheus:
    """Asks a server of Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **arguments: str) -> Any:
        query = urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=5) as answer:
            return json.loads(answer.read())["data"]

    def ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).close()
        except OSError:
            return False
        return True

    def values(self, expr: str) -> list[float]:
        """The newest values of a query; fails where Prometheus does not understand it."""
        try:
            found = self.get("/api/v1/query", query=expr)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expr}: {error.read().decode()}") from None
        return [float(each["value"][1]) for each in found["result"]]

    def answers(self, expr: str) -> bool:
        return any(math.isfinite(value) for value in self.values(expr))


def until(holds: Callable[[], Any], what: Callable[[], str], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what()}"
        time.sleep(0.2)


@contextmanager
def prometheus_of(program: str, folder: Path) -> Iterator[Prometheus]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        program, f"--config.file={folder / 'prometheus' / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    log = folder / "prometheus.log"
    with log.open("w") as file, subprocess.Popen(command, cwd=folder, stdout=file, stderr=file) as process:
        server = Prometheus(port)
        try:
            until(server.ready, log.read_text)
            yield server
        finally:
            process.terminate()
            process.wait(10)


def metrics_address(log: Path) -> str:
    """Where a worker says that its metrics are."""
    found: list[str] = []

    def told() -> bool:
        found[:] = re.findall(r"metrics at http://(\S+)/metrics", log.read_text())
        return bool(found)

    until(told, log.read_text)
    return found[0]


@pytest.fixture(scope="module")
def watched(needs_tool, tmp_path_factory) -> Iterator[tuple[Prometheus, str]]:
    """Prometheus, as `gradcode monitor export` configures it, and the address of the master's metrics."""
    program, folder = needs_tool("prometheus"), tmp_path_factory.mktemp("watched")
    with LocalProcesses() as processes:
        experiment = to_toml(load_experiment(None, SETTINGS))
        addresses = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        processes.start_master(experiment, [*addresses, "--run-folder", str(folder / "run")])
        announced = asyncio.run(processes.announced())
        processes.start_workers(announced.address, N_WORKERS, ["--metrics-address", "127.0.0.1:0"])
        workers = [metrics_address(processes.logs / f"worker-{name}.log") for name in processes.workers]
        export(folder, Places(announced.metrics, workers, scrape="1s"))
        with prometheus_of(program, folder) as server:
            yield server, announced.metrics


def asked_by_panels(master: str) -> dict[str, str]:
    """Dashboard, panel and query -> the query with everything filled in that Grafana fills in."""
    asked = {}
    for board in DASHBOARDS:
        for panel in board.json()["panels"]:
            for target in panel.get("targets", ()):
                filled = target["expr"].replace("$master", re.escape(master).replace("\\", "\\\\"))
                filled = filled.replace("$__rate_interval", "5s")
                asked[f"{board.uid}, {panel['title']}, {target['refId']}"] = filled
    return asked


def test_every_panel_and_rule_has_data(watched):
    server, master = watched
    waiting = asked_by_panels(master) | {rule.record: rule.record for rule in RULES}
    assert len(waiting) > 60

    def answered() -> bool:
        for name in [name for name, expr in waiting.items() if server.answers(expr)]:
            del waiting[name]
        return not waiting

    until(answered, lambda: f"data of {waiting}")


def test_every_target_is_read(watched):
    server, _ = watched
    until(lambda: server.values("sum(up)") == [N_WORKERS + 1], lambda: str(server.get("/api/v1/targets")))


def test_rules_and_alerts_are_evaluated_without_an_error(watched):
    server, _ = watched
    known: dict[str, dict[str, Any]] = {}

    def evaluated() -> bool:
        for group in server.get("/api/v1/rules")["groups"]:
            known.update({rule["name"]: rule for rule in group["rules"]})
        return all(rule["health"] != "unknown" for rule in known.values())

    until(evaluated, lambda: str(known))
    assert set(known) == {rule.record for rule in RULES} | {alert.name for alert in ALERTS}
    assert {name: rule["lastError"] for name, rule in known.items() if rule["health"] != "ok"} == {}


def test_what_alerts_look_at_is_there(watched):
    server, _ = watched
    for alert in ALERTS:
        names = set(re.findall(r"\b(?:gradcode[\w:]+|up)\b", re.sub(r'"[^"]*"', "", alert.expr)))
        assert names != set(), alert
        for name in names:
            until(lambda name=name: server.answers(name), lambda name=name: name)


def test_the_slow_place_stands_out(watched):
    """Five times slower by the experiment, and so it is shown."""
    server, _ = watched
    slow = 'gradcode:place_slowness:ratio{place="1"}'
    until(lambda: server.values(f"{slow} > 2"), lambda: str(server.values("gradcode:place_slowness:ratio")))
    until(lambda: server.values('gradcode:place_straggles:share5m{place="1"} > 0.5'), lambda: "its share")
    assert server.values("count(gradcode:place_slowness:ratio > 2)") == [1.0]


async def test_a_master_shows_as_many_places_as_it_is_told(start, dial):
    running = await start("workers=3", "code=uncoded(n)", metrics_places=2)
    peers = [dial(running.master.address) for _ in range(3)]
    for number, peer in enumerate(peers):
        await peer.join(f"w{number}")
    for peer in peers:
        await peer.begin_round()
    text = await running.metrics()
    assert len(re.findall(r"^gradcode_place_straggles_total{", text, flags=re.MULTILINE)) == 2


def test_fewer_than_no_places_are_refused():
    with pytest.raises(InvalidSpec, match=r"^metrics_places: must be at least 0, got -1$"):
        MasterOptions(metrics_places=-1).check()
