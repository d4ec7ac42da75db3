from __future__ import annotations

from gradcode.monitoring import page
from gradcode.monitoring.export import DASHBOARDS
from gradcode.monitoring.rules import ALERTS, RULES


def test_the_page_is_fresh():
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run python -m gradcode.monitoring.page"


def test_every_panel_rule_and_alert_is_explained():
    text = page.page()
    for board in DASHBOARDS:
        for row in board.rows:
            assert [panel.title for panel in row.panels if f"* **{panel.title}**: " not in text] == []
    assert [alert.name for alert in ALERTS if f"| `{alert.name}` | " not in text] == []
    assert [rule.record for rule in RULES if f"| `{rule.record}` | " not in text] == []
    assert "{{" not in text


def test_panels_that_the_texts_speak_of_are_there():
    """Such as *Losses left* in the introduction and *Who straggles* in an alert."""
    titles = {panel.title for board in DASHBOARDS for row in board.rows for panel in row.panels}
    titles |= {row.title for board in DASHBOARDS for row in board.rows}
    texts = [page.HEAD, *(alert.action for alert in ALERTS)]
    named = {part for text in texts for part in text.replace("**", "").split("*")[1::2] if part[0].isupper()}
    assert named != set()
    assert named <= titles


def test_a_stale_page_is_found_and_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page, "PAGE", tmp_path / "monitoring.md")
    assert page.main(["--check"]) == 1
    assert "docs/monitoring.md is stale" in capsys.readouterr().err
    assert page.main([]) == 0
    assert page.main(["--check"]) == 0
