"""Chunks are the vertices of a graph and workers its edges: two chunks a worker, decoded in linear time."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import eigsh

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.designs import random_regular_graph
from common.codes.graph_decoder import CoverVertices, EdgeWeights
from common.codes.parameters import canonical, check_size, whole
from common.errors import InvalidSpec

Edges = tuple[tuple[int, int], ...]


def glasgow_wootters(n_workers: int, degree: int = 4, seed: int = 0) -> GradientCode:
    """Workers are the edges of a random d-regular graph, and each sends the sum of its two vertices' chunks.

    Each of the N = 2 n / d chunks is on d workers. With random stragglers the error falls almost like their
    share to the power d, although a worker computes two chunks only. Decoding is optimal: it gives what
    least squares gives. ``n_stragglers`` is what follows from the graph's eigenvalues: d - 1 for most graphs
    of degree 5 and more (with d workers absent a chunk may be on nobody), less for small degrees.

    Args:
        n_workers: n, at least 3; d must divide 2 n, and the number of chunks must be above d.
        degree: d, workers that hold a chunk, at least 2.
        seed: of the graph, at least 0.

    Raises:
        InvalidSpec: a parameter is out of range, or there is no such graph (names the nearest n).

    Cost: O(n) to build, besides two extreme eigenvalues; O(n) to decode.

    Source: Glasgow and Wootters 2021, approximate gradient codes from graphs with optimal decoding.

    >>> code = glasgow_wootters(12, degree=4)
    >>> code.n_chunks, code.assignment.max_load, code.assignment.replication
    (6, 2, 4)
    """
    n = whole("n_workers", n_workers, least=3)
    d = whole("degree", degree, least=2)
    seed = whole("seed", seed, least=0)
    check_size(n, 2)
    _check_graph(n, d)
    n_chunks = 2 * n // d
    edges = tuple(random_regular_graph(n_chunks, d, np.random.default_rng([seed, n, d])))
    return GradientCode(
        spec=canonical(glasgow_wootters, n, d, seed),
        assignment=Assignment(n_chunks, edges),
        messages=tuple(Message(w, (Term(u, 0, 1.0), Term(v, 0, 1.0))) for w, (u, v) in enumerate(edges)),
        decoder=EdgeWeights(),
        stop_rule=CoverVertices(n_chunks, edges),
        n_stragglers=edges_to_spare(n_chunks, d, edges),
    )


def edges_to_spare(n_vertices: int, degree: int, edges: Edges) -> int:
    """So many edges of a d-regular graph may be missing, whichever they are, and decoding is still exact.

    It is exact as long as the graph is connected and has an odd cycle. Cutting it takes at least
    (d - lambda) (d + 1) (N - d - 1) / N edges, or d, where lambda is the second largest eigenvalue of the
    adjacency (a part that is cut off with fewer than d edges has more than d vertices); and at least
    N (d + mu) / 4 edges must go until no odd cycle is left, where mu is the smallest.

    Args:
        n_vertices: N. degree: d. edges: N d / 2 of them.

    Returns:
        0 to d - 1; a lower bound, as eigenvalues do not see everything.

    Cost: O(N^3) up to 400 vertices, above that a few hundred products with the adjacency.

    Source: Fiedler 1973 and Cioaba 2010 for the cut, Desai and Rao 1994 for the odd cycles.

    >>> edges_to_spare(4, 3, ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)))
    1
    """
    second, smallest = _extreme_eigenvalues(n_vertices, edges)
    cut = (degree - second) * (degree + 1) * (n_vertices - degree - 1) / n_vertices
    to_cut = min(degree, math.ceil(cut - 1e-6)) if n_vertices > 2 * degree + 1 else degree
    to_straighten = math.ceil(n_vertices * (degree + smallest) / 4 - 1e-6)
    return max(0, min(to_cut, to_straighten) - 1)


def _extreme_eigenvalues(n_vertices: int, edges: Edges) -> tuple[float, float]:
    """Second largest and smallest eigenvalue of the adjacency, on the safe side of their tolerance."""
    ends = np.array(edges, dtype=np.intp)
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    adjacency = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n_vertices, n_vertices)).tocsr()
    if n_vertices <= 400:
        values = np.linalg.eigvalsh(adjacency.toarray())
        return float(values[-2]), float(values[0])
    tolerance = 1e-3
    start = np.random.default_rng(0).standard_normal(n_vertices)
    largest = eigsh(adjacency, 2, which="LA", v0=start, tol=tolerance, return_eigenvectors=False)
    smallest = eigsh(adjacency, 1, which="SA", v0=start, tol=tolerance, return_eigenvectors=False)
    margin = tolerance * float(largest.max())
    return float(largest.min()) + margin, float(smallest[0]) - margin


def _check_graph(n: int, d: int) -> None:
    if 2 * n % d or 2 * n // d <= d:
        # Every so many workers there is a graph, if there are enough vertices for the degree.
        step = d if d % 2 else d // 2
        least = -(-d * (d + 1) // (2 * step)) * step
        above = max(least, -(-n // step) * step)
        fits = [k for k in (above - step, above) if k >= max(3, least)]
        near = " or ".join(str(k) for k in [k for k in fits if k < n][-1:] + [k for k in fits if k > n][:1])
        rule = f"2 n_workers must be divided by degree = {d} and be more than its square, such as {near}"
        raise InvalidSpec("n_workers", rule, n)
