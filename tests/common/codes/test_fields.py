from __future__ import annotations

import numpy as np
import pytest

from common.codes.fields import field, prime_power, prime_powers
from common.errors import InvalidSpec


@pytest.mark.parametrize("q", [*prime_powers(32), 49, 64, 81, 121])
def test_it_is_a_field(q):
    own = field(q)
    products = np.array([own.times(a) for a in range(q)])
    np.testing.assert_array_equal(own.sums, own.sums.T)
    np.testing.assert_array_equal(products, products.T)
    np.testing.assert_array_equal(own.sums[0], np.arange(q))
    np.testing.assert_array_equal(products[1], np.arange(q))
    assert all(len(set(row)) == q for row in own.sums.tolist())
    assert all(len(set(row)) == q for row in products[1:].tolist()), "no zero divisors"
    np.testing.assert_array_equal(own.sums[np.arange(q), own.negatives], 0)
    for x in range(0, q, max(1, q // 16)):
        np.testing.assert_array_equal(own.sums[x][own.sums], own.sums[own.sums[x]], "sums associate")
        np.testing.assert_array_equal(
            products[x][own.sums], own.sums[np.ix_(products[x], products[x])], "products distribute"
        )


def test_squares():
    assert field(13).squares.tolist() == [1, 3, 4, 9, 10, 12]
    assert field(8).squares.tolist() == list(range(1, 8))
    assert len(field(49).squares) == 24
    assert all(1 <= square < 25 for square in field(25).squares)


@pytest.mark.parametrize("q", [0, 1, 6, 12, 100, 2000])
def test_other_orders_have_no_field(q):
    with pytest.raises(InvalidSpec, match="power of a prime"):
        field(q)


def test_prime_powers():
    assert prime_powers(32) == [2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 19, 23, 25, 27, 29, 31, 32]
    assert prime_power(1024) == (2, 10)
    assert prime_power(997) == (997, 1)
    assert prime_power(36) is None
