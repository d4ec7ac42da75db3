"""What docs/security.md says is shown by a test is shown by a test."""

from __future__ import annotations

import re


def test_every_test_that_the_page_names_is_there(house):
    text = (house.root / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    files = set(re.findall(r"`(test_\w+\.py)`", text))
    paths = list((house.root / "tests").rglob("test_*.py"))
    everything = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    assert len(named) >= 10
    stems = {path.stem for path in paths}
    assert {each for each in named - stems if f"def {each}(" not in everything} == set()
    assert files - {path.name for path in paths} == set()
