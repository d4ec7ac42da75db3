from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from common.datasets import load_dataset, read_features
from common.errors import InvalidData, InvalidSpec

X = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 5.0, 0.0], [0.0, 0.0, 6.0]])
Y = np.array([0.5, 1.5, 2.5, 3.5])


@pytest.fixture
def save(tmp_path):
    def saved(name="data.npz", **arrays):
        np.savez(tmp_path / name, **arrays)
        return str(tmp_path / name)

    return saved


def csr_parts(matrix, y=Y, **others):
    sparse = scipy.sparse.csr_array(matrix)
    parts = {"data": sparse.data, "indices": sparse.indices, "indptr": sparse.indptr, "shape": sparse.shape}
    return {**parts, "y": y, **others}


def whole(path, **arguments):
    """All rows, in the order of the labels."""
    data = load_dataset(path, held_out=0.0, standardise=False, **arguments)
    order = np.argsort(data.y_train, kind="stable")
    return data, data.X_train[order], data.y_train[order]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, ">f8"])
def test_dense(save, dtype):
    data, found, y = whole(save(X=X.astype(dtype), y=Y))
    np.testing.assert_array_equal(found, X)
    assert found.dtype == np.float64
    assert found.dtype.isnative
    np.testing.assert_array_equal(y, Y)
    assert data.feature_names == ("x0", "x1", "x2")
    assert data.task == "regression"


def test_csr(save):
    data, found, y = whole(save(**csr_parts(X)))
    assert data.X_train.format == "csr"
    np.testing.assert_array_equal(found.toarray(), X)
    np.testing.assert_array_equal(y, Y)
    assert data.digest == whole(save(**csr_parts(X)))[0].digest


def test_csr_is_brought_into_canonical_form(save):
    """Unsorted columns and an entry in two halves are the same matrix and give the same digest."""
    parts = csr_parts(X, data=np.array([2.0, 0.5, 0.5, 3.0, 5.0, 4.0, 6.0]))
    parts["indices"], parts["indptr"] = np.array([2, 0, 0, 1, 1, 0, 2]), np.array([0, 3, 4, 6, 7])
    data, found, _ = whole(save("odd.npz", **parts))
    np.testing.assert_array_equal(found.toarray(), X)
    assert data.digest == whole(save(**csr_parts(X)))[0].digest


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (np.array([3, 1, 2, 1]), "classes", (1, 2, 3)),
        (np.array(["u", "v", "u", "v"]), "binary", ("u", "v")),
        (np.array([True, False, True, False]), "binary", (False, True)),
    ],
)
def test_labels_of_other_kinds(save, y, task, classes):
    data = load_dataset(save(X=X, y=y), held_out=0.0)
    assert (data.task, data.classes) == (task, classes)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, "data.npz: must hold the arrays X, y, or data, indices, indptr, shape, y, got ['X']"),
        ({"features": X, "labels": Y}, "data.npz: must hold the arrays X, y, or data"),
        ({"data": X, "y": Y}, "data.npz: must hold the arrays X, y, or data"),
        ({}, "data.npz: must hold the arrays X, y, or data"),
        ({"X": X, "y": Y[:3]}, "data.npz y: must have one label for each of the 4 rows, got (3,)"),
        (
            {"X": X, "y": Y.reshape(4, 1)},
            "data.npz y: must have one label for each of the 4 rows, got (4, 1)",
        ),
        ({"X": X[0], "y": Y}, "data.npz X: must have rows and columns, at least one of each, got (3,)"),
        (
            {"X": X[:0], "y": Y[:0]},
            "data.npz X: must have rows and columns, at least one of each, got (0, 3)",
        ),
        ({"X": X[:, :0], "y": Y}, "data.npz X: must have rows and columns"),
        ({"X": X.astype(str), "y": Y}, "data.npz X: must be real numbers, got 'str"),
        ({"X": X * 1j, "y": Y}, "data.npz X: must be real numbers, got 'complex128'"),
        ({"X": X.astype(object), "y": Y}, "data file: must hold plain arrays (it holds Python objects)"),
        ({"X": X, "y": Y.astype(object)}, "data file: must hold plain arrays (it holds Python objects)"),
        (
            {"X": np.where(X == 5, np.nan, X), "y": Y},
            "data.npz row index 2, column x1: must be finite, got nan",
        ),
        (
            {"X": X, "y": np.array([1, 2, np.inf, 3])},
            "data.npz row index 2, column y: must be finite, got inf",
        ),
        ({"X": X, "y": np.ones(4)}, "data.npz labels: must have at least two classes, got [1]"),
        (csr_parts(X, y=Y[:2]), "data.npz y: must have one label for each of the 4 rows, got (2,)"),
        (csr_parts(np.where(X == 5, np.inf, X)), "data.npz row index 2, column x1: must be finite, got inf"),
        (csr_parts(X, shape=(4, 2)), "data.npz data, indices, indptr: must be a CSR matrix of shape (4, 2)"),
        (csr_parts(X, shape=(5, 3)), "data.npz data, indices, indptr: must be a CSR matrix of shape (5, 3)"),
        (csr_parts(X, shape=(4,)), "data.npz shape: must have rows and columns"),
        (csr_parts(X, shape=(0, 3)), "data.npz shape: must have rows and columns"),
        (csr_parts(X, indices=np.full(6, -1)), "data.npz data, indices, indptr: must be a CSR matrix"),
        (
            csr_parts(X, indptr=np.array([0, 3, 2, 5, 6])),
            "data.npz data, indices, indptr: must be a CSR matrix",
        ),
        (csr_parts(X, indices=np.zeros(6)), "data.npz indices: must be whole numbers, got 'float64'"),
        (csr_parts(X, data=np.array(["a"] * 6)), "data.npz data: must be real numbers"),
    ],
)
def test_bad_arrays_get_one_line(save, arrays, message):
    with pytest.raises(InvalidData) as caught:
        load_dataset(save(**arrays))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "data file: must not be empty"),
        (b"neither zip nor numpy", "data file: must be an .npz archive"),
        (b"PK\x03\x04 cut off", "data file: must be an .npz archive"),
    ],
)
def test_bad_files_get_one_line(tmp_path, content, message):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=message):
        load_dataset(str(path))


def test_damaged_and_missing_files(save, tmp_path):
    path = save(X=np.random.default_rng(0).normal(size=(50, 9)), y=np.arange(50.0))
    content = bytearray((tmp_path / "data.npz").read_bytes())
    content[1000] ^= 0xFF
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(InvalidData, match="data file: must be whole"):
        load_dataset(path)
    with pytest.raises(InvalidData, match="data file: must exist"):
        load_dataset(str(tmp_path / "absent.npz"))


def test_a_target_is_refused(save):
    with pytest.raises(InvalidSpec, match="target: must be left out"):
        load_dataset(save(X=X, y=Y), target="y")


def test_features_to_predict_need_no_labels(save):
    np.testing.assert_array_equal(read_features(save(X=X), ["x0", "x1", "x2"]), X)
    without_labels = {key: value for key, value in csr_parts(X).items() if key != "y"}
    np.testing.assert_array_equal(read_features(save(**without_labels), ["x0", "x1", "x2"]).toarray(), X)
    with pytest.raises(InvalidData, match=r"data.npz X: must have 2 features, got 3"):
        read_features(save(X=X), ["x0", "x1"])
