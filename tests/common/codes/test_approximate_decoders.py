from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array

from common.codes.approximate_decoders import FixedWeights, NormalEquations, SymmetricDesign, normal_solution
from common.codes.base import Message, certify
from common.codes.bipartite import bipartite
from common.codes.block_design import block_design
from common.codes.decoders import LeastSquares
from common.codes.resolvable_design import resolvable_design
from common.codes.strongly_regular import strongly_regular

SOLVED = [
    bipartite(40, 3, 6),
    bipartite(36, 2, 4, n_parts=3),
    bipartite(24, 3, 4, signs="random", seed=1),
    bipartite(40, 3, 6, signs="null_space"),
    strongly_regular(13, n_parts=2),
    strongly_regular(16, "rook", n_parts=3),
    block_design(20, "affine", n_parts=2),
    resolvable_design(20, 4),
    resolvable_design(12, 4, frame="hadamard"),
]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_normal_equations_agree_with_least_squares_on_random_received_sets(data):
    code = data.draw(st.sampled_from(SOLVED))
    numbers = data.draw(st.lists(st.integers(0, code.n_workers - 1), unique=True))
    received = [code.messages[number] for number in numbers]
    quick = NormalEquations().weights(code, received)
    slow = LeastSquares().weights(code, received)
    assert quick.shape == slow.shape
    scale = max(1.0, np.abs(slow).max(initial=0.0))
    np.testing.assert_allclose(quick, slow, atol=2e-5 * scale)
    errors = [certify(code.n_chunks, code.n_parts, received, W).residual for W in (quick, slow)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_closed_form_of_symmetric_designs_agrees_with_least_squares(data):
    design = data.draw(
        st.sampled_from([(7, "fano"), (13, "projective"), (21, "projective"), (11, [1, 3, 4, 5, 9])])
    )
    n_parts = data.draw(st.integers(1, 4))
    code = block_design(*design, n_parts=n_parts, signs="random", seed=data.draw(st.integers(0, 9)))
    assert isinstance(code.decoder, SymmetricDesign)
    numbers = data.draw(st.lists(st.integers(0, code.n_workers - 1), unique=True))
    received = [code.messages[number] for number in numbers]
    np.testing.assert_allclose(
        code.decoder.weights(code, received), LeastSquares().weights(code, received), atol=1e-9
    )


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_normal_solution_has_least_norm_for_any_rank(shape):
    rng = np.random.default_rng(0)
    for rank in range(1, min(shape) + 1):
        E = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
        target = rng.standard_normal((shape[0], 2))
        expected = np.linalg.pinv(E, rcond=1e-9) @ target
        found = normal_solution(csc_array(E), target)
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
        np.testing.assert_allclose(E @ found, E @ expected, atol=1e-6)


def test_nothing_received_has_no_weights():
    code = bipartite(40, 3, 6)
    for decoder in (
        NormalEquations(),
        FixedWeights(((1.0, 2.0),) * 40),
        SymmetricDesign(3, 1, ((1.0, 1.0),) * 40),
    ):
        assert decoder.weights(code, []).shape == (0, 2)


def test_messages_without_terms_get_no_weight():
    assert not NormalEquations().weights(bipartite(40, 3, 6), [Message(0, ()), Message(1, ())]).any()


def test_fixed_weights_are_scaled_by_probability_or_number():
    code = bipartite(8, 2, 4)
    rows = tuple((float(worker), 1.0) for worker in range(8))
    received = [code.messages[worker] for worker in (5, 2)]
    plain = FixedWeights(rows).weights(code, received)
    assert plain.tolist() == [[5.0, 1.0], [2.0, 1.0]]
    np.testing.assert_allclose(FixedWeights(rows, probability=0.2).weights(code, received), plain / 0.8)
    np.testing.assert_allclose(FixedWeights(rows, rescaled=True).weights(code, received), plain * 8 / 2)


def test_systems_too_large_for_a_dense_factor_are_left_to_sparse_ways():
    code = bipartite(2400, 2, 2, n_parts=1, decoder="unbiased")
    received = code.messages[5:]
    found = certify(code.n_chunks, 1, received, NormalEquations().weights(code, received))
    best = certify(code.n_chunks, 1, received, LeastSquares().weights(code, received))
    assert found.residual == pytest.approx(best.residual, abs=1e-6)
