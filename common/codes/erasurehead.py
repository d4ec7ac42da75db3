"""Blocks of chunks, each copied to c workers, and a round that does not wait for all blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.codes.base import GradientCode, Message
from common.codes.decoders import FirstOfGroup
from common.codes.erasures import check_groups
from common.codes.fractional_repetition import fractional_repetition
from common.codes.parameters import canonical, whole
from common.errors import InvalidSpec

ESTIMATORS = {"published": "as published", "rescaled": "rescaled"}
"""How the argument ``estimator`` is called, and what the code then says of itself."""


def erasurehead(n_workers: int, copies: int, collect: int, estimator: str = "published") -> GradientCode:
    """Fractional repetition that ends a round at r messages, or earlier once every block is covered.

    The gradient is the sum over covered blocks of the first message of each. As published it is not rescaled,
    so that on average it is shorter than the true one, by the factor ``1 - p`` where p is the probability
    that a block is not covered. Rescaled, it is multiplied by blocks / covered blocks, which makes it
    unbiased when those that are missing are missing at random, and leaves it exact when none is.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        copies: c, workers that hold the same c chunks, 1 to n; c must divide n.
        collect: r, messages at which the round ends, 1 to n.
        estimator: ``published`` or ``rescaled``.

    Raises:
        InvalidSpec: a parameter is out of range, or c does not divide n.

    Source: Wang, Charles, Papailiopoulos 2019 (ErasureHead). The paper gives a block to consecutive workers;
        here its copies are far apart, as in ``fractional_repetition``. The rescaling is not the paper's.

    >>> code = erasurehead(6, copies=2, collect=3)
    >>> code.enough_messages, code.assignment.orders[0], code.assignment.orders[3]
    (3, (0, 1), (0, 1))
    """
    n, c = check_groups(n_workers, copies)
    r = whole("collect", collect, least=1, most=n, most_is="n_workers")
    if estimator not in ESTIMATORS:
        raise InvalidSpec("estimator", f"must be one of {', '.join(ESTIMATORS)}", estimator)
    return replace(
        fractional_repetition(n, c - 1),
        spec=canonical(erasurehead, n, c, r, estimator),
        decoder=FirstOfGroup() if estimator == "published" else CoveredShare(n // c),
        enough_messages=r,
        estimator=ESTIMATORS[estimator],
    )


@dataclass(frozen=True, slots=True)
class CoveredShare:
    """The first message of every covered block has the weight (blocks) / (covered blocks). O(total terms)."""

    n_blocks: int

    def weights(self, code: GradientCode, received: Sequence[Message]) -> NDArray[np.float64]:
        """Weights of shape (len(received), 1)."""
        weights = FirstOfGroup().weights(code, received)
        return weights * (self.n_blocks / max(int(np.count_nonzero(weights)), 1))
