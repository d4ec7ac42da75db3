"""What comes from a peer or a file is parsed, never evaluated or unpickled."""

from __future__ import annotations

import ast

import pytest

MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "code"}
"""Modules that run what they read."""
CALLS = {"eval", "exec", "compile", "__import__", "pickle.load", "yaml.load", "yaml.unsafe_load"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
LOADERS = {"np.load", "numpy.load", "np.lib.format.read_array", "numpy.lib.format.read_array", "read_array"}
"""Of numpy: they unpickle unless told not to."""


def dangers(tree: ast.AST) -> list[tuple[int, str]]:
    """What might run foreign bytes, with its line."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        found += [(node.lineno, name) for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {each.arg: each.value for each in node.keywords}
        if called in CALLS | SHELLS:
            found.append((node.lineno, f"{called}()"))
        if called in LOADERS and ast.unparse(given.get("allow_pickle", ast.Constant(None))) != "False":
            found.append((node.lineno, f"{called}() without allow_pickle=False"))
        shell = given.get("shell")
        if shell is not None and ast.unparse(shell) != "False":
            found.append((node.lineno, f"{called}(shell=...)"))
    return found


def test_nothing_foreign_is_evaluated_or_unpickled(house):
    wrong = [
        f"{source.path}:{line}: {what}"
        for source in house.sources.values()
        for line, what in dangers(source.tree)
    ]
    assert wrong == []
    assert len(house.sources) > 100


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "def f(x):\n    return eval(x)",
        "exec(text)",
        "np.load(file)",
        "np.load(file, allow_pickle=True)",
        "np.load(file, allow_pickle=wanted)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "yaml.load(text)",
    ],
)
def test_what_might_run_is_found(text):
    assert len(dangers(ast.parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    ["np.load(file, allow_pickle=False)", "re.compile(x)", "ast.parse(x)", "json.loads(x)", "f.exec(x)"],
)
def test_what_only_reads_is_not_found(text):
    assert dangers(ast.parse(text)) == []
