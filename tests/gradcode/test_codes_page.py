from __future__ import annotations

import re
from math import comb

import pytest

from common.codes import CODES
from common.spec import make_code
from gradcode import codes_page
from gradcode.lab.catalogue import entry, n_workers_of
from gradcode.lab.plan_report import Effort, absence, plan_facts


@pytest.fixture(scope="module")
def page():
    return codes_page.page()


@pytest.fixture(scope="module")
def sections(page):
    titles, texts = [], []
    for section in page.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        titles.append(title)
        texts.append(text)
    return dict(zip(titles, texts, strict=True))


def test_the_page_is_fresh(page):
    assert codes_page.PAGE.read_text(encoding="utf-8") == page, "run python -m gradcode.codes_page"


def test_every_code_has_a_section_and_a_line_that_leads_there(page, sections):
    assert list(sections) == list(CODES)
    assert re.findall(r"^\| \[(\w+)\]\(#(\w+)\)", page, flags=re.M) == [(name, name) for name in CODES]


@pytest.mark.parametrize("name", CODES)
def test_a_section_has_idea_parameters_picture_costs_and_source(sections, name):
    text, about = sections[name], entry(name)
    assert " ".join(text.split()).startswith(about.summary)
    assert all(paragraph in text for paragraph in about.idea)
    assert re.findall(r"^\* `(\w+)`: ", text.partition("```")[2], flags=re.M) == list(about.parameters)
    assert "**When.** " in text
    assert ("**Source.** " in text) == bool(about.source)

    spec = re.search(r"^For example `(.*)`:$", text, flags=re.M)[1]
    code = make_code(spec, n_workers_of(spec))
    blocks = re.findall(r"^```\n(.*?)\n```$", text, flags=re.M | re.S)
    assert blocks[0] == about.signature
    assert len(blocks[1].split("\n\n")[0].splitlines()) == code.n_workers
    assert ("worker 0 sends " in blocks[1]) == (not code.on_request)

    names, _, values = (line.strip("| ").split(" | ") for line in re.findall(r"^\|.*\|$", text, flags=re.M))
    costs = dict(zip(names, values, strict=True))
    facts = plan_facts(code)
    assert costs["messages"] == f"{facts.n_messages} x {facts.message_length}"
    assert costs["exact without"] == str("-" if facts.exact_without is None else facts.exact_without)
    n_absent = next(int(title.split()[-1]) for title in names if title.startswith("residual without"))
    if facts.exact_without is not None:
        assert n_absent > facts.exact_without
    if comb(code.n_workers, n_absent) > 100:
        return  # too many to try them all again
    row = absence(code, n_absent, Effort())
    worst, mean = costs[f"residual without {n_absent}"].split(", ")
    assert (float(worst), float(mean)) == pytest.approx((row.worst_residual, row.mean_residual), rel=0.01)


def test_prose_is_wrapped(page):
    prose = re.sub(r"^```\n.*?\n```$|^\|.*\|$|^<!--.*$", "", page, flags=re.M | re.S)
    assert max(map(len, prose.splitlines())) <= 110


def test_a_stale_page_is_found_and_written_anew(tmp_path, monkeypatch, capsys, page):
    monkeypatch.setattr(codes_page, "page", lambda: page)
    monkeypatch.setattr(codes_page, "PAGE", tmp_path / "codes.md")
    assert codes_page.main(["--check"]) == 1
    assert "docs/codes.md is stale" in capsys.readouterr().err
    assert codes_page.main([]) == 0
    assert codes_page.main(["--check"]) == 0
    with (tmp_path / "codes.md").open("a") as file:
        file.write("more\n")
    assert codes_page.main(["--check"]) == 1
