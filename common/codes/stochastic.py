"""Chunks on random workers, and coefficients that make the plain sum of whatever arrives unbiased."""

from __future__ import annotations

import math

import numpy as np

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import PlainSum
from common.codes.designs import random_biregular
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec


def stochastic(
    n_workers: int,
    replication: int = 3,
    straggler_probability: float = 0.1,
    seed: int = 0,
    n_stragglers: int = 0,
) -> GradientCode:
    """A worker sends the sum of its chunks over rho (1 - p), and the master adds up what arrives.

    Unbiased if every worker fails with probability p, independently: a chunk's coefficient has mean 1 and
    variance p / ((1 - p) rho). Approximate even if all answer, unless p is 0: every coefficient is then
    1 / (1 - p), and ``n_stragglers`` of the code is 0 and promises nothing.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        replication: rho, chunks on every worker and workers that hold a chunk, 1 to n.
        straggler_probability: p, 0 to below 1.
        seed: of the placement, at least 0.
        n_stragglers: messages that a round does not wait for, 0 to n - 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Cost: O(n rho) to build, O(messages) to decode.

    Source: Bitar, Wootters and El Rouayheb 2020, stochastic gradient coding; the placement is random with
        equal loads.

    >>> stochastic(6, replication=2, straggler_probability=0.2).messages[0].terms[0].coefficient
    0.625
    """
    n = whole("n_workers", n_workers, least=1)
    rho = whole("replication", replication, least=1, most=n, most_is="n_workers")
    p = _probability(straggler_probability)
    seed = whole("seed", seed, least=0)
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    check_size(n, rho)
    placement = random_biregular(n, n, rho, np.random.default_rng([seed, n, rho]))
    amount = 1.0 / (rho * (1.0 - p))
    return GradientCode(
        spec=canonical(stochastic, n, rho, p, seed, ignored),
        assignment=Assignment(n, placement),
        messages=tuple(Message(w, tuple(Term(i, 0, amount) for i in own)) for w, own in enumerate(placement)),
        decoder=PlainSum(),
        stop_rule=CountMessages(n),
        n_stragglers=0,
        enough_messages=n - ignored if ignored or p else None,
    )


def _probability(value: object) -> float:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0.0 <= number < 1.0:
        raise InvalidSpec("straggler_probability", "must be a number from 0 to below 1", value)
    return number
