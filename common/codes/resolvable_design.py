"""Workers come in classes that each hold every chunk once, and a class has a row of numbers for the parts."""

from __future__ import annotations

import numpy as np

from common.codes.approximate_decoders import FixedWeights, NormalEquations
from common.codes.base import Decoder, GradientCode
from common.codes.designs import Placement, affine_classes, nearest
from common.codes.fields import LARGEST_ORDER, prime_power
from common.codes.frames import Floats, cosine_frame, hadamard, survives
from common.codes.parameters import canonical, whole
from common.codes.signed import (
    check_parts,
    check_solvable,
    check_terms,
    folded_code,
    folded_messages,
    rows_of,
)
from common.errors import InvalidSpec


def resolvable_design(
    n_workers: int,
    replication: int = 3,
    n_parts: int = 2,
    n_stragglers: int = 0,
    frame: str = "cosine",
    decoder: str = "least_squares",
) -> GradientCode:
    """Lines of an affine plane, as rho parallel classes of q = n / rho workers; messages are m times shorter.

    Worker w of class c sends the sum of its chunks, its parts added up with the numbers of row c of an
    orthogonal matrix. The workers of a class together hold every chunk once, so any m whole classes with
    independent rows give the exact sum; beyond that the answer is approximate.

    * ``cosine``: any m classes are independent: exact with any rho - m workers absent, which no code with
      this replication exceeds.
    * ``hadamard``: signs only, so that a worker multiplies nothing; some classes have equal rows, so fewer
      workers may be absent.

    Args:
        n_workers: n, at least 2; rho times a power of a prime, q.
        replication: rho, holders of every chunk, from n_parts to q + 1. There are q^2 chunks, q a worker.
        n_parts: m, 1 to rho.
        n_stragglers: messages that a round does not wait for, 0 to n - 1; an exact round ends earlier.
        frame: ``cosine`` or ``hadamard`` (for a replication of 1, 2 or a multiple of 4).
        decoder: ``least_squares``, or ``unbiased``: the weights that are exact when all answer, times
            n / (messages received); its expectation is the sum whoever is missing at random.

    Raises:
        InvalidSpec: a parameter is out of range, q is no power of a prime, or decoding would take longer
            than 50 ms.

    Cost: O(n q m) to build; decoding is least squares over n messages, or O(n m).

    Source: Munim and Ramamoorthy 2025, the construction by Hadamard products with a null space; parallel
        classes as its solution, and the cosine rows, are this implementation's.

    >>> resolvable_design(12, replication=4).n_stragglers
    2
    """
    rho = whole("replication", replication, least=1)
    n = whole("n_workers", n_workers, least=2)
    m = check_parts(n_parts, most=rho, most_is="replication")
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    q = _order(n, rho)
    rows = _rows(frame, rho, m)
    columns = np.repeat(rows, q, axis=0)
    found: Decoder
    if decoder == "least_squares":
        check_solvable(n, q, m)
        found, n_survived = NormalEquations(), rho - m if frame == "cosine" else survives(rows)
    elif decoder == "unbiased":
        check_terms(n * q * m)
        found, n_survived = FixedWeights(rows_of(columns), rescaled=True), 0
    else:
        raise InvalidSpec("decoder", "must be least_squares or unbiased", decoder)
    placement: Placement = tuple(line for parallel in affine_classes(q)[:rho] for line in parallel)
    return folded_code(
        spec=canonical(resolvable_design, n, rho, m, ignored, frame, decoder),
        n_chunks=q * q,
        placement=placement,
        messages=folded_messages(placement, columns / rho),
        decoder=found,
        n_survived=n_survived,
        n_ignored=ignored,
        n_parts=m,
    )


def _order(n: int, rho: int) -> int:
    """q: workers in a class."""
    q = n // rho
    if n % rho or not prime_power(q) or rho > q + 1 or q > LARGEST_ORDER:
        possible = [rho * k for k in range(rho - 1, q + 64) if k <= LARGEST_ORDER and prime_power(k)]
        rule = (
            f"must be replication = {rho} times a power of a prime that is at least {max(rho - 1, 2)} and at "
            f"most {LARGEST_ORDER}, such as {nearest(possible, n)}"
        )
        raise InvalidSpec("n_workers", rule, n)
    return q


def _rows(frame: str, rho: int, m: int) -> Floats:
    """A row for every class, shape (rho, m), columns orthogonal with squared norm rho."""
    if frame == "cosine":
        return cosine_frame(rho, m)
    if frame == "hadamard":
        return hadamard(rho)[:m].T
    raise InvalidSpec("frame", "must be cosine or hadamard", frame)
