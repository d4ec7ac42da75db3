from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes import designs
from common.codes.designs import (
    affine_classes,
    difference_set_blocks,
    nearest,
    neighbours,
    paley_graph,
    petersen_graph,
    projective_plane,
    random_biregular,
    random_regular_graph,
    rook_graph,
    sizes,
    triangular_graph,
)
from common.codes.signed import incidence
from common.errors import InvalidSpec


@pytest.mark.parametrize("q", [2, 3, 4, 5, 7, 8, 9, 16])
def test_any_two_lines_of_a_projective_plane_share_one_point(q):
    n = q * q + q + 1
    A = incidence(projective_plane(q), n)
    np.testing.assert_array_equal(A.T @ A, q * np.eye(n) + 1)
    np.testing.assert_array_equal(A @ A.T, q * np.eye(n) + 1)


@pytest.mark.parametrize("q", [2, 3, 4, 5, 8, 9])
def test_lines_of_an_affine_plane_are_parallel_or_meet_once(q):
    classes = affine_classes(q)
    assert len(classes) == q + 1
    A = incidence([line for parallel in classes for line in parallel], q * q)
    same = np.kron(np.eye(q + 1), np.ones((q, q)))
    np.testing.assert_array_equal(A.T @ A, q * np.eye(q * q + q) + 1 - same)
    assert all(sorted(sum(parallel, ())) == list(range(q * q)) for parallel in classes)


@pytest.mark.parametrize(
    ("n", "residues", "shared"),
    [
        (7, [0, 1, 3], 1),
        (13, [0, 1, 3, 9], 1),
        (91, [0, 1, 3, 9, 27, 49, 56, 61, 77, 81], 1),
        (11, [1, 3, 4, 5, 9], 2),
        (15, [0, 1, 2, 4, 5, 8, 10], 3),
    ],
)
def test_translates_of_a_difference_set_are_a_symmetric_design(n, residues, shared):
    blocks, found = difference_set_blocks(n, residues)
    assert found == shared
    A = incidence(blocks, n)
    np.testing.assert_array_equal(A.T @ A, (len(residues) - shared) * np.eye(n) + shared)


@pytest.mark.parametrize(
    ("n", "residues", "rule"),
    [
        (7, [0, 1, 2], "1 comes 2 times and 3 0 times"),
        (7, [0, 1, 8], "distinct numbers modulo n"),
        (7, [0], "2 to n - 1 = 6"),
    ],
)
def test_what_is_no_difference_set_is_refused_with_the_reason(n, residues, rule):
    with pytest.raises(InvalidSpec) as caught:
        difference_set_blocks(n, residues)
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("graph", "parameters"),
    [
        (petersen_graph(), (10, 3, 0, 1)),
        (paley_graph(13), (13, 6, 2, 3)),
        (paley_graph(9), (9, 4, 1, 2)),
        (paley_graph(25), (25, 12, 5, 6)),
        (triangular_graph(6), (15, 8, 4, 4)),
        (triangular_graph(4), (6, 4, 2, 4)),
        (rook_graph(4), (16, 6, 2, 2)),
    ],
)
def test_graphs_are_strongly_regular(graph, parameters):
    n, degree, adjacent, apart = parameters
    A = incidence(graph, n)
    np.testing.assert_array_equal(A, A.T)
    np.testing.assert_array_equal(
        A @ A, (degree - apart) * np.eye(n) + (adjacent - apart) * A + apart * np.ones((n, n))
    )


@pytest.mark.parametrize("q", [7, 12, 21])
def test_there_is_no_such_paley_graph(q):
    with pytest.raises(InvalidSpec, match="leave 1 divided by 4"):
        paley_graph(q)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_placements_are_biregular(data):
    n_workers, load = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 6))
    options = [
        rho
        for rho in range(1, n_workers + 1)
        if n_workers * load % rho == 0 and n_workers * load // rho >= load
    ]
    rho = data.draw(st.sampled_from(options))
    n_chunks = n_workers * load // rho
    held = random_biregular(n_chunks, n_workers, rho, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert [len(set(chunks)) for chunks in held] == [load] * n_workers
    assert np.bincount(np.concatenate(held), minlength=n_chunks).tolist() == [rho] * n_chunks


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_graphs_are_simple_and_regular(data):
    n = data.draw(st.integers(1, 14))
    degree = data.draw(st.sampled_from([d for d in range(n) if n * d % 2 == 0]))
    edges = random_regular_graph(n, degree, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert len(set(edges)) == len(edges) == n * degree // 2
    assert all(u < v for u, v in edges)
    assert [len(own) for own in neighbours(n, edges)] == [degree] * n


def test_chance_comes_from_the_generator_only():
    one, two, other = (random_biregular(30, 30, 4, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one == two != other


@pytest.mark.parametrize(("n", "degree"), [(5, 3), (4, 4), (4, -1)])
def test_there_is_no_such_regular_graph(n, degree):
    with pytest.raises(InvalidSpec, match="degree"):
        random_regular_graph(n, degree, np.random.default_rng(0))


def test_there_is_no_such_biregular_placement():
    with pytest.raises(InvalidSpec, match="divided by n_workers = 4"):
        random_biregular(5, 4, 2, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("family", "build"),
    [
        ("projective", projective_plane),
        ("affine", lambda q: sum(affine_classes(q), ())),
        ("paley", paley_graph),
        ("triangular", triangular_graph),
        ("rook", rook_graph),
        ("petersen", lambda order: petersen_graph()),
    ],
)
def test_sizes_say_how_many_workers_there_are(family, build):
    found = sizes(family)
    assert max(found) <= designs.MOST_BLOCKS
    for n, order in list(found.items())[:8]:
        assert len(build(order)) == n


def test_nearest_possible_numbers():
    assert nearest([4, 9, 16], 9) == "4 or 16"
    assert nearest([4, 9, 16], 1) == "4"
    assert nearest([], 1) == ""
