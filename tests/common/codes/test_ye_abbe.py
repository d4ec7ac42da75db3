from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from common.codes.base import Message, certify, decode
from common.codes.decoders import encoding_matrix
from common.codes.quality import MOST_NOISE_FLOAT32
from common.codes.ye_abbe import coefficients, measured_noise, points, ye_abbe
from common.errors import InvalidSpec


@pytest.mark.parametrize("n", range(1, 11))
def test_every_pattern_of_s_stragglers_can_be_decoded(n):
    for s in range(n):
        for m in range(1, n - s + 1):
            E = coefficients(points(n), s + m, m).transpose(1, 0, 2).reshape(m * n, n)
            E /= np.abs(E).max(axis=0)
            present = np.array(list(combinations(range(n), n - s)))
            own = E[:, present].transpose(1, 0, 2)
            J = np.kron(np.eye(m), np.ones((n, 1)))
            weights = np.linalg.pinv(own, rcond=1e-12) @ J
            assert np.linalg.norm(own @ weights - J, axis=(1, 2)).max() < 1e-9


def test_every_pattern_of_the_largest_example_is_decoded():
    code = ye_abbe(10, 3, 2)
    assert code.assignment.max_load == code.assignment.replication == 5, "the least load possible"
    for absent in combinations(range(10), 3):
        assert decode(code, [m for m in code.messages if m.worker not in absent]).residual < 1e-9


@pytest.mark.parametrize(("n", "s", "m"), [(5, 1, 2), (6, 2, 2), (7, 2, 3), (4, 0, 4)])
def test_the_inverse_of_the_vandermonde_matrix_reads_the_parts(n, s, m):
    """As published: coefficients n - d .. n - d + m - 1 of the polynomial through n - s unscaled messages."""
    theta, load = points(n), s + m
    values = coefficients(theta, load, m)
    np.testing.assert_allclose(
        np.where(np.abs(values).max(axis=1) > 1e-12, 1, 0),
        [[(chunk - worker) % n < load for worker in range(n)] for chunk in range(n)],
    )
    E = values.transpose(1, 0, 2).reshape(m * n, n)
    for present in combinations(range(n), n - s):
        inverse = np.linalg.inv(np.vander(theta[list(present)], increasing=True))
        weights = inverse[n - load : n - load + m].T
        J = np.kron(np.eye(m), np.ones((n, 1)))
        np.testing.assert_allclose(E[:, present] @ weights, J, atol=1e-8)


def test_scaling_messages_changes_weights_only():
    code = ye_abbe(6, 2, 2)
    largest = [max(abs(term.coefficient) for term in message.terms) for message in code.messages]
    np.testing.assert_allclose(largest, 1.0)
    E = encoding_matrix(6, 2, code.messages).toarray()
    raw = coefficients(points(6), 4, 2).transpose(1, 0, 2).reshape(12, 6)
    np.testing.assert_allclose(E, raw / np.abs(raw).max(axis=0), atol=1e-12)


def test_points_are_distinct_and_neighbours_are_apart():
    for n in (1, 2, 5, 16, 64):
        theta = points(n)
        assert len(set(theta.tolist())) == n
    theta = points(40)
    assert np.abs(np.diff(theta)).min() > 0.3


def test_few_stragglers_and_parts_are_carried_at_64_workers():
    assert measured_noise(ye_abbe(64, 1, 2)) < 1e3


@pytest.mark.parametrize("arguments", [(40, 10, 4), (20, 5, 5)])
def test_what_float32_cannot_carry_is_refused_with_the_measured_number(arguments):
    with pytest.raises(InvalidSpec) as caught:
        ye_abbe(*arguments)
    text = str(caught.value)
    assert "communication_efficient_fractional" in text
    measured = float(text.partition("does so ")[2].partition(" times")[0])
    assert measured > MOST_NOISE_FLOAT32


def test_float32_messages_lose_what_the_noise_says():
    code, rng = ye_abbe(20, 3, 2), np.random.default_rng(0)
    noise = measured_noise(code)
    gradients = rng.standard_normal((40, 100))
    sent = (encoding_matrix(20, 2, code.messages).T @ gradients).astype(np.float32).astype(np.float64)
    received: list[Message] = list(code.messages[3:])
    W = code.decoder.weights(code, received)
    assert certify(20, 2, received, W).exact
    target = gradients.reshape(2, 20, 100).sum(axis=1)
    error = np.linalg.norm(W.T @ sent[3:] - target) / np.linalg.norm(gradients, axis=1).max()
    assert error <= 6e-8 * noise * 40


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((65, 1), "n_workers", "from 1 to 64"),
        ((5, 5), "n_stragglers", "from 0 to n_workers - 1 = 4"),
        ((5, 3, 3), "n_parts", "from 1 to n_workers - n_stragglers = 2"),
        ((5, 3, 0), "n_parts", "from 1"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        ye_abbe(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
