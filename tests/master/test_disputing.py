"""Disputes about sums: the whole protocol with real numbers, and what can go wrong on the way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.fractional_repetition import fractional_repetition
from master import commands as cmd
from master import events as ev
from master.checked import Claim, Question
from master.disputing import PATIENCE_SECONDS, Disputing
from master.examination import Examination
from master.membership import Membership

EPOCH, ROUND, LENGTH = 1, 7, 3


class Group:
    """A group of s + 1 workers that hold the same chunks, at places 0..s, and the master that settles it.

    Args:
        truth: the chunks' gradients, one a row. values: place -> what it takes them for.
        heard: places whose sums have come; the first is used.
    """

    def __init__(self, truth, values, heard=None):
        self.truth, self.values = truth, values
        heard = list(values) if heard is None else heard
        self.code = fractional_repetition(len(values), len(values) - 1)
        self.members = Membership(len(values))
        for place in values:
            link = self.members.join(10 + place, f"w{place}", 0.0)
            self.members.can_compute(link)
        self.terms = self.code.messages[0].terms
        assert len(self.terms) == len(truth)
        self.payloads = {place: self.sum_of(place, range(len(truth))) for place in heard}
        claims = tuple(Claim(f"w{place}", place, b"", place) for place in heard)
        self.questions = (Question(self.terms, 1, heard[0], claims, alone="computed"),)
        self.disputing = Disputing(ROUND, EPOCH, self.code, self.questions, self.members)
        self.recomputed = []
        self.liars = []
        self.n_asked = 0

    def sum_of(self, place, positions):
        values = [self.terms[at].coefficient * self.values[place][self.terms[at].chunk] for at in positions]
        return np.sum(values, axis=0, dtype=np.float64)

    def gradient(self, chunk):
        self.recomputed.append(chunk)
        return self.truth[chunk], 1e-12

    def examine(self, questions, exposed=()):
        examination = Examination(
            self.payloads, self.gradient, lambda chunk, size: 1e-12, lambda parts: LENGTH
        )
        found = examination.answer(questions, exposed)
        self.payloads.update(found.corrections)
        self.liars += found.liars
        return found

    def begin(self, now=0.0):
        """Examine for the first time; returns what is asked."""
        found = self.examine(self.questions)
        return self.disputing.open(tuple(found.disputes), tuple(found.liars), now) if found.disputes else []

    def told(self, ask, place):
        chunks = [term.chunk for term in ask.terms]
        values = [term.coefficient * self.values[place][term.chunk][ask.index] for term in ask.terms]
        assert len(set(chunks)) == len(chunks)
        return float(sum(values))

    def answer(self, ask, value=None, now=0.0):
        """The worker that was asked answers; returns what follows."""
        self.n_asked += 1
        link = self.members.links[ask.link]
        value = self.told(ask, link.place) if value is None else value
        event = ev.PartialSum(ask.link, ask.stamp, ask.number, value)
        return self.disputing.hear(event, link, now)

    def settle(self):
        """Play to the end; returns the value that enters the gradient."""
        commands = self.begin()
        while commands:
            command = commands.pop(0)
            if isinstance(command, cmd.AskPartialSum):
                commands += self.answer(command)
            else:
                assert not commands
                found = self.examine(command.questions, command.exposed)
                if found.disputes:
                    commands += self.disputing.open(tuple(found.disputes), tuple(found.liars), 0.0)
        return self.payloads[self.questions[0].used]


def lying_group(rng, s, conspire=False):
    """A group of s + 1 with up to s liars. Returns it, and who lies."""
    truth = rng.standard_normal((s + 1, LENGTH))
    honest, lie = int(rng.integers(s + 1)), rng.standard_normal(LENGTH)
    values, liars = {}, set()
    for place in range(s + 1):
        values[place] = truth.copy()
        if place != honest and rng.random() < 0.8:
            amount = lie if conspire else rng.standard_normal(LENGTH)
            values[place][rng.integers(s + 1)] += amount
            if rng.random() < 0.5:
                values[place][rng.integers(s + 1)] += rng.standard_normal(LENGTH)
            liars.add(f"w{place}")
    heard = rng.permutation(s + 1).tolist()
    return Group(truth, values, heard), liars


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32 - 1), st.booleans())
def test_of_a_whole_group_with_s_liars_the_sum_is_right_and_at_most_s_chunks_are_computed(s, seed, conspire):
    """Spec: replication s + 1 instead of 2 s + 1, one chunk a liar, log2(chunks) exchanges of one number."""
    for trial in range(20):
        group, liars = lying_group(np.random.default_rng([seed, trial]), s, conspire)
        found = group.settle()
        np.testing.assert_allclose(found, group.truth.sum(axis=0), atol=1e-10)
        assert set(group.liars) == liars
        assert len(group.recomputed) <= len(liars) <= s
        assert group.n_asked <= 2 * len(liars) * math.ceil(math.log2(s + 1))


def spoilt(s=3, liar=1, heard=None):
    """A group in which one worker lies about one chunk."""
    truth = np.arange((s + 1) * LENGTH, dtype=float).reshape(-1, LENGTH)
    values = {place: truth.copy() for place in range(s + 1)}
    values[liar][2] += 5.0
    return Group(truth, values, heard)


def test_workers_that_agree_are_not_asked():
    group = spoilt(heard=[0, 2])
    assert group.begin() == []
    assert group.recomputed == []


def test_the_used_value_is_replaced_by_that_of_the_worker_that_stands():
    group = spoilt(heard=[1, 0, 2, 3])
    np.testing.assert_array_equal(group.settle(), group.truth.sum(axis=0))
    assert (group.liars, group.recomputed) == (["w1"], [2])


def test_where_not_all_of_a_group_were_heard_the_one_that_stands_is_computed_again():
    """The others might lie as well: two of four say nothing of whether one of them is honest, if s = 3."""
    group = spoilt(heard=[0, 1])
    np.testing.assert_array_equal(group.settle(), group.truth.sum(axis=0))
    assert group.liars == ["w1"]
    assert sorted(group.recomputed) == [0, 1, 2, 2, 3]


def test_two_liars_that_were_heard_alone_are_both_found():
    group = spoilt(heard=[0, 1])
    group.values[0] = group.truth + 1.0
    group.payloads[0] = group.sum_of(0, range(4))
    np.testing.assert_array_equal(group.settle(), group.truth.sum(axis=0))
    assert set(group.liars) == {"w0", "w1"}


def test_both_are_asked_about_the_same_terms_and_the_same_number():
    asks = spoilt(heard=[0, 1]).begin()
    assert [ask.link for ask in asks] == [10, 11]
    assert asks[0].terms == asks[1].terms
    assert len({ask.index for ask in asks}) == 1
    assert asks[0].stamp == ev.Stamp(EPOCH, ROUND, 1)


def given_up(follows):
    """The disputed question is to be computed again whole."""
    (examine,) = follows
    assert isinstance(examine, cmd.Examine)
    assert examine.exposed == ()
    assert [question.audit for question in examine.questions] == [True]
    return True


def test_a_worker_that_does_not_answer_is_not_waited_for():
    group = spoilt(heard=[0, 1])
    asks = group.begin(now=3.0)
    assert group.disputing.wakes_at == 3.0 + PATIENCE_SECONDS
    assert group.answer(asks[0], now=3.1) == []
    assert group.disputing.look(3.9) == []
    assert given_up(group.disputing.look(3.0 + PATIENCE_SECONDS))
    assert group.disputing.wakes_at is None
    assert group.answer(asks[1], now=5.0) == [], "too late, but it was asked for"


def test_an_answer_is_waited_for_anew_at_every_step():
    group = spoilt(heard=[0, 1])
    first = group.begin(now=0.0)
    group.answer(first[0], now=0.9)
    second = group.answer(first[1], now=0.9)
    assert len(second) == 2
    assert group.disputing.wakes_at == 0.9 + PATIENCE_SECONDS


def test_a_worker_that_leaves_is_not_waited_for():
    group = spoilt(heard=[0, 1])
    group.begin()
    group.members.leave(11)
    assert given_up(group.disputing.look(0.1))


def test_a_worker_that_came_back_has_nothing_to_say():
    group = spoilt(heard=[0, 1])
    found = group.examine(group.questions)
    group.members.take_over(group.members.links[11], 21, 0.0)
    assert given_up(group.disputing.open(tuple(found.disputes), (), 0.0))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_answer_that_is_no_number_settles_nothing(value):
    group = spoilt(heard=[0, 1])
    asks = group.begin()
    assert given_up(group.answer(asks[1], value))


def test_what_was_never_asked_is_told_apart_from_what_comes_twice():
    group = spoilt(heard=[0, 1])
    asks = group.begin()
    link = group.members.links[10]
    assert group.disputing.hear(ev.PartialSum(10, asks[0].stamp, 99, 1.0), link, 0.0) is None
    assert group.answer(asks[0]) == []
    assert group.answer(asks[0]) == []
    old = ev.Stamp(EPOCH, ROUND - 1, 1)
    assert group.disputing.hear(ev.PartialSum(10, old, 99, 1.0), link, 0.0) == []


def test_a_worker_that_was_found_to_lie_elsewhere_is_not_asked():
    group = spoilt(heard=[0, 1, 2, 3])
    found = group.examine(group.questions)
    (examine,) = group.disputing.open(tuple(found.disputes), ("w1",), 0.0)
    assert examine.exposed == ()
    assert [claim.worker for claim in examine.questions[0].claims] == ["w0", "w2", "w3"]
    assert not group.examine(examine.questions).disputes
    assert group.recomputed == []


def test_whoever_was_kept_waiting_is_told_that_the_round_is_over():
    group = spoilt(heard=[0, 1])
    assert group.disputing.links == {10, 11}
    group.members.leave(11)
    assert group.disputing.dismiss() == [cmd.StopRound(10, ev.Stamp(EPOCH, ROUND, 1))]


def test_nobody_is_kept_waiting_for_values_of_one_chunk():
    group = spoilt()
    claims = (Claim("w0", 0, b"", 0), Claim("w1", 1, b"", 1))
    questions = (Question(group.terms[:1], 1, 0, claims), Question(group.terms, 1, 0, claims[:1]))
    assert Disputing(ROUND, EPOCH, group.code, questions, group.members).links == frozenset()
