from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import Assignment, Message, Term, certify, decode, parts_of
from common.codes.designs import neighbours, random_regular_graph
from common.codes.frames import colours, cosine_frame, random_frame
from common.codes.ordering import matching_order
from common.codes.partial_coefficients import (
    AllFinishers,
    chunk_coefficients,
    coefficient_error,
    mixing_coefficients,
)
from common.codes.partial_stragglers import partial_stragglers
from common.errors import InvalidSpec

GRADIENTS = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])
FRAME = np.array([[1.0, 0], [0, 1], [1, 1], [1, -1]])


def finished(orders, counts):
    """Chunk -> workers, when worker j has finished its first counts[j] chunks."""
    n_chunks = max(max(order) for order in orders) + 1
    finishers = {chunk: set() for chunk in range(n_chunks)}
    for worker, (order, count) in enumerate(zip(orders, counts, strict=True)):
        for chunk in order[:count]:
            finishers[chunk].add(worker)
    return finishers


def sent(messages, gradients, n_parts):
    """worker -> the numbers it sends."""
    parts = gradients.reshape(len(gradients), n_parts, -1)
    return {
        message.worker: sum(c * parts[chunk, part] for chunk, part, c in message.terms)
        for message in messages
    }


CYCLIC = partial_stragglers(4).assignment.orders


def test_worked_example_with_one_part():
    """n = 4, R = (1, 2, -1, 1), finished chunks (1, 2, 0, 3): exact."""
    finishers = finished(CYCLIC, (1, 2, 0, 3))
    assert finishers == {0: {0, 3}, 1: {1, 3}, 2: {1}, 3: {3}}
    R = np.array([[1.0], [2], [-1], [1]])
    X = chunk_coefficients(R, finishers)
    expected = {0: (0.5, 0, 0, 0.5), 1: (0, 0.4, 0, 0.2), 2: (0, 0.5, 0, 0), 3: (0, 0, 0, 1)}
    for chunk, row in expected.items():
        np.testing.assert_allclose(X[chunk], [row], atol=1e-12)
    messages = AllFinishers(tuple(map(tuple, R))).choose(finishers)
    z = sent(messages, GRADIENTS, 1)
    np.testing.assert_allclose(z[0], (0.5, 1))
    np.testing.assert_allclose(z[1], (3.7, 4.6))
    np.testing.assert_allclose(z[3], (8.1, 9.8))
    np.testing.assert_allclose(z[0] + 2 * z[1] + z[3], (16, 20))


@pytest.mark.parametrize(
    ("counts", "copies", "error", "numbers", "decoded"),
    [
        ((1, 2, 0, 3), (2, 2, 1, 1), 2, {0: 3, 1: 13, 3: 0.5}, (3.5, 12.5)),
        ((2, 3, 0, 3), (2, 3, 1, 2), 1, {0: 6.3333, 1: 24.6667, 3: 4.6667}, (11, 20)),
    ],
)
def test_worked_examples_with_two_parts(counts, copies, error, numbers, decoded):
    """R rows (1,0), (0,1), (1,1), (1,-1): messages of one number each."""
    finishers = finished(CYCLIC, counts)
    assert tuple(len(workers) for workers in finishers.values()) == copies
    messages = AllFinishers(tuple(map(tuple, FRAME))).choose(finishers)
    z = sent(messages, GRADIENTS, 2)
    assert {worker: number[0] for worker, number in z.items()} == pytest.approx(numbers, abs=1e-4)
    weights = FRAME[[message.worker for message in messages]]
    np.testing.assert_allclose(weights.T @ [z[m.worker][0] for m in messages], decoded, atol=1e-4)
    found = certify(4, 2, messages, weights)
    assert found.residual**2 == pytest.approx(error) == coefficient_error(copies, 2)


@st.composite
def states(draw):
    n_workers, n_chunks = draw(st.integers(1, 7)), draw(st.integers(1, 8))
    pairs = draw(st.sets(st.tuples(st.integers(0, n_chunks - 1), st.integers(0, n_workers - 1))))
    return n_workers, {chunk: {w for c, w in pairs if c == chunk} for chunk in range(n_chunks)}


@settings(max_examples=50, deadline=None)
@given(states(), st.integers(1, 4), st.booleans())
def test_the_error_is_what_is_missing_to_l_copies_whatever_the_frame(state, n_parts, cosine):
    """err = sum of max(0, l - |S_i|); exact if and only if min |S_i| >= l."""
    n_workers, finishers = state
    R = cosine_frame(n_workers + n_parts, n_parts)[:n_workers]
    if not cosine:
        R = random_frame(n_workers, n_parts, seed=n_workers)
    messages = AllFinishers(tuple(map(tuple, R.tolist()))).choose(finishers)
    found = certify(len(finishers), n_parts, messages, R[[message.worker for message in messages]])
    copies = [len(workers) for workers in finishers.values()]
    assert found.residual**2 == pytest.approx(coefficient_error(copies, n_parts), abs=1e-6)
    assert found.exact == (min(copies) >= n_parts)
    assert len({message.worker for message in messages}) == len(messages)


@settings(max_examples=50, deadline=None)
@given(states(), st.integers(1, 3))
def test_messages_carry_the_coefficients_of_every_chunk(state, n_parts):
    n_workers, finishers = state
    R = random_frame(n_workers, n_parts, seed=1)
    X = chunk_coefficients(R, finishers)
    found = {
        (chunk, part, message.worker): coefficient
        for message in AllFinishers(tuple(map(tuple, R.tolist()))).choose(finishers)
        for chunk, part, coefficient in message.terms
    }
    expected = {
        (chunk, part, worker): X[chunk][part, worker]
        for chunk, workers in finishers.items()
        for worker in workers
        for part in range(n_parts)
    }
    assert found == pytest.approx(expected, abs=1e-9)


def test_with_equal_rows_and_one_part_every_copy_has_the_same_weight():
    np.testing.assert_allclose(mixing_coefficients(np.ones((4, 1))), np.full((1, 4), 0.25))


@pytest.mark.parametrize("frame", ["cosine", "random"])
@pytest.mark.parametrize(("n", "replication"), [(6, 4), (7, 3), (8, 5)])
def test_any_replication_minus_l_workers_may_be_absent(n, replication, frame):
    """All patterns, l = 1 .. 4; with one more the error is the number of chunks that lack a copy."""
    for n_parts in range(1, min(4, replication) + 1):
        code = partial_stragglers(n, replication, n_parts=n_parts, frame=frame)
        assert code.n_stragglers == replication - n_parts
        for s in (code.n_stragglers, code.n_stragglers + 1):
            for absent in combinations(range(n), s):
                holders = enumerate(code.assignment.holders)
                finishers = {chunk: set(workers) - set(absent) for chunk, workers in holders}
                found = decode(code, code.requester.choose(finishers))
                error = coefficient_error(map(len, finishers.values()), n_parts)
                assert found.residual**2 == pytest.approx(error, abs=1e-9)
                assert found.exact == (error == 0)
                assert found.exact or s > code.n_stragglers


def test_replication_leaves_as_many_copies_as_adaptive_message_lengths_need():
    """With s' workers absent every chunk keeps at least replication - s' copies: l may be that."""
    for n, replication in [(6, 4), (7, 3), (8, 5)]:
        holders = partial_stragglers(n, replication).assignment.holders
        for s in range(replication):
            for absent in combinations(range(n), s):
                assert min(len(set(workers) - set(absent)) for workers in holders) >= replication - s


@pytest.mark.parametrize(("n", "replication"), [(6, 4), (7, 3), (8, 5)])
def test_messages_adapt_to_the_real_number_of_stragglers(n, replication):
    """Adaptive gradient coding: with s' absent the answer is exact, with replication - s' parts or more."""
    most = min(4, replication)
    code = partial_stragglers(n, replication, n_parts=most, adaptive=True)
    for s in range(replication):
        for absent in combinations(range(n), s):
            holders = enumerate(code.assignment.holders)
            received = code.requester.choose({chunk: set(who) - set(absent) for chunk, who in holders})
            assert parts_of(code, received) >= min(most, replication - s)
            assert decode(code, received).exact


@pytest.mark.parametrize(("n_parts", "worst", "error"), [(2, 24.4, 2e-7), (3, 133, 4e-7), (4, 260, 1e-6)])
def test_the_cosine_frame_with_distinct_colours_is_well_conditioned(n_parts, worst, error):
    """cyclic(200, 8): worst condition of the finishers' rows, and float32 messages at the last moment."""
    code = partial_stragglers(200, 8, n_parts=n_parts)
    colour = colours(code.assignment)
    assert max(colour) == 7
    rows = cosine_frame(8, n_parts)
    plain = rows / np.where(np.arange(n_parts) > 0, np.sqrt(2), 1)  # as published, the first column longer
    conditions = [
        max(np.linalg.cond(frame[list(own)]) for own in combinations(range(8), n_parts))
        for frame in (plain, rows)
    ]
    assert conditions[0] == pytest.approx(worst, rel=0.01)
    assert conditions[1] <= 1.03 * conditions[0]
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((200, 12 * n_parts))
    finishers = {
        chunk: set(rng.permutation(workers)[:n_parts].tolist())
        for chunk, workers in enumerate(code.assignment.holders)
    }
    messages = code.requester.choose(finishers)
    decoding = decode(code, messages)
    assert decoding.exact
    z = {w: np.float32(number).astype(np.float64) for w, number in sent(messages, gradients, n_parts).items()}
    found = decoding.weights.T @ np.array([z[message.worker] for message in messages])
    target = gradients.sum(axis=0)
    assert np.linalg.norm(found.reshape(-1) - target) / np.linalg.norm(target) <= 5 * error


def test_random_frames_depend_on_the_seed_only():
    one, two = (partial_stragglers(6, n_parts=2, frame="random", seed=seed) for seed in (1, 2))
    assert one.decoder != two.decoder
    assert one == partial_stragglers(6, n_parts=2, frame="random", seed=1)


def times_per_position(rng, rounds, n, load, n_dead):
    """Seconds at which each worker finishes each position; infinite for ``n_dead`` random workers."""
    speeds = rng.exponential(size=(rounds, n))
    dead = np.argsort(rng.random((rounds, n)), axis=1)[:, :n_dead]
    np.put_along_axis(speeds, dead, np.inf, axis=1)
    return speeds[:, :, None] * np.arange(1, load + 1)


def copies_at(orders, times):
    """For every round and chunk the sorted times of its copies, shape (rounds, N, load)."""
    n, load = len(orders), len(orders[0])
    workers, chunks = np.repeat(np.arange(n), load), np.concatenate(orders)
    by_chunk = np.argsort(chunks, kind="stable")
    flat = times.reshape(len(times), -1)[:, by_chunk]
    assert (workers[by_chunk].reshape(n, load) >= 0).all()
    return np.sort(flat.reshape(len(times), n, load), axis=2)


def random_orders(held, rng, n_draws=100):
    """Of many random orders the one with the smallest sum that Q_max(1) depends on."""
    held = np.array(held)
    best, best_value = None, np.inf
    for _ in range(n_draws):
        drawn = rng.permuted(held, axis=1)
        positions = np.zeros(len(held), dtype=int)
        np.add.at(positions, drawn, np.arange(1, held.shape[1] + 1)[None, :])
        if positions.max() < best_value:
            best, best_value = drawn, positions.max()
    return best


def completion(copies, n_parts):
    """Mean of the least whole T of 1 .. 49 at which every chunk has l copies."""
    return np.clip(np.ceil(copies[:, :, n_parts - 1].max(axis=1)), 1, 49).mean()


@pytest.mark.parametrize(
    ("placement", "table"),
    [
        ("G1", ((6.59, 2.84, 3.35), (9.49, 4.42, 5.09), (12.58, 6.38, 7.08))),
        ("cyclic", ((5.96, 2.75, 3.33), (8.63, 4.25, 5.02), (11.64, 6.15, 7.10))),
    ],
)
def test_published_completion_times(placement, table):
    """n = 200, 8 copies, 8 - l workers dead, Exp(1) per chunk: original / ordered / best random order."""
    n, load, rounds = 200, 8, 2000
    rng = np.random.default_rng(0)
    if placement == "cyclic":
        held = [[(worker + k) % n for k in range(load)] for worker in range(n)]
        ordered = np.array(held)
    else:
        held = neighbours(n, random_regular_graph(n, load, rng))
        ordered = np.array(matching_order(held))
    drawn = random_orders(held, rng)
    for n_parts, (original, ours, random_order) in enumerate(table, 1):
        times = times_per_position(rng, rounds, n, load, load - n_parts)
        whole = np.broadcast_to(times[:, :, -1:], times.shape)
        assert completion(copies_at(ordered, whole), n_parts) == pytest.approx(original, rel=0.03)
        assert completion(copies_at(ordered, times), n_parts) == pytest.approx(ours, rel=0.03)
        assert completion(copies_at(drawn, times), n_parts) == pytest.approx(random_order, rel=0.06)


@pytest.mark.parametrize(
    ("n", "table"),
    [
        (200, {1: {}, 2: {3: 1.48}, 3: {3: 4.34, 6: 0.538}}),
        (300, {1: {}, 2: {3: 1.76}, 3: {3: 5.16, 6: 0.614}}),
    ],
)
def test_published_mean_errors_at_a_deadline(n, table):
    """Random 8-regular graph, 7 workers dead: mean of sqrt(sum max(0, l - |S_i|)) where it is above .4."""
    rng = np.random.default_rng(0)
    ordered = np.array(matching_order(neighbours(n, random_regular_graph(n, 8, rng))))
    copies = copies_at(ordered, times_per_position(rng, 1000, n, 8, 7))
    for n_parts, row in table.items():
        for deadline, expected in row.items():
            missing = np.maximum(0, n_parts - (copies <= deadline).sum(axis=2)).sum(axis=1)
            assert np.sqrt(missing).mean() == pytest.approx(expected, rel=0.15)
        for deadline, most in {1: {3: 0.2}, 2: {6: 0.1}, 3: {9: 0.1}}[n_parts].items():
            missing = np.maximum(0, n_parts - (copies <= deadline).sum(axis=2)).sum(axis=1)
            assert 0 <= np.sqrt(missing).mean() < most


def test_messages_of_the_code_have_one_over_l_of_the_numbers():
    code = partial_stragglers(4, n_parts=2)
    messages = code.requester.choose(finished(CYCLIC, (3, 3, 3, 3)))
    z = sent(messages, GRADIENTS, 2)
    assert all(numbers.shape == (1,) for numbers in z.values())
    found = decode(code, messages).weights.T @ np.array([z[m.worker] for m in messages])
    np.testing.assert_allclose(found.reshape(-1), (16, 20))


def test_nobody_finished_asks_for_nothing():
    assert AllFinishers(((1.0,),)).choose({0: ()}) == ()


def test_a_message_is_the_value_that_a_worker_is_asked_for():
    assert AllFinishers(((2.0,), (4.0,))).choose({0: [1]}) == (Message(1, (Term(0, 0, 0.25),)),)


def test_the_assignment_does_not_depend_on_the_number_of_parts():
    one, two = partial_stragglers(6, 3, 2), partial_stragglers(6, 3, 2, n_parts=2)
    assert one.assignment == two.assignment == Assignment(12, one.assignment.orders)


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((4, 3, 1, 4), "n_parts", "from 1 to replication = 3"),
        ((4, 3, 1, 0), "n_parts", "from 1"),
        ((4, 3, 1, 2, "fourier"), "frame", "cosine or random"),
        ((4, 3, 1, 2, "random", -1), "seed", "at least 0"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        partial_stragglers(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
