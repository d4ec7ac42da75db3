"""Uncoded placement that gives up on the slowest workers: fast, unbiased, never exact with stragglers."""

from __future__ import annotations

from common.codes.base import GradientCode
from common.codes.decoders import RescaledSum
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CountMessages
from common.codes.uncoded import own_chunks


def ignore_stragglers(n_workers: int, n_stragglers: int) -> GradientCode:
    """The round ends with the first n - s messages, and their sum is scaled up by n / (messages received).

    The scaling makes the estimate unbiased if those that are missing are missing at random. It is exact
    only when all n messages arrive, so the code's own ``n_stragglers`` is 0.

    Args:
        n_workers: n, at least 1.
        n_stragglers: s, messages that are not waited for, 0 to n - 1.

    Raises:
        InvalidSpec: a parameter is out of range.

    Source: the baseline of Tandon et al. 2017, section 5.

    >>> ignore_stragglers(8, 2).enough_messages
    6
    """
    n = whole("n_workers", n_workers, least=1)
    s = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    check_size(n, 1)
    assignment, messages = own_chunks(n, 1)
    return GradientCode(
        spec=canonical(ignore_stragglers, n, s),
        assignment=assignment,
        messages=messages,
        decoder=RescaledSum(),
        stop_rule=CountMessages(n),
        n_stragglers=0,
        enough_messages=n - s,
        estimator="rescaled",
    )
