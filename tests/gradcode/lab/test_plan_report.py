from __future__ import annotations

import dataclasses
from itertools import pairwise
from math import comb, floor, sqrt

import numpy as np
import pytest

from common.codes import CODES
from common.codes.base import decode
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.fractional_repetition import fractional_repetition
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.partial_stragglers import partial_stragglers
from common.codes.quality import check_wire, worst_noise
from common.codes.uncoded import uncoded
from common.errors import InvalidSpec
from common.spec import make_code
from gradcode.lab.catalogue import example_plan
from gradcode.lab.plan_report import (
    EFFORTS,
    Effort,
    absence,
    absences,
    affordable,
    n_decodings,
    plan_facts,
    tried_counts,
    wire_verdicts,
    without,
)

QUICK = Effort(exhaustive=60, random=6, clustered=3)


@pytest.mark.parametrize(("n", "s"), [(6, 1), (8, 3), (9, 2)])
def test_fractional_repetition_loses_whole_blocks_only(n, s):
    c = s + 1
    for a, row in enumerate(absences(fractional_repetition(n, s), Effort())):
        assert (row.n_absent, row.n_patterns, row.exhaustive) == (a, comb(n, a), True)
        assert row.worst_residual == pytest.approx(sqrt(c * floor(a / c)))
        if c <= a < 2 * c:  # at most one block is lost
            lost = (n // c) * comb(n - c, a - c) / comb(n, a)
            assert row.exact_share == pytest.approx(1 - lost)
            assert row.mean_residual == pytest.approx(lost * sqrt(c))
            assert row.mean_recovered == pytest.approx(1 - lost * c / n)
    assert row.worst_noise == 0.0
    assert row.worst_recovered == pytest.approx(0, abs=1e-12)


def test_uncoded_loses_what_is_absent_and_ignoring_scales_the_rest():
    for a, row in enumerate(absences(uncoded(5), Effort())):
        assert row.worst_residual == pytest.approx(sqrt(a))
        assert row.worst_noise == pytest.approx(sqrt(5 - a))
    for a, row in enumerate(absences(ignore_stragglers(5, 2), Effort())[:5]):
        assert row.worst_residual**2 == pytest.approx(a + (5 - a) * (5 / (5 - a) - 1) ** 2)


def test_on_request_absent_workers_have_finished_nothing():
    code = partial_stragglers(6, replication=2, chunks_per_worker=2)
    rows = absences(code, Effort())
    assert [row.exact_share == 1.0 for row in rows] == [True, True, *[False] * 5]
    assert rows[2].worst_residual == pytest.approx(sqrt(2))
    assert rows[2].worst_pattern in {tuple(sorted((w, (w + 1) % 6))) for w in range(6)}
    assert without(code, frozenset(range(6))).residual == pytest.approx(sqrt(12))


def test_the_worst_pattern_has_the_worst_residual():
    code = cyclic_repetition(8, 2)
    row = absence(code, 4, Effort())
    assert without(code, frozenset(row.worst_pattern)).residual == row.worst_residual
    received = [message for message in code.messages if message.worker not in row.worst_pattern]
    assert decode(code, received).residual == pytest.approx(row.worst_residual)


def test_sampling_tries_the_holders_of_a_chunk_where_chance_would_miss_them():
    code = fractional_repetition(60, 2)
    row = absence(code, 3, QUICK)
    assert not row.exhaustive
    assert row.n_patterns == QUICK.random + 2 * QUICK.clustered
    assert row.worst_residual == pytest.approx(sqrt(3))  # 20 of 34,220 sets
    assert row.exact_share == 1.0  # of the random ones
    assert absence(code, 3, QUICK) == row
    assert absence(cyclic_repetition(40, 3), 12, QUICK, seed=0) != absence(
        cyclic_repetition(40, 3), 12, QUICK, seed=1
    )


def test_sampling_tries_neighbours_which_cyclic_codes_bear_worst():
    code = cyclic_repetition(31, 2)
    assert absence(code, 2, Effort(exhaustive=400)).n_patterns < 500
    sampled, every = absence(code, 2, QUICK), absence(code, 2, Effort(exhaustive=500))
    assert every.exhaustive
    assert sampled.worst_noise == pytest.approx(every.worst_noise)
    assert every.worst_noise > 3 * every.mean_noise


def test_the_worst_residual_of_least_squares_grows_with_the_number_absent():
    rows = absences(cyclic_repetition(16, 3), QUICK)
    assert not all(row.exhaustive for row in rows)
    worst = [row.worst_residual for row in rows]
    assert all(b >= a - 1e-9 for a, b in pairwise(worst))


def test_all_numbers_of_absent_workers_are_tried_unless_they_are_many():
    assert tried_counts(uncoded(50), Effort()) == list(range(51))
    for effort in EFFORTS:
        counts = tried_counts(fractional_repetition(1000, 3), effort)
        assert len(counts) == effort.counts
        assert counts == sorted(set(counts))
        assert counts[:4] == [0, 1, 2, 3]
        assert counts[-1] == 1000


def test_the_effort_fits_what_can_be_afforded():
    small, large = cyclic_repetition(12, 3), fractional_repetition(1000, 3)
    assert affordable(small, 5000) == EFFORTS[0]
    assert n_decodings(small, EFFORTS[0]) == 2**12
    for most in (300, 1000, 4000):
        assert n_decodings(small, affordable(small, most)) <= most
        assert n_decodings(large, affordable(large, most)) <= most
    assert affordable(large, 1) == EFFORTS[-1]
    assert [n_decodings(large, each) for each in EFFORTS] == sorted(
        (n_decodings(large, each) for each in EFFORTS), reverse=True
    )


@pytest.mark.parametrize("name", CODES)
def test_the_facts_of_every_code_are_what_decoding_shows(name):
    code = example_plan(name, 12)
    facts = plan_facts(code)
    rows = [absence(code, a, QUICK) for a in range(code.n_stragglers + 2)]
    assert facts.spec == code.spec
    assert 0 < facts.load <= 1
    assert facts.n_messages <= facts.per_worker * facts.n_workers
    assert facts.message_length == ("d" if code.n_parts == 1 else f"d/{code.n_parts}")
    if facts.exact_without is None:
        assert "approximate" in facts.promise or "may be exact" in facts.promise
        assert rows[0].exact_share < 1 or facts.enough_messages < len(code.messages)
        assert facts.least_possible_load is None
        return
    assert "exact" in facts.promise
    assert all(row.exact_share == 1.0 for row in rows[: facts.exact_without + 1])
    mean_load = sum(len(order) for order in code.assignment.orders) / code.n_workers
    assert mean_load >= facts.least_possible_load


def test_a_code_that_ends_rounds_early_promises_no_more_than_it_keeps():
    assert plan_facts(ignore_stragglers(12, 3)).exact_without is None
    assert plan_facts(ignore_stragglers(12, 3)).promise.startswith("approximate; ends at 9 messages")
    assert plan_facts(ignore_stragglers(12, 0)).exact_without == 0
    grown = dataclasses.replace(fractional_repetition(12, 3), enough_messages=9)
    assert plan_facts(grown).exact_without == 3
    early = plan_facts(dataclasses.replace(grown, enough_messages=6))
    assert (early.exact_without, early.may_be_exact) == (None, True)
    assert early.promise == "ends at 6 messages; may be exact then or before"


def test_streaming_is_seen():
    assert not plan_facts(uncoded(6)).streams
    assert plan_facts(make_code("uncoded_streaming(6, 3)", 6)).streams
    assert not plan_facts(cyclic_repetition(6, 3)).streams


@pytest.mark.parametrize("name", CODES)
def test_the_verdict_is_the_rule_that_experiments_are_refused_by(name):
    code = example_plan(name, 12)
    float32, float64 = wire_verdicts(code)
    assert float64.carries
    try:
        check_wire(code, "float32")
    except InvalidSpec:
        assert not float32.carries
    else:
        assert float32.carries
        assert float32.noise == worst_noise(code)
        assert float32.relative_error == pytest.approx(6e-8 * float32.noise, rel=0.01)


def test_a_plan_that_float32_cannot_carry_is_found():
    code = cyclic_repetition(51, 10, variant="cyclic_mds")
    float32, float64 = wire_verdicts(code)
    assert (float32.carries, float64.carries) == (False, True)
    assert float32.noise > 1e5


def test_what_the_rows_found_counts_where_it_is_worse():
    code = cyclic_repetition(14, 6, variant="random")
    worst = dataclasses.replace(absence(code, 6, QUICK), worst_noise=1e7)
    largest = max(abs(term.coefficient) for message in code.messages for term in message.terms)
    assert wire_verdicts(code, [worst])[0].noise == pytest.approx(1e7 * largest)
    beyond = dataclasses.replace(worst, n_absent=7)
    assert wire_verdicts(code, [beyond])[0].noise == worst_noise(code)


def test_numbers_that_are_none_are_infinite():
    class Broken:
        def weights(self, code, received):
            return np.full((len(received), 1), np.nan)

    row = absence(dataclasses.replace(uncoded(4), decoder=Broken()), 1, Effort())
    assert row.worst_residual == row.worst_noise == np.inf
    assert (row.worst_recovered, row.exact_share) == (0.0, 0.0)
