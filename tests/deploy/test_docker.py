"""What the image is made of agrees with the project: lock files, what is copied, what is trained."""

from __future__ import annotations

import re
import runpy
import socket
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from common.experiment import check_experiment, load_experiment

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy" / "docker"
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
IMAGES = (
    {"platform_machine": "x86_64", "python_full_version": "3.11.2", "python_version": "3.11"},
    {"platform_machine": "aarch64", "python_full_version": "3.11.2", "python_version": "3.11"},
)
LINUX = {
    "sys_platform": "linux",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked(name: str) -> list[Requirement]:
    """What a lock file pins."""
    lines = (DOCKER / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix(" \\")) for line in lines if line and line[0] not in " #"]


def installed(name: str, image: dict[str, str]) -> dict[str, str]:
    """Versions by package that a lock file puts into an image."""
    found: dict[str, str] = {}
    for each in locked(name):
        if each.marker is None or Marker(str(each.marker)).evaluate({**LINUX, **image}):
            assert each.name not in found, f"{each.name} is pinned twice"
            (pin,) = each.specifier
            assert pin.operator == "=="
            found[each.name] = pin.version
    return found


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image["platform_machine"])
def test_the_lock_pins_what_pyproject_asks_for(image):
    versions = installed("requirements.lock", image)
    for text in project()["project"]["dependencies"]:
        wanted = Requirement(text)
        assert wanted.name in versions, f"make lock: {wanted.name} is not in it"
        assert wanted.specifier.contains(versions[wanted.name]), f"make lock: {wanted}"


def test_the_image_is_built_with_what_pyproject_asks_for():
    versions = installed("build.lock", IMAGES[0])
    for text in project()["build-system"]["requires"]:
        assert Requirement(text).specifier.contains(versions[Requirement(text).name])


@pytest.mark.parametrize("name", ["requirements.lock", "build.lock"])
def test_everything_locked_has_hashes_and_comes_from_nowhere_in_particular(name):
    lines = (DOCKER / name).read_text(encoding="utf-8").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line and line[0] not in " #":
            assert HASH.fullmatch(following), line
        else:
            assert not line or line[0] == "#" or HASH.fullmatch(line), line


def test_what_the_image_copies_is_there_and_not_ignored():
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    copied = [
        source
        for line in text.splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]
    kept = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    for source in copied:
        assert (ROOT / source).exists()
        assert any(Path(source).match(pattern) for pattern in kept), f"{source} is ignored"
    packages = {name.partition(".")[0] for name in project()["tool"]["setuptools"]["packages"]}
    assert packages <= set(copied)


@pytest.mark.parametrize("n_workers", [6, 8, 10])
def test_the_experiment_trains_with_whoever_is_there(n_workers):
    experiment = load_experiment(DOCKER / "experiment.toml")
    assert experiment.workers == "joined"
    code = check_experiment(experiment, n_workers)
    assert code is not None
    assert code.n_workers == n_workers


def test_the_freezing_place_is_the_tenth_and_a_worker_that_waits_for_a_master_is_in_time():
    experiment = load_experiment(DOCKER / "experiment.toml")
    assert {each.place for each in experiment.delays.interruptions} == {9}
    assert {each.kind for each in experiment.delays.interruptions} == {"freeze"}
    assert all(each.for_seconds < 30.0 for each in experiment.delays.interruptions)
    from worker.service import LONGEST_PAUSE_SECONDS

    assert experiment.membership.join_seconds > 1.25 * LONGEST_PAUSE_SECONDS


class Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served():
    """A server of /healthz, and its port."""
    server = HTTPServer(("127.0.0.1", 0), type("OneAnswer", (Answers,), {}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.RequestHandlerClass, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def health(*ports: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(DOCKER / "health.py"), *map(str, ports)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_health_check_says_what_healthz_says(served):
    handler, port = served
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    assert health(port).returncode == 0
    assert health(free, port).returncode == 0  # the other role's port is closed in this container
    handler.status = 503
    assert (health(port).returncode, "503" in health(port).stdout) == (1, True)
    assert (health(free).returncode, str(free) in health(free).stdout) == (1, True)


def test_the_health_check_looks_at_the_ports_of_both_roles_and_imports_little():
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print(len(sys.modules))"
    known = runpy.run_path(str(DOCKER / "health.py"))["PORTS"]
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for port in known:
        assert f"0.0.0.0:{port}" in text
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, DOCKER / "health.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 100


def test_every_container_is_read_only_without_capabilities_and_not_root():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    restricted = text[text.index("x-restricted:") : text.index("x-worker:")]
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert f"\n  {line}" in restricted
    services = re.split(r"\n  (?=[a-z-]+:\n)", text[text.index("\nservices:") : text.index("\nvolumes:")])[1:]
    assert len(services) >= 7
    for service in services:
        assert "<<: *restricted" in service or "<<: *worker" in service, service.partition(":")[0]
        for loosened in ("privileged", "cap_add", "read_only: false", "network_mode", "pid:", "user: root"):
            assert loosened not in service
    assert "<<: *restricted" in text[text.index("x-worker:") : text.index("\nservices:")]
    image = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    users = re.findall(r"^USER (.*)$", image, re.MULTILINE)
    assert users
    assert users[-1] not in ("root", "0")


def test_published_ports_are_of_this_machine_only():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    published = [each for line in re.findall(r"ports: \[(.*)\]", text) for each in line.split(", ")]
    assert len(published) >= 4
    assert all(each.strip('"').startswith("127.0.0.1:") for each in published)
