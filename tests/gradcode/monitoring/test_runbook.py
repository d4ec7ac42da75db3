"""docs/operations.md says what to do about every alert, and about no other."""

from __future__ import annotations

import re
from pathlib import Path

from gradcode.monitoring.rules import ALERTS

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"


def entries() -> dict[str, str]:
    """Heading -> text of every entry of the runbook."""
    runbook = PAGE.read_text().partition("\n## Runbook\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (\w+)$", runbook, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_alert_has_an_entry_and_every_entry_an_alert():
    assert set(entries()) == {alert.name for alert in ALERTS}


def test_an_entry_says_when_it_fires_and_gives_steps():
    for name, text in entries().items():
        assert re.search(r"^\*[^*]+\*$", text, re.MULTILINE), f"{name}: no line that says when"
        assert re.search(r"^1\. ", text, re.MULTILINE), f"{name}: no steps"
