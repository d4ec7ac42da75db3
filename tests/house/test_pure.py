"""Time and randomness come in as arguments, what is to be done comes out as values."""

from __future__ import annotations

import ast

import pytest

PURE = {
    "common.delays",
    "common.interruptions",
    "common.codes",
    "common.models",
    "master.arithmetic",
    "master.deadlines",
    "master.optimizers",
    "master.page_feed",
    "master.round",
    "master.schedule",
    "master.training",
    "worker.compute",
}
IMPURE = {
    "aiohttp", "asyncio", "concurrent", "datetime", "fcntl", "glob", "grpc", "http", "io", "logging",
    "multiprocessing", "os", "pathlib", "prometheus_client", "queue", "random", "requests", "secrets",
    "select", "selectors", "shutil", "signal", "socket", "ssl", "structlog", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint"}
RANDOM_THAT_TAKES_A_SEED = {"default_rng", "SeedSequence", "PCG64", "PCG64DXSM", "Philox"}
RANDOM_TYPES = {"Generator", "BitGenerator"}


def impurities(tree: ast.AST) -> list[tuple[int, str]]:
    """What a pure module must not contain, with its line."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
            if node.module in ("numpy.random", "numpy"):
                names += [f"numpy.{a.name}" for a in node.names if a.name == "random"]
        found += [(node.lineno, name) for name in names if name.split(".")[0] in IMPURE]
        found += [(node.lineno, name) for name in names if name == "numpy.random"]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            unseeded = called.split(".")[-1] in RANDOM_THAT_TAKES_A_SEED and not (node.args or node.keywords)
            if called in IMPURE_CALLS or unseeded:
                found.append((node.lineno, f"{called}()"))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            allowed = node.attr in RANDOM_THAT_TAKES_A_SEED | RANDOM_TYPES
            found += [] if allowed else [(node.lineno, f"np.random.{node.attr}")]
    return found


def pure_modules(house) -> set[str]:
    """The pure modules, and every module of gradcode that they import in turn."""
    waiting = {
        name for name in house.sources if name in PURE or any(name.startswith(f"{root}.") for root in PURE)
    }
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        imported = {each for each, _ in house.imports(house.sources[name])}
        waiting |= (imported & house.sources.keys()) - found
    return found


def test_the_pure_modules_exist(house):
    assert PURE - house.sources.keys() == set()
    assert {"common.codes.base", "common.models.base", "common.history"} <= pure_modules(house)


def test_pure_modules_know_no_clock_no_socket_no_file_and_no_chance(house):
    wrong = [
        f"{house.sources[name].path}:{line}: {what}"
        for name in sorted(pure_modules(house))
        for line, what in impurities(house.sources[name].tree)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import os.path",
        "def f():\n    import asyncio",
        "import numpy.random",
        "from numpy.random import default_rng",
        "from numpy import random",
        "np.random.seed(3)",
        "x = np.random.normal(3)",
        "rng = np.random.default_rng()",
        "open('x')",
    ],
)
def test_what_is_not_pure_is_found(text):
    assert len(impurities(ast.parse(text))) >= 1


@pytest.mark.parametrize(
    "text", ["import math", "rng = np.random.default_rng(seed)", "def f(rng: np.random.Generator): ..."]
)
def test_what_is_pure_is_not_found(text):
    assert impurities(ast.parse(text)) == []
