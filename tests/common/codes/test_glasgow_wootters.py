from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes import graph_decoder
from common.codes.base import Message, Term, certify, decode
from common.codes.decoders import LeastSquares
from common.codes.designs import petersen_graph, random_regular_graph
from common.codes.glasgow_wootters import edges_to_spare, glasgow_wootters
from common.codes.graph_decoder import CoverVertices, EdgeWeights, edge_coefficients
from common.errors import InvalidSpec


@st.composite
def graphs(draw):
    n_vertices = draw(st.integers(2, 9))
    possible = list(combinations(range(n_vertices), 2))
    return n_vertices, draw(st.lists(st.sampled_from(possible), max_size=14))


class Shape:
    n_parts = 1

    def __init__(self, n_chunks):
        self.n_chunks = n_chunks


def as_messages(edges):
    return [Message(w, (Term(u, 0, 1.0), Term(v, 0, 1.0))) for w, (u, v) in enumerate(edges)]


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_the_closed_form_is_least_squares_for_any_graph(case):
    """Forests, cycles odd and even, several components, isolated vertices, repeated edges."""
    n_vertices, edges = case
    received = as_messages(edges)
    best = certify(n_vertices, 1, received, LeastSquares().weights(Shape(n_vertices), received))
    found = certify(n_vertices, 1, received, EdgeWeights().weights(Shape(n_vertices), received))
    closed = edge_coefficients(n_vertices, np.array(edges, dtype=np.intp).reshape(-1, 2))
    np.testing.assert_allclose(closed, best.coefficients[:, 0], atol=1e-9)
    np.testing.assert_allclose(found.coefficients[:, 0], closed, atol=1e-12)
    for u, v in edges:
        assert closed[u] + closed[v] == pytest.approx(2), "every surviving edge adds up to 2"


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_the_tally_suffices_exactly_when_all_coefficients_are_one(case):
    n_vertices, edges = case
    tally = CoverVertices(n_vertices, tuple(edges)).start()
    for number in range(len(edges)):
        tally.arrived(number)
        closed = edge_coefficients(n_vertices, np.array(edges[: number + 1], dtype=np.intp))
        assert tally.may_suffice == bool(np.allclose(closed, 1))


@pytest.mark.parametrize(("n", "degree"), [(30, 3), (100, 4), (240, 6)])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.6])
def test_random_stragglers_are_decoded_as_by_least_squares(n, degree, p):
    code, rng = glasgow_wootters(n, degree, seed=1), np.random.default_rng(0)
    received = [message for message in code.messages if rng.random() > p]
    found = decode(code, received)
    best = certify(code.n_chunks, 1, received, LeastSquares().weights(code, received))
    np.testing.assert_allclose(found.coefficients, best.coefficients, atol=1e-10)
    assert found.noise_amplification <= 1.1 * best.noise_amplification


def test_weights_stay_small_because_they_are_smoothed_before_the_forest(monkeypatch):
    code = glasgow_wootters(3000, 6)
    received = code.messages[300:]
    smooth = decode(code, received)
    monkeypatch.setattr(graph_decoder, "SMOOTHING_STEPS", 0)
    forest_only = decode(code, received)
    np.testing.assert_allclose(forest_only.coefficients, smooth.coefficients, atol=1e-9)
    assert smooth.noise_amplification < forest_only.noise_amplification / 4


def test_long_chains_are_decoded_too():
    """A path and an even cycle of 2,000 vertices: the forest is as deep as it can be."""
    n = 2001
    path = as_messages([(k, k + 1) for k in range(n - 1)])
    found = certify(n, 1, path, EdgeWeights().weights(Shape(n), path))
    np.testing.assert_allclose(
        found.coefficients[:, 0],
        edge_coefficients(n, np.array([[k, k + 1] for k in range(n - 1)])),
        atol=1e-8,
    )
    assert found.residual**2 == pytest.approx(1 / n, abs=1e-9)


def test_the_error_falls_almost_like_the_share_of_stragglers_to_the_power_d():
    rng = np.random.default_rng(0)
    for degree in (3, 4):
        code = glasgow_wootters(6000, degree)
        for p in (0.3, 0.4):
            errors = []
            for _ in range(4):
                received = [message for message in code.messages if rng.random() > p]
                errors.append(decode(code, received).residual ** 2 / code.n_chunks)
            assert p**degree / 1.5 <= np.mean(errors) <= 1.5 * p**degree


def survivable(n_vertices, edges):
    """Largest s such that all sets of s missing edges leave coefficients of one."""
    for s in range(len(edges) + 1):
        for kept in combinations(edges, len(edges) - s):
            if not np.allclose(
                edge_coefficients(n_vertices, np.array(kept, dtype=np.intp).reshape(-1, 2)), 1
            ):
                return s - 1
    return len(edges)


@pytest.mark.parametrize(("n_vertices", "degree"), [(4, 3), (5, 4), (6, 3), (8, 3), (7, 4), (9, 2), (10, 3)])
def test_so_many_edges_may_really_be_missing(n_vertices, degree):
    for seed in range(3):
        edges = tuple(random_regular_graph(n_vertices, degree, np.random.default_rng(seed)))
        assert 0 <= edges_to_spare(n_vertices, degree, edges) <= survivable(n_vertices, edges)


def test_edges_to_spare_of_known_graphs():
    petersen = tuple((u, v) for u, own in enumerate(petersen_graph()) for v in own if u < v)
    assert edges_to_spare(10, 3, petersen) == survivable(10, petersen) == 2
    complete = tuple(combinations(range(8), 2))
    assert edges_to_spare(8, 7, complete) == 6
    cube = tuple((u, u | 1 << k) for u in range(8) for k in range(3) if not u >> k & 1)
    assert edges_to_spare(8, 3, cube) == 0, "no odd cycle to begin with"
    assert glasgow_wootters(600, 6).n_stragglers == 5
    assert glasgow_wootters(3000, 6).n_stragglers == 5, "by a few steps of Lanczos"


def test_ten_thousand_workers_are_decoded_within_100_ms():
    code = glasgow_wootters(10_000, 4)
    received = code.messages[500:]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        decode(code, received)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.1


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((11, 4), "n_workers", "divided by degree = 4 and be more than its square, such as 10 or 12"),
        ((8, 4), "n_workers", "such as 10"),
        ((12, 2**63), "n_workers", f"such as {2**62 * (2**63 + 1)}"),
        ((12, 10**5), "n_workers", "such as 5000050000"),
        ((10, 1), "degree", "at least 2"),
        ((10, 4, -1), "seed", "at least 0"),
        ((2,), "n_workers", "at least 3"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        glasgow_wootters(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
