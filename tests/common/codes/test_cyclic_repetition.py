from __future__ import annotations

from itertools import combinations
from math import sqrt

import numpy as np
import pytest

from common.codes.base import Message, Term, certify, decode
from common.codes.cyclic_repetition import N_DRAWS, _noise, _random_rows, cyclic_repetition
from common.codes.decoders import LeastSquares, encoding_matrix
from common.codes.quality import straggler_patterns
from common.errors import InvalidSpec

GOLDEN_RATIO = (1 + sqrt(5)) / 2


def matrix(code):
    """B: rows are workers, columns are chunks."""
    return encoding_matrix(code.n_chunks, 1, code.messages).toarray().T


def weights(code, workers):
    return decode(code, [code.messages[worker] for worker in workers]).weights[:, 0]


def test_the_example_of_three_workers_and_one_straggler():
    """B and A of the opening example of gradient coding: A B is all ones, and A is the only such A."""
    B = np.array([[0.5, 1, 0], [0, 1, -1], [0.5, 0, 1]])
    A = np.array([[0, 1, 2], [1, 0, 1], [2, -1, 0]])
    messages = [
        Message(worker, tuple(Term(int(chunk), 0, float(row[chunk])) for chunk in np.flatnonzero(row)))
        for worker, row in enumerate(B)
    ]
    for row in A:
        responding = [messages[worker] for worker in np.flatnonzero(row)]
        assert certify(3, 1, messages, row[:, None].astype(float)).exact
        found = LeastSquares().weights(cyclic_repetition(3, 1), responding)[:, 0]
        np.testing.assert_allclose(found, row[row != 0], atol=1e-12)


@pytest.mark.parametrize(
    ("n", "s", "row"),
    [
        (4, 1, [1, 1, 0, 0]),
        (5, 2, [1, GOLDEN_RATIO, 1, 0, 0]),
        (6, 3, [1, 2, 2, 1, 0, 0]),
        (5, 4, [1, 1, 1, 1, 1]),
        (3, 0, [1, 0, 0]),
    ],
)
def test_golden_circulants_of_the_real_cyclic_mds_code(n, s, row):
    expected = [np.roll(row, worker) for worker in range(n)]
    np.testing.assert_allclose(matrix(cyclic_repetition(n, s, "cyclic_mds")), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "s", "workers", "expected"),
    [
        (5, 2, (2, 3, 4), (1, -0.618034, 1)),
        (5, 2, (0, 2, 4), (0.381966, 0.618034, 0.381966)),
        (6, 3, (0, 1, 2), (1, -1, 1)),
        (6, 3, (0, 2, 4), (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_golden_decoding_weights_of_the_real_cyclic_mds_code(n, s, workers, expected):
    np.testing.assert_allclose(weights(cyclic_repetition(n, s, "cyclic_mds"), workers), expected, atol=1e-6)


@pytest.mark.parametrize(("n", "s"), [(n, s) for n in range(2, 13) for s in range(1, n) if (n - s) % 2])
def test_cyclic_mds_decodes_every_pattern_with_small_weights(n, s):
    code = cyclic_repetition(n, s, "cyclic_mds")
    for absent in combinations(range(n), s):
        decoding = decode(code, [message for message in code.messages if message.worker not in absent])
        assert decoding.residual < 1e-9
        assert decoding.noise_amplification < 25


@pytest.mark.parametrize("n", range(2, 13))
def test_random_decodes_every_pattern_in_the_scale_free_sense(n):
    """||B_F' a - 1|| <= 1e-12 ||a|| ||B||_F for all sets F of n - s workers; a fixed bound would not hold."""
    for s in range(1, n):
        code = cyclic_repetition(n, s, "random")
        bound = 1e-12 * np.linalg.norm(matrix(code))
        for absent in combinations(range(n), s):
            received = [message for message in code.messages if message.worker not in absent]
            decoding = decode(code, received)
            assert decoding.residual <= bound * decoding.noise_amplification


@pytest.mark.parametrize(("n", "s"), [(5, 1), (8, 3), (12, 11), (20, 4)])
def test_random_rows_lie_in_a_null_space_of_dimension_n_minus_s(n, s):
    B = matrix(cyclic_repetition(n, s, "random"))
    assert np.linalg.matrix_rank(B, tol=1e-9 * np.linalg.norm(B, 2)) == n - s
    np.testing.assert_array_equal(np.diag(B), 1)
    for worker in range(n):
        held = {(worker + k) % n for k in range(s + 1)}
        assert (
            set(np.flatnonzero(B[worker])) == held == set(cyclic_repetition(n, s).assignment.orders[worker])
        )


def test_auto_takes_cyclic_mds_for_few_stragglers_where_it_is_real():
    def is_circulant(code):
        return all(
            np.allclose(np.roll(row, -worker), matrix(code)[0]) for worker, row in enumerate(matrix(code))
        )

    assert is_circulant(cyclic_repetition(8, 3))
    assert is_circulant(cyclic_repetition(9, 2))
    assert not is_circulant(cyclic_repetition(8, 2)), "n - s is even"
    assert not is_circulant(cyclic_repetition(9, 4)), "s is above 3"


def test_without_stragglers_every_variant_is_the_identity():
    for variant in ("auto", "random", "cyclic_mds"):
        np.testing.assert_array_equal(matrix(cyclic_repetition(6, 0, variant)), np.eye(6))


def test_the_seed_determines_the_random_variant():
    assert cyclic_repetition(8, 2, seed=3) == cyclic_repetition(8, 2, seed=3)
    assert cyclic_repetition(8, 2, seed=3).messages != cyclic_repetition(8, 2, seed=4).messages


@pytest.mark.parametrize(("n", "s"), [(10, 2), (20, 5), (50, 4)])
def test_the_search_keeps_the_draw_that_amplifies_noise_least(n, s):
    patterns = straggler_patterns(n, s, seed=7)
    noise = [
        _noise(_random_rows(n, s, np.random.default_rng([7, draw])), patterns) for draw in range(N_DRAWS)
    ]
    kept = np.array(
        [[t.coefficient for t in m.terms] for m in cyclic_repetition(n, s, "random", seed=7).messages]
    )
    assert _noise(kept, patterns) == min(noise)


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((8, 8), "n_stragglers", "from 0 to n_workers - 1 = 7"),
        ((8, -1), "n_stragglers", "from 0"),
        ((8, 2, "cyclic_mds"), "variant", "8 - 2 is even"),
        ((8, 3, "cauchy"), "variant", "auto, cyclic_mds, random"),
        ((8, 2, "random", -1), "seed", "at least 0"),
        ((8, 2, "random", 0.5), "seed", "whole number"),
        ((1002, 2), "n_workers", "at most 500"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        cyclic_repetition(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
