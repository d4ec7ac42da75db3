"""Worker i holds the chunks i .. i + s: exact with any s stragglers, for any n > s."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import LeastSquares
from common.codes.parameters import canonical, check_size, whole
from common.codes.quality import noise_without, straggler_patterns
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec

N_DRAWS = 20
"""Draws that the seed search of the random variant compares."""

MOST_RANDOM_WORKERS = 500
"""The seed search costs N_DRAWS times O(n^3): 4 s at n = 1,000, where no draw is worth having."""

_VARIANTS = ("auto", "cyclic_mds", "random")

Floats = NDArray[np.float64]


def cyclic_repetition(
    n_workers: int, n_stragglers: int, variant: str = "auto", seed: int = 0
) -> GradientCode:
    """Worker i holds the chunks i .. i + s (mod n) and sends one combination of them.

    Any n - s messages determine the sum; the weights are found by least squares. Two ways to choose the
    coefficients: ``random`` (works always, amplifies rounding; the best of 20 draws is taken) and
    ``cyclic_mds`` (far better conditioned for few stragglers; real only where n - s is odd).

    Args:
        n_workers: n, at least 1; also the number of chunks.
        n_stragglers: s, 0 to n - 1. With s = 0 every variant is the identity.
        variant: ``random``, ``cyclic_mds``, or ``auto``: cyclic_mds where n - s is odd and s <= 3.
        seed: of the random variant's draws, at least 0; the others do not use it.

    Raises:
        InvalidSpec: a parameter is out of range; cyclic_mds asked for where n - s is even; random asked
            for with more than 1,000 workers.

    Cost: O(n s) for cyclic_mds; 20 factorisations of O(n^3) for random (5 ms at n = 8, 0.1 s at 200).

    Source: Tandon et al. 2017, section 3 (cyclic repetition scheme) for random; Raviv et al. 2018, section
        on cyclic MDS codes, for cyclic_mds.

    >>> cyclic_repetition(4, 1).messages[3]
    Message(worker=3, terms=(Term(chunk=3, part=0, coefficient=1.0), Term(chunk=0, part=0, coefficient=1.0)))
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    seed = whole("seed", seed, least=0)
    check_size(n, s + 1)
    rows = _coefficients(n, s, variant, seed)
    orders = tuple(tuple((worker + k) % n for k in range(s + 1)) for worker in range(n))
    return GradientCode(
        spec=canonical(cyclic_repetition, n, s, variant, seed),
        assignment=Assignment(n, orders),
        messages=tuple(
            Message(worker, tuple(map(Term, order, [0] * (s + 1), row)))
            for worker, (order, row) in enumerate(zip(orders, rows.tolist(), strict=True))
        ),
        decoder=LeastSquares(),
        stop_rule=CountMessages(n - s),
        n_stragglers=s,
    )


def _coefficients(n: int, s: int, variant: str, seed: int) -> Floats:
    """Row i: the coefficients of the chunks i .. i + s, shape (n, s + 1)."""
    if variant not in _VARIANTS:
        raise InvalidSpec("variant", f"must be one of {', '.join(_VARIANTS)}", variant)
    if s == 0:
        return np.ones((n, 1))
    real = (n - s) % 2 == 1
    if variant == "cyclic_mds" and not real:
        raise InvalidSpec(
            "variant",
            f"cyclic_mds is real only where n_workers - n_stragglers is odd, and {n} - {s} is even; "
            "change either by one, or use random",
            variant,
        )
    if variant == "cyclic_mds" or (variant == "auto" and real and s <= 3):
        return np.tile(_cyclic_mds_row(n, s), (n, 1))
    if n > MOST_RANDOM_WORKERS:
        raise InvalidSpec(
            "n_workers",
            f"must be at most {MOST_RANDOM_WORKERS} where coefficients are random; "
            "fractional_repetition and partial_stragglers have no such limit",
            n,
        )
    return _best_random_rows(n, s, seed)


def _cyclic_mds_row(n: int, s: int) -> Floats:
    """Coefficients of the polynomial whose zeros are the s n-th roots of unity that are nearest to -1.

    The zeros have the angles pi + 2 pi k / n with k = -(s-1)/2 .. (s-1)/2, which are n-th roots of unity
    just where n - s is odd. They come in conjugate pairs (and -1 itself for odd s), so the product is real.
    """
    row = np.array([1.0, 1.0]) if s % 2 else np.array([1.0])
    for k in np.arange((s - 1) / 2, 0.0, -1.0):
        row = np.convolve(row, [1.0, 2.0 * math.cos(2.0 * math.pi * k / n), 1.0])
    return row


def _best_random_rows(n: int, s: int, seed: int) -> Floats:
    """Of 20 draws the one that amplifies rounding least over sampled patterns of s absent workers."""
    patterns = straggler_patterns(n, s, seed)
    draws = [_random_rows(n, s, np.random.default_rng([seed, draw])) for draw in range(N_DRAWS)]
    return min(draws, key=lambda rows: _noise(rows, patterns))


def _random_rows(n: int, s: int, generator: np.random.Generator) -> Floats:
    """Rows in the null space of a random s x n matrix H with H 1 = 0, normalised to a leading 1."""
    H = generator.standard_normal((s, n))
    H[:, -1] = -H[:, :-1].sum(axis=1)
    held = (np.arange(n)[:, None] + np.arange(s + 1)) % n
    return np.array([[1.0, *np.linalg.solve(H[:, own[1:]], -H[:, own[0]])] for own in held])


def _noise(rows: Floats, patterns: NDArray[np.intp]) -> float:
    n, width = rows.shape
    encoding = np.zeros((n, n))
    encoding[(np.arange(n)[:, None] + np.arange(width)) % n, np.arange(n)[:, None]] = rows
    return float(noise_without(encoding, np.ones((n, 1)), patterns).max() * np.abs(rows).max())
