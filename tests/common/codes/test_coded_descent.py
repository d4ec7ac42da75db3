from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from common.codes.base import decode
from common.spec import make_code

N_ROWS, N_FEATURES = 120, 7


def gradients(X, y, point, n_chunks):
    """The gradient of the sum of squared errors over every chunk, shape (n_chunks, features)."""
    bounds = [k * N_ROWS // n_chunks for k in range(n_chunks + 1)]
    return np.array([2 * X[a:b].T @ (X[a:b] @ point - y[a:b]) for a, b in pairwise(bounds)])


def decoded(code, absent, own):
    """What the master adds up: messages are computed from gradients cut into zero-padded parts."""
    length = -(-N_FEATURES // code.n_parts)
    padded = np.zeros((code.n_chunks, code.n_parts * length))
    padded[:, :N_FEATURES] = own
    parts = padded.reshape(code.n_chunks, code.n_parts, length)
    if code.on_request:
        holders = enumerate(code.assignment.holders)
        received = code.requester.choose({chunk: set(workers) - absent for chunk, workers in holders})
    else:
        received = [message for message in code.messages if message.worker not in absent]
    sent = [sum(c * parts[chunk, part] for chunk, part, c in message.terms) for message in received]
    return (decode(code, received).weights.T @ np.array(sent)).reshape(-1)[:N_FEATURES]


@pytest.mark.parametrize(
    ("spec", "n"),
    [
        ("communication_efficient_fractional(n, 2, 2)", 12),
        ("communication_efficient_fractional(n, 1, 3)", 8),
        ("ye_abbe(n, 2, 2)", 10),
        ("partial_stragglers(n, 4, n_parts=3)", 9),
        ('partial_stragglers(n, 3, 2, n_parts=2, frame="random")', 6),
        ("resolvable_design(n, 4, n_parts=2)", 12),
        ('block_design(n, "affine")', 12),
        ("glasgow_wootters(n, 6)", 60),
        ("uncoded_streaming(n, 3)", 12),
    ],
)
def test_a_hundred_steps_of_coded_descent_equal_central_ones(spec, n):
    """With s stragglers that change from step to step, to 1e-8 relative."""
    code = make_code(spec, n)
    assert code.n_stragglers >= 1
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N_ROWS, N_FEATURES)), rng.standard_normal(N_ROWS)
    coded, central = np.zeros(N_FEATURES), np.zeros(N_FEATURES)
    for _ in range(100):
        absent = set(rng.permutation(n)[: code.n_stragglers].tolist())
        coded = coded - 1e-3 * decoded(code, absent, gradients(X, y, coded, code.n_chunks))
        central = central - 1e-3 * 2 * X.T @ (X @ central - y)
    assert np.linalg.norm(coded - central) <= 1e-8 * np.linalg.norm(central)
