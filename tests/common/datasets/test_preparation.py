from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.sparse

from common.datasets.base import RawData
from common.datasets.preparation import prepare, standardised
from common.errors import InvalidData, InvalidSpec


def raw(X, y=None):
    X = X if scipy.sparse.issparse(X) else np.array(X, dtype=float)
    y = np.linspace(0.0, 1.0, X.shape[0]) if y is None else np.array(y)
    return RawData("data", X, y, tuple(f"x{column}" for column in range(X.shape[1])))


def sparse_example():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(40, 5)) * (rng.random((40, 5)) < 0.4)
    dense[:, 2] = 3.7
    dense[:, 3] = 0.0
    return dense


@pytest.mark.parametrize("layout", [np.array, scipy.sparse.csr_array])
def test_raw_rows_are_not_changed(layout):
    source = raw(layout(sparse_example()))
    prepare(source)
    assert abs(source.X - layout(sparse_example())).max() == 0.0


def test_constant_columns_become_zero_and_are_not_divided():
    data = prepare(raw(np.column_stack([np.full(30, 0.1), np.arange(30.0)])))
    assert data.scale[0] == 1.0
    np.testing.assert_array_equal(data.X_train[:, 0], 0.0)


def test_csr_is_scaled_but_not_centred():
    dense = sparse_example()
    data, reference = prepare(raw(scipy.sparse.csr_array(dense))), prepare(raw(dense))
    np.testing.assert_array_equal(data.mean, np.zeros(5))
    np.testing.assert_allclose(data.scale, reference.scale, rtol=1e-12)
    assert data.scale[2:4].tolist() == [1.0, 1.0]
    plain = prepare(raw(dense), standardise=False)
    np.testing.assert_allclose(data.X_train.toarray(), plain.X_train / reference.scale, rtol=1e-12)
    np.testing.assert_allclose(data.X_held.toarray(), plain.X_held / reference.scale, rtol=1e-12)
    np.testing.assert_array_equal(data.y_train, plain.y_train)
    assert data.X_train.nnz == np.count_nonzero(plain.X_train)


def test_held_out_rows_do_not_influence_the_statistics():
    X = np.arange(40.0).reshape(20, 2)
    before = prepare(raw(X))
    held = np.isin(np.arange(20), np.random.default_rng(0).permutation(20)[16:])
    X[held] += 1e6
    after = prepare(raw(X))
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.scale, after.scale)
    assert before.digest == after.digest


@pytest.mark.parametrize("layout", [np.array, scipy.sparse.csr_array])
def test_new_rows_are_standardised_alike(layout):
    dense = sparse_example()
    data, plain = prepare(raw(layout(dense))), prepare(raw(layout(dense)), standardise=False)
    new = plain.X_held.copy()
    found = standardised(new, data.mean, data.scale)
    assert abs(found - data.X_held).max() == 0.0
    assert abs(new - plain.X_held).max() == 0.0
    assert standardised(new, plain.mean, plain.scale) is new


@pytest.mark.parametrize(
    ("n_rows", "held_out", "n_held"),
    [(10, 0.0, 0), (10, 0.2, 2), (10, 0.26, 3), (10, 0.001, 1), (2, 0.6, 1), (1, 0.0, 0)],
)
def test_how_many_rows_are_held_out(n_rows, held_out, n_held):
    data = prepare(raw(np.ones((n_rows, 1))), held_out=held_out, task="regression")
    assert (data.n_rows, len(data.y_held)) == (n_rows - n_held, n_held)


@pytest.mark.parametrize("held_out", [-0.1, 1.0, 1.5, math.nan])
def test_held_out_out_of_range_is_refused(held_out):
    with pytest.raises(InvalidData, match="held_out: must be at least 0 and below 1"):
        prepare(raw([[1.0], [2.0]]), held_out=held_out)


def test_no_row_left_for_training_is_refused():
    with pytest.raises(InvalidData, match="held_out: must leave at least one of the 1 rows"):
        prepare(raw([[1.0]]), held_out=0.2)
    with pytest.raises(InvalidData, match="held_out: must leave at least one of the 10 rows"):
        prepare(raw([[float(row)] for row in range(10)]), held_out=0.99)


@pytest.mark.parametrize("seed", [-1, 0.5, "x"])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InvalidSpec, match="data seed"):
        prepare(raw([[1.0], [2.0]]), seed=seed)


@pytest.mark.parametrize("layout", [np.array, scipy.sparse.csr_array])
def test_numbers_too_large_to_standardise_are_refused(layout):
    X = layout([[1.0, 1e200], [2.0, -1e200], [3.0, 5.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidData, match="data column x1: must have squares that are finite"):
            prepare(raw(X), held_out=0.0)
        assert prepare(raw(X), held_out=0.0, standardise=False).n_rows == 3


def test_numbers_too_small_for_their_squares_are_only_centred():
    data = prepare(raw([[1e-200], [3e-200]]), held_out=0.0)
    assert data.scale.tolist() == [1.0]
    assert np.isfinite(data.X_train).all()
