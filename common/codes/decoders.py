"""Decoders: weights for the messages that arrived. Frozen values without state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq
from scipy.sparse import block_array, coo_array, csc_array, eye_array
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from scipy.sparse.linalg import lsqr, splu

from common.codes.base import GradientCode, Message, TermArrays, decoding_target, term_arrays

_SMALL_ENTRIES = 256 * 256  # banded or not, a dense solve of this size takes a few milliseconds
_DENSE_ENTRIES = 2048 * 2048  # a dense solve of this size takes about one second on one core
_TIKHONOV_DELTAS = (1e-5, 3e-8)
_MOST_REPETITIONS = 20

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PlainSum:
    """Every message has the same weight ``scale``, in the part its terms belong to.

    Cost: O(messages).
    """

    scale: float = 1.0

    def weights(self, code: GradientCode, received: Sequence[Message]) -> Floats:
        """Weights of shape (len(received), m); every message's terms are of one part."""
        return _own_part(code, received, self.scale)


@dataclass(frozen=True, slots=True)
class RescaledSum:
    """Every message has the weight (messages of the code) / (messages received).

    Unbiased when those that are missing are missing at random; exact when none is. Cost: O(messages).
    """

    def weights(self, code: GradientCode, received: Sequence[Message]) -> Floats:
        """Weights of shape (len(received), m); every message's terms are of one part."""
        return _own_part(code, received, len(code.messages) / max(len(received), 1))


@dataclass(frozen=True, slots=True)
class FirstOfGroup:
    """The first received message of every distinct support has weight 1, all others 0.

    For codes whose messages have disjoint or equal supports and coefficients 1; for those it is also the
    least-squares answer, up to sharing the weight among equal messages. Cost: O(total terms).
    """

    def weights(self, code: GradientCode, received: Sequence[Message]) -> Floats:
        """Weights of shape (len(received), m); every message's terms are of one part."""
        weights = _own_part(code, received, 1.0)
        seen: set[tuple[tuple[int, int], ...]] = set()
        for column, message in enumerate(received):
            support = tuple([(term[0], term[1]) for term in message.terms])
            if support in seen:
                weights[column] = 0.0
            seen.add(support)
        return weights


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Weights of least norm among those with the least residual ``||E W - J||_F``; for any code.

    The encoding is cut into its connected blocks (messages that share no chunk, even indirectly, do not
    matter to each other) and every block is solved by itself: by a complete orthogonal factorisation where
    it is small or far from banded, by a sparse factorisation where its rows and columns can be numbered
    such that it is narrowly banded (cyclic codes), by LSQR where it is neither and larger than 2048 x 2048.
    The norm of a banded block's weights is least to within about 1e-6 of it.

    Cost: O(total terms), and a block: O(rows x columns^2) when dense (0.5 ms at 8 messages, 2 ms at 200,
    150 ms at 1,000), O(rows x band^2) when banded (10 ms at 1,000, 80 ms at 10,000, load 4), O(terms) a
    step of LSQR. LSQR converges slowly where the encoding is ill-conditioned, so that a decoding that
    could be exact may be certified as approximate there.
    """

    def weights(self, code: GradientCode, received: Sequence[Message]) -> Floats:
        """Weights of shape (len(received), m)."""
        weights = np.zeros((len(received), code.n_parts))
        target = decoding_target(code.n_chunks, code.n_parts)
        terms = term_arrays(received)
        for rows, columns, block in _blocks(code.n_chunks, terms, len(received)):
            weights[columns] = _least_squares(block, target[rows])
        return weights


def encoding_matrix(n_chunks: int, n_parts: int, received: Sequence[Message]) -> csc_array:
    """The encoding E of ``received`` as a sparse matrix, shape (m N, len(received))."""
    terms = term_arrays(received)
    rows = terms.parts * n_chunks + terms.chunks
    shape = (n_parts * n_chunks, len(received))
    return coo_array((terms.coefficients, (rows, terms.columns)), shape=shape).tocsc()


def _own_part(code: GradientCode, received: Sequence[Message], scale: float) -> Floats:
    weights = np.zeros((len(received), code.n_parts))
    if code.n_parts == 1:
        weights[:] = scale
        return weights
    for column, message in enumerate(received):
        assert len({term.part for term in message.terms}) == 1, "terms of several parts in one message"
        weights[column, message.terms[0].part] = scale
    return weights


def _blocks(n_chunks: int, terms: TermArrays, n_columns: int) -> Iterator[tuple[Indices, Indices, coo_array]]:
    """The connected blocks of the encoding: row numbers, column numbers, and the block itself."""
    if not len(terms.columns):
        return
    rows = terms.parts * n_chunks + terms.chunks
    n_vertices = n_columns + int(rows.max()) + 1
    edges = coo_array((np.ones(len(rows)), (terms.columns, n_columns + rows)), shape=(n_vertices, n_vertices))
    labels = connected_components(edges, directed=False)[1][terms.columns]
    order = np.argsort(labels, kind="stable")
    for entries in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        own_rows, i = np.unique(rows[entries], return_inverse=True)
        own_columns, j = np.unique(terms.columns[entries], return_inverse=True)
        shape = (len(own_rows), len(own_columns))
        yield own_rows, own_columns, coo_array((terms.coefficients[entries], (i, j)), shape=shape)


def _least_squares(block: coo_array, target: Floats) -> Floats:
    """The X of least norm among those with the least ``||block X - target||_F``."""
    n_rows, n_columns = block.shape
    entries = n_rows * n_columns
    if entries > _SMALL_ENTRIES:
        band = _bandwidth(block)
        if 8 * (n_rows + n_columns) * band**2 < entries * n_columns:
            return _solve_banded(block, target)
    return _solve_dense(block, target) if entries <= _DENSE_ENTRIES else _solve_iteratively(block, target)


def _solve_dense(block: coo_array, target: Floats) -> Floats:
    smallest = 10 * max(block.shape) * float(np.finfo(np.float64).eps)
    found = lstsq(block.toarray(), target, cond=smallest, lapack_driver="gelsy", check_finite=False)[0]
    return np.asarray(found, dtype=np.float64)


def _solve_iteratively(block: coo_array, target: Floats) -> Floats:
    matrix, limit = block.tocsr(), 10 * max(block.shape)
    found = [lsqr(matrix, column, atol=1e-14, btol=1e-14, iter_lim=limit)[0] for column in target.T]
    return np.stack(found, axis=1)


def _solve_banded(block: coo_array, target: Floats) -> Floats:
    """Tikhonov's solution by a sparse factorisation, repeated on what is left until nothing changes.

    One solve minimises ||B X - J||^2 + delta^2 ||X||^2, as a system [[I, B], [B', -delta^2 I]] that does not
    square B's condition. Every repetition stays in the row space of B, so the limit is the solution of
    least norm; a singular value v converges by the factor delta^2 / (v^2 + delta^2). Rounding leaves the row
    space by about 1e-16 / delta^2 of what is still to be solved for, so a large delta goes first, and a small
    one serves only what small singular values have left over.
    """
    n_rows, n_columns = block.shape
    size = float(np.abs(block.data).max())
    matrix = (block / size).tocsr()
    found = np.zeros((n_columns, target.shape[1]))
    padding = np.zeros_like(found)
    for delta in _TIKHONOV_DELTAS:
        corner = -(delta**2) * eye_array(n_columns)
        factors = splu(block_array([[eye_array(n_rows), matrix], [matrix.T, corner]], format="csc"))
        for _ in range(_MOST_REPETITIONS):
            step = factors.solve(np.concatenate([target - matrix @ found, padding]))[n_rows:]
            found += step
            if np.linalg.norm(step) <= 1e-13 * np.linalg.norm(found):
                break
    return found / size


def _bandwidth(block: coo_array) -> int:
    """Bandwidth of the graph of rows and columns after reverse Cuthill-McKee numbering."""
    n_rows, n_columns = block.shape
    graph = block_array([[None, block], [block.T, None]], format="csr")
    place = np.empty(n_rows + n_columns, dtype=np.intp)
    place[reverse_cuthill_mckee(graph, symmetric_mode=True)] = np.arange(n_rows + n_columns)
    return int(np.abs(place[block.row] - place[n_rows + block.col]).max())
