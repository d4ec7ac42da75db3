"""Training rows to the payload of FetchRows and back."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ProtocolError
from common.models.base import Features
from common.wire import checks
from common.wire.frames import ITEM_BYTES, RowsHeader


def pack_rows(X: Features, y: NDArray[Any]) -> tuple[RowsHeader, bytes]:
    """The header and payload of some rows.

    Args:
        X: shape (rows, n_features), at least one row; dense or CSR. Other dtypes than float32 and float64
            become float64.
        y: shape (rows,). Other dtypes than float32, float64, int32 and int64 become float64.

    Returns:
        The header, and ``header.total_bytes`` bytes.

    Cost: two copies and one sha256 of the rows.
    """
    sparse = hasattr(X, "indptr")
    x_dtype = X.dtype.name if X.dtype.name in ("float32", "float64") else "float64"
    y_dtype = y.dtype.name if y.dtype.name in ITEM_BYTES else "float64"
    if sparse:
        start, stop = int(X.indptr[0]), int(X.indptr[-1])
        arrays = [
            _plain(X.indptr - start, "int64"),
            _plain(X.indices[start:stop], "int32"),
            _plain(X.data[start:stop], x_dtype),
        ]
    else:
        arrays = [_plain(X, x_dtype)]
    arrays.append(_plain(y, y_dtype))
    payload = b"".join(array.reshape(-1).view(np.uint8).data for array in arrays)
    header = RowsHeader(
        n_rows=len(y),
        n_features=X.shape[1],
        sparse=sparse,
        x_dtype=x_dtype,
        y_dtype=y_dtype,
        n_nonzero=len(arrays[1]) if sparse else 0,
        total_bytes=len(payload),
        sha256=hashlib.sha256(payload).digest(),
    )
    return header, payload


def unpack_rows(header: RowsHeader, payload: bytes | bytearray | memoryview) -> tuple[Features, NDArray[Any]]:
    """The rows in a payload: X, shape (n_rows, n_features), dense or CSR, and y, shape (n_rows,).

    Raises:
        ProtocolError: ``wrong_length`` or ``wrong_digest``, the payload is not what the header says;
            ``bad_value``, the sparse rows do not hang together.

    Cost: one sha256; dense arrays are views of the payload where its alignment allows.
    """
    checks.require(
        len(payload) == header.total_bytes, "wrong_length", f"{len(payload)} of {header.total_bytes} bytes"
    )
    if hashlib.sha256(payload).digest() != header.sha256:
        raise ProtocolError("wrong_digest", "the rows are not those that the header describes")
    reader = _Reader(payload)
    if header.sparse:
        X = _sparse(reader, header)
    else:
        numbers = reader.take(header.n_rows * header.n_features, header.x_dtype)
        X = numbers.reshape(header.n_rows, header.n_features)
    return X, reader.take(header.n_rows, header.y_dtype)


def _sparse(reader: _Reader, header: RowsHeader) -> Features:
    from scipy.sparse import csr_matrix  # a worker without sparse rows never loads scipy

    indptr = reader.take(header.n_rows + 1, "int64")
    indices = reader.take(header.n_nonzero, "int32")
    values = reader.take(header.n_nonzero, header.x_dtype)
    whole = indptr[0] == 0 and indptr[-1] == header.n_nonzero and bool((np.diff(indptr) >= 0).all())
    checks.require(whole, "bad_value", "row pointers of sparse rows")
    inside = header.n_nonzero == 0 or (indices.min() >= 0 and indices.max() < header.n_features)
    checks.require(bool(inside), "bad_value", "column indices of sparse rows")
    return csr_matrix((values, indices, indptr), shape=(header.n_rows, header.n_features))


class _Reader:
    """Takes one array after the other from a payload."""

    def __init__(self, payload: bytes | bytearray | memoryview) -> None:
        self._payload = payload
        self._at = 0

    def take(self, count: int, dtype: str) -> NDArray[Any]:
        found = np.frombuffer(self._payload, _little(dtype), count, self._at)
        self._at += found.nbytes
        return found if found.flags.aligned else found.copy()


def _plain(array: Any, dtype: str) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype=_little(dtype))


def _little(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")
