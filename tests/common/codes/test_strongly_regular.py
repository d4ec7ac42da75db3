from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from common.codes.approximation_bounds import biregular_bound, stacked_error, strongly_regular_bound
from common.codes.base import decode
from common.codes.designs import paley_graph, petersen_graph, triangular_graph
from common.codes.signed import incidence
from common.codes.strongly_regular import strongly_regular
from common.errors import InvalidSpec

PARAMETERS = {"petersen": (10, 3, 0, 1), "paley": (13, 6, 2, 3), "triangular": (15, 8, 4, 4)}
GRAPHS = {"petersen": petersen_graph(), "paley": paley_graph(13), "triangular": triangular_graph(6)}

# Mean error over all signs and all F for two parts, for s = 0, 1, 2, 3; bounds; baseline of equal parts.
TABLE = {
    "petersen": ((3.983, 4.727, 5.586, 6.578), (5, 5.706, 6.5, 7.4), (10, 10.18, 10.42, 10.72)),
    "paley": ((2.392, 2.780, 3.232), (3.714, 4.127, 4.595, 5.130), (13, 13.08, 13.17, 13.30)),
    "triangular": ((2.000, 2.267), (3.333, 3.647, 4, 4.4), (15, 15.07, 15.14, 15.23)),
}
# All sets of absent workers up to symmetry, with how many there are; the Petersen graph has all sets.
ABSENT = {
    "petersen": [[(absent, 1) for absent in combinations(range(10), s)] for s in range(4)],
    "paley": [[((), 1)], [((0,), 1)], [((0, 1), 39), ((0, 2), 39)]],
    "triangular": [[((), 1)], [((0,), 1)]],
}


def mean_error(A, F, signs):
    """Mean least-squares error over all rows of ``signs``, the signs of the second part."""
    G, ones = (A.T @ A)[np.ix_(F, F)], A.sum(axis=0)[F]
    D = np.stack([np.ones((len(signs), len(F))), signs[:, F]], axis=1)
    M = G * (1.0 + signs[:, F, None] * signs[:, None, F])
    B = (D * ones).transpose(0, 2, 1)
    return 2 * A.shape[0] - np.einsum("kjt,kjt->", np.linalg.solve(M, B), B) / len(signs)


@pytest.mark.parametrize("graph", PARAMETERS)
def test_exact_expectations_over_all_signs(graph):
    n = PARAMETERS[graph][0]
    A = incidence(GRAPHS[graph], n)
    free = np.array(list(product([1.0, -1.0], repeat=n - 1)))
    signs = np.concatenate([np.ones((len(free), 1)), free], axis=1)
    for s, sets in enumerate(ABSENT[graph]):
        found = weight = 0.0
        for absent, number in sets:
            F = [worker for worker in range(n) if worker not in absent]
            found += number * mean_error(A, F, signs)
            weight += number
        assert found / weight == pytest.approx(TABLE[graph][0][s], abs=0.005)
        assert found / weight <= TABLE[graph][1][s]


@pytest.mark.parametrize("graph", PARAMETERS)
def test_bounds_and_baselines(graph):
    n, degree, adjacent, apart = PARAMETERS[graph]
    code = strongly_regular(n, graph)
    rng = np.random.default_rng(0)
    for s in range(4):
        bound = strongly_regular_bound(n, degree, adjacent, apart, 2, n - s)
        assert bound == pytest.approx(TABLE[graph][1][s], abs=1e-3)
        patterns = list(combinations(range(n), s))
        chosen = rng.permutation(len(patterns))[:200]
        errors = [
            decode(code, [m for m in code.messages if m.worker not in patterns[k]]).residual ** 2
            for k in chosen
        ]
        assert stacked_error(n, 2, np.mean(errors)) == pytest.approx(TABLE[graph][2][s], abs=0.02)
    assert biregular_bound(n, degree, 2) == pytest.approx(TABLE[graph][1][0], abs=1e-3)


@pytest.mark.parametrize(
    ("graph", "n", "load"), [("petersen", 10, 3), ("paley", 25, 12), ("triangular", 21, 10), ("rook", 25, 8)]
)
def test_with_one_part_it_is_exact_if_all_answer(graph, n, load):
    code = strongly_regular(n, graph)
    assert (code.n_chunks, code.assignment.max_load, code.assignment.replication) == (n, load, load)
    found = decode(code, code.messages)
    assert found.exact
    np.testing.assert_allclose(found.weights, 1 / load, atol=1e-9)
    assert 0 < decode(code, code.messages[1:]).residual ** 2 < 1


def test_with_more_parts_nothing_is_exact():
    code = strongly_regular(13, n_parts=2)
    assert code.n_stragglers == 0
    assert decode(code, code.messages).residual ** 2 == pytest.approx(2.4, abs=0.4)


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((7,), "n_workers", "paley graph, such as 5 or 9"),
        ((21,), "n_workers", "paley graph, such as 17 or 25"),
        ((9, "petersen"), "n_workers", "petersen graph, such as 10"),
        ((12, "triangular"), "n_workers", "such as 10 or 15"),
        ((12, "rook"), "n_workers", "such as 9 or 16"),
        ((13, "kneser"), "graph", "petersen, paley, triangular, rook"),
        ((13, "paley", 0), "n_parts", "at least 1"),
        ((13, "paley", 1, 13), "n_stragglers", "from 0 to n_workers - 1 = 12"),
        ((13, "paley", 2, 0, "none"), "signs", "balanced or random"),
        ((997,), "n_workers x load x n_parts", "at most 50 ms"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        strongly_regular(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
