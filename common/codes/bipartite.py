"""Chunks and workers are matched at random, and signs or a null space tell the parts of a message apart."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr

from common.codes.approximate_decoders import FixedWeights, NormalEquations
from common.codes.base import Decoder, GradientCode
from common.codes.designs import Placement, random_biregular
from common.codes.frames import Floats, hadamard, least_hadamard_order
from common.codes.parameters import canonical, check_size, whole
from common.codes.signed import (
    MOST_SOLVED_WORKERS,
    check_parts,
    check_solvable,
    draw_signs,
    folded_code,
    folded_messages,
    incidence,
    rows_of,
)
from common.errors import InvalidSpec

SIGNS = ("row_balanced", "null_space", "balanced", "random")


def bipartite(
    n_workers: int,
    load: int = 2,
    replication: int = 4,
    n_parts: int = 2,
    n_stragglers: int = 0,
    signs: str = "row_balanced",
    decoder: str = "least_squares",
    seed: int = 0,
) -> GradientCode:
    """A random placement, N = n x load / replication chunks; messages are m times shorter. Approximate.

    What tells the parts apart:

    * ``row_balanced``: signs that are orthogonal among the holders of every single chunk: exact if all
      answer, and a worker multiplies nothing. The placement is drawn for given signs.
    * ``null_space``: real numbers, each part's in the null space of the earlier parts' encodings: exact if
      all answer, for any replication, but needs n > (m - 1) N.
    * ``balanced`` and ``random``: signs that know nothing of the placement: not exact even if all answer
      (``n_stragglers`` of the code is 0 and promises nothing), unless there is one part only.

    Args:
        n_workers: n, at least 2.
        load: d, chunks on every worker, at least 1. replication: holders of every chunk, 1 to n.
        n_parts: m, at least 1.
        n_stragglers: messages that a round does not wait for, 0 to n - 1.
        signs: see above. row_balanced needs n and the replication to be divided by 2 for m = 2, by 4 for 3
            and 4, by 8 for 5 to 8, and so on.
        decoder: ``least_squares`` (at most 1,000 workers), or ``unbiased``: the weights that are exact if
            all answer, times n / (messages received); its expectation is the sum whoever is missing at
            random. Not for signs that are never exact.
        seed: of placement and signs, at least 0.

    Raises:
        InvalidSpec: a parameter is out of range, no such placement exists, or decoding would take longer
            than 50 ms.

    Cost: O(n load m) to build (null_space: O(n (m N)^2)); decoding is least squares over n messages, or
        O(n m).

    Source: Munim and Ramamoorthy 2025, the constructions by random diagonal matrices and by Hadamard
        products with a null space, on bi-regular bipartite graphs.

    >>> code = bipartite(40, load=3, replication=6)
    >>> code.n_chunks, code.n_parts
    (20, 2)
    """
    n = whole("n_workers", n_workers, least=2)
    rho = whole("replication", replication, least=1, most=n, most_is="n_workers")
    load = whole("load", load, least=1)
    m = check_parts(n_parts)
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    seed = whole("seed", seed, least=0)
    check_size(n, load * m)
    if n * load % rho:
        raise InvalidSpec("n_workers x load", f"must be divided by the replication = {rho}", n * load)
    n_chunks = n * load // rho
    rng = np.random.default_rng([seed, n, load, rho])
    placement, columns = _drawn(signs, n, n_chunks, rho, m, rng, seed)
    divisors = _held_squares(placement, n_chunks, columns) if _exact(signs, m) else None
    return folded_code(
        spec=canonical(bipartite, n, load, rho, m, ignored, signs, decoder, seed),
        n_chunks=n_chunks,
        placement=placement,
        messages=folded_messages(placement, columns, divisors),
        decoder=_decoder(decoder, signs, load, columns),
        n_survived=0,
        n_ignored=ignored,
        n_parts=m,
        ever_exact=_exact(signs, m),
    )


def _held_squares(placement: Placement, n_chunks: int, columns: Floats) -> Floats:
    """For every chunk and part the sum of the squares of its holders' numbers, shape (N, m)."""
    squares = np.zeros((n_chunks, columns.shape[1]))
    for chunks, own in zip(placement, columns**2, strict=True):
        squares[list(chunks)] += own
    return squares


def _exact(signs: str, n_parts: int) -> bool:
    """Whether the columns, as weights, decode exactly if all answer."""
    return signs in ("row_balanced", "null_space") or n_parts == 1


def _drawn(
    signs: str, n: int, n_chunks: int, rho: int, m: int, rng: np.random.Generator, seed: int
) -> tuple[Placement, Floats]:
    """The placement, and m numbers for every worker, shape (n, m)."""
    if signs == "row_balanced":
        return _row_balanced(n, n_chunks, rho, m, rng)
    placement = random_biregular(n_chunks, n, rho, rng)
    if signs == "null_space":
        return placement, null_space_columns(placement, n_chunks, m, rng)
    if signs in SIGNS:
        return placement, draw_signs(signs, m, n, seed)
    raise InvalidSpec("signs", f"must be one of {', '.join(SIGNS)}", signs)


def _row_balanced(
    n: int, n_chunks: int, rho: int, m: int, rng: np.random.Generator
) -> tuple[Placement, Floats]:
    """Classes of workers, each with a column of a Hadamard matrix and every chunk equally often."""
    order = least_hadamard_order(m)
    for name, value in (("n_workers", n), ("replication", rho)):
        if value % order:
            rule = f"must be divided by {order} for row-balanced signs of {m} parts"
            near = " or ".join(str(k) for k in (value // order * order, -(-value // order) * order) if k)
            raise InvalidSpec(name, f"{rule}, such as {near}; null_space has no such rule", value)
    classes = [random_biregular(n_chunks, n // order, rho // order, rng) for _ in range(order)]
    placement = tuple(chunks for own in classes for chunks in own)
    return placement, np.repeat(hadamard(order)[:m].T, n // order, axis=0)


def null_space_columns(placement: Placement, n_chunks: int, n_parts: int, rng: np.random.Generator) -> Floats:
    """Weights V such that the encoding with entries ``V[w, t] / sum of V[., t]^2 over the chunk's holders``
    satisfies E V = I (x) 1: part by part a random vector in the null space of the encodings so far.

    Args:
        placement: the chunks of every worker. n_chunks: N. n_parts: m; n > (m - 1) N is needed.
        rng: where chance comes from.

    Returns:
        V, shape (n_workers, m), columns of squared norm n.

    Raises:
        InvalidSpec: too few workers, or too many for a dense factorisation.

    Cost: O(n (m N)^2).
    """
    n = len(placement)
    if n <= (n_parts - 1) * n_chunks or n > MOST_SOLVED_WORKERS:
        rule = f"must be more than (n_parts - 1) x {n_chunks} chunks and at most {MOST_SOLVED_WORKERS}"
        raise InvalidSpec("n_workers", f"{rule} for signs from a null space", n)
    A = incidence(placement, n_chunks)
    columns = np.empty((n, n_parts))
    blocks: list[Floats] = []
    for part in range(n_parts):
        drawn = rng.standard_normal(n)
        if blocks:
            basis = qr(np.concatenate(blocks).T, mode="economic", check_finite=False)[0]
            for _ in range(2):  # once more: the first projection leaves rounding errors of its own
                drawn -= basis @ (basis.T @ drawn)
        columns[:, part] = drawn * np.sqrt(n) / np.linalg.norm(drawn)
        blocks.append(A * columns[:, part] / (A @ columns[:, part] ** 2)[:, None])
    return columns


def _decoder(decoder: str, signs: str, load: int, columns: Floats) -> Decoder:
    n, m = columns.shape
    if decoder == "least_squares":
        check_solvable(n, load, m)
        return NormalEquations()
    if decoder != "unbiased":
        raise InvalidSpec("decoder", "must be least_squares or unbiased", decoder)
    if not _exact(signs, m):
        rule = "unbiased needs signs that are exact if all answer: row_balanced or null_space"
        raise InvalidSpec("decoder", rule, decoder)
    return FixedWeights(rows_of(columns), rescaled=True)
