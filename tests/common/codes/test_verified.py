"""Codes as they are played when answers are verified."""

from __future__ import annotations

import pytest

from common.codes.verified import Twins, verified
from common.errors import InvalidSpec
from common.spec import make_code


def test_without_verification_the_code_is_itself():
    code = make_code("scheduled(4, 2, 2)", 4)
    assert verified(code, "none") is code


def test_codes_on_request_ask_for_every_chunk_alone_and_of_all_about_equally_much():
    code = verified(make_code("partial_stragglers(4, 2, 2)", 4), "sample")
    messages = code.requester.choose({chunk: {0, 1, 2} for chunk in range(6)})
    assert [len(message.terms) for message in messages] == [1] * 6
    assert sorted(message.worker for message in messages) == [0, 0, 1, 1, 2, 2]


def test_with_all_a_chunk_is_done_when_two_workers_have_finished_it():
    code = verified(make_code("partial_stragglers(2, 2, 1)", 2), "all")
    tally = code.stop_rule.start()
    for worker, chunk in [(0, 0), (0, 1), (1, 0)]:
        tally.finished(worker, chunk)
        assert not tally.may_suffice
    tally.finished(1, 1)
    assert tally.may_suffice


def test_of_groups_that_send_the_same_two_must_answer():
    code = verified(make_code("fractional_repetition(6, 2)", 6), "all")
    assert isinstance(code.stop_rule, Twins)
    tally = code.stop_rule.start()
    for number in (0, 2, 1):
        tally.arrived(number)
        assert not tally.may_suffice
    tally.arrived(3)
    assert tally.may_suffice


@pytest.mark.parametrize(
    "text",
    [
        "uncoded(4)",
        "cyclic_repetition(4, 1)",
        "scheduled(4, 1, 2)",
        "scheduled(4, 3, 2, 2)",
        "ye_abbe(4, 1, 2)",
    ],
)
def test_codes_in_which_no_two_send_the_same_are_refused_in_one_line(text):
    with pytest.raises(InvalidSpec) as caught:
        verified(make_code(text, 4), "all")
    assert str(caught.value).startswith("verify: must be none or sample for ")
    assert "\n" not in str(caught.value)


def test_sample_suits_every_code():
    for text in ("uncoded(4)", "cyclic_repetition(4, 1)", "scheduled(4, 3, 2, 2)", "ye_abbe(4, 1, 2)"):
        assert verified(make_code(text, 4), "sample").spec == make_code(text, 4).spec
