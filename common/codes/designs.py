"""Placements from the theory of designs and graphs: who holds what, before any coefficient is chosen.

A placement is a tuple of chunk lists, one a worker. Workers are the blocks of a design, or the vertices of
a graph; everything is deterministic, drawn placements by their generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from common.codes.fields import field, prime_power, prime_powers
from common.errors import InvalidSpec

Placement = tuple[tuple[int, ...], ...]

MOST_BLOCKS = 4000
"""Planes and graphs are searched up to so many workers when the nearest possible number is named."""


def difference_set_blocks(n: int, residues: Sequence[int]) -> tuple[Placement, int]:
    """The translates of a difference set: block w is every residue plus w, modulo n.

    Args:
        n: number of points and of blocks, at least 3.
        residues: d distinct numbers of 0 .. n - 1, 2 <= d < n, such that every nonzero difference modulo n
            comes about equally often.

    Returns:
        The blocks, and lambda: how often a difference comes about, and how many points two blocks share.

    Raises:
        InvalidSpec: not a difference set; names a difference and how often it comes about.

    Source: Singer 1938 for the planar sets; any textbook of designs.

    >>> difference_set_blocks(7, [0, 1, 3])
    (((0, 1, 3), (1, 2, 4), (2, 3, 5), (3, 4, 6), (0, 4, 5), (1, 5, 6), (0, 2, 6)), 1)
    """
    own = sorted({residue % n for residue in residues})
    if len(own) != len(residues) or not 2 <= len(own) < n:
        raise InvalidSpec("design", f"must be 2 to n - 1 = {n - 1} distinct numbers modulo n", list(residues))
    counts = np.bincount([(a - b) % n for a in own for b in own if a != b], minlength=n)[1:]
    if counts.min() != counts.max():
        often, seldom = int(counts.argmax()) + 1, int(counts.argmin()) + 1
        rule = (
            f"must have every difference modulo {n} equally often; "
            f"{often} comes {counts.max()} times and {seldom} {counts.min()} times"
        )
        raise InvalidSpec("design", rule, list(residues))
    return tuple(tuple(sorted((residue + w) % n for residue in own)) for w in range(n)), int(counts[0])


def affine_classes(q: int) -> tuple[Placement, ...]:
    """The affine plane of order q as q + 1 parallel classes of q lines; point (x, y) is number x q + y.

    The lines of a class cover every point once; two lines of different classes share one point.

    Args:
        q: a power of a prime, at most 1024.

    Raises:
        InvalidSpec: q is no such number.

    Cost: O(q^3).

    >>> affine_classes(2)
    (((0, 2), (1, 3)), ((0, 3), (1, 2)), ((0, 1), (2, 3)))
    """
    plane = field(q)
    starts = np.arange(q) * q
    classes = []
    for slope in range(q):
        heights = plane.sums[plane.times(slope)]  # row x: m x + b by b
        classes.append(tuple(tuple((starts + heights[:, b]).tolist()) for b in range(q)))
    classes.append(tuple(tuple(range(x * q, (x + 1) * q)) for x in range(q)))
    return tuple(classes)


def projective_plane(q: int) -> Placement:
    """The projective plane of order q: q^2 + q + 1 lines of q + 1 points, any two share one.

    The affine plane, each parallel class meeting in a point of its own, and the line through those points.

    Args:
        q: a power of a prime, at most 1024.

    Raises:
        InvalidSpec: q is no such number.

    Cost: O(q^3).

    >>> len(projective_plane(3)), projective_plane(3)[0]
    (13, (0, 3, 6, 9))
    """
    lines = [
        (*line, q * q + number) for number, parallel in enumerate(affine_classes(q)) for line in parallel
    ]
    return (*lines, tuple(range(q * q, q * q + q + 1)))


def petersen_graph() -> Placement:
    """Neighbours in the Petersen graph: 2-subsets of 5 things, adjacent when disjoint."""
    pairs = list(combinations(range(5), 2))
    return tuple(tuple(k for k, other in enumerate(pairs) if not set(pair) & set(other)) for pair in pairs)


def paley_graph(q: int) -> Placement:
    """Neighbours in the Paley graph: elements of the field of order q, adjacent when they differ by a square.

    Args:
        q: a power of a prime with q mod 4 = 1, at most 1024.

    Raises:
        InvalidSpec: q is no such number.

    Cost: O(q^2).

    >>> paley_graph(5)
    ((1, 4), (0, 2), (1, 3), (2, 4), (0, 3))
    """
    if prime_power(q) is None or q % 4 != 1:
        raise InvalidSpec("order of the graph", "must be a power of a prime and leave 1 divided by 4", q)
    elements = field(q)
    return tuple(tuple(sorted(elements.sums[a, elements.squares].tolist())) for a in range(q))


def triangular_graph(k: int) -> Placement:
    """Neighbours in T(k): 2-subsets of k things, adjacent when they share one. Cost: O(k^3).

    >>> [len(neighbours) for neighbours in triangular_graph(4)]
    [4, 4, 4, 4, 4, 4]
    """
    number = {pair: place for place, pair in enumerate(combinations(range(k), 2))}
    return tuple(
        tuple(sorted(number[min(a, c), max(a, c)] for a in pair for c in range(k) if c not in pair))
        for pair in number
    )


def rook_graph(k: int) -> Placement:
    """Neighbours on a k x k board, adjacent when in the same row or column. Cost: O(k^3).

    >>> rook_graph(2)
    ((1, 2), (0, 3), (0, 3), (1, 2))
    """
    return tuple(
        tuple(sorted([r * k + j for j in range(k) if j != c] + [i * k + c for i in range(k) if i != r]))
        for r in range(k)
        for c in range(k)
    )


def random_biregular(n_chunks: int, n_workers: int, replication: int, rng: np.random.Generator) -> Placement:
    """A random placement: every chunk on ``replication`` workers, all workers with equally many chunks.

    Places of chunks are shuffled over the workers; a worker that got a chunk twice swaps one of them with
    a random other place until there is no such worker.

    Args:
        n_chunks: N, at least 1. n_workers: n, at least 1; must divide N times replication.
        replication: 1 to n. rng: where chance comes from.

    Raises:
        InvalidSpec: n does not divide N times replication.

    Cost: O(N x replication) usually.

    >>> held = random_biregular(6, 4, 2, np.random.default_rng(0))
    >>> [len(set(chunks)) for chunks in held]
    [3, 3, 3, 3]
    """
    n_places = n_chunks * replication
    if n_places % n_workers:
        rule = f"must be divided by n_workers = {n_workers}"
        raise InvalidSpec("number of chunks x replication", rule, n_places)
    load = n_places // n_workers
    if 2 * load > n_chunks:
        absent = (
            random_biregular(n_chunks, n_workers, n_workers - replication, rng) if load < n_chunks else ()
        )
        kept = [set(range(n_chunks)) - set(absent[w] if absent else ()) for w in range(n_workers)]
        return tuple(tuple(sorted(chunks)) for chunks in kept)
    places = rng.permutation(np.repeat(np.arange(n_chunks), replication)).reshape(n_workers, load)
    crowded = [w for w in range(n_workers) if len(set(places[w].tolist())) < load]
    while crowded:
        w = crowded[-1]
        own, first = np.unique(places[w], return_index=True)
        if len(own) == load:
            crowded.pop()
            continue
        spare = next(k for k in range(load) if k not in first)
        other, k = int(rng.integers(n_workers)), int(rng.integers(load))
        mine, theirs = places[w, spare], places[other, k]
        if theirs not in places[w] and mine not in places[other]:
            places[w, spare], places[other, k] = theirs, mine
    return tuple(tuple(sorted(chunks)) for chunks in places.tolist())


def random_regular_graph(n_vertices: int, degree: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The edges of a random simple graph in which every vertex has ``degree`` neighbours.

    Ends are paired at random; a loop or double edge swaps ends with a random other edge until there is none.

    Args:
        n_vertices: at least degree + 1; n_vertices times degree must be even.
        degree: at least 0. rng: where chance comes from.

    Returns:
        Edges (u, v) with u < v, ascending.

    Raises:
        InvalidSpec: there is no such graph.

    Cost: O(n_vertices x degree) usually.

    >>> random_regular_graph(4, 3, np.random.default_rng(0))
    [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    """
    if not 0 <= degree < n_vertices or n_vertices * degree % 2:
        rule = f"must be below {n_vertices} (the number of vertices), and their product even"
        raise InvalidSpec("degree", rule, degree)
    if 2 * degree >= n_vertices:
        absent = set(random_regular_graph(n_vertices, n_vertices - 1 - degree, rng))
        return [edge for edge in combinations(range(n_vertices), 2) if edge not in absent]
    ends = rng.permutation(np.repeat(np.arange(n_vertices), degree)).reshape(-1, 2).tolist()
    edges = [(min(u, v), max(u, v)) for u, v in ends]
    count: dict[tuple[int, int], int] = {}
    for edge in edges:
        count[edge] = count.get(edge, 0) + 1
    wrong = [k for k, (u, v) in enumerate(edges) if u == v or count[u, v] > 1]
    while wrong:
        k = wrong[-1]
        u, v = edges[k]
        if u != v and count[u, v] == 1:
            wrong.pop()
            continue
        other = int(rng.integers(len(edges)))
        a, b = edges[other] if rng.integers(2) else edges[other][::-1]
        swapped = [(min(u, a), max(u, a)), (min(v, b), max(v, b))]
        if other == k or swapped[0] == swapped[1] or any(x == y or count.get((x, y)) for x, y in swapped):
            continue
        for old, new in ((k, swapped[0]), (other, swapped[1])):
            count[edges[old]] -= 1
            edges[old] = new
            count[new] = count.get(new, 0) + 1
    return sorted(edges)


def neighbours(n_vertices: int, edges: Sequence[tuple[int, int]]) -> Placement:
    """For every vertex its neighbours, ascending.

    >>> neighbours(3, [(0, 1), (1, 2)])
    ((1,), (0, 2), (1,))
    """
    found: list[list[int]] = [[] for _ in range(n_vertices)]
    for u, v in edges:
        found[u].append(v)
        found[v].append(u)
    return tuple(tuple(sorted(own)) for own in found)


def nearest(possible: Sequence[int], wanted: int) -> str:
    """The members of an ascending sequence next to ``wanted``, in words.

    >>> nearest([7, 13, 21], 10), nearest([7, 13], 99)
    ('7 or 13', '13')
    """
    below = [number for number in possible if number < wanted][-1:]
    above = [number for number in possible if number > wanted][:1]
    return " or ".join(str(number) for number in below + above)


def sizes(family: str) -> dict[int, int]:
    """Possible numbers of workers of a family of planes or graphs, each with its order, up to 4,000.

    >>> list(sizes("projective"))[:4], sizes("rook")[16]
    ([7, 13, 21, 31], 4)
    """
    orders = prime_powers(64)
    found = {
        "projective": {q * q + q + 1: q for q in orders},
        "affine": {q * q + q: q for q in orders},
        "paley": {q: q for q in prime_powers(1024) if q % 4 == 1},
        "triangular": {k * (k - 1) // 2: k for k in range(4, 92)},
        "rook": {k * k: k for k in range(2, 65)},
        "petersen": {10: 5},
        "fano": {7: 2},
    }[family]
    return {n: order for n, order in found.items() if n <= MOST_BLOCKS}
