from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcode.start import PACKAGES, check_packages

ROOT = Path(__file__).resolve().parents[2]


def started(*arguments: str, paths: list[Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )


def foreign(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    return folder


def test_its_own_packages_are_accepted():
    check_packages()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_foreign_package_of_the_same_name_is_told_in_one_line(tmp_path, name):
    path = foreign(tmp_path / "other", name)
    done = started("-c", "import gradcode.start as s; s.main()", paths=[path, ROOT], cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"gradcode: its package {name!r} must be the one beside it in {ROOT}, got {path}")


def test_a_foreign_module_of_the_same_name_is_told_too(tmp_path):
    (tmp_path / "common.py").write_text("")
    done = started("-c", "import gradcode.start as s; s.main()", paths=[tmp_path, ROOT], cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"got {tmp_path / 'common.py'}" in done.stderr


@pytest.mark.parametrize("name", ["master", "worker"])
def test_the_services_say_which_package_is_in_their_way(tmp_path, name):
    path = foreign(tmp_path / "other", "common")
    done = started("-m", name, paths=[path, ROOT], cwd=tmp_path)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert str(path / "common" / "__init__.py") in last
    assert "hides gradcode's own" in last
