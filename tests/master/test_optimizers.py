from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import InvalidSpec
from master.optimizers import (
    OPTIMIZERS,
    RATES,
    ConstantRate,
    InverseTimeRate,
    StepRate,
    make_optimizer,
)

RATE_FOR = {"gradient_descent": 0.2, "momentum": 0.05, "nesterov": 0.05, "accelerated": 0.2}
"""One line an optimiser: the rate with which it is tried on the quadratic below."""

every_optimizer = pytest.mark.parametrize("name", sorted(OPTIMIZERS))

CURVATURE = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])
LINEAR = np.array([1.0, -2.0, 3.0])
START = np.array([5.0, -4.0, 2.0])


def slope(point):
    """Gradient of the quadratic ``x'Ax/2 - b'x``."""
    return CURVATURE @ point - LINEAR


def made(name, rate=None):
    return make_optimizer(name, START, rate or ConstantRate(RATE_FOR[name]), momentum=0.8)


def advance(optimizer, n_steps):
    for _ in range(n_steps):
        optimizer.step(slope(optimizer.point))
    return optimizer


def test_every_member_is_tried():
    assert set(RATE_FOR) == set(OPTIMIZERS)


# ---- what every optimiser promises -------------------------------------------------------------------------


@every_optimizer
@pytest.mark.parametrize(
    "rate_of", [ConstantRate, lambda r: StepRate(r, 100, 0.5), lambda r: InverseTimeRate(r, 0.001)]
)
def test_converges_on_a_quadratic(name, rate_of):
    optimizer = advance(made(name, rate_of(RATE_FOR[name])), 400)
    best = np.linalg.solve(CURVATURE, LINEAR)
    assert np.linalg.norm(optimizer.parameters - best) < 1e-2 * np.linalg.norm(START - best)
    assert optimizer.steps == 400


@every_optimizer
def test_starts_at_the_given_parameters(name):
    start = START.copy()
    optimizer = make_optimizer(name, start, ConstantRate(0.1))
    start[:] = 99.0
    np.testing.assert_array_equal(optimizer.parameters, START)
    np.testing.assert_array_equal(optimizer.point, START)
    assert optimizer.parameters.dtype == np.float64


@every_optimizer
@pytest.mark.parametrize("n_steps", [0, 1, 7])
def test_a_restored_optimizer_goes_on_identically(name, n_steps):
    rate = StepRate(0.05, every=3, factor=0.5)
    original = advance(made(name, rate), n_steps)
    saved = {key: np.array(value) for key, value in original.state().items()}
    other = advance(made(name, rate), 2)
    other.restore(saved)
    for _ in range(10):
        np.testing.assert_array_equal(other.point, original.point)
        np.testing.assert_array_equal(other.parameters, original.parameters)
        advance(original, 1)
        advance(other, 1)
    assert original.state().keys() == other.state().keys()
    assert original.steps == other.steps == n_steps + 10


@every_optimizer
def test_a_state_is_a_snapshot(name):
    optimizer = advance(made(name), 3)
    state = optimizer.state()
    before = {key: np.array(value) for key, value in state.items()}
    advance(optimizer, 5)
    for key, value in state.items():
        np.testing.assert_array_equal(value, before[key])
    assert all(isinstance(value, np.ndarray | int | float) for value in state.values())
    optimizer.restore(state)
    before["parameters"][:] = -1.0
    np.testing.assert_array_equal(optimizer.parameters, state["parameters"])


@every_optimizer
def test_what_is_restored_is_copied(name):
    optimizer = advance(made(name), 3)
    state = {key: np.array(value) for key, value in optimizer.state().items()}
    expected = {key: value.copy() for key, value in state.items()}
    optimizer.restore(state)
    for value in state.values():
        value *= 0
    for key, value in optimizer.state().items():
        np.testing.assert_array_equal(value, expected[key])


@every_optimizer
def test_arrays_handed_out_never_change(name):
    optimizer = made(name)
    handed_out = []
    for _ in range(6):
        handed_out += [(array, array.copy()) for array in (optimizer.point, optimizer.parameters)]
        advance(optimizer, 1)
    for array, copy in handed_out:
        np.testing.assert_array_equal(array, copy)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


@every_optimizer
def test_the_gradient_is_neither_kept_nor_changed(name):
    one, two = made(name), made(name)
    buffer = np.empty(3)
    for _ in range(4):
        buffer[:] = slope(one.point)
        copy = buffer.copy()
        one.step(buffer)
        np.testing.assert_array_equal(buffer, copy)
        two.step(slope(two.point))
    buffer[:] = np.nan
    np.testing.assert_array_equal(one.parameters, two.parameters)


@every_optimizer
def test_numbers_that_are_not_finite_pass_on_to_the_parameters(name):
    optimizer = made(name)
    optimizer.step(np.array([np.inf, np.nan, 1.0]))
    assert np.isfinite(optimizer.parameters).tolist() == [False, False, True]


@every_optimizer
def test_a_foreign_state_is_refused(name):
    optimizer = made(name)
    state = optimizer.state()
    with pytest.raises(InvalidSpec, match="optimizer state: must have the keys"):
        optimizer.restore({**state, "other": 1})
    with pytest.raises(InvalidSpec, match="optimizer state: must have the keys"):
        optimizer.restore({})
    with pytest.raises(InvalidSpec, match="optimizer state parameters: must have shape"):
        optimizer.restore({**state, "parameters": np.zeros(4)})
    np.testing.assert_array_equal(optimizer.parameters, START)


# ---- the formulas, three steps each, written out -----------------------------------------------------------

ETA = [0.1, 0.1, 0.05]
CHANGING_RATE = StepRate(0.1, every=2, factor=0.5)


def test_gradient_descent_is_its_formula():
    optimizer = advance(made("gradient_descent", CHANGING_RATE), 3)
    beta = START
    beta = beta - ETA[0] * slope(beta)
    beta = beta - ETA[1] * slope(beta)
    beta = beta - ETA[2] * slope(beta)
    np.testing.assert_allclose(optimizer.parameters, beta, rtol=1e-14)


def test_momentum_is_its_formula():
    optimizer = advance(made("momentum", CHANGING_RATE), 3)
    v1 = -ETA[0] * slope(START)
    beta1 = START + v1
    v2 = 0.8 * v1 - ETA[1] * slope(beta1)
    beta2 = beta1 + v2
    v3 = 0.8 * v2 - ETA[2] * slope(beta2)
    np.testing.assert_allclose(optimizer.parameters, beta2 + v3, rtol=1e-14)
    np.testing.assert_array_equal(optimizer.point, optimizer.parameters)


def test_nesterov_is_its_formula_with_the_gradient_at_the_look_ahead_point():
    optimizer = advance(made("nesterov", CHANGING_RATE), 3)
    v1 = -ETA[0] * slope(START)
    beta1 = START + v1
    v2 = 0.8 * v1 - ETA[1] * slope(beta1 + 0.8 * v1)
    beta2 = beta1 + v2
    v3 = 0.8 * v2 - ETA[2] * slope(beta2 + 0.8 * v2)
    np.testing.assert_allclose(optimizer.parameters, beta2 + v3, rtol=1e-14)
    np.testing.assert_allclose(optimizer.point, beta2 + v3 + 0.8 * v3, rtol=1e-14)


def test_accelerated_is_the_published_update_with_the_gradient_at_beta():
    optimizer = advance(made("accelerated", CHANGING_RATE), 3)
    beta0 = START
    # i = 0, theta = 1: y = u = beta0.
    beta1 = beta0 - ETA[0] * slope(beta0)
    u1 = beta0 + (beta1 - beta0)
    # i = 1, theta = 2/3.
    beta2 = beta1 / 3 + 2 / 3 * u1 - ETA[1] * slope(beta1)
    u2 = beta1 + (beta2 - beta1) * 3 / 2
    # i = 2, theta = 1/2.
    beta3 = beta2 / 2 + u2 / 2 - ETA[2] * slope(beta2)
    np.testing.assert_allclose(optimizer.parameters, beta3, rtol=1e-14)
    np.testing.assert_array_equal(optimizer.point, optimizer.parameters)


def test_accelerated_is_heavy_ball_with_growing_momentum():
    """Eliminating u: y - beta = theta_i (1/theta_(i-1) - 1) (last move), which is (i-1)/(i+2) of it."""
    optimizer = made("accelerated")
    beta, last = START, START
    for i in range(8):
        y = beta + (max(i - 1, 0) / (i + 2)) * (beta - last)
        beta, last = y - RATE_FOR["accelerated"] * slope(beta), beta
        advance(optimizer, 1)
        np.testing.assert_allclose(optimizer.parameters, beta, rtol=1e-12)


def test_without_momentum_all_three_are_gradient_descent():
    plain = advance(make_optimizer("gradient_descent", START, CHANGING_RATE), 5)
    for name in ("momentum", "nesterov"):
        other = advance(make_optimizer(name, START, CHANGING_RATE, momentum=0.0), 5)
        np.testing.assert_allclose(other.parameters, plain.parameters, rtol=1e-14)


# ---- rates -------------------------------------------------------------------------------------------------


def test_rates():
    assert [ConstantRate(0.3).at(step) for step in (0, 1, 1000)] == [0.3, 0.3, 0.3]
    assert [StepRate(1.0, 3, 0.1).at(step) for step in (0, 2, 3, 5, 6)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )
    assert [InverseTimeRate(2.0, 1.0).at(step) for step in (0, 1, 3)] == [2.0, 1.0, 0.5]
    assert InverseTimeRate(2.0, 0.0).at(50) == 2.0


def test_rates_are_values_with_names():
    assert RATES["step"](0.1, every=5, factor=0.5) == StepRate(0.1, 5, 0.5)
    assert RATES["constant"](0.1) == ConstantRate(0.1)
    assert RATES["inverse_time"](0.1, decay=2.0) == InverseTimeRate(0.1, 2.0)
    assert len({ConstantRate(0.1), ConstantRate(0.1)}) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantRate(0.0),
        lambda: ConstantRate(math.nan),
        lambda: ConstantRate(math.inf),
        lambda: StepRate(-1.0, 2, 0.5),
        lambda: StepRate(1.0, 0, 0.5),
        lambda: StepRate(1.0, 2, 0.0),
        lambda: StepRate(1.0, 2, 1.5),
        lambda: InverseTimeRate(1.0, -0.1),
        lambda: InverseTimeRate(1.0, math.inf),
        lambda: make_optimizer("adam", START, ConstantRate(0.1)),
        lambda: make_optimizer("momentum", START, ConstantRate(0.1), momentum=1.0),
        lambda: make_optimizer("momentum", START, ConstantRate(0.1), momentum=-0.1),
    ],
)
def test_impossible_values_are_refused(make):
    with pytest.raises(InvalidSpec):
        make()
