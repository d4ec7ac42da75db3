from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax

from common.models import ModelShape, make_model


def test_weights_come_feature_by_feature_then_the_intercepts():
    model = make_model(ModelShape("softmax", 2, 3, True))
    parameters = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 0.1, 0.2, 0.3])
    X, y = np.array([[1.0, 0.1]]), np.array([1])
    scores = np.array([2.1, 4.2, 6.3])
    loss, gradient = model.loss_and_gradient(parameters, X, y)
    assert loss == pytest.approx(-log_softmax(scores)[1], rel=1e-14)
    slopes = np.exp(log_softmax(scores)) - [0.0, 1.0, 0.0]
    np.testing.assert_allclose(gradient, np.concatenate([slopes, 0.1 * slopes, slopes]), rtol=1e-13)


def test_zero_parameters_cost_log_of_the_classes_a_row():
    model = make_model(ModelShape("softmax", 2, 5, True))
    loss, _ = model.loss_and_gradient(model.initial(), np.ones((7, 2)), np.arange(7) % 5)
    assert loss == pytest.approx(7 * math.log(5))


def test_two_classes_equal_logistic_regression():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(20, 3)), rng.integers(2, size=20)
    weights = rng.normal(size=3)
    softmax = make_model(ModelShape("softmax", 3, 2, False))
    logistic = make_model(ModelShape("logistic", 3, 1, False))
    both = np.stack([np.zeros(3), weights], axis=1).ravel()
    loss, gradient = softmax.loss_and_gradient(both, X, y)
    expected_loss, expected_gradient = logistic.loss_and_gradient(weights, X, 2.0 * y - 1.0)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(gradient.reshape(3, 2)[:, 1], expected_gradient, rtol=1e-10, atol=1e-12)


def test_labels_may_arrive_as_floats():
    model = make_model(ModelShape("softmax", 1, 3, True))
    X, y = np.arange(6.0).reshape(6, 1), np.arange(6) % 3
    parameters = np.linspace(-1.0, 1.0, 6)
    np.testing.assert_array_equal(
        model.loss_and_gradient(parameters, X, y)[1],
        model.loss_and_gradient(parameters, X, y.astype(float))[1],
    )
    assert model.score(parameters, X, y) == model.score(parameters, X, y.astype(float))
