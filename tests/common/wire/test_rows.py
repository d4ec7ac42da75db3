from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from common.errors import ProtocolError
from common.wire import checks
from common.wire.rows import pack_rows, unpack_rows

X = np.arange(15, dtype=np.float64).reshape(5, 3) - 7.0


@pytest.mark.parametrize("x_dtype", ["float32", "float64"])
@pytest.mark.parametrize("y_dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("n_rows", [1, 5])
def test_dense_rows_come_back_as_they_were(x_dtype, y_dtype, n_rows):
    rows, labels = X[:n_rows].astype(x_dtype), np.arange(n_rows, dtype=y_dtype)
    header, payload = pack_rows(rows, labels)
    found, found_labels = unpack_rows(header, payload)
    assert header.total_bytes == len(payload) == checks.rows_bytes(header)
    assert (found.dtype, found_labels.dtype) == (rows.dtype, labels.dtype)
    assert np.array_equal(found, rows)
    assert np.array_equal(found_labels, labels)
    assert found_labels.flags.aligned


@pytest.mark.parametrize("x_dtype", ["float32", "float64"])
@pytest.mark.parametrize("begin", [0, 2])
def test_a_range_of_sparse_rows_comes_back_as_it_was(x_dtype, begin):
    whole = csr_matrix((X * (X > 0)).astype(x_dtype))
    rows = whole[begin:]
    header, payload = pack_rows(rows, np.arange(5 - begin))
    found, labels = unpack_rows(header, bytearray(payload))
    assert header.sparse
    assert header.n_nonzero == rows.nnz
    assert found.dtype == rows.dtype
    assert (found != rows).nnz == 0
    assert labels.tolist() == list(range(5 - begin))


def test_sparse_rows_without_any_value_travel():
    header, payload = pack_rows(csr_matrix((2, 4)), np.zeros(2))
    found, _ = unpack_rows(header, payload)
    assert found.shape == (2, 4)
    assert found.nnz == 0


def test_other_dtypes_become_float64():
    header, payload = pack_rows(X.astype(np.float16), np.array([True, False] * 2 + [True]))
    found, labels = unpack_rows(header, payload)
    assert (header.x_dtype, header.y_dtype) == ("float64", "float64")
    assert np.array_equal(found, X)
    assert labels.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0]


def refused(header, payload):
    with pytest.raises(ProtocolError) as caught:
        unpack_rows(header, payload)
    return caught.value.kind


def test_rows_that_are_not_what_the_header_says_are_refused():
    header, payload = pack_rows(X, np.arange(5))
    assert refused(header, payload[:-1]) == "wrong_length"
    assert refused(header, payload[:-1] + b"x") == "wrong_digest"
    assert refused(dataclasses.replace(header, sha256=bytes(32)), payload) == "wrong_digest"


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [
        ([0, 2, 1, 3], [0, 1, 2]),
        ([1, 1, 2, 3], [0, 1, 2]),
        ([0, 1, 2, 2], [0, 1, 2]),
        ([0, 1, 2, 3], [0, 1, 3]),
    ],
)
def test_sparse_rows_that_do_not_hang_together_are_refused(indptr, indices):
    header, _ = pack_rows(csr_matrix(np.eye(3)), np.zeros(3))
    arrays = [np.array(indptr, "<i8"), np.array(indices, "<i4"), np.ones(3, "<f8"), np.zeros(3, "<f8")]
    payload = b"".join(array.tobytes() for array in arrays)
    header = dataclasses.replace(header, sha256=hashlib.sha256(payload).digest())
    assert refused(header, payload) == "bad_value"
