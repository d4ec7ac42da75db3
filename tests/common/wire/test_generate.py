from __future__ import annotations

import shutil
from pathlib import Path

from common.wire import generate


def test_the_generated_code_is_fresh():
    assert generate.stale() == []


def test_what_is_stale_or_missing_is_named(tmp_path: Path):
    for package in generate.PACKAGES:
        shutil.copytree(generate.ROOT / package, tmp_path / package, dirs_exist_ok=True)
    assert generate.stale(tmp_path) == []
    edited, missing = (f"common/wire/gradcode/v1/{name}" for name in ("control_pb2.py", "training_pb2.pyi"))
    (tmp_path / edited).write_text("edited\n")
    (tmp_path / missing).unlink()
    assert sorted(generate.stale(tmp_path)) == [edited, missing]
