"""A plan of about a dozen workers for every code, and when to use the code: for catalogues and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """How a code may be asked for, and when it is the one to ask for.

    Attributes:
        call: in canonical notation; 12 workers where that is possible.
        when: where the code is a good choice, and what speaks against it.
    """

    call: str
    when: str


EXAMPLES: dict[str, Example] = {
    "uncoded": Example(
        "uncoded(12)",
        "Where no worker is ever slow or lost, and as the yardstick for every other code.",
    ),
    "ignore_stragglers": Example(
        "ignore_stragglers(12, 3)",
        "Where stragglers change from round to round and noisy gradients do no harm. If the same workers are "
        "always slow, their data is never seen.",
    ),
    "fractional_repetition": Example(
        "fractional_repetition(12, 3)",
        "The first choice for exact answers from fixed messages, if s + 1 divides n: plain sums, no rounding "
        "to fear, any size of cluster.",
    ),
    "cyclic_repetition": Example(
        "cyclic_repetition(12, 3)",
        "For exact answers where s + 1 does not divide n and s is small. Large s amplifies rounding: group, "
        "or change n so that `fractional_repetition` fits.",
    ),
    "reed_solomon_repetition": Example(
        "reed_solomon_repetition(12, 3)",
        "Where decoding must not need a linear system, and twice the traffic does not matter.",
    ),
    "grouped": Example(
        "grouped(cyclic_repetition(6, 3), 12)",
        "For clusters that are too large for the code in the groups: noise and decoding time stay those of "
        "one group.",
    ),
    "partial_naive_fractional": Example(
        "partial_naive_fractional(12, 3, 6)",
        "Where stragglers are slow by a known factor but never absent: less load than a code that writes "
        "them off.",
    ),
    "partial_naive_cyclic": Example(
        "partial_naive_cyclic(12, 3, 6)",
        "As `partial_naive_fractional`, where s + 1 does not divide n.",
    ),
    "erasurehead": Example(
        "erasurehead(12, 4, 6)",
        "Where speed counts more than exactness: rounds end early, and most of the gradient is there.",
    ),
    "all_subsets": Example(
        "all_subsets(12, 3, 2)",
        "Where computing is dear and the network is not, and a known share of the gradient is enough.",
    ),
    "sum_and_non_owned": Example(
        "sum_and_non_owned(12, 3, 2)",
        "As `all_subsets`, with less traffic; but a worker's last message is the one that counts most.",
    ),
    "cyclic_partial": Example(
        "cyclic_partial(12, 3, 10)",
        "Where a known share of the gradient is enough, for one message a worker, or two, and little load.",
    ),
    "mixed_load_partial": Example(
        "mixed_load_partial(11, 9)",
        "For an odd share of an odd number of chunks at the least load, with one message a worker.",
    ),
    "partial_stragglers": Example(
        "partial_stragglers(12, replication=4)",
        "Where workers should go on by themselves, as chunks are too short or the master too far away for "
        "`scheduled`: whatever anybody has finished counts, and answers are exact.",
    ),
    "scheduled": Example(
        "scheduled(12, chunks_per_worker=4)",
        "The first choice wherever a chunk takes several round trips: redundancy costs hardly any "
        "computation, stragglers compute what they can, and no worker's speed need be known.",
    ),
    "communication_efficient_fractional": Example(
        "communication_efficient_fractional(12, 2)",
        "Where the network is slower than computing: exact, with messages m times shorter, for a load that "
        "grows by m - 1. Well conditioned at any n.",
    ),
    "ye_abbe": Example(
        "ye_abbe(12, 2)",
        "As `communication_efficient_fractional`, where s + m does not divide n and n is small.",
    ),
    "block_design": Example(
        "block_design(13)",
        "Where approximate gradients will do and the error must not depend on who is absent, only on how "
        "many are; n must fit a design.",
    ),
    "strongly_regular": Example(
        "strongly_regular(13)",
        "As `block_design`, for numbers of workers that fit a graph instead; the error hardly depends on who "
        "is absent.",
    ),
    "bipartite": Example(
        "bipartite(12)",
        "Where approximate gradients will do and messages must be short, for almost any n.",
    ),
    "resolvable_design": Example(
        "resolvable_design(12, replication=4)",
        "For short messages that are exact with some workers absent and nearly so with more; n must be the "
        "replication times a power of a prime.",
    ),
    "expander": Example(
        "expander(12)",
        "Where approximate gradients will do, decoding must cost nothing, and the error with any absent "
        "workers must have a bound.",
    ),
    "glasgow_wootters": Example(
        "glasgow_wootters(12)",
        "Where a worker can compute two chunks only: among approximate codes of so little load the best "
        "against random stragglers, at any n.",
    ),
    "bernoulli": Example(
        "bernoulli(12)",
        "As a yardstick for approximate codes: a placement without any structure, and the same weight for "
        "everybody. Never exact.",
    ),
    "stochastic": Example(
        "stochastic(12, replication=4)",
        "Where workers fail independently with a known probability and unbiased gradients matter more than "
        "exact ones.",
    ),
    "uncoded_streaming": Example(
        "uncoded_streaming(12, load=4)",
        "Where the network is fast and requests by the master, as in `partial_stragglers`, are not wanted: "
        "every finished chunk is sent at once.",
    ),
}
"""By the name of the code; every member of ``CODES`` has one."""
