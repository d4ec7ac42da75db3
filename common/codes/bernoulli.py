"""Every worker holds every chunk with the same small probability; one step decodes."""

from __future__ import annotations

import numpy as np

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import RescaledSum
from common.codes.designs import Placement
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CountMessages
from common.errors import InvalidSpec


def bernoulli(
    n_workers: int, load: int = 4, seed: int = 0, n_stragglers: int = 0, regularised: bool = False
) -> GradientCode:
    """Chunk i is on worker w with probability c / n; a worker sends 1/c times the sum of its chunks.

    All weights are n / (messages received): the one-step decoder. Approximate even if all answer
    (``n_stragglers`` of the code is 0 and promises nothing): the mean squared error of the coefficients
    with r messages is n (n - c) / (r c). A chunk that nobody drew goes to a random worker, and a worker
    without chunks gets a random one, so that both take part.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        load: c, mean number of chunks on a worker, 1 to n.
        seed: of the placement, at least 0.
        n_stragglers: messages that a round does not wait for, 0 to n - 1.
        regularised: workers that drew more than 2 c chunks drop random ones until 2 c are left.

    Raises:
        InvalidSpec: a parameter is out of range.

    Cost: O(n c) to build, besides n^2 random numbers; O(messages) to decode.

    Source: Charles, Papailiopoulos and Ellenberg 2017, Bernoulli and regularised Bernoulli gradient codes.

    >>> bernoulli(50, load=5).assignment.n_chunks
    50
    """
    n = whole("n_workers", n_workers, least=1)
    c = whole("load", load, least=1, most=n, most_is="n_workers")
    seed = whole("seed", seed, least=0)
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    check_size(n, c)
    if not isinstance(regularised, bool):
        raise InvalidSpec("regularised", "must be True or False", regularised)
    rng = np.random.default_rng([seed, n, c])
    drawn = bernoulli_placement(n, c, rng, most=2 * c if regularised else n)
    placement = _complete(drawn, rng)
    return GradientCode(
        spec=canonical(bernoulli, n, c, seed, ignored, regularised),
        assignment=Assignment(n, placement),
        messages=tuple(
            Message(w, tuple(Term(i, 0, 1.0 / c) for i in own)) for w, own in enumerate(placement)
        ),
        decoder=RescaledSum(),
        stop_rule=CountMessages(n),
        n_stragglers=0,
        enough_messages=n - ignored,
    )


def bernoulli_placement(n: int, load: int, rng: np.random.Generator, most: int) -> Placement:
    """n workers that drew each of n chunks with probability load / n, and at most ``most`` of them each."""
    placement = []
    for _ in range(n):
        own = np.flatnonzero(rng.random(n) < load / n)
        if len(own) > most:
            own = np.sort(rng.choice(own, most, replace=False))
        placement.append(tuple(own.tolist()))
    return tuple(placement)


def one_step_error(n_workers: int, load: int, n_received: int) -> float:
    """Mean of ``||A x - 1||^2`` over placements, with r messages and all weights n / (r c).

    >>> one_step_error(50, 5, 25), one_step_error(20, 4, 10)
    (18.0, 8.0)
    """
    return n_workers * (n_workers - load) / (n_received * load)


def _complete(drawn: Placement, rng: np.random.Generator) -> Placement:
    """The placement with every chunk somewhere and no worker idle."""
    n = len(drawn)
    held = [set(own) for own in drawn]
    for chunk in sorted(set(range(n)) - set().union(*held)):
        held[int(rng.integers(n))].add(chunk)
    for own in held:
        if not own:
            own.add(int(rng.integers(n)))
    return tuple(tuple(sorted(own)) for own in held)
