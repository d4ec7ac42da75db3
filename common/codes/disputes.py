"""Disputes among workers that should have sent the same sum: the lie is found by bisection.

With s liars a group of s + 1 workers that hold the same chunks is enough, where a majority vote would need
2 s + 1: at least one of them is honest. Two that disagree are led, by numbers they are bound to, to a single
chunk on which they disagree; the master computes that one chunk and knows who lies.
"""

from __future__ import annotations

from collections.abc import Sequence


class Bisection:
    """Finds a term of a sum on which two workers differ by more than rounding explains.

    Both have said what the whole sum is, at the number of it where they differ most. Each step asks both for
    the sum of the left half of the terms that are left. With that they are bound to the right half too, and
    one half differs by more than its share of the rounding. Whatever a liar answers, it is bound to a wrong
    value of some term in the end, while an honest worker never is.

    Args:
        totals: what either says the sum of all terms is.
        slacks: for each term, how far rounding may move an honest worker's value of it, at least 0. The last
            includes what the message's own rounding adds.

    Raises:
        ValueError: the totals differ by no more than rounding explains.

    Cost: ceil(log2(terms)) questions to each worker, of one number each.

    Source: Hofmeister et al. 2024 (liars are found by comparing and computing little); binding workers by
        sums of halves, within rounding, is this implementation's.

    >>> found = Bisection((6.0, 7.0), (0.1, 0.1, 0.1))  # of 1 + 2 + 3, and of 1 + 3 + 3
    >>> found.asked
    (0, 1)
    >>> found.answer((1.0, 1.0)); found.asked
    (1, 2)
    >>> found.answer((2.0, 3.0)); found.asked, found.term, found.values
    (None, 1, (2.0, 3.0))
    """

    def __init__(self, totals: tuple[float, float], slacks: Sequence[float]) -> None:
        self._slacks = tuple(slacks)
        self._begin, self._end = 0, len(self._slacks)
        self.values = totals
        """What either is bound to, for the sum of the terms that are left."""
        if not self._differ(self.values, self._begin, self._end):
            raise ValueError("there is nothing to find: the totals differ by no more than rounding")

    @property
    def asked(self) -> tuple[int, int] | None:
        """The terms whose sum both are asked for, from the first up to but not including the second.

        None when one term is left.
        """
        middle = (self._begin + self._end) // 2
        return None if middle == self._begin else (self._begin, middle)

    @property
    def term(self) -> int:
        """The term on which the two differ, when one is left."""
        assert self.asked is None, "it is not found yet"
        return self._begin

    def answer(self, values: tuple[float, float]) -> None:
        """What either says the sum of the terms asked for is; finite numbers."""
        asked = self.asked
        assert asked is not None, "nothing is asked"
        if self._differ(values, *asked):
            self._end, self.values = asked[1], values
        else:
            self._begin = asked[1]
            self.values = self.values[0] - values[0], self.values[1] - values[1]

    def _differ(self, values: tuple[float, float], begin: int, end: int) -> bool:
        return abs(values[0] - values[1]) > 2.0 * sum(self._slacks[begin:end])
