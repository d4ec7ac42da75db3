"""Worker i holds the chunks i .. i + s + m - 1, and polynomials make messages m times shorter: exact."""

from __future__ import annotations

import math

import numpy as np

from common.codes.base import Assignment, GradientCode, Message, Term, decode
from common.codes.decoders import LeastSquares
from common.codes.frames import Floats
from common.codes.parameters import canonical, whole
from common.codes.quality import MOST_NOISE_FLOAT32, straggler_patterns
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec

MOST_WORKERS = 64
"""More are not even tried: measuring the noise would take seconds."""

_MOST_PATTERNS = 48


def ye_abbe(n_workers: int, n_stragglers: int, n_parts: int = 2) -> GradientCode:
    """Any s workers may be absent, and messages are m times shorter, for the least load possible: s + m.

    Chunk i and part u have a polynomial that vanishes at the points of the workers without the chunk; its
    value at a worker's point is the coefficient. All are of degree below n - s, so n - s messages determine
    the sum of polynomials, of which m coefficients are the m parts of the sum. Here the weights are found
    by least squares, which needs no polynomial, and every message is scaled to a largest coefficient of 1.

    The conditioning worsens fast with s and m; plans that a float32 message cannot carry are refused. Two
    choices keep it bearable for few stragglers (noise 1e2 at 64 workers with s = m = 2): messages are
    scaled, and neighbours in the numbering have points far apart.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        n_stragglers: s, 0 to n - 1.
        n_parts: m, 1 to n - s.

    Raises:
        InvalidSpec: a parameter is out of range, or rounding is amplified too much (says how much).

    Cost: O(n^2 m) to build, and at most 48 decodings to measure the noise (0.1 s at n = 32).

    Source: Ye and Abbe 2018, the scheme for the optimal trade of load, stragglers and message length.

    >>> [len(message.terms) for message in ye_abbe(5, 1, n_parts=2).messages]
    [6, 6, 6, 6, 6]
    """
    n = whole("n_workers", n_workers, least=1, most=MOST_WORKERS)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    m = whole("n_parts", n_parts, least=1, most=n - s, most_is="n_workers - n_stragglers")
    load = s + m
    values = coefficients(points(n), load, m)
    orders = tuple(tuple((worker + k) % n for k in range(load)) for worker in range(n))
    code = GradientCode(
        spec=canonical(ye_abbe, n, s, m),
        assignment=Assignment(n, orders),
        messages=tuple(_message(worker, order, values) for worker, order in enumerate(orders)),
        decoder=LeastSquares(),
        stop_rule=CountMessages(n - s),
        n_stragglers=s,
        n_parts=m,
    )
    noise = measured_noise(code)
    if noise > MOST_NOISE_FLOAT32:
        rule = (
            f"must amplify rounding at most {MOST_NOISE_FLOAT32:.0e} times and does so {noise:.1e} times; "
            "use communication_efficient_fractional, or fewer workers, stragglers or parts"
        )
        raise InvalidSpec("code", rule, code.spec)
    return code


def measured_noise(code: GradientCode) -> float:
    """The worst ``||W||_2`` over contiguous and random patterns of stragglers; infinite if one fails.

    Messages are scaled to a largest coefficient of 1, so this is what rounding is amplified by.
    """
    patterns = straggler_patterns(code.n_workers, code.n_stragglers, seed=0)
    worst = 0.0
    for absent in patterns[:: -(-len(patterns) // _MOST_PATTERNS)].tolist():
        decoding = decode(code, [message for message in code.messages if message.worker not in absent])
        worst = max(worst, decoding.noise_amplification if decoding.exact else math.inf)
    return worst


def points(n: int) -> Floats:
    """n distinct points, one a worker: zeros of Chebyshev's polynomial, neighbours about 0.4 n zeros apart.

    A chunk's polynomial vanishes at consecutive workers, so these are spread over the whole interval.
    """
    step = next(step for step in range(2 * n // 5, n + 2) if math.gcd(step, n) == 1)
    return np.asarray(np.cos(np.pi * (step * np.arange(n) % n + 0.5) / n), dtype=np.float64)


def coefficients(theta: Floats, load: int, n_parts: int) -> Floats:
    """The coefficient of part u of chunk i in the message of worker w.

    Chunk i is not held by the n - load workers after it, i + 1 .. i + n - load (mod n).

    Args:
        theta: distinct points, one a worker. load: s + m. n_parts: m.

    Returns:
        Shape (n chunks, m, n workers).
    """
    n = len(theta)
    degree = n - load
    found = np.empty((n, n_parts, n))
    for chunk in range(n):
        absent = theta[(chunk + 1 + np.arange(degree)) % n]
        base = np.atleast_1d(np.poly(absent))[::-1]  # ascending powers, monic of the given degree
        polynomial = base
        vanishing = np.prod(theta[None, :] - absent[:, None], axis=0)
        quotient = np.ones(1)  # polynomial = base x quotient
        for part in range(n_parts):
            found[chunk, part] = vanishing * np.polynomial.polynomial.polyval(theta, quotient)
            # Of x times the polynomial, take away what makes its coefficient of x^degree vanish.
            below = polynomial[degree - 1] if degree else 0.0
            quotient = np.concatenate([[0.0], quotient])
            quotient[0] -= below
            polynomial = np.convolve(base, quotient)
    return found


def _message(worker: int, order: tuple[int, ...], values: Floats) -> Message:
    own = values[list(order), :, worker]
    own = own / np.abs(own).max()
    return Message(
        worker,
        tuple(
            Term(chunk, part, float(own[place, part]))
            for part in range(own.shape[1])
            for place, chunk in enumerate(order)
        ),
    )
