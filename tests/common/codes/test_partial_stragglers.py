from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Message, Term, certify, decode
from common.codes.partial_stragglers import FewestWorkers, partial_stragglers
from common.errors import InvalidSpec

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
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        partial_stragglers(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
