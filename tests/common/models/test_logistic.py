from __future__ import annotations

import math

import numpy as np
import pytest

from common.models import ModelShape, make_model


@pytest.fixture
def model():
    return make_model(ModelShape("logistic", 1, 1, False))


def test_loss_and_gradient_by_hand(model):
    loss, gradient = model.loss_and_gradient(np.array([0.5]), np.array([[2.0], [1.0]]), np.array([1.0, -1.0]))
    assert loss == pytest.approx(math.log1p(math.exp(-1.0)) + math.log1p(math.exp(0.5)), rel=1e-15)
    expected = -2.0 / (1.0 + math.exp(1.0)) + 1.0 / (1.0 + math.exp(-0.5))
    assert gradient[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("margin", "loss"), [(800.0, 0.0), (-800.0, 800.0), (40.0, math.exp(-40.0))])
def test_loss_is_accurate_far_from_zero(model, margin, loss):
    found, gradient = model.loss_and_gradient(np.array([margin]), np.array([[1.0]]), np.array([1.0]))
    assert found == pytest.approx(loss, rel=1e-12)
    assert gradient[0] == pytest.approx(-math.exp(-margin) if margin > 0 else -1.0, rel=1e-12)


def test_predictions_and_accuracy(model):
    X = np.array([[1.0], [-2.0], [0.0]])
    assert model.predict(np.array([1.0]), X).tolist() == [1.0, -1.0, 1.0]
    assert model.score(np.array([1.0]), X, np.array([1.0, 1.0, 1.0])) == pytest.approx(2 / 3)
