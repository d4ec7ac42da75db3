"""What is installed is what is in the tree, and what is in the tree speaks of itself only."""

from __future__ import annotations

import re
import tomllib

from common.version import __version__

TEXTS = {
    ".cfg",
    ".css",
    ".html",
    ".json",
    ".md",
    ".proto",
    ".py",
    ".pyi",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    "",
}
FOLDERS = (".ci", "benchmarks", "common", "deploy", "docs", "gradcode", "master", "protos", "tests", "worker")
# In two pieces, so that this file does not find itself.
UNWANTED = re.compile("/" + r"(work|home|root|Users)/\w|\b" + r"(TO" + r"DO|FIX" + r"ME)\b")


def project(house) -> dict:
    return tomllib.loads((house.root / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_installed(house):
    listed = project(house)["tool"]["setuptools"]["packages"]
    folders = {
        path.parent
        for package in ("common", "master", "worker", "gradcode")
        for path in (house.root / package).rglob("*.py")
    }
    found = {".".join(folder.relative_to(house.root).parts) for folder in folders}
    assert set(listed) == found
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_file_beside_the_code_is_installed(house):
    data = project(house)["tool"]["setuptools"].get("package-data", {})
    missing = []
    for package in project(house)["tool"]["setuptools"]["packages"]:
        folder = house.root.joinpath(*package.split("."))
        known = {path for pattern in data.get(package, []) for path in folder.glob(pattern)}
        files = {path for path in folder.iterdir() if path.is_file() and path.suffix not in (".py", ".pyi")}
        missing += [str(path) for path in sorted(files - known)]
    assert missing == []


def test_the_changelog_knows_the_version(house):
    text = (house.root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in text


def test_no_text_names_a_machine_or_puts_something_off(house):
    found, n_read = [], 0
    inside = [path for folder in FOLDERS for path in (house.root / folder).rglob("*")]
    for path in sorted([*house.root.iterdir(), *inside]):
        # In a second working tree .git is a file that says where the first one is.
        if path.suffix not in TEXTS or not path.is_file() or path.name == ".git":
            continue
        n_read += 1
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [f"{path}:{number}: {line}" for number, line in enumerate(lines, 1) if UNWANTED.search(line)]
    assert found == []
    assert n_read > 50


def test_what_is_unwanted_is_found():
    for text in ("see /" + "work/main", "/" + "home/me", "# TO" + "DO: later"):
        assert UNWANTED.search(text)
    for text in ("homework/x.py", "the root / home", "to do"):
        assert not UNWANTED.search(text)
