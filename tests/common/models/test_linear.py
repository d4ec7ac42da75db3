from __future__ import annotations

import numpy as np
import pytest

from common.models import ModelShape, make_model


@pytest.fixture
def model():
    return make_model(ModelShape("linear", 2, 1, True))


def test_loss_and_gradient_by_hand(model):
    X = np.array([[1.0, 2.0], [3.0, -1.0]])
    y = np.array([1.0, 2.0])
    loss, gradient = model.loss_and_gradient(np.array([1.0, 0.5, -1.0]), X, y)
    # Errors: 1 + 1 - 1 - 1 = 0 and 3 - 0.5 - 1 - 2 = -0.5.
    assert loss == 0.125
    assert gradient.tolist() == [-1.5, 0.5, -0.5]


def test_gradient_is_zero_at_the_least_squares_solution(model):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    best = np.linalg.lstsq(np.hstack([X, np.ones((30, 1))]), y, rcond=None)[0]
    np.testing.assert_allclose(model.loss_and_gradient(best, X, y)[1], 0.0, atol=1e-12)


def test_float32_squares_beyond_its_range_still_give_a_finite_loss(model):
    parameters = np.array([1e30, 0.0, 0.0], dtype=np.float32)
    loss, _ = model.loss_and_gradient(parameters, np.ones((1, 2), dtype=np.float32), np.zeros(1))
    assert loss == pytest.approx(0.5e60, rel=1e-6)


def test_r2(model):
    X, y = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), np.array([0.0, 1.0, 2.0])
    assert model.score(np.array([1.0, 0.0, 0.0]), X, y) == 1.0
    assert model.score(np.array([0.0, 0.0, 1.0]), X, y) == 0.0
    assert model.score(np.array([0.0, 0.0, 3.0]), X, y) == -6.0


def test_r2_of_equal_labels(model):
    X, y = np.ones((3, 2)), np.full(3, 4.0)
    assert model.score(np.array([0.0, 0.0, 4.0]), X, y) == 1.0
    assert model.score(np.array([0.0, 0.0, 5.0]), X, y) == 0.0
