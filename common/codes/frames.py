"""Frames and signs: rows of numbers, few at a time independent, that tell the parts of a gradient apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Assignment
from common.codes.designs import nearest
from common.codes.fields import field, prime_power
from common.errors import InvalidSpec

Floats = NDArray[np.float64]


def cosine_frame(n_rows: int, n_parts: int) -> Floats:
    """Entry (k, t) is cos(t pi (k + 1/2) / n_rows), times sqrt(2) for t >= 1.

    Any ``n_parts`` rows are independent, as the cosines of distinct angles are a Vandermonde matrix in
    disguise; all rows together have orthogonal columns of squared norm n_rows.

    Args:
        n_rows: at least n_parts. n_parts: m, at least 1.

    Returns:
        Shape (n_rows, n_parts).

    >>> frame = cosine_frame(4, 2)
    >>> np.allclose(frame.T @ frame, 4 * np.eye(2))
    True
    """
    angles = np.pi * (np.arange(n_rows) + 0.5) / n_rows
    scale = np.where(np.arange(n_parts) > 0, np.sqrt(2.0), 1.0)
    return np.asarray(np.cos(np.outer(angles, np.arange(n_parts))) * scale, dtype=np.float64)


def random_frame(n_rows: int, n_parts: int, seed: int) -> Floats:
    """Independent standard normal numbers, shape (n_rows, n_parts); any n_parts rows are independent."""
    return np.random.default_rng(seed).standard_normal((n_rows, n_parts))


def hadamard(order: int) -> Floats:
    """A matrix of +1 and -1 with orthogonal rows, the first row all ones; shape (order, order).

    Doubling (Sylvester) of the smallest matrix that doubling cannot make: of order 1, or q + 1 with q a
    power of a prime and q mod 4 = 3 (Paley).

    Args:
        order: 1, 2, or a multiple of 4 that these two ways reach (all up to 32, many above).

    Raises:
        InvalidSpec: no matrix of this order is made; names the nearest orders.

    >>> hadamard(4).astype(int).tolist()
    [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    if not _is_hadamard_order(order):
        possible = [number for number in range(1, 2 * order + 5) if _is_hadamard_order(number)]
        raise InvalidSpec("order of the signs", f"must be such as {nearest(possible, order)}", order)
    if order == 1:
        return np.ones((1, 1))
    if order % 2 == 0 and _is_hadamard_order(order // 2):
        return np.kron(np.array([[1.0, 1.0], [1.0, -1.0]]), hadamard(order // 2))
    return _paley_matrix(order - 1)


def colours(assignment: Assignment) -> tuple[int, ...]:
    """A colour for every worker, such that the workers that hold a chunk have distinct ones; few colours.

    Greedy over workers by number: the lowest colour that no earlier worker with a common chunk has. At most
    load x (replication - 1) + 1 colours; exactly ``replication`` for a cyclic assignment whose number of
    workers it divides.

    Cost: O(total load x replication).

    >>> colours(Assignment(4, ((0, 1), (1, 2), (2, 3), (3, 0))))
    (0, 1, 0, 1)
    """
    found: list[int] = []
    for worker, order in enumerate(assignment.orders):
        taken = {found[h] for chunk in order for h in assignment.holders[chunk] if h < worker}
        found.append(next(colour for colour in range(len(taken) + 1) if colour not in taken))
    return tuple(found)


def random_signs(n_parts: int, n_workers: int, rng: np.random.Generator) -> Floats:
    """Independent random signs, the first row all ones; shape (n_parts, n_workers).

    Multiplying all signs of a worker by -1 changes no error, so the first row loses no generality.
    """
    signs: Floats = rng.choice(np.array([-1.0, 1.0]), size=(n_parts, n_workers))
    signs *= signs[0].copy()
    return signs


def balanced_signs(n_parts: int, n_workers: int, rng: np.random.Generator) -> Floats:
    """Signs whose rows are as orthogonal as their number allows, the first row all ones.

    Columns are columns of a Hadamard matrix, each used equally often but for a remainder, shuffled. With
    two parts, half of the workers (rounded up) have +1 in the second row.

    Args:
        n_parts: m, at least 1. n_workers: n, at least 1. rng: where chance comes from.

    Returns:
        Shape (n_parts, n_workers).

    >>> balanced_signs(2, 6, np.random.default_rng(0)).sum(axis=1).tolist()
    [6.0, 0.0]
    """
    rows = hadamard(least_hadamard_order(n_parts))[:n_parts]
    return rows[:, rng.permutation(np.arange(n_workers) % rows.shape[1])]


def least_hadamard_order(n_parts: int) -> int:
    """The least order of a Hadamard matrix with at least ``n_parts`` rows.

    >>> [least_hadamard_order(m) for m in (1, 2, 3, 5)]
    [1, 2, 4, 8]
    """
    return next(order for order in range(n_parts, 2 * n_parts + 1) if _is_hadamard_order(order))


def survives(frame: Sequence[Sequence[float]] | Floats, most_tries: int = 20_000) -> int:
    """How many rows may be missing, whichever they are, and the rest still has full column rank.

    Rows that are multiples of each other count as one direction; the directions are tried in groups of
    m - 1, each of which spans a hyperplane, and the hyperplane with most rows decides.

    Args:
        frame: shape (rows, m), of rank m. most_tries: with more groups, 0 is returned, which is always true.

    >>> survives(hadamard(4)[:, :2]), survives(cosine_frame(4, 2)), survives(hadamard(4))
    (1, 2, 0)
    """
    rows = np.asarray(frame, dtype=np.float64)
    n_rows, m = int(rows.shape[0]), int(rows.shape[1])
    if m == 1:
        return n_rows - 1
    unit = rows / np.linalg.norm(rows, axis=1)[:, None]
    parallel = np.abs(np.abs(unit @ unit.T) - 1.0) < 1e-9
    firsts = np.unique(parallel.argmax(axis=1))
    groups = list(islice(combinations(firsts.tolist(), m - 1), most_tries + 1))
    if len(groups) > most_tries:
        return 0
    normals = np.linalg.svd(unit[np.array(groups)])[2]  # the last rows are orthogonal to the group
    distances = np.einsum("gd,rd->gr", normals[:, -1], unit)
    return int(n_rows - 1 - (np.abs(distances) < 1e-9).sum(axis=1).max())


def _is_hadamard_order(order: int) -> bool:
    while order > 2 and order % 4 == 0:
        if (order - 1) % 4 == 3 and prime_power(order - 1):
            return True
        order //= 2
    return order in (1, 2)


def _paley_matrix(q: int) -> Floats:
    """Paley's first construction for q mod 4 = 3, with the first row and column all ones."""
    elements = field(q)
    character = -np.ones(q)
    character[elements.squares] = 1.0
    character[0] = 0.0
    differences = elements.sums[:, elements.negatives]
    S = np.zeros((q + 1, q + 1))
    S[0, 1:], S[1:, 0] = 1.0, -1.0
    S[1:, 1:] = character[differences]
    found = S + np.eye(q + 1)
    found *= found[0]
    return np.asarray(found * found[:, :1], dtype=np.float64)
