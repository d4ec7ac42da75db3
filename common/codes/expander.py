"""Workers hold the chunks of their neighbours in a random regular graph: approximate, without a solve."""

from __future__ import annotations

import math

import numpy as np

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import RescaledSum
from common.codes.designs import neighbours, random_regular_graph
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec


def expander(n_workers: int, degree: int = 4, seed: int = 0, n_stragglers: int = 0) -> GradientCode:
    """Workers send 1/d times the sum of their d neighbours' chunks, and all weights are n / (received).

    Exact if all answer. With s absent, whoever they are, the error is at most
    ``(lambda / d) sqrt(n s / (n - s))`` in the norm of the coefficients, where lambda is the second largest
    absolute eigenvalue of the graph: about 2 sqrt(d - 1) for random graphs.

    Args:
        n_workers: n, at least 3; also the number of chunks; n times d must be even.
        degree: d, chunks on every worker and workers that hold a chunk, 2 to n - 1.
        seed: of the graph, at least 0.
        n_stragglers: messages that a round does not wait for, 0 to n - 1.

    Raises:
        InvalidSpec: a parameter is out of range, or n times d is odd.

    Cost: O(n d) to build, O(messages) to decode.

    Source: Raviv et al. 2018, approximate gradient codes from expander graphs.

    >>> code = expander(10, degree=3)
    >>> code.assignment.max_load, code.assignment.replication
    (3, 3)
    """
    n = whole("n_workers", n_workers, least=3)
    d = whole("degree", degree, least=2, most=n - 1, most_is="n_workers - 1")
    seed = whole("seed", seed, least=0)
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    check_size(n, d)
    if n * d % 2:
        near = " or ".join(str(k) for k in (d - 1, d + 1) if 2 <= k < n)
        raise InvalidSpec("degree", f"must be even where n_workers = {n} is odd, such as {near}", d)
    graph = neighbours(n, random_regular_graph(n, d, np.random.default_rng([seed, n, d])))
    return GradientCode(
        spec=canonical(expander, n, d, seed, ignored),
        assignment=Assignment(n, graph),
        messages=tuple(Message(w, tuple(Term(i, 0, 1.0 / d) for i in own)) for w, own in enumerate(graph)),
        decoder=RescaledSum(),
        stop_rule=CountMessages(n),
        n_stragglers=0,
        enough_messages=n - ignored if ignored else None,
        estimator="rescaled",
    )


def second_eigenvalue(code: GradientCode) -> float:
    """The largest singular value of the 0/1 assignment but one: lambda, for a regular graph.

    Cost: O(n^3); for looking at a plan, not for a round.
    """
    A = np.zeros((code.n_chunks, code.n_workers))
    for worker, chunks in enumerate(code.assignment.orders):
        A[list(chunks), worker] = 1.0
    return float(np.linalg.svd(A, compute_uv=False)[1])


def expander_bound(n_workers: int, degree: int, eigenvalue: float, n_absent: int) -> float:
    """No ``n_absent`` stragglers leave a larger residual of the weights n / (received): the bound above.

    Args:
        n_workers: n. degree: d. eigenvalue: lambda. n_absent: s, below n.

    >>> round(expander_bound(200, 8, 5.29, 20), 3)
    3.117
    """
    s = n_absent
    return eigenvalue / degree * math.sqrt(n_workers * s / (n_workers - s))
