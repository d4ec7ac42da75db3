from __future__ import annotations

from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Assignment, Message, Term, certify, decode
from common.codes.frames import colours
from common.codes.ordering import q_max
from common.codes.partial_stragglers import partial_stragglers, random_placement
from common.codes.requested import FewestWorkers
from common.errors import InvalidSpec
from common.spec import make_code

GRADIENTS = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])


def finished(code, counts):
    """Chunk -> workers, when worker j has finished its first counts[j] chunks."""
    finishers = {chunk: set() for chunk in range(code.n_chunks)}
    for worker, (order, count) in enumerate(zip(code.assignment.orders, counts, strict=True)):
        for chunk in order[:count]:
            finishers[chunk].add(worker)
    return finishers


def test_worked_example_of_four_workers_one_failed_and_one_slow():
    """n = 4, replication 3, finished chunks (1, 2, 0, 3): every chunk is finished, with copies 2, 2, 1, 1."""
    code = partial_stragglers(4)
    finishers = finished(code, (1, 2, 0, 3))
    assert finishers == {0: {0, 3}, 1: {1, 3}, 2: {1}, 3: {3}}
    tally = code.stop_rule.start()
    for chunk, workers in finishers.items():
        for worker in workers:
            assert not tally.may_suffice
            tally.finished(worker, chunk)
    assert tally.may_suffice
    requested = code.requester.choose(finishers)
    assert [(m.worker, [t.chunk for t in m.terms]) for m in requested] == [(3, [0, 1, 3]), (1, [2])]
    sent = [sum(t.coefficient * GRADIENTS[t.chunk] for t in message.terms) for message in requested]
    decoding = decode(code, requested)
    assert decoding.exact
    np.testing.assert_allclose(decoding.weights[:, 0] @ sent, (16, 20))


def test_the_papers_weights_for_the_same_state_decode_alike():
    """With R = (1, 2, -1, 1) copies are mixed: a certified message is any linear form of what is finished."""
    forms = {0: {0: 0.5}, 1: {1: 0.4, 2: 0.5}, 3: {0: 0.5, 1: 0.2, 3: 1.0}}
    received = [Message(j, tuple(Term(i, 0, c) for i, c in form.items())) for j, form in forms.items()]
    weights = np.array([[1.0], [2.0], [1.0]])
    assert certify(4, 1, received, weights).exact
    sent = [sum(t.coefficient * GRADIENTS[t.chunk] for t in message.terms) for message in received]
    np.testing.assert_allclose(sent, [(0.5, 1), (3.7, 4.6), (8.1, 9.8)])
    np.testing.assert_allclose(weights[:, 0] @ sent, (16, 20))


def test_exact_if_and_only_if_every_chunk_is_finished_somewhere():
    code = partial_stragglers(3, replication=2)
    for a in range(3):
        for b in range(3):
            for c in range(3):
                finishers = finished(code, (a, b, c))
                decoding = decode(code, code.requester.choose(finishers))
                unfinished = sum(not workers for workers in finishers.values())
                assert decoding.exact == (unfinished == 0)
                assert decoding.residual**2 == pytest.approx(unfinished)


def test_two_holders_of_a_block_start_from_different_ends():
    """Worker 1 starts block 1, worker 0 comes to it second: together they need half the steps each."""
    orders = partial_stragglers(5, replication=3, chunks_per_worker=4).assignment.orders
    for worker, order in enumerate(orders):
        blocks = [order[k : k + 4] for k in (0, 4, 8)]
        for position, block in enumerate(blocks):
            first = (worker + position) % 5 * 4
            forward = tuple(range(first, first + 4))
            assert block == (forward if position != 1 else forward[::-1])
    assert set(orders[1][:2]) | set(orders[0][4:6]) == {4, 5, 6, 7}


@st.composite
def states(draw):
    n_workers, n_chunks = draw(st.integers(1, 7)), draw(st.integers(1, 12))
    pairs = draw(st.sets(st.tuples(st.integers(0, n_chunks - 1), st.integers(0, n_workers - 1))))
    return {chunk: [w for c, w in sorted(pairs) if c == chunk] for chunk in range(n_chunks)}


def plain_greedy(finishers):
    """The same rule, recounting everything at every step."""
    left = {chunk for chunk, workers in finishers.items() if workers}
    workers = sorted({worker for own in finishers.values() for worker in own})
    chosen = []
    while left:
        best = max(workers, key=lambda w: (sum(w in finishers[c] for c in left), -w))
        own = sorted(c for c in left if best in finishers[c])
        chosen.append((best, own))
        left -= set(own)
    return chosen


@settings(max_examples=50, deadline=None)
@given(states())
def test_requests_are_greedy_and_ask_each_finished_chunk_once(finishers):
    requested = FewestWorkers().choose(finishers)
    asked = [term.chunk for message in requested for term in message.terms]
    assert sorted(asked) == [chunk for chunk, workers in finishers.items() if workers]
    assert len({message.worker for message in requested}) == len(requested)
    for message in requested:
        assert all(message.worker in finishers[t.chunk] and t[1:] == (0, 1.0) for t in message.terms)
    assert [(m.worker, [t.chunk for t in m.terms]) for m in requested] == plain_greedy(finishers)


def test_ties_go_to_the_lowest_worker_number():
    requested = FewestWorkers().choose({0: (2, 1), 1: (2, 1)})
    assert [message.worker for message in requested] == [1]


def test_nothing_finished_asks_for_nothing():
    assert FewestWorkers().choose({0: set(), 1: set()}) == ()


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((2,), "replication", "from 1 to n_workers = 2"),
        ((4, 5), "replication", "from 1 to n_workers = 4"),
        ((4, 0), "replication", "from 1"),
        ((4, 2, 0), "chunks_per_worker", "at least 1"),
        ((4, 2, 1.5), "chunks_per_worker", "whole number"),
        ((0,), "n_workers", "at least 1"),
        ((4, 2, 1, 1, "cosine", 0, "random"), "adaptive", "True or False"),
        ((4, 2, 1, 1, "cosine", 0, False, "regular"), "placement", "cyclic or random"),
        ((4, 5, 1, 1, "cosine", 0, False, "random"), "replication", "from 1 to n_workers = 4"),
        ((4, 2, 1, 1, "cosine", -1, False, "random"), "seed", "at least 0"),
        ((4, 2, 1, 3, "cosine", 0, False, "random"), "n_parts", "from 1 to replication = 2"),
        ((2000, 2000, 2, 1, "cosine", 0, False, "random"), "n_workers x load", "at most"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        partial_stragglers(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 12), per_block=st.integers(1, 4), seed=st.integers(0, 10**6), data=st.data())
def test_a_random_placement_has_every_chunk_on_so_many_workers_and_no_worker_without(
    n, per_block, seed, data
):
    copies = data.draw(st.integers(1, n))
    held = random_placement(n, n * per_block, copies, seed)
    assert all(own == tuple(sorted(set(own))) for own in held)
    assert min(len(own) for own in held) >= 1
    assert np.bincount(np.concatenate(held), minlength=n * per_block).tolist() == [copies] * n * per_block
    code = partial_stragglers(n, copies, per_block, seed=seed, placement="random")
    assert tuple(tuple(sorted(order)) for order in code.assignment.orders) == held


def test_loads_of_a_random_placement_differ_as_those_of_draws_do():
    """The load of a worker is binomial: N draws with probability replication / n."""
    loads = np.concatenate(
        [[len(own) for own in random_placement(40, 160, replication=5, seed=seed)] for seed in range(25)]
    )
    assert loads.mean() == 20
    assert loads.std() == pytest.approx(np.sqrt(160 * 5 / 40 * (1 - 5 / 40)), rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_workers_without_chunks_take_one_over_from_a_worker_with_most(seed):
    """Of 30 workers and 45 chunks on one worker each, a fifth is left out by chance."""
    rng = np.random.default_rng((seed, 1))
    drawn = [int(rng.choice(30, size=1, replace=False)[0]) for _ in range(45)]
    loads = np.bincount(drawn, minlength=30)
    empty = np.flatnonzero(loads == 0)
    assert len(empty) >= 3
    for worker in empty:
        loads[loads.argmax()] -= 1
        loads[worker] = 1
    held = random_placement(30, 45, replication=1, seed=seed)
    assert [len(own) for own in held] == loads.tolist()
    moved = [worker for worker, own in enumerate(held) for chunk in own if drawn[chunk] != worker]
    assert moved == empty.tolist(), "only what is given away moves"


def test_a_random_placement_depends_on_the_seed_alone():
    plans = [partial_stragglers(9, 3, 2, seed=seed, placement="random") for seed in (0, 1, 1)]
    assert plans[1] == plans[2]
    assert plans[0].assignment != plans[1].assignment
    assert plans[1].spec == 'partial_stragglers(9, chunks_per_worker=2, seed=1, placement="random")'
    assert make_code(plans[1].spec, 9) == plans[1]
    mixed = partial_stragglers(9, 3, 2, n_parts=2, frame="random", seed=1, placement="random")
    assert held_by(mixed) == held_by(plans[1]), "neither the parts nor the frame change who holds what"


def held_by(code):
    return [set(order) for order in code.assignment.orders]


def middle_of_random_orders(held, n_chunks, copies, n_draws=100):
    rng = np.random.default_rng(0)
    drawn = [tuple(tuple(rng.permutation(own).tolist()) for own in held) for _ in range(n_draws)]
    return np.median([q_max(Assignment(n_chunks, orders), copies) for orders in drawn])


@pytest.mark.parametrize(("n", "copies", "per_block"), [(4, 2, 1), (12, 4, 1), (20, 3, 4), (60, 6, 2)])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_placements_are_ordered_better_than_by_index_and_than_by_chance(n, copies, per_block, seed):
    held = random_placement(n, n * per_block, copies, seed)
    for parts in range(1, copies):
        code = partial_stragglers(n, copies, per_block, n_parts=parts, seed=seed, placement="random")
        found = q_max(code.assignment, parts)
        assert found <= q_max(Assignment(n * per_block, held), parts)
        assert found <= middle_of_random_orders(held, n * per_block, parts)


def test_large_random_placements_are_ordered_in_bounded_time_and_still_better_than_by_chance(monkeypatch):
    """The three ways, on a placement that is small enough for all: searched, greedy start, taking turns."""

    module = import_module("common.codes.partial_stragglers")  # the package has a function of this name

    def plan(searched, greedy):
        monkeypatch.setattr(module, "MOST_SEARCHED", searched)
        monkeypatch.setattr(module, "MOST_GREEDY", greedy)
        return partial_stragglers(20, 3, 20, placement="random")

    plans = [plan(10**6, 10**6), plan(0, 10**6), plan(0, 0)]
    assert held_by(plans[0]) == held_by(plans[1]) == held_by(plans[2])
    values = [q_max(code.assignment) for code in plans]
    held = random_placement(20, 400, 3, seed=0)
    assert values == sorted(values)
    assert len(set(values)) == 3
    assert values[-1] < middle_of_random_orders(held, 400, 1) < q_max(Assignment(400, held))


@pytest.mark.parametrize("frame", ["cosine", "random"])
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_a_random_placement_is_exact_with_any_replication_minus_parts_absent(parts, frame):
    """With one part any 3 of 9 workers may be absent, and each part more takes one of them away."""
    code = partial_stragglers(9, 4, 2, n_parts=parts, frame=frame, seed=2, placement="random")
    assert code.n_stragglers == 4 - parts
    gradients = np.random.default_rng(0).standard_normal((18, parts, 2))
    for absent in combinations(range(9), code.n_stragglers):
        finishers = {
            chunk: set(holders) - set(absent) for chunk, holders in enumerate(code.assignment.holders)
        }
        requested = code.requester.choose(finishers)
        decoding = decode(code, requested)
        assert decoding.exact
        sent = [sum(t.coefficient * gradients[t.chunk, t.part] for t in m.terms) for m in requested]
        np.testing.assert_allclose(decoding.weights.T @ sent, gradients.sum(axis=0), atol=1e-9)


def test_one_absent_more_than_promised_may_leave_a_random_placement_short():
    code = partial_stragglers(9, 4, 2, seed=2, placement="random")
    absent = set(code.assignment.holders[0])
    finishers = {chunk: set(holders) - absent for chunk, holders in enumerate(code.assignment.holders)}
    assert not decode(code, code.requester.choose(finishers)).exact


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), frame=st.sampled_from(["cosine", "random"]), data=st.data())
def test_any_n_parts_holders_of_a_chunk_suffice_in_a_random_placement(seed, frame, data):
    """Holders of a chunk are any workers: they have distinct colours, and so independent rows."""
    n, copies = data.draw(st.integers(3, 14)), data.draw(st.integers(2, 3))
    parts = data.draw(st.integers(2, copies))
    code = partial_stragglers(n, copies, 2, n_parts=parts, frame=frame, seed=seed, placement="random")
    colour = colours(code.assignment)
    assert all(len({colour[worker] for worker in own}) == copies for own in code.assignment.holders)
    finishers = {
        chunk: set(data.draw(st.permutations(own))[:parts])
        for chunk, own in enumerate(code.assignment.holders)
    }
    assert decode(code, code.requester.choose(finishers)).exact
