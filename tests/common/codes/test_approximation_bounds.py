from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from common.codes.approximation_bounds import (
    adversarial_lower_bound,
    biregular_bound,
    redrawn_signs_error,
)
from common.codes.bipartite import bipartite
from common.codes.block_design import block_design
from common.codes.designs import affine_classes, petersen_graph, projective_plane
from common.codes.frames import random_signs
from common.codes.signed import incidence

PLACEMENTS = {
    "fano": (projective_plane(2), 7),
    "affine": (tuple(line for parallel in affine_classes(3) for line in parallel), 9),
    "petersen": (petersen_graph(), 10),
}


def errors(E, n_chunks, n_parts, sets):
    """Least-squares error for every set of workers, all of one size."""
    J = np.kron(np.eye(n_parts), np.ones((n_chunks, 1)))
    own = E[:, np.array(sets)].transpose(1, 0, 2)
    return ((own @ (np.linalg.pinv(own) @ J) - J) ** 2).sum(axis=(1, 2))


@pytest.mark.parametrize("name", PLACEMENTS)
@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_no_encoding_beats_the_lower_bound(name, n_parts):
    """The exact worst case of random encoders; the bound is reached by some of these placements."""
    placement, n_chunks = PLACEMENTS[name]
    n, load = len(placement), len(placement[0])
    A = incidence(placement, n_chunks)
    rng = np.random.default_rng(0)
    E = np.concatenate([A * rng.standard_normal(A.shape) for _ in range(n_parts)])
    for s in range(5):
        sets = list(combinations(range(n), n - s))
        bound = adversarial_lower_bound(n_chunks, n, load, n_parts, s)
        assert errors(E, n_chunks, n_parts, sets).max() >= bound - 1e-9


def test_the_lower_bound_in_simple_cases():
    """N = n: t floor((s + m - t) / d); one part: floor(s / d)."""
    assert [adversarial_lower_bound(7, 7, 3, 1, s) for s in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert [adversarial_lower_bound(7, 7, 3, 2, s) for s in range(5)] == [0, 0, 1, 2, 2]
    assert adversarial_lower_bound(20, 40, 3, 2, 10) == 2


def test_mean_error_over_signs_when_all_answer_is_below_the_bound_for_equal_loads():
    rng = np.random.default_rng(0)
    for code in (bipartite(12, 3, 4, n_parts=1, signs="random"), block_design(13)):
        A = incidence(code.assignment.orders, code.n_chunks)
        for m in (2, 3):
            found = []
            for _ in range(100):
                D = random_signs(m, code.n_workers, rng)
                E = np.concatenate([A * signs for signs in D])
                found.append(errors(E, code.n_chunks, m, [tuple(range(code.n_workers))])[0])
            bound = biregular_bound(code.n_chunks, code.assignment.replication, m)
            assert np.mean(found) <= bound + 3 * np.std(found) / 10


def test_signs_drawn_anew_every_round_make_fixed_weights_unbiased():
    """Fano, two parts, p = 1/4: exact mean and error over all signs and all patterns of failures."""
    p, m = 0.25, 2
    A = incidence(projective_plane(2), 7)
    mean, error, J = np.zeros((14, 2)), 0.0, np.kron(np.eye(m), np.ones((7, 1)))
    patterns = np.array(list(product([0, 1], repeat=7)))
    chances = np.prod(np.where(patterns, 1 - p, p), axis=1)
    for signs in product([1.0, -1.0], repeat=7):
        D = np.array([np.ones(7), signs])
        E = np.concatenate([A * row for row in D])
        found = np.einsum("rj,fj,tj->frt", E, patterns / (3 * (1 - p)), D, optimize=True)
        mean += np.einsum("f,frt->rt", chances, found) / 2**7
        error += np.einsum("f,frt->", chances, (found - J) ** 2) / 2**7
    np.testing.assert_allclose(mean, J, atol=1e-12)
    assert error == pytest.approx(redrawn_signs_error(7, 3, m, p))


def shrinking(A, p):
    """Mean error and mean coefficient of least squares when every worker fails with probability p."""
    n_chunks, n = A.shape
    error, coefficients = 0.0, np.zeros(n_chunks)
    for size in range(1, n + 1):
        sets = np.array(list(combinations(range(n), size)))
        own = A[:, sets].transpose(1, 0, 2)
        achieved = own @ (np.linalg.pinv(own) @ np.ones((n_chunks, 1)))
        chance = p ** (n - size) * (1 - p) ** size
        error += chance * ((achieved - 1) ** 2).sum()
        coefficients += chance * achieved.sum(axis=0)[:, 0]
    return error + p**n * n_chunks, coefficients


@pytest.mark.parametrize(
    ("name", "c"), [("fano", 0.899415), ("petersen", 0.914846), ("affine", 0.971599), ("paley", 0.962944)]
)
def test_least_squares_shrinks_by_c_and_its_mean_error_is_n_times_1_minus_c(name, c):
    """Independent failures with probability .3, all patterns; every chunk alike, by symmetry."""
    if name == "paley":
        residues = [1, 3, 4, 9, 10, 12]
        A = np.array([[(i - j) % 13 in residues for j in range(13)] for i in range(13)], dtype=float)
    else:
        placement, n_chunks = PLACEMENTS[name]
        A = incidence(placement, n_chunks)
    error, coefficients = shrinking(A, 0.3)
    np.testing.assert_allclose(coefficients, c, atol=1e-6)
    assert error == pytest.approx(A.shape[0] * (1 - c), abs=2e-5)
