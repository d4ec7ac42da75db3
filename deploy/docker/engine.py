"""What verify.py asks of Docker: a compose project of its own, with ports of its own, that leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TLS = "/var/lib/gradcode/tls"
PORTS = ("MASTER_PORT", "PAGE_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
QUESTION_SECONDS = 60.0


class Failure(Exception):
    """Something does not hold; says what, in one line."""


def run(*command: str, seconds: float = QUESTION_SECONDS, ok: bool = True) -> str:
    """What ``command`` prints.

    Args:
        seconds: how long it may take. ok: whether it must end with 0.

    Raises:
        Failure: it took longer, or ended otherwise.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=ROOT)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command[:4])} ... took longer than {seconds:g} s") from None
    if ok and done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["nothing said"]
        raise Failure(f"{' '.join(command[:6])} ended with {done.returncode}: {lines[-1][:300]}")
    return done.stdout.strip()


def docker(*arguments: str, seconds: float = QUESTION_SECONDS, ok: bool = True) -> str:
    """What docker prints; as `run`."""
    return run("docker", *arguments, seconds=seconds, ok=ok)


def eventually(what: str, question: Callable[[], Any], seconds: float) -> Any:
    """The first answer of ``question`` that is true; a Failure of its own counts as none so far.

    Raises:
        Failure: there was none within ``seconds``; says ``what`` was waited for, and the last trouble.
    """
    until, trouble = time.monotonic() + seconds, ""
    while time.monotonic() < until:
        try:
            answer = question()
        except Failure as failure:
            answer, trouble = None, f" ({failure})"
        if answer:
            return answer
        time.sleep(0.5)
    raise Failure(f"{what}: not within {seconds:g} s{trouble}")


def free_ports(n_ports: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def fetch(url: str) -> Any:
    """The JSON at ``url``.

    Raises:
        Failure: nobody answers, or not with JSON.
    """
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise Failure(f"{url[:120]}: {error}") from None


def compose_command() -> list[str]:
    """Compose v2 if docker has it, otherwise the command of 1.29.

    Raises:
        Failure: there is neither.
    """
    if shutil.which("docker") is None:
        raise Failure("docker is not installed")
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise Failure("neither docker compose nor docker-compose is installed")
    return ["docker-compose"]


class Project:
    """One run of docker-compose.yml, under a name and on ports that are not in the way of another one."""

    def __init__(self) -> None:
        self.command = compose_command()
        self.name = f"gradcode-verify-{os.getpid()}"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        os.environ.update({name: str(port) for name, port in self.ports.items()})

    def compose(self, *arguments: str, seconds: float = 300.0) -> str:
        """What compose prints."""
        return run(*self.command, "-p", self.name, *arguments, seconds=seconds)

    def containers(self, service: str) -> list[str]:
        """Long names of a service's containers, running or not, by number."""
        label = "com.docker.compose"
        found = docker(
            "ps", "-aq", "--no-trunc",
            "--filter", f"label={label}.project={self.name}", "--filter", f"label={label}.service={service}",
        ).split()  # fmt: skip
        return sorted(
            found, key=lambda each: int(self.look(each)["Config"]["Labels"][f"{label}.container-number"])
        )

    def look(self, container: str) -> Any:
        """What docker knows of a container."""
        return json.loads(docker("inspect", container))[0]

    def state(self, container: str) -> str:
        """Of its health check."""
        return str(self.look(container)["State"].get("Health", {}).get("Status", "none"))

    @property
    def master(self) -> str:
        """The master's container."""
        return self.containers("master")[0]

    def gradcode(self, *arguments: str) -> str:
        """What the command gradcode prints, run inside the operator's container."""
        (operator,) = self.containers("operator")
        return docker("exec", operator, "gradcode", *arguments, "master:7070", "--tls", TLS)

    def status(self) -> dict[str, Any]:
        """How the run stands, by the control API: ``status`` and ``workers``."""
        answer = json.loads(self.gradcode("status", "--format=json"))
        assert isinstance(answer, dict)
        return answer

    def worker_at(self, container: str) -> dict[str, Any] | None:
        """What the master says of the worker in a container; None while it has no place."""
        for worker in self.status()["workers"]:
            # A place that was left keeps the name of the one who left.
            there = worker["place"] is not None and worker["state"] != "lost"
            # Without a name of its own a worker is called worker-HOST:..., as its certificate allows.
            if there and worker["worker_name"].startswith(f"worker-{container[:12]}"):
                return dict(worker)
        return None

    def prometheus(self, path: str, **query: str) -> Any:
        """The data of Prometheus' answer."""
        text = urllib.parse.urlencode(query)
        answer = fetch(f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}/api/v1/{path}?{text}")
        if answer.get("status") != "success":
            raise Failure(f"{path} {query}: {answer}")
        return answer["data"]

    def down(self) -> None:
        """Take everything down, volumes too."""
        self.compose("--profile", "chaos", "down", "-v", "--remove-orphans", "-t", "5")

    def left(self) -> list[str]:
        """What of the project is still there."""
        label = f"label=com.docker.compose.project={self.name}"
        kinds = {
            "container": ["ps", "-aq"],
            "volume": ["volume", "ls", "-q"],
            "network": ["network", "ls", "-q"],
        }
        return [kind for kind, ask in kinds.items() if docker(*ask, "--filter", label)]
