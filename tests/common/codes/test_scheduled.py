from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.base import decode
from common.codes.partial_stragglers import partial_stragglers
from common.codes.scheduled import scheduled
from common.errors import InvalidSpec
from common.spec import make_code

BOUNDED = settings(max_examples=30, deadline=None)


@st.composite
def sizes(draw):
    n = draw(st.integers(1, 14))
    return n, draw(st.integers(1, n)), draw(st.integers(1, 5))


@BOUNDED
@given(sizes(), st.sampled_from(["random", "cyclic"]), st.integers(0, 5))
def test_placement_is_balanced(size, placement, seed):
    n, copies, each = size
    assignment = scheduled(n, copies, each, placement=placement, seed=seed).assignment
    assert assignment.n_chunks == n * each
    assert [len(set(order)) for order in assignment.orders] == [each * copies] * n
    assert [len(set(holders)) for holders in assignment.holders] == [copies] * (n * each)


@BOUNDED
@given(sizes(), st.integers(0, 5))
def test_each_layer_of_a_random_placement_is_spread_evenly(size, seed):
    n, copies, each = size
    for order in scheduled(n, copies, each, seed=seed).assignment.orders:
        assert np.bincount(np.array(order) // n, minlength=each).tolist() == [copies] * each


def test_layers_are_drawn_apart():
    assignment = scheduled(12, 3, 6).assignment
    layers = {tuple(assignment.holders[12 * layer : 12 * layer + 12]) for layer in range(6)}
    assert len(layers) == 6


def test_a_cyclic_placement_gives_neighbours_common_chunks():
    assignment = scheduled(5, 3, 2, placement="cyclic").assignment
    assert assignment.orders[1] == (2, 3, 4, 5, 6, 7)
    assert assignment.orders[4] == (0, 1, 2, 3, 8, 9)
    assert assignment.holders[8] == (2, 3, 4)


def test_a_random_placement_leaves_no_two_places_much_in_common():
    def most_in_common(placement: str) -> int:
        orders = [set(order) for order in scheduled(32, 3, 8, placement=placement).assignment.orders]
        return max(len(a & b) for i, a in enumerate(orders) for b in orders[:i])

    assert most_in_common("random") <= 8 < most_in_common("cyclic") == 16


def test_the_placement_depends_on_the_seed_only():
    orders = [scheduled(9, 3, 2, seed=seed).assignment.orders for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert scheduled(9, 3, 2, n_parts=2).assignment.orders == orders[0]


def test_the_master_hands_out_chunks_and_asks_for_messages():
    code = scheduled(6, 3, 4)
    assert code.scheduled
    assert code.on_request
    assert code.messages == ()
    assert code.n_stragglers == 2
    assert code.shares == (4.0,) * 6
    assert not partial_stragglers(6, 3, 4).scheduled
    assert partial_stragglers(6, 3, 4).shares == (12.0,) * 6


def test_with_more_parts_every_place_computes_that_much_more():
    code = scheduled(6, 3, 4, n_parts=2)
    assert code.shares == (8.0,) * 6
    assert (code.n_parts, code.n_stragglers) == (2, 1)
    assert scheduled(6, 3, 4, n_parts=2, adaptive=True).n_stragglers == 2


def test_specs_are_canonical():
    code = make_code("scheduled(n, 3, 2, placement='cyclic')", 6)
    assert code.spec == scheduled(6, 3, 2, placement="cyclic").spec
    assert make_code(code.spec, 6).assignment == code.assignment
    assert make_code("scheduled(n)", 6).spec == scheduled(6, 3, 8).spec


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("frame", ["cosine", "random"])
def test_any_l_finishers_of_every_chunk_give_the_sum(parts, frame):
    code = scheduled(7, 4, 2, n_parts=parts, frame=frame, seed=3)
    rng = np.random.default_rng(parts)
    for _ in range(5):
        finishers = {
            chunk: set(rng.choice(holders, size=parts, replace=False).tolist())
            for chunk, holders in enumerate(code.assignment.holders)
        }
        tally = code.stop_rule.start()
        for chunk, places in finishers.items():
            assert not tally.may_suffice
            for place in places:
                tally.finished(place, chunk)
        assert tally.may_suffice
        assert decode(code, code.requester.choose(finishers)).exact


def test_few_workers_are_asked_when_many_have_finished_the_same():
    code = scheduled(6, 6, 2)
    (message,) = code.requester.choose({chunk: set(range(6)) for chunk in range(12)})
    assert len(message.terms) == 12
    assert decode(code, [message]).exact


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"n_workers": 0}, "n_workers"),
        ({"replication": 0}, "replication"),
        ({"replication": 7}, "replication"),
        ({"chunks_per_worker": 0}, "chunks_per_worker"),
        ({"n_parts": 0}, "n_parts"),
        ({"n_parts": 4}, "n_parts"),
        ({"placement": "spiral"}, "placement"),
        ({"seed": -1}, "seed"),
        ({"frame": "gilded"}, "frame"),
        ({"frame": "gilded", "n_parts": 2}, "frame"),
        ({"adaptive": 1}, "adaptive"),
        ({"n_workers": 10**5, "chunks_per_worker": 10**6}, "n_workers x load"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(arguments, field):
    with pytest.raises(InvalidSpec) as caught:
        scheduled(**{"n_workers": 6, "replication": 3, "chunks_per_worker": 4, **arguments})
    assert field in str(caught.value)
    assert "\n" not in str(caught.value)
