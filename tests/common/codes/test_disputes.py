"""Bisection: a liar ends up bound to a wrong value, whatever it answers, and an honest worker never does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.disputes import Bisection

ROUNDING = 1e-12


def play(bisection, honest, answer):
    """Play to the end; ``honest``: true values of the terms, ``answer``: begin, end -> what a liar says."""
    n_steps = 0
    while bisection.asked is not None:
        begin, end = bisection.asked
        bisection.answer((answer(begin, end), math.fsum(honest[begin:end])))
        n_steps += 1
    return n_steps


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["one", "all", "random", "truth"]))
def test_whatever_a_liar_answers_it_is_bound_to_a_wrong_value_and_the_honest_worker_to_its_own(
    n_terms, seed, style
):
    rng = np.random.default_rng(seed)
    honest = rng.standard_normal(n_terms)
    lied = honest.copy()
    lied[rng.integers(n_terms) if style == "one" else slice(None)] += rng.standard_normal()
    total = math.fsum(lied)
    answers = {
        "one": lambda begin, end: math.fsum(lied[begin:end]),
        "all": lambda begin, end: math.fsum(lied[begin:end]),
        "random": lambda begin, end: float(rng.standard_normal()),
        "truth": lambda begin, end: math.fsum(honest[begin:end]),
    }
    found = Bisection((total, math.fsum(honest)), [ROUNDING] * n_terms)
    n_steps = play(found, honest, answers[style])
    assert n_steps <= math.ceil(math.log2(n_terms))
    lie, truth = found.values
    assert truth == pytest.approx(honest[found.term], abs=1e-11)
    assert abs(lie - truth) > 2 * ROUNDING
    if style == "one":
        assert lied[found.term] != honest[found.term]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_rounding_of_honest_workers_does_not_hide_a_lie(n_terms, seed):
    """Both round each term as far as they may; the liar's wrong term differs by more than that."""
    rng = np.random.default_rng(seed)
    slacks = rng.uniform(0.0, 1.0, n_terms)
    truth = rng.standard_normal(n_terms)
    honest = truth + slacks * rng.uniform(-1.0, 1.0, n_terms)
    lied = truth + slacks * rng.uniform(-1.0, 1.0, n_terms)
    # The sums must differ by more than rounding explains, otherwise there is no dispute.
    lied[rng.integers(n_terms)] += 4.1 * slacks.sum()
    found = Bisection((math.fsum(lied), math.fsum(honest)), slacks)
    play(found, honest, lambda begin, end: math.fsum(lied[begin:end]))
    off = [abs(value - truth[found.term]) for value in found.values]
    assert off[0] > slacks[found.term] + ROUNDING
    assert off[1] <= slacks[found.term] + 1e-9


def test_sums_that_rounding_explains_are_no_dispute():
    with pytest.raises(ValueError, match="rounding"):
        Bisection((1.0, 1.0 + 1e-9), [1e-9, 1e-9])


def test_a_sum_of_one_term_needs_no_question():
    assert Bisection((1.0, 2.0), [0.1]).asked is None
