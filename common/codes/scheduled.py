"""The master hands out chunks while the round runs, so that redundancy costs hardly any computation."""

from __future__ import annotations

import numpy as np

from common.codes.base import Assignment, GradientCode
from common.codes.designs import random_biregular
from common.codes.parameters import canonical, check_size, whole
from common.codes.requested import code_on_request
from common.errors import InvalidSpec


def scheduled(
    n_workers: int,
    replication: int = 3,
    chunks_per_worker: int = 8,
    n_parts: int = 1,
    placement: str = "random",
    seed: int = 0,
    frame: str = "cosine",
    adaptive: bool = False,
) -> GradientCode:
    """Chunks on several workers, each computed once if all goes well: the master says who computes what.

    A round begins with the shares that finish first for the speeds that places showed in earlier rounds.
    When a worker turns out slow or dies, what it has not begun goes to other holders, so that every finished
    chunk counts, hardly any is computed twice, and no speed need be known beforehand. As soon as every chunk
    is finished somewhere, each is asked of one finisher, and few workers altogether: a plain sum.

    With l = ``n_parts`` > 1 messages are l times shorter, and every chunk is computed by l workers.

    Args:
        n_workers: n, at least 1.
        replication: holders of every chunk, 1 to n. Any replication - l workers may be lost.
        chunks_per_worker: c, at least 1; N is n times c. More chunks spread better; a chunk should take at
            least five round trips.
        n_parts: l, 1 to the replication.
        placement: ``random``: workers hold c times the replication chunks each, drawn such that each of c
            layers of n chunks is spread evenly; work then flows between any workers. ``cyclic``: worker j
            holds the chunks j c .. (j + replication) c - 1, all modulo N: rows of neighbours.
        seed: of the random placement and frame, at least 0.
        frame: with more parts, ``cosine`` (best conditioned) or ``random`` (normal numbers).
        adaptive: at the deadline, or when nothing more can come, cut gradients into fewer parts if some
            chunk is finished by fewer than l workers, so that the answer is exact all the same.

    Raises:
        InvalidSpec: a parameter is out of range.

    Cost: O(n c replication).

    Source: this implementation; the messages for l > 1 are those of Ramamoorthy et al. 2024.

    >>> scheduled(4, 2, 2, placement="cyclic").assignment.orders
    ((0, 1, 2, 3), (2, 3, 4, 5), (4, 5, 6, 7), (0, 1, 6, 7))
    >>> [len(order) for order in scheduled(5, 3, 2).assignment.orders]
    [6, 6, 6, 6, 6]
    """
    n = whole("n_workers", n_workers, least=1)
    copies = whole("replication", replication, least=1, most=n, most_is="n_workers")
    each = whole("chunks_per_worker", chunks_per_worker, least=1)
    parts = whole("n_parts", n_parts, least=1, most=copies, most_is="replication")
    seed = whole("seed", seed, least=0)
    check_size(n, copies * each * parts)
    assignment = Assignment(n * each, _placement(placement, n, copies, each, seed))
    spec = canonical(scheduled, n, copies, each, parts, placement, seed, frame, adaptive)
    return code_on_request(spec, assignment, copies, parts, frame, seed, adaptive, scheduled=True)


def _placement(placement: str, n: int, copies: int, each: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """For every worker its chunks, ascending."""
    if placement == "cyclic":
        held = ([(worker * each + k) % (n * each) for k in range(copies * each)] for worker in range(n))
        return tuple(tuple(sorted(chunks)) for chunks in held)
    if placement != "random":
        raise InvalidSpec("placement", "must be random or cyclic", placement)
    rng = np.random.default_rng((seed, 2))  # not the numbers that the random frame is made of
    layers = [random_biregular(n, n, copies, rng) for _ in range(each)]
    return tuple(
        tuple(layer * n + chunk for layer, held in enumerate(layers) for chunk in held[worker])
        for worker in range(n)
    )
