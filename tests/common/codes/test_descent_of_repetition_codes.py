"""Exact codes change nothing about training: coded gradient descent takes the steps of plain descent."""

from __future__ import annotations

import numpy as np
import pytest

from common.codes.base import decode
from common.spec import make_code

N_STEPS = 100


@pytest.mark.parametrize(
    ("spec", "n", "s"),
    [
        ("reed_solomon_repetition(8, 3)", 8, 3),
        ("grouped(cyclic_repetition(5, 2), 10)", 10, 2),
        ("grouped(reed_solomon_repetition(4, 1), 8)", 8, 1),
        ("partial_naive_fractional(6, 2, 5)", 6, 2),
        ("partial_naive_cyclic(7, 2, 5)", 7, 2),
        ("erasurehead(8, 4, 8)", 8, 3),
        ("all_subsets(6, 2, 3)", 6, 2),
        ("sum_and_non_owned(7, 2, 3)", 7, 2),
        ("cyclic_partial(8, 2, 8)", 8, 2),
    ],
)
def test_a_hundred_coded_steps_equal_a_hundred_plain_steps(spec, n, s):
    """Least squares on random rows; other stragglers every step. Naive codes miss second messages only."""
    code = make_code(spec, n)
    rng = np.random.default_rng(0)
    rows_per_chunk, width = 4, 5
    X = rng.standard_normal((code.n_chunks, rows_per_chunk, width))
    y = rng.standard_normal((code.n_chunks, rows_per_chunk))
    rate = 0.5 / np.linalg.norm(X.reshape(-1, width), 2) ** 2
    coded, plain = np.ones(width), np.ones(width)
    for _ in range(N_STEPS):
        late = set(rng.permutation(n)[:s].tolist())
        keeps_first = spec.startswith("partial_naive")
        received = [
            message
            for number, message in enumerate(code.messages)
            if message.worker not in late or (keeps_first and number % 2 == 0)
        ]
        gradients = np.einsum("crw,cr->cw", X, X @ coded - y)
        sent = [sum(t.coefficient * gradients[t.chunk] for t in message.terms) for message in received]
        coded = coded - rate * (decode(code, received).weights[:, 0] @ np.array(sent))
        plain = plain - rate * np.einsum("crw,cr->w", X, X @ plain - y)
    assert np.linalg.norm(coded - plain) <= 1e-8 * np.linalg.norm(plain)
