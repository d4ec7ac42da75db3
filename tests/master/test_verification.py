"""Which values are audited, which parameters are kept, and what counts as wrong."""

from __future__ import annotations

import numpy as np
import pytest

from common.codes.base import Message, Term
from common.codes.verified import ChunkByChunk
from common.commitments import digest_of
from common.datasets import load_dataset
from common.models import ModelShape, make_model
from master.checked import Claim, Exposed, Question
from master.chunkwise import ChunkwiseCollecting
from master.collecting import CollectTimes
from master.events import Examined
from master.examination import Examination, Recomputation
from master.verification import Kept, Sampler, Verification

# ---- the sampler ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.01, 0.07, 0.3, 0.9, 1.0])
def test_no_two_windows_pass_without_an_audit_and_no_more_are_made_than_asked_for(rate):
    sampler = Sampler(rate, seed=3)
    audited = [position for position in range(5000) if sampler.is_due("a", 1)]
    assert np.diff([-1, *audited]).max() <= 2 / rate + 1
    assert 0.6 * rate * 5000 <= len(audited) <= rate * 5000 + 1


def test_a_rate_of_one_audits_everything():
    sampler = Sampler(1.0, seed=0)
    assert all(sampler.is_due("a", 3) for _ in range(50))


def test_workers_are_audited_at_different_moments_that_depend_on_the_seed():
    def moments(seed: int) -> list[tuple[bool, bool]]:
        sampler = Sampler(0.1, seed)
        return [(sampler.is_due("a", 1), sampler.is_due("b", 1)) for _ in range(100)]

    assert moments(1) == moments(1)
    assert moments(1) != moments(2)
    assert any(first != second for first, second in moments(1))


def test_a_worker_that_begins_to_lie_late_is_caught_within_two_windows():
    for seed in range(200):
        sampler = Sampler(0.1, seed)
        begins = 3 + seed % 17
        for _ in range(begins):
            sampler.is_due("a", 1)
        assert any(sampler.is_due("a", 1) for _ in range(20))


# ---- kept parameters --------------------------------------------------------------------------------------


def test_few_parameters_are_kept_and_one_is_never_much_older_than_it_must_be():
    kept = Kept()
    for number in range(5000):
        numbers = kept.add(number)
        assert numbers[0] == 0
        assert len(numbers) <= 2 + number.bit_length()
    for first_used in (0, 1, 1000, 2500, 4000, 4990, 4999):
        back = kept.before(first_used)
        assert back <= first_used
        assert first_used - back <= 5000 - first_used


def test_after_a_return_nothing_newer_is_kept():
    kept = Kept()
    for number in range(10):
        kept.add(number)
    kept.forget_after(4)
    assert kept.before(9) == 4
    assert kept.add(10)[-2:] == (4, 10)


# ---- judging ----------------------------------------------------------------------------------------------


def test_what_was_quarantined_and_undone_survives_a_restart():
    former = Verification("sample", 0.1, 0)
    former.judge(Examined(3, 1, 0, 1, ("w1",), 0, 0, 0.0))
    former.n_undone = 4
    again = Verification("sample", 0.1, 1)
    again.restore(former.state())
    assert again.quarantined == {"w1": "its answers were wrong, in round 3"}
    assert again.n_undone == 4


# ---- examinations -----------------------------------------------------------------------------------------

DATA = load_dataset("synthetic(rows=40, features=3)", held_out=0.0, standardise=False, task="regression")
MODEL = make_model(ModelShape("linear", n_features=3))
POINT = np.array([0.5, -1.0, 2.0, 0.1])
TERMS = (Term(1, 0, 1.0),)


def truth(dtype="float64"):
    recomputed, _ = Recomputation(MODEL, DATA).gradient(1, 4, POINT)
    return recomputed.astype(dtype)


def examination(held, compute="float64"):
    recompute = Recomputation(MODEL, DATA, compute)
    return Examination(
        held,
        lambda chunk: recompute.gradient(chunk, 4, POINT),
        lambda chunk, size: recompute.rounding(chunk, 4, size),
        lambda parts: -(-4 // parts),
    )


def examine(payloads, *claims, terms=TERMS, dtype="float64", compute="float64", alone="computed"):
    held = {number: np.asarray(value, dtype) for number, value in enumerate(payloads)}
    question = Question(terms, 1, claims[0].payload, claims, alone=alone)
    return examination(held, compute).answer((question,))


def test_two_workers_that_agree_are_believed_without_computing():
    value = truth()
    digest = digest_of(value.tobytes())
    found = examine([value], Claim("a", 0, digest), Claim("b", None, digest))
    assert (found.n_compared, found.n_audited, found.liars) == (1, 0, {})


def test_a_worker_does_not_agree_with_itself():
    value = truth()
    found = examine(
        [value], Claim("a", 0, digest_of(value.tobytes())), Claim("a", None, digest_of(value.tobytes()))
    )
    assert found.n_audited == 1


def test_who_sends_another_value_than_it_is_bound_to_is_found():
    value = truth()
    digest = digest_of(value.tobytes())
    found = examine([value + 1.0], Claim("a", 0, digest), Claim("b", None, digest))
    assert list(found.liars) == ["a"]
    np.testing.assert_array_equal(found.corrections[0], value)


def test_of_two_values_the_right_one_stays_whichever_is_used():
    value = truth()
    found = examine([value, -value], Claim("a", 0), Claim("b", 1))
    assert (list(found.liars), found.corrections) == (["b"], {})
    found = examine([-value, value], Claim("b", 0), Claim("a", 1))
    assert list(found.liars) == ["b"]
    np.testing.assert_array_equal(found.corrections[0], value)


@pytest.mark.parametrize(
    ("dtype", "compute"), [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
)
def test_rounding_is_no_lie(dtype, compute):
    X, y = DATA.X_train[10:20], DATA.y_train[10:20]
    order = np.random.default_rng(0).permutation(10)
    point = POINT.astype(compute)
    value = MODEL.loss_and_gradient(point, X[order].astype(compute), y[order].astype(compute))[1]
    held = {0: value.astype(dtype)}
    question = Question(TERMS, 1, 0, (Claim("a", 0),), True)
    assert not examination(held, compute).answer((question,)).liars
    held[0] = (value * 1.01).astype(dtype)
    assert list(examination(held, compute).answer((question,)).liars) == ["a"]


SUM = (Term(1, 0, 1.0), Term(2, 0, -2.0))


def sums(dtype="float64", compute="float64", shuffle=0):
    """The message of SUM, with rows added up in another order for every ``shuffle``."""
    total = np.zeros(4)
    for chunk, _, coefficient in SUM:
        order = np.random.default_rng(shuffle).permutation(10) + 10 * chunk
        X, y = DATA.X_train[order].astype(compute), DATA.y_train[order].astype(compute)
        total += coefficient * MODEL.loss_and_gradient(POINT.astype(compute), X, y)[1]
    return total.astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "compute"), [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
)
@pytest.mark.parametrize("shuffle", range(1, 6))
def test_sums_that_differ_by_rounding_agree_and_nothing_is_computed(dtype, compute, shuffle):
    values = sums(dtype, compute), sums(dtype, compute, shuffle)
    claims = Claim("a", 0, b"", 0), Claim("b", 1, b"", 1)
    found = examine(values, *claims, terms=SUM, dtype=dtype, compute=compute)
    assert (found.n_compared, found.n_audited, found.disputes) == (1, 0, [])
    off = examine((values[0], values[1] * 1.01), *claims, terms=SUM, dtype=dtype, compute=compute)
    assert (off.n_disputed, len(off.disputes), off.liars) == (1, 1, {})
    (dispute,) = off.disputes
    assert dispute.index == np.abs(values[0] - values[1] * 1.01).argmax()


@pytest.mark.parametrize(
    "claims",
    [
        (Claim("a", 0, b"", 0), Claim("b", 1)),
        (Claim("a", 0, b"", 0), Claim("b", 1, bytes(16), 1)),
    ],
    ids=["one has left", "one sends another than it is bound to"],
)
def test_a_sum_whose_workers_cannot_be_asked_is_computed_again(claims):
    found = examine((sums(), sums() + 1.0), *claims, terms=SUM)
    assert (found.n_disputed, found.n_audited, found.disputes, list(found.liars)) == (1, 1, [], ["b"])


def test_a_sum_with_a_number_that_is_not_finite_is_computed_again():
    value = sums()
    value[2] = np.inf
    found = examine((sums(), value), Claim("a", 0, b"", 0), Claim("b", 1, b"", 1), terms=SUM)
    assert (found.n_audited, list(found.liars), found.corrections) == (1, ["b"], {})


def test_an_exposed_value_that_is_right_after_all_has_the_sum_computed_again():
    claims = Claim("a", 0, b"", 0), Claim("b", 1, b"", 1)
    held = {0: sums() + 1.0, 1: sums()}
    question = Question(SUM, 1, 0, claims, alone="computed")
    true = float(Recomputation(MODEL, DATA).gradient(1, 4, POINT)[0][3])
    exposed = Exposed(0, ("a", "b"), 0, 3, (true, true), 1e-9)
    found = examination(held).answer((question,), (exposed,))
    assert (found.n_audited, list(found.liars)) == (2, ["a"])
    np.testing.assert_allclose(found.corrections[0], sums(), atol=1e-12)


def test_where_one_value_is_not_finite_all_are_computed_again():
    questions = (
        Question(TERMS, 1, 0, (Claim("a", 0),)),
        Question(TERMS, 1, 1, (Claim("b", 1),)),
    )
    held = {0: truth(), 1: np.full(4, np.nan)}
    found = examination(held).answer(questions)
    assert (found.n_audited, found.n_unsure, list(found.liars)) == (2, 0, ["b"])


def test_a_liar_is_not_believed_in_anything_else():
    questions = tuple(
        Question(TERMS, 1, payload, (Claim(worker, payload),), payload == 0)
        for payload, worker in enumerate(["a", "a", "b"])
    )
    held = {0: truth() + 1.0, 1: truth() - 1.0, 2: truth()}
    found = examination(held).answer(questions)
    assert (found.n_audited, found.n_wrong, found.n_unsure) == (2, 2, 1)
    assert set(found.corrections) == {0, 1}


# ---- collecting chunk by chunk ----------------------------------------------------------------------------


def collecting() -> ChunkwiseCollecting:
    return ChunkwiseCollecting(2, ChunkByChunk(), CollectTimes(8))


def test_where_finishers_agree_one_is_asked():
    current = collecting()
    current.finish(0, 0, b"x")
    current.finish(1, 0, b"x")
    assert [(ask.place, ask.terms) for ask in current.ask(0.0)] == [(0, (Term(0, 0, 1.0),))]


def test_where_finishers_differ_every_value_is_asked_for_and_one_counts():
    current = collecting()
    for place, digest in enumerate([b"x", b"y", b"y"]):
        current.finish(place, 0, digest)
    asks = current.ask(0.0)
    assert [ask.place for ask in asks] == [0, 1]
    assert [current.counts(ask.request) for ask in asks] == [True, False]
    assert current.answer(1, 0.01)
    assert (current.n_open, current.collected) == (1, set())
    assert current.answer(0, 0.02)
    assert (current.n_open, current.collected) == (0, {0})
    assert current.message(1) == Message(1, (Term(0, 0, 1.0),))


def test_a_lost_exhibit_is_not_waited_for():
    current = collecting()
    current.finish(0, 0, b"x")
    current.finish(1, 0, b"y")
    current.ask(0.0)
    current.forsake(1, [0], 0.01)
    assert current.n_open == 1
    assert not current.answer(1, 0.02)
    assert current.answer(0, 0.03)
    assert current.collected == {0}
