"""What losses mean is found by decoding, and the page says it."""

from __future__ import annotations

import pytest

from common.codes import CODES
from common.spec import make_code
from gradcode import losses_page
from gradcode.lab.catalogue import example_plan
from gradcode.lab.plan_report import plan_facts
from gradcode.losses_page import losses


def test_the_page_is_fresh():
    before = losses_page.PAGE.read_text(encoding="utf-8")
    assert losses_page.page(before) == before, "run python -m gradcode.losses_page"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # One chunk each: 5/6, 4/6 and 3/6 are enough for a step, 2/6 is not.
        ("uncoded(6)", "=~~~--."),
        # Groups of two with the same chunks: with two lost it matters whether they are of one group.
        ("fractional_repetition(6, 1)", "==++?-."),
        ("cyclic_repetition(6, 5)", "======."),
        # Ends at three of six messages, rescaled; with fewer a third or a sixth is recovered.
        ("ignore_stragglers(6, 3)", "~~~~--."),
        ("partial_stragglers(6, 6)", "======."),
    ],
)
def test_plans_whose_losses_are_known_by_hand(code, expected):
    assert losses(make_code(code, 6)) == expected


@pytest.mark.parametrize("name", CODES)
def test_what_a_plan_promises_is_what_its_line_says(name):
    code = example_plan(name, losses_page.WORKERS)
    signs, promised = losses(code), plan_facts(code).exact_without
    assert len(signs) == code.n_workers + 1
    assert signs.endswith(".")
    assert signs.count(".") == 1
    if promised is not None and code.enough_recovered == 1.0:
        assert signs.startswith("=" * (promised + 1))
    else:
        assert "=" not in signs or not signs.startswith("==")


def test_a_stale_page_is_found_and_written_anew(tmp_path, monkeypatch, capsys):
    page = tmp_path / "operations.md"
    page.write_text(f"before\n{losses_page.BEGIN}\nold\n{losses_page.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(losses_page, "PAGE", page)
    monkeypatch.setattr(losses_page, "table", lambda: f"{losses_page.BEGIN}\nnew\n{losses_page.END}")
    assert losses_page.main(["--check"]) == 1
    assert "docs/operations.md is stale" in capsys.readouterr().err
    assert losses_page.main([]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "new" in text
    assert losses_page.main(["--check"]) == 0


def test_a_page_without_the_place_for_it_is_named():
    with pytest.raises(ValueError, match=r"operations\.md lacks"):
        losses_page.page("nothing")
