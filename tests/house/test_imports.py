"""gradcode -> master, worker -> common: never upwards, never between master and worker, no circles."""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter

MAY_IMPORT = {
    "common": {"common"},
    "master": {"common", "master"},
    "worker": {"common", "worker"},
    "gradcode": {"common", "gradcode", "master", "worker"},
}
MAIN_MODULES = {
    "common.errors",
    "common.experiment",
    "common.history",
    "common.spec",
    "common.wire.codec",
    "gradcode.cli",
    "gradcode.lab.simulator",
    "gradcode.local",
    "master.__main__",
    "master.service",
    "worker.__main__",
    "worker.service",
}
WORKER_STARTS_WITH = {"numpy", "grpc", "google", "prometheus_client"}


def test_the_house_is_complete(house):
    assert MAIN_MODULES - house.sources.keys() == set()


def test_nobody_imports_upwards(house):
    wrong = [
        f"{source.path}:{line}: {source.name} imports {name}"
        for source in house.sources.values()
        for name, line in house.imports(source)
        if name.split(".")[0] in MAY_IMPORT
        and name.split(".")[0] not in MAY_IMPORT[source.name.split(".")[0]]
    ]
    assert wrong == []


def test_imports_run_in_no_circle(house):
    graph = {
        source.name: {name for name, _ in house.imports(source, at_start=True)} & house.sources.keys()
        for source in house.sources.values()
    }
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(house.sources)


def test_a_worker_starts_with_little(house):
    """Every worker is a process of its own: what it imports, it pays for n times."""
    waiting, found, foreign = {"worker.__main__", "worker.service"}, set(), set()
    while waiting:
        source = house.sources.get(name := waiting.pop())
        found.add(name)
        if source is None:  # generated code
            continue
        for imported, _ in house.imports(source, at_start=True):
            parts = imported.split(".")
            if parts[0] in MAY_IMPORT:
                # Importing a.b.c runs a, a.b and a.b.c.
                waiting |= {".".join(parts[: depth + 1]) for depth in range(len(parts))} - found
            elif parts[0] not in sys.stdlib_module_names:
                foreign.add(parts[0])
    assert "common.errors" in found
    assert foreign <= WORKER_STARTS_WITH


def test_a_worker_process_loads_nothing_heavy(house):
    script = "import sys, worker.__main__, worker.service; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=house.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    heavy = {"aiohttp", "matplotlib", "pydantic", "rich", "scipy", "sklearn", "structlog", "typer"}
    assert set(done.stdout.split()) & heavy == set()
