"""The tree of gradcode's own source, parsed once for the tests that hold the house rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("common", "master", "worker", "gradcode")
GENERATED = ROOT / "common" / "wire" / "gradcode"


@dataclass(frozen=True)
class Source:
    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


class House:
    """Every module of gradcode by its dotted name; generated code is not among them."""

    def __init__(self) -> None:
        self.root = ROOT
        self.sources: dict[str, Source] = {}
        for package in PACKAGES:
            for path in sorted((ROOT / package).rglob("*.py")):
                if GENERATED not in path.parents:
                    parts = path.relative_to(ROOT).with_suffix("").parts
                    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                    self.sources[name] = Source(name, path, path.read_text(encoding="utf-8"))

    def imports(self, source: Source, *, at_start: bool = False) -> Iterator[tuple[str, int]]:
        """Dotted names that a module imports, with their lines.

        Args:
            at_start: only what is imported when the module is: nothing in functions, nothing for types only.
        """
        for node in self._at_start(source.tree) if at_start else ast.walk(source.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{source.path}:{node.lineno}: imports are absolute"
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield (inner if inner in self.sources else str(node.module)), node.lineno

    def _at_start(self, node: ast.AST) -> Iterator[ast.AST]:
        yield node
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            yield from self._at_start(child)


@pytest.fixture(scope="session")
def house() -> House:
    return House()
