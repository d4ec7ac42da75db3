"""How much a plan amplifies rounding: measured before a run, so that a hopeless plan is refused at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from common.codes.base import Decoding, GradientCode, Message, decode, decoding_target
from common.codes.decoders import LeastSquares, encoding_matrix
from common.errors import InvalidSpec

MOST_NOISE_FLOAT32 = 1e5
"""A float32 wire carries 24 bits, so a relative error of about 6e-8 times the noise reaches the gradient."""

_DENSE_WORKERS = 1000
_TERMS_TO_DECODE = 2_000_000

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def straggler_patterns(n_workers: int, n_absent: int, seed: int, n_random: int = 64) -> Indices:
    """Sets of absent workers worth trying: all of them when they are few, else contiguous and random ones.

    Contiguous ones because clustered stragglers are what cyclic codes bear worst.

    Args:
        n_workers: n, at least 1.
        n_absent: workers absent in every pattern, 0 to n.
        seed: of the random patterns.
        n_random: how many random patterns, and the bound below which all patterns are tried.

    Returns:
        Worker numbers, shape (patterns, n_absent); at most 2 n_random + 128 patterns.

    >>> straggler_patterns(3, 1, seed=0).tolist()
    [[0], [1], [2]]
    """
    if math.comb(n_workers, n_absent) <= 2 * n_random:
        every = list(combinations(range(n_workers), n_absent))
        return np.array(every, dtype=np.intp).reshape(len(every), n_absent)
    generator = np.random.default_rng(seed)
    starts = np.arange(0, n_workers, math.ceil(n_workers / 128))
    contiguous = (starts[:, None] + np.arange(n_absent)) % n_workers
    scattered = [generator.permutation(n_workers)[:n_absent] for _ in range(n_random)]
    return np.concatenate([contiguous, np.array(scattered)]).astype(np.intp)


def noise_without(encoding: Floats, target: Floats, absent: Indices) -> Floats:
    """The noise amplification ``||W||_2`` of exact least-squares decoding without some columns.

    All weights that decode with every column are ``W0 + V C``, V a basis of the null space. The weights of
    absent columns must vanish, which fixes C by one small system a pattern, so that the factorisation of
    the encoding is shared by all patterns.

    Args:
        encoding: E, shape (rows, columns).
        target: J, shape (rows, m), in the column space of E.
        absent: column numbers, shape (patterns, absent columns).

    Returns:
        One number a pattern; infinity where no exact decoding is found in float64.

    Cost: O(columns^2 x rows) once, then O(absent^3 + absent x columns) a pattern.
    """
    particular, null = _all_weights(encoding, target)
    if not null.shape[1]:
        found = particular[absent]
        weights = np.broadcast_to(particular, (len(absent), *particular.shape))
    else:
        shift = _null_shift(null[absent], -particular[absent])
        found = particular[absent] + null[absent] @ shift
        weights = particular + null @ shift
    scale = np.sqrt(np.sum(weights**2, axis=(1, 2)))
    if target.shape[1] == 1:
        noise = scale
    else:
        noise = np.where(np.isfinite(scale), scale, np.inf)
        finite = np.isfinite(scale)
        noise[finite] = np.linalg.norm(weights[finite], 2, axis=(1, 2))
    missed = np.abs(found).max(axis=(1, 2), initial=0.0)
    return np.where(missed <= 1e-6 * np.maximum(scale, 1.0), noise, np.inf)


def worst_noise(code: GradientCode, seed: int = 0) -> float:
    """The worst noise found over patterns of ``code.n_stragglers`` absent workers: max ||W||_2 x max |E|.

    Rounding errors of relative size e in the messages reach the gradient with relative size of about e
    times this. A sample, so a lower bound; infinity when a pattern cannot be decoded in float64.

    Args:
        code: any code.
        seed: of the random patterns.

    A code that is not exact even with everybody has its noise measured with everybody; one whose coded part
    has a code of its own has that one's.

    Cost: one O(n^3) factorisation for codes that decode by least squares (0.5 s at n = 1,000), otherwise
    up to 192 decodings, fewer where a decoding has more than 10,000 terms.

    >>> from common.codes.fractional_repetition import fractional_repetition
    >>> worst_noise(fractional_repetition(4, 1)) == 2**0.5
    True
    """
    coded = getattr(code.decoder, "coded", None)
    if coded is not None:  # partly naive: what is coded has a code of its own
        return worst_noise(coded, seed)
    everybody = decoded_without(code, frozenset())
    if not everybody[0].exact:  # approximate by design: what matters is the noise it is meant to have
        return everybody[0].noise_amplification * _largest(everybody[1])
    patterns = straggler_patterns(code.n_workers, code.n_stragglers, seed)
    one_each = all(len(numbers) == 1 for numbers in code.messages_of)
    if isinstance(code.decoder, LeastSquares) and one_each and code.n_workers <= _DENSE_WORKERS:
        numbers = np.array(code.messages_of, dtype=np.intp)[:, 0]
        encoding = encoding_matrix(code.n_chunks, code.n_parts, code.messages).toarray()
        target = decoding_target(code.n_chunks, code.n_parts)
        return float(noise_without(encoding, target, numbers[patterns]).max()) * _largest(code.messages)
    total_load = sum(len(order) for order in code.assignment.orders)
    step = math.ceil(len(patterns) / max(4, _TERMS_TO_DECODE // total_load))
    return max(_noise_of(code, frozenset(pattern.tolist())) for pattern in patterns[::step])


def check_wire(code: GradientCode, wire_dtype: str) -> None:
    """Refuse a plan whose decoding a float32 wire cannot carry: worst noise above 1e5.

    Args:
        code: any code.
        wire_dtype: ``float32`` or ``float64``; nothing is refused for float64.

    Raises:
        InvalidSpec: with the measured noise and what to do instead.
    """
    if wire_dtype not in ("float32", "float64"):
        raise InvalidSpec("wire_dtype", "must be float32 or float64", wire_dtype)
    if wire_dtype == "float64":
        return
    noise = worst_noise(code)
    if noise > MOST_NOISE_FLOAT32:
        raise InvalidSpec(
            "code",
            f"must amplify rounding at most {MOST_NOISE_FLOAT32:.0e} times on a float32 wire and does so "
            f"{noise:.1e} times; use wire_dtype float64, fewer stragglers or fractional_repetition",
            code.spec,
        )


def _all_weights(encoding: Floats, target: Floats) -> tuple[Floats, Floats]:
    """The least-norm W0 with E W0 = J, and an orthonormal basis of the null space of E."""
    Q, R, order = qr(encoding.T, pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(R))
    tolerance = 10 * max(R.shape) * np.finfo(np.float64).eps
    rank = int(np.sum(pivots > tolerance * pivots[0]))
    within = solve_triangular(R[:rank, :rank], target[order][:rank], trans="T", check_finite=False)
    return Q[:, :rank] @ within, Q[:, rank:]


def _null_shift(rows: Floats, wanted: Floats) -> Floats:
    """Least-norm solutions of a stack of small systems ``rows @ X = wanted``."""
    if rows.shape[1] == rows.shape[2]:
        try:
            return np.asarray(np.linalg.solve(rows, wanted), dtype=np.float64)
        except np.linalg.LinAlgError:
            pass  # a pattern without a unique answer is among them: the slower way finds which
    return np.asarray(np.linalg.pinv(rows) @ wanted, dtype=np.float64)


def _noise_of(code: GradientCode, absent: frozenset[int]) -> float:
    """Noise of one pattern, by the code's own decoder."""
    decoding, received = decoded_without(code, absent)
    return decoding.noise_amplification * _largest(received) if decoding.exact else math.inf


def decoded_without(code: GradientCode, absent: frozenset[int]) -> tuple[Decoding, Sequence[Message]]:
    """What comes of it when ``absent`` workers finished nothing and all others everything.

    Returns:
        The decoding, and the messages it was made of.
    """
    received: Sequence[Message]
    if code.requester is None:
        received = [message for message in code.messages if message.worker not in absent]
    else:
        holders = enumerate(code.assignment.holders)
        received = code.requester.choose({chunk: set(workers) - absent for chunk, workers in holders})
    return decode(code, received), received


def _largest(messages: Sequence[Message]) -> float:
    return max(abs(term.coefficient) for message in messages for term in message.terms)
