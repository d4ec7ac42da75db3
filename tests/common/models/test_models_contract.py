"""What every model promises, tried on every member of MODELS."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import common
from common.errors import InvalidSpec
from common.models import MODELS, ModelShape, make_model

N_FEATURES = 4
N_OUTPUTS = {"linear": 1, "logistic": 1, "softmax": 3}
"""One line a model: with how many outputs it is tried here."""


def labels(name, rng, rows):
    return {
        "linear": lambda: rng.normal(size=rows),
        "logistic": lambda: rng.choice([-1.0, 1.0], size=rows),
        "softmax": lambda: rng.integers(N_OUTPUTS["softmax"], size=rows),
    }[name]()


def example(name, intercept=True, rows=23, seed=0):
    rng = np.random.default_rng(seed)
    model = make_model(ModelShape(name, N_FEATURES, N_OUTPUTS[name], intercept))
    X = rng.normal(size=(rows, N_FEATURES)) * (rng.random((rows, N_FEATURES)) < 0.6)
    return model, rng.normal(size=model.n_parameters), X, labels(name, rng, rows)


def both_layouts(X):
    return {"dense": X, "csr": scipy.sparse.csr_array(X), "csr matrix": scipy.sparse.csr_matrix(X)}


every_model = pytest.mark.parametrize("name", sorted(MODELS))
with_or_without_intercept = pytest.mark.parametrize("intercept", [True, False])


def test_every_member_is_tried():
    assert set(N_OUTPUTS) == set(MODELS)


@every_model
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 40), max_size=4), seed=st.integers(0, 2**32 - 1), intercept=st.booleans())
def test_sums_over_any_split_of_the_rows_add_up(name, cuts, seed, intercept):
    model, parameters, X, y = example(name, intercept, rows=40, seed=seed)
    loss, gradient = model.loss_and_gradient(parameters, X, y)
    ends = [0, *sorted(cuts), 40]
    parts = [model.loss_and_gradient(parameters, X[a:b], y[a:b]) for a, b in itertools.pairwise(ends)]
    scale = np.abs(X).sum() + 40
    assert sum(part[0] for part in parts) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(sum(part[1] for part in parts), gradient, rtol=1e-12, atol=1e-12 * scale)


@every_model
@with_or_without_intercept
def test_gradient_is_the_slope_of_the_loss(name, intercept):
    model, parameters, X, y = example(name, intercept)
    _, gradient = model.loss_and_gradient(parameters, X, y)
    step = 1e-6
    slopes = []
    for direction in np.eye(model.n_parameters):
        above, _ = model.loss_and_gradient(parameters + step * direction, X, y)
        below, _ = model.loss_and_gradient(parameters - step * direction, X, y)
        slopes.append((above - below) / (2 * step))
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-6)


@every_model
@with_or_without_intercept
def test_dense_and_csr_agree(name, intercept):
    model, parameters, X, y = example(name, intercept)
    loss, gradient = model.loss_and_gradient(parameters, X, y)
    for layout in both_layouts(X).values():
        sparse_loss, sparse_gradient = model.loss_and_gradient(parameters, layout, y)
        assert sparse_loss == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(sparse_gradient, gradient, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            model.predict(parameters, layout), model.predict(parameters, X), rtol=1e-12
        )
        assert model.score(parameters, layout, y) == pytest.approx(model.score(parameters, X, y), rel=1e-12)


@every_model
@with_or_without_intercept
def test_an_intercept_equals_an_appended_column_of_ones(name, intercept):
    model, parameters, X, y = example(name, intercept=True)
    plain = make_model(ModelShape(name, N_FEATURES + 1, N_OUTPUTS[name], intercept=False))
    with_ones = np.hstack([X, np.ones((len(X), 1))])
    loss, gradient = model.loss_and_gradient(parameters, X, y)
    plain_loss, plain_gradient = plain.loss_and_gradient(parameters, with_ones, y)
    assert loss == pytest.approx(plain_loss, rel=1e-12)
    np.testing.assert_allclose(gradient, plain_gradient, rtol=1e-12, atol=1e-12)


@every_model
def test_arguments_are_never_changed(name):
    model, parameters, X, y = example(name)
    for layout in both_layouts(X).values():
        held = [
            parameters,
            y,
            *([layout] if isinstance(layout, np.ndarray) else [layout.data, layout.indices]),
        ]
        before = [array.copy() for array in held]
        for array in held:
            array.flags.writeable = False
        model.loss_and_gradient(parameters, layout, y)
        model.predict(parameters, layout)
        model.score(parameters, layout, y)
        for array, copy in zip(held, before, strict=True):
            np.testing.assert_array_equal(array, copy)
            array.flags.writeable = True


@every_model
@with_or_without_intercept
def test_shapes_start_and_mask(name, intercept):
    model, parameters, X, y = example(name, intercept)
    n_outputs = N_OUTPUTS[name]
    d = n_outputs * (N_FEATURES + intercept)
    assert model.n_parameters == d == len(parameters)
    assert model.shape == ModelShape(name, N_FEATURES, n_outputs, intercept)
    np.testing.assert_array_equal(model.initial(), np.zeros(d))
    assert model.initial().dtype == np.float64
    assert model.regularised().tolist() == [True] * (N_FEATURES * n_outputs) + [False] * (
        n_outputs * intercept
    )
    loss, gradient = model.loss_and_gradient(parameters, X, y)
    assert type(loss) is float
    assert gradient.shape == (d,)
    assert model.predict(parameters, X).shape == (len(X),)
    assert model.score_name in {"accuracy", "r2"}
    assert MODELS[name].tasks
    assert set(MODELS[name].tasks) <= {"regression", "binary", "classes"}
    assert model.score(parameters, X, y) <= 1.0


@every_model
def test_intercepts_alone_predict_every_row_alike(name):
    model, parameters, X, _ = example(name)
    zeroed = np.where(model.regularised(), 0.0, parameters)
    assert len(set(model.predict(zeroed, X).tolist())) == 1


@every_model
def test_the_dtype_of_the_parameters_decides(name):
    model, parameters, X, y = example(name)
    loss, gradient = model.loss_and_gradient(parameters, X, y)
    narrow = parameters.astype(np.float32)
    for features in (X, X.astype(np.float32), scipy.sparse.csr_array(X.astype(np.float32))):
        narrow_loss, narrow_gradient = model.loss_and_gradient(narrow, features, y)
        assert narrow_gradient.dtype == np.float32
        assert narrow_loss == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(narrow_gradient, gradient, rtol=1e-4, atol=1e-4)
    assert model.loss_and_gradient(parameters, X.astype(np.float32), y)[1].dtype == np.float64
    whole = np.round(10 * X).astype(np.int64)
    np.testing.assert_array_equal(
        model.loss_and_gradient(parameters, whole, y)[1],
        model.loss_and_gradient(parameters, whole.astype(float), y)[1],
    )


@every_model
def test_rows_that_have_the_dtype_are_not_copied(name):
    rows = 20_000
    X = np.random.default_rng(1).normal(size=(rows, N_FEATURES * 50))
    model = make_model(ModelShape(name, X.shape[1], N_OUTPUTS[name], intercept=True))
    y = labels(name, np.random.default_rng(2), rows)
    tracemalloc.start()
    model.loss_and_gradient(model.initial(), X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 5


@every_model
@pytest.mark.parametrize("size", [1e3, 1e30, 1e150, 1e300])
def test_extreme_parameters_give_a_finite_loss(name, size):
    """Where the loss itself is a float64: not for squares of errors beyond 1e154."""
    model, parameters, X, y = example(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, gradient = model.loss_and_gradient(size * parameters, X, y)
    if name == "linear" and size > 1e150:
        assert loss == np.inf
    else:
        assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
    assert loss > 0.0


@every_model
def test_numbers_out_of_range_are_reported_by_value_not_by_warning(name):
    model, _, X, y = example(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, gradient = model.loss_and_gradient(np.full(model.n_parameters, np.inf), X, y)
        assert not np.isfinite(loss) or not np.isfinite(gradient).all()


@every_model
def test_no_rows(name):
    model, parameters, X, y = example(name)
    for layout in both_layouts(X[:0]).values():
        loss, gradient = model.loss_and_gradient(parameters, layout, y[:0])
        assert loss == 0.0
        np.testing.assert_array_equal(gradient, np.zeros(model.n_parameters))
        assert model.predict(parameters, layout).shape == (0,)
        assert np.isnan(model.score(parameters, layout, y[:0]))


@every_model
def test_predicted_labels_score_perfectly(name):
    model, parameters, X, _ = example(name)
    own = model.predict(parameters, X)
    assert model.score(parameters, X, own) == 1.0
    assert own.dtype == (np.int64 if name == "softmax" else np.float64)


def test_unknown_model_is_refused():
    with pytest.raises(InvalidSpec, match="model: must be one of linear, logistic, softmax, got 'tree'"):
        make_model(ModelShape("tree", 1, 1, True))


@pytest.mark.parametrize(
    ("name", "n_features", "n_outputs"),
    [("linear", 0, 1), ("linear", 3, 0), ("linear", 3, 2), ("logistic", 3, 2), ("softmax", 3, 1)],
)
def test_impossible_shapes_are_refused(name, n_features, n_outputs):
    with pytest.raises(InvalidSpec):
        make_model(ModelShape(name, n_features, n_outputs, True))


def test_importing_the_models_loads_no_heavy_library():
    heavy = "{'scipy', 'sklearn', 'pydantic', 'typer', 'rich', 'aiohttp', 'structlog'}"
    program = f"import sys, common.models; print(sorted({heavy} & set(sys.modules)))"
    root = Path(common.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert found.stdout.strip() == "[]"
