"""What does not fit on a screen or two is cut in pieces that have a name."""

from __future__ import annotations

import ast

LINES_OF_A_FUNCTION = 60
LINES_OF_A_FILE = 400


def lengths(tree: ast.AST) -> dict[str, int]:
    """Lines of every function, decorators and docstring not counted."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_doc = ast.get_docstring(node, clean=False) is not None
            documented = (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0
            found[f"{node.name} in line {node.lineno}"] = (
                (node.end_lineno or 0) - node.lineno + 1 - documented
            )
    return found


def test_functions_are_short(house):
    long = [
        f"{source.path}: {name}: {count} lines"
        for source in house.sources.values()
        for name, count in lengths(source.tree).items()
        if count > LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_files_are_short(house):
    counts = {str(source.path): source.text.count("\n") for source in house.sources.values()}
    assert {path: count for path, count in counts.items() if count > LINES_OF_A_FILE} == {}


def test_docstrings_are_not_counted():
    text = (
        'class C:\n    @property\n    async def f(self):\n        """One\n        two."""\n        return 1\n'
    )
    assert lengths(ast.parse(text)) == {"f in line 3": 2}
