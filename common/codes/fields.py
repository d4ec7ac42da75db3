"""Finite fields of small order, as tables: what planes and Paley graphs are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidSpec

LARGEST_ORDER = 1024
"""Addition is a table of q x q numbers."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Field:
    """The field of q elements, numbered 0 .. q - 1; 0 and 1 are its zero and its one.

    Attributes:
        order: q.
        sums: sums[a, b] = a + b, shape (q, q).
        powers: the powers 0 .. q - 2 of a generator of the multiplicative group, shape (q - 1,).
    """

    order: int
    sums: Indices
    powers: Indices

    def times(self, a: int) -> Indices:
        """All products a b, by b; shape (q,)."""
        found = np.zeros(self.order, dtype=np.intp)
        if a:
            exponent = int(np.flatnonzero(self.powers == a)[0])
            found[self.powers] = np.roll(self.powers, -exponent)
        return found

    @property
    def squares(self) -> Indices:
        """The nonzero squares, ascending."""
        found: Indices = np.unique(self.powers[:: 1 if self.order % 2 == 0 else 2])
        return found

    @property
    def negatives(self) -> Indices:
        """For every a the element -a; shape (q,)."""
        return np.nonzero(self.sums == 0)[1]


def prime_power(q: int) -> tuple[int, int] | None:
    """``(p, e)`` with q = p^e and p prime; None if q is no power of a prime.

    >>> prime_power(9), prime_power(12)
    ((3, 2), None)
    """
    if q < 2:
        return None
    p = next((p for p in range(2, int(q**0.5) + 1) if q % p == 0), q)
    e = 0
    while q % p == 0:
        q, e = q // p, e + 1
    return (p, e) if q == 1 else None


def prime_powers(most: int) -> list[int]:
    """Powers of primes up to ``most``, ascending."""
    return [q for q in range(2, most + 1) if prime_power(q)]


@lru_cache(maxsize=16)
def field(q: int) -> Field:
    """The field of order q.

    Elements are polynomials over the integers mod p, with the coefficients as digits of the number. They
    are multiplied modulo a polynomial for which x generates all nonzero elements; it is found by trying.

    Args:
        q: a power of a prime, at most 1024.

    Raises:
        InvalidSpec: q is not such a number.

    Cost: O(q^2), and O(q) a polynomial tried.

    >>> f = field(4)
    >>> f.times(2).tolist(), f.sums[2].tolist()
    ([0, 2, 3, 1], [2, 3, 0, 1])
    """
    factors = prime_power(q) if q <= LARGEST_ORDER else None
    if factors is None:
        raise InvalidSpec("order of the field", f"must be a power of a prime of at most {LARGEST_ORDER}", q)
    p, e = factors
    places = p ** np.arange(e)
    digits = np.arange(q)[:, None] // places % p
    sums = np.zeros((q, q), dtype=np.intp)
    for column, place in enumerate(places):
        sums += (digits[:, None, column] + digits[None, :, column]) % p * place
    # x times the leading power of x is -(what the polynomial has below it), a number "reduction".
    for reduction in product(range(p), repeat=e):
        powers = _powers_of_x(p, e, reduction)
        if powers is not None:
            return Field(q, sums, np.array(powers, dtype=np.intp))
    raise AssertionError("every finite field has a generator")


def _powers_of_x(p: int, e: int, reduction: tuple[int, ...]) -> list[int] | None:
    """The powers 0 .. p^e - 2 of x where x^e = reduction; None if x generates less."""
    q, top = p**e, p ** (e - 1)
    powers, seen = [1], {0, 1}
    while len(powers) < q - 1:
        lead, rest = divmod(powers[-1], top)
        shifted = rest * p
        number = sum(
            (shifted // p**k + lead * coefficient) % p * p**k for k, coefficient in enumerate(reduction)
        )
        if number in seen:
            return None
        seen.add(number)
        powers.append(number)
    return powers
