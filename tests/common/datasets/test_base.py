from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from common.datasets.base import check_chunks, chunk_range, digest_of
from common.errors import InvalidSpec


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 10_000))
def test_chunks_cover_all_rows_once_and_evenly(n_chunks, more):
    n_rows = n_chunks + more
    check_chunks(n_chunks, n_rows)
    ranges = [chunk_range(chunk, n_chunks, n_rows) for chunk in range(n_chunks)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == n_rows
    assert all(ranges[i][1] == ranges[i + 1][0] for i in range(n_chunks - 1))
    sizes = {end - begin for begin, end in ranges}
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


def test_more_chunks_than_rows_are_refused():
    check_chunks(5, 5)
    with pytest.raises(
        InvalidSpec, match=r"number of chunks: must be at most the training rows \(5\), got 6"
    ):
        check_chunks(6, 5)


def test_digests_stay_the_same_from_version_to_version():
    """Recorded: a worker compares its digest with that of a master of another version."""
    X, y = np.array([[1.0, 0.0], [0.5, -2.0]]), np.array([1.0, -1.0])
    assert digest_of(X, y) == "479682954cde0905902d037a45b701661758029b732dbc308a1a6e8b59f235a0"
    assert (
        digest_of(scipy.sparse.csr_array(X), np.array([1, 0]))
        == "7479ca8c0ddc053c560245da50ac33dc1832cf787fca912452bb39c8b31f67c8"
    )


def test_a_digest_depends_on_values_labels_shapes_and_order_but_not_on_memory():
    X, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    digest = digest_of(X, y)
    others = [
        digest_of(X + 1e-9, y),
        digest_of(X, y[::-1]),
        digest_of(X, y.astype(float)),
        digest_of(X.reshape(2, 6), y),
        digest_of(X[::-1], y[::-1]),
        digest_of(scipy.sparse.csr_array(X), y),
    ]
    assert len({digest, *others}) == 7
    assert digest_of(np.asfortranarray(X), y.astype(np.int32)) == digest
    sparse = scipy.sparse.csr_array(X)
    wide = scipy.sparse.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert digest_of(sparse, y) == digest_of(wide, y)
