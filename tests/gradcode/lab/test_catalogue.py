from __future__ import annotations

import inspect

import pytest

from common.codes import CODES
from common.codes.examples import EXAMPLES
from common.errors import InvalidSpec
from common.spec import make_code
from gradcode.lab import catalogue
from gradcode.lab.catalogue import entry, example_plan, n_workers_of, nearest_possible


def test_every_code_has_an_example():
    assert set(EXAMPLES) == set(CODES), "a line in common/codes/examples.py for every code"


@pytest.mark.parametrize("name", CODES)
def test_examples_are_canonical_and_possible(name):
    call = EXAMPLES[name].call
    assert call.startswith(f"{name}(")
    assert make_code(call, n_workers_of(call)).spec == call
    assert 10 <= n_workers_of(call) <= 14


@pytest.mark.parametrize("name", CODES)
def test_entries_are_complete(name):
    about = entry(name)
    parameters = inspect.signature(CODES[name]).parameters
    assert list(about.parameters) == list(parameters), "Args describe every parameter, in order"
    assert all(about.parameters.values())
    assert about.signature.startswith(f"{name}({next(iter(parameters))}")
    assert about.summary.endswith(".")
    assert about.when.endswith(".")
    assert about.source.endswith(".") or name == "uncoded"
    assert not any(part.startswith(("Args:", "Raises:", "Cost:", "Source:")) for part in about.idea)
    assert "``" not in " ".join([about.summary, *about.idea, about.source, *about.parameters.values()])


def test_a_description_may_be_for_several_parameters():
    text = "\n    a: first. b, c: the two\n        others."
    found = catalogue._parameters(text, ["a", "b", "c"])
    assert found == {"a": "first.", "b": "the two others.", "c": "the two others."}


@pytest.mark.parametrize("n_workers", [2, 12, 37, 100])
def test_example_plans_are_as_near_as_possible(n_workers):
    for name in CODES:
        code = example_plan(name, n_workers)
        assert code.spec.startswith(f"{name}(")
        if name in ("uncoded", "cyclic_repetition", "partial_stragglers"):
            assert code.n_workers == n_workers
    assert example_plan("fractional_repetition", 10).spec == "fractional_repetition(10, 4)"


def test_near_an_impossible_plan_are_possible_ones():
    assert nearest_possible("fractional_repetition(7, 2)")[0] == "fractional_repetition(6, 2)"
    assert nearest_possible("block_design(n)", 12) == ("block_design(13)",)
    assert nearest_possible("grouped(cyclic_repetition(5, 2), 12)") == (
        "grouped(cyclic_repetition(5, 2), 10)",
        "grouped(cyclic_repetition(5, 2), 15)",
    )
    near = nearest_possible('cyclic_repetition(n_workers=12, n_stragglers=4, variant="cyclic_mds", seed=3)')
    assert len(near) == 4
    assert all('variant="cyclic_mds", seed=3' in spec for spec in near)
    for spec in near:
        make_code(spec, n_workers_of(spec))
    assert nearest_possible("cyclic_repetition(12, 3)", 10)[0] == "cyclic_repetition(10, 3)"


def test_what_is_no_call_of_a_code_has_nothing_near_it():
    texts = [
        "nonsense(3)",
        "cyclic_repetition(3",
        "uncoded(1, 2, 3)",
        "cyclic_repetition(12)",
        "fractional_repetition(99, 40)",
    ]
    assert [nearest_possible(text) for text in texts] == [()] * 5


def test_the_search_ends_when_it_is_told_to():
    asked = []

    def go_on():
        asked.append(None)
        return len(asked) < 2

    assert nearest_possible("fractional_repetition(7, 2)", go_on=go_on) == ()
    assert len(asked) == 2


def test_the_number_of_workers_is_what_the_text_says():
    assert n_workers_of("uncoded") is None
    assert n_workers_of("grouped(cyclic_repetition(5, 2), n)") is None
    assert n_workers_of("grouped(cyclic_repetition(5, 2), n_workers=10)") == 10
    assert n_workers_of("uncoded(1.5)") is None
    with pytest.raises(InvalidSpec, match="code: must be one of"):
        n_workers_of("nonsense(3)")
