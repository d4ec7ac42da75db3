"""What is lost when a round ends at r of n messages of a fractional repetition code: moments and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb

from common.codes.parameters import check_size, whole
from common.errors import InvalidSpec


@dataclass(frozen=True, slots=True)
class Erasures:
    """The chances that blocks are not covered.

    Args:
        one: p1, the probability that none of the c copies of a given block is among the messages.
        two: p2, the same for both of two given blocks.

    The gradient ``g`` is the sum of the block sums G_1 .. G_q; ``found`` is the sum over covered blocks.
    """

    one: Fraction
    two: Fraction

    @property
    def contraction(self) -> Fraction:
        """1 - p1: on average, found is so many times g. Dividing by it makes the estimate unbiased."""
        return 1 - self.one

    def second_moment(self, norm_squared: float, block_norms_squared: float) -> float:
        """The mean of ||found||^2 for ``||g||^2`` and ``sum_j ||G_j||^2``."""
        cross = float(1 - 2 * self.one + self.two)
        return cross * norm_squared + float(self.one - self.two) * block_norms_squared

    def mean_squared_error(self, norm_squared: float, block_norms_squared: float) -> float:
        """The mean of ||found - g||^2 for ``||g||^2`` and ``sum_j ||G_j||^2``."""
        return float(self.two) * norm_squared + float(self.one - self.two) * block_norms_squared

    def progress(self, gap: float, rate: float, smoothness: float, curvature: float, spread: float) -> float:
        """An upper bound on the mean distance of the loss from its least value after one step.

        Args:
            gap: the distance before the step.
            rate: step size gamma, at most ``largest_rate(smoothness)``.
            smoothness: beta, the Lipschitz constant of the gradient.
            curvature: mu > 0, such that ||g||^2 >= 2 mu (loss - least loss).
            spread: S >= sum_j ||G_j||^2.
        """
        self._check_rate(rate, smoothness)
        kept = 1 - rate * curvature * float(self.contraction)
        return kept * gap + smoothness * rate**2 * float(self.one - self.two) * spread / 2

    def noise_floor(self, rate: float, smoothness: float, curvature: float, spread: float) -> float:
        """Where ``progress`` comes to rest: how far above its least value the mean loss stays at most."""
        self._check_rate(rate, smoothness)
        noise = smoothness * rate * float(self.one - self.two) * spread
        return noise / (2 * curvature * float(self.contraction))

    def largest_rate(self, smoothness: float) -> float:
        """The largest step size for which ``progress`` and ``noise_floor`` hold."""
        return float(self.contraction / (1 - 2 * self.one + self.two)) / smoothness

    def _check_rate(self, rate: float, smoothness: float) -> None:
        if not 0 < rate <= self.largest_rate(smoothness) * (1 + 1e-12):
            raise InvalidSpec("rate", f"must be above 0 and at most {self.largest_rate(smoothness):g}", rate)


def erasures(n_workers: int, copies: int, collect: int) -> Erasures:
    """The chances when r messages arrive, every set of r workers being equally likely.

    Args:
        n_workers: n, at least 1. copies: c, 1 to n, divides n. collect: r, 1 to n.

    Source: Wang, Charles, Papailiopoulos 2019 (contraction of the mean, additive error); the closed forms
        are counts of subsets.

    >>> erasures(6, copies=2, collect=3).contraction
    Fraction(4, 5)
    """
    n, c = check_groups(n_workers, copies)
    r = whole("collect", collect, least=1, most=n, most_is="n_workers")
    return Erasures(Fraction(comb(n - c, r), comb(n, r)), Fraction(comb(max(n - 2 * c, 0), r), comb(n, r)))


def independent_erasures(copies: int, failure: float) -> Erasures:
    """The chances when every worker fails independently with probability ``failure``."""
    c = whole("copies", copies, least=1)
    if not 0 <= failure <= 1:
        raise InvalidSpec("failure", "must be a probability from 0 to 1", failure)
    p = Fraction(failure)
    return Erasures(p**c, p ** (2 * c))


def mean_coefficient_error(n_workers: int, copies: int, collect: int) -> Fraction:
    """The mean of ||E W - 1||^2, which is n p1, when r messages arrive.

    >>> mean_coefficient_error(12, copies=4, collect=6)
    Fraction(4, 11)
    """
    return n_workers * erasures(n_workers, copies, collect).one


def worst_coefficient_error(copies: int, n_absent: int) -> int:
    """The largest ||E W - 1||^2 that ``n_absent`` workers can cause: c for each block that they hold alone.

    >>> [worst_coefficient_error(3, absent) for absent in (2, 3, 5, 6)]
    [0, 3, 3, 6]
    """
    c = whole("copies", copies, least=1)
    return c * (whole("n_absent", n_absent, least=0) // c)


def check_groups(n_workers: int, copies: int) -> tuple[int, int]:
    """n and c as whole numbers; refuses a c that does not divide n and names the nearest one that does."""
    n = whole("n_workers", n_workers, least=1)
    c = whole("copies", copies, least=1, most=n, most_is="n_workers")
    check_size(n, c)
    if n % c:
        nearest = next(c + step for k in range(n) for step in (-k, k) if c + step > 0 and n % (c + step) == 0)
        raise InvalidSpec("copies", f"must divide n_workers = {n}, such as {nearest}", c)
    return n, c
