"""Arrays in one ``.npz`` file: dense ``X`` and ``y``, or the parts of a CSR matrix and ``y``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.arrays import array_names, read_arrays
from common.datasets.base import RawData
from common.datasets.files import MOST_BYTES, reading, require_finite
from common.errors import InvalidData
from common.models.base import Features

DENSE_KEYS = ("X", "y")
CSR_KEYS = ("data", "indices", "indptr", "shape", "y")
MOST_FEATURES = 1 << 22
"""Columns of sparse rows: each has a name, a mean and a scale, also where nothing is stored."""


def read_npz(path: Path, most_bytes: int = MOST_BYTES) -> RawData:
    """All rows of an ``.npz`` file.

    Args:
        path: with the arrays ``X`` (rows, features) and ``y`` (rows,); or ``data``, ``indices``,
            ``indptr``, ``shape`` (the parts of a CSR matrix) and ``y``. Labels are numbers or text.
            Arrays of Python objects are refused unread.
        most_bytes: a file that holds more, unpacked, is refused before it is unpacked.

    Returns:
        X float64, dense or CSR; features are called x0, x1, ...

    Raises:
        InvalidData: the file cannot be read, the arrays are others, do not fit each other, or hold a
            number that is not finite.
    """
    arrays = _load(path, most_bytes)
    y = arrays["y"]
    X = _dense(path.name, arrays["X"]) if "X" in arrays else _csr(path.name, arrays)
    if y.ndim != 1 or len(y) != X.shape[0]:
        raise InvalidData(f"{path.name} y", f"must have one label for each of the {X.shape[0]} rows", y.shape)
    if y.dtype.kind == "f":
        require_finite(y, lambda row: f"{path.name} row index {row}, column y")
    return RawData(path.name, X, y, tuple(f"x{column}" for column in range(X.shape[1])))


def read_npz_features(path: Path, n_features: int) -> Features:
    """The rows of an ``.npz`` file without their labels, which may be missing.

    Raises:
        InvalidData: as ``read_npz``; or the number of features is another.
    """
    arrays = _load(path, MOST_BYTES, labels=False)
    X = _dense(path.name, arrays["X"]) if "X" in arrays else _csr(path.name, arrays)
    if X.shape[1] != n_features:
        raise InvalidData(f"{path.name} X", f"must have {n_features} features", X.shape[1])
    return X


def _load(path: Path, most_bytes: int, labels: bool = True) -> dict[str, NDArray[Any]]:
    """The arrays of one of the two layouts."""
    with reading(path):
        if not zipfile.is_zipfile(path):
            raise InvalidData("data file", "must be an .npz archive", str(path))
        found = array_names(path)
        names = DENSE_KEYS if "X" in found else CSR_KEYS
        wanted = [name for name in names if labels or name != "y"]
        if any(name not in found for name in wanted):
            rule = f"must hold the arrays {', '.join(DENSE_KEYS)}, or {', '.join(CSR_KEYS)}"
            raise InvalidData(path.name, rule, sorted(found))
        return read_arrays(path, most_bytes, wanted)


def _dense(name: str, X: NDArray[Any]) -> NDArray[np.float64]:
    _require_numbers(f"{name} X", X)
    if X.ndim != 2 or 0 in X.shape:
        raise InvalidData(f"{name} X", "must have rows and columns, at least one of each", X.shape)
    n_columns = X.shape[1]
    require_finite(X, lambda i: f"{name} row index {i // n_columns}, column x{i % n_columns}")
    return X.astype(np.float64)


def _csr(name: str, arrays: dict[str, NDArray[Any]]) -> Features:
    import scipy.sparse

    for key in ("data", "indices", "indptr", "shape"):
        _require_numbers(f"{name} {key}", arrays[key])
    for key in ("indices", "indptr", "shape"):
        if arrays[key].dtype.kind not in "iu":
            raise InvalidData(f"{name} {key}", "must be whole numbers", arrays[key].dtype.name)
    if arrays["shape"].size != 2 or arrays["shape"].min() < 1:
        rule = "must have rows and columns, at least one of each"
        raise InvalidData(f"{name} shape", rule, arrays["shape"].reshape(-1)[:4].tolist())
    shape = tuple(int(size) for size in arrays["shape"].reshape(-1))
    if shape[1] > MOST_FEATURES:
        raise InvalidData(f"{name} shape", f"must have at most {MOST_FEATURES} columns", shape[1])
    try:
        parts = (arrays["data"].astype(np.float64), arrays["indices"], arrays["indptr"])
        X = scipy.sparse.csr_array(parts, shape=shape)
        X.check_format(full_check=True)
    except (ValueError, IndexError) as error:
        raise InvalidData(
            f"{name} data, indices, indptr", f"must be a CSR matrix of shape {shape}", str(error)
        ) from None
    rows = np.repeat(np.arange(shape[0]), np.diff(X.indptr))
    require_finite(X.data, lambda i: f"{name} row index {rows[i]}, column x{X.indices[i]}")
    X.sum_duplicates()
    return X


def _require_numbers(field: str, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "biuf":
        raise InvalidData(field, "must be real numbers", array.dtype.name)
