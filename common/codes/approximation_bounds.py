"""What approximate codes of short messages can and cannot do: bounds on ``||E_F X - J||_F^2``, as formulas.

Symbols of the papers: N chunks, n workers, load d, replication rho, m parts, k messages received of the
workers F, s = n - k absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.codes.base import GradientCode, Message, decoding_target
from common.codes.decoders import encoding_matrix


def symmetric_design_bound(n_workers: int, load: int, shared: int, n_parts: int, n_received: int) -> float:
    """Mean error over random signs, at most, where any two workers share ``shared`` chunks; N = n.

    With one part there are no signs, and this is the error itself, for every set of k messages.

    Source: Munim and Ramamoorthy 2025, the bound for balanced incomplete block designs; Kadhe et al. 2019
        for one part.

    >>> [round(symmetric_design_bound(7, 3, 1, 2, 7 - s), 4) for s in range(4)]
    [3.5, 4.1818, 5.0, 6.0]
    """
    k, m = n_received, n_parts
    return m * n_workers - m * load**2 * k / (m * load - shared + shared * k)


def two_part_error(n_workers: int, load: int, shared: int, n_received: int, imbalance: int) -> float:
    """The error of a symmetric design with two parts whose sign products, over F, sum up to +-``imbalance``.

    Least for an imbalance of 0, which is why balanced signs beat random ones.

    >>> round(two_part_error(7, 3, 1, 7, 1), 6)
    2.6
    """
    sides = [n_received + imbalance, n_received - imbalance]
    return 2 * n_workers - load**2 * sum(c / (2 * (load - shared) + shared * c) for c in sides)


def strongly_regular_bound(
    n_workers: int, degree: int, adjacent: int, apart: int, n_parts: int, n_received: int
) -> float:
    """Mean error over random signs and over all sets of k workers, at most, for a strongly regular graph.

    Args:
        n_workers: vertices. degree: d. adjacent: common neighbours of adjacent vertices (lambda). apart:
            of vertices that are not adjacent (mu). n_parts: m. n_received: k.

    >>> [round(strongly_regular_bound(10, 3, 0, 1, 2, 10 - s), 3) for s in range(4)]
    [5.0, 5.706, 6.5, 7.4]
    """
    k, m, d = n_received, n_parts, degree
    inside = (adjacent - apart) * d * (k - 1) / (n_workers - 1)
    return m * n_workers - m * d**2 * k / (m * d - apart + inside + apart * k)


def biregular_bound(n_chunks: int, replication: int, n_parts: int) -> float:
    """Mean error over random signs, at most, of any placement with equal loads when all workers answer.

    >>> biregular_bound(7, 3, 2)
    3.5
    """
    return n_parts * n_chunks * (n_parts - 1) / (replication + n_parts - 1)


def stacked_error(n_chunks: int, n_parts: int, one_part_error: float) -> float:
    """The error of sending sums whose parts cannot be told apart: (m - 1) N more than with one part.

    The baseline that encodings with signs are compared with. With all parts alike, the best weights are
    those for one part divided by m.

    >>> round(stacked_error(7, 2, symmetric_design_bound(7, 3, 1, 1, 6)), 2)
    7.25
    """
    return (n_parts - 1) * n_chunks + one_part_error


def gershgorin_bound(code: GradientCode, received: Sequence[Message]) -> float:
    """The least-squares error of ``received`` is at most this: no system is solved.

    The messages' Gram matrix is at most the diagonal of its absolute row sums.

    Cost: O(terms x load) in sparse products.

    Source: Munim and Ramamoorthy 2025, the bound by Gershgorin's theorem.
    """
    E = encoding_matrix(code.n_chunks, code.n_parts, received)
    J = decoding_target(code.n_chunks, code.n_parts)
    rows: NDArray[np.float64] = np.asarray(abs(E.T @ E).sum(axis=1), dtype=np.float64).ravel()
    projected = E.T @ J
    return float(code.n_chunks * code.n_parts - np.sum(projected**2 / np.maximum(rows, 1e-300)[:, None]))


def adversarial_lower_bound(n_chunks: int, n_workers: int, load: int, n_parts: int, n_absent: int) -> int:
    """No code whatsoever of this load and message length has a smaller worst error with s absent.

    A chunk with at most m - t holders left contributes t, and the adversary spends s + m - t workers on the
    chunks with fewest holders.

    Source: Munim and Ramamoorthy 2025, the lower bound for adversarial stragglers.

    >>> adversarial_lower_bound(7, 7, 3, n_parts=2, n_absent=3)
    2
    """
    return max(t * (n_chunks * (n_absent + n_parts - t) // (n_workers * load)) for t in range(1, n_parts + 1))


def fixed_weights_error(n_chunks: int, replication: int, n_parts: int, probability: float) -> float:
    """Mean error of row-balanced signs with weights over 1 - p, workers failing with probability p.

    >>> fixed_weights_error(9, 4, 2, 0.2)
    2.25
    """
    return n_parts**2 * n_chunks * probability / ((1.0 - probability) * replication)


def redrawn_signs_error(n_chunks: int, replication: int, n_parts: int, probability: float) -> float:
    """Mean error where signs are drawn anew every round, with weights signs / (rho (1 - p)): unbiased.

    >>> redrawn_signs_error(7, 3, 2, 0.25)
    7.777777777777778
    """
    return n_parts * n_chunks * (probability + n_parts - 1) / (replication * (1.0 - probability))
