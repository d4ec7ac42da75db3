"""What a plan costs and what it is worth when workers are absent: measured by decoding, never looked up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

from common.codes.base import Decoding, GradientCode, decode
from common.codes.bounds import least_load
from common.codes.quality import MOST_NOISE_FLOAT32, decoded_without, worst_noise

ROUNDING = {"float32": 2.0**-24, "float64": 2.0**-53}
"""The relative error of a number that travels in a wire dtype."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many sets of absent workers are tried.

    Attributes:
        exhaustive: all sets of one size are tried where they are at most so many.
        random: otherwise so many random ones, and
        clustered: so many that hit neighbouring workers, and as many that hit the holders of the same chunks.
        counts: so many different numbers of absent workers are tried at most.
    """

    exhaustive: int = 2000
    random: int = 64
    clustered: int = 16
    counts: int = 64


EFFORTS = (
    Effort(2000, random=256, clustered=64),
    Effort(2000, random=128, clustered=32),
    Effort(2000, random=64, clustered=16),
    Effort(1000, random=32, clustered=16),
    Effort(300, random=32, clustered=8, counts=48),
    Effort(100, random=16, clustered=8, counts=48),
    Effort(50, random=8, clustered=4, counts=32),
    Effort(16, random=4, clustered=2, counts=24),
    Effort(8, random=2, clustered=1, counts=16),
    Effort(4, random=1, clustered=1, counts=8),
)
"""From the most to the least thorough."""


@dataclass(frozen=True, slots=True)
class Absence:
    """What is left when ``n_absent`` workers have finished nothing and all others everything.

    Attributes:
        n_absent: absent workers.
        n_patterns: sets of absent workers that were tried.
        exhaustive: whether that is all of them. If not, the worst is of all that were tried and the means
            are over those drawn at random.
        exact_share: share of the sets that leave an exact answer.
        worst_residual, mean_residual: of ``||E W - J||_F``.
        worst_recovered, mean_recovered: of the recovered fraction.
        worst_noise, mean_noise: of the noise amplification ``||W||_2``.
        worst_pattern: a set with the worst residual, ascending.
    """

    n_absent: int
    n_patterns: int
    exhaustive: bool
    exact_share: float
    worst_residual: float
    mean_residual: float
    worst_recovered: float
    mean_recovered: float
    worst_noise: float
    mean_noise: float
    worst_pattern: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WireVerdict:
    """Whether a wire dtype can carry the plan.

    Attributes:
        dtype: ``float32`` or ``float64``.
        noise: rounding of messages reaches the gradient so many times amplified, at worst.
        relative_error: which is about this relative to the gradient.
        carries: whether an experiment with this wire dtype is accepted.
    """

    dtype: str
    noise: float
    relative_error: float
    carries: bool


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a plan costs and promises, without trying stragglers.

    Attributes:
        spec: the plan. n_workers: n. n_chunks: N. n_parts: m; a message has 1/m of the gradient's numbers.
        least_load, most_load: chunks on a worker. least_replication, most_replication: holders of a chunk.
        n_messages: sent to the master in a round, at most. per_worker: sent by one worker, at most.
        on_request: whether the master chooses messages while the round runs.
        streams: whether a worker sends messages before it has finished everything.
        exact_without: any so many workers may be absent and rounds are exact; None: that is never sure.
        least_possible_load: chunks that an average worker needs in any code that is exact without so many.
        enough_messages: the code ends a round after so many, exact or not; or None.
        may_be_exact: whether a round can be exact at all.
        enough_recovered: the code ends a round when so much is recovered.
        rescaled: whether inexact answers are rescaled to be unbiased.
    """

    spec: str
    n_workers: int
    n_chunks: int
    n_parts: int
    least_load: int
    most_load: int
    least_replication: int
    most_replication: int
    n_messages: int
    per_worker: int
    on_request: bool
    streams: bool
    exact_without: int | None
    least_possible_load: Fraction | None
    enough_messages: int | None
    may_be_exact: bool
    enough_recovered: float
    rescaled: bool

    @property
    def load(self) -> float:
        """Share of the training rows that one worker holds, at most."""
        return self.most_load / self.n_chunks

    @property
    def message_length(self) -> str:
        """Numbers in a message, d being the parameters: ``d`` or ``d/m``."""
        return "d" if self.n_parts == 1 else f"d/{self.n_parts}"

    @property
    def promise(self) -> str:
        """What the plan promises, in a few words."""
        ends = [] if self.enough_messages is None else [f"ends at {self.enough_messages} messages"]
        if self.exact_without is not None:
            absent = f"with any {self.exact_without} absent" if self.exact_without else "when all answer"
            words = [f"exact {absent}", *ends]
        elif self.may_be_exact:
            words = [*ends, "may be exact then or before"]
        else:
            words = ["approximate", *ends] if ends else ["approximate, also when all answer"]
        if self.enough_recovered < 1.0:
            words.append(f"ends when {self.enough_recovered:.1%} is recovered")
        if self.rescaled:
            words.append("what is not exact is unbiased")
        if self.on_request or self.streams:
            words.append("half-finished loads count")
        return "; ".join(words)


def plan_facts(code: GradientCode) -> PlanFacts:
    """The facts of a plan. Cost: O(total load), and at most 17 decodings."""
    loads = [len(order) for order in code.assignment.orders]
    replications = [len(workers) for workers in code.assignment.holders]
    per_worker = 1 if code.on_request else max(len(numbers) for numbers in code.messages_of)
    may_be_exact = _may_be_exact(code)
    too_few = (code.enough_messages or len(code.messages)) < len(
        code.messages
    ) - code.n_stragglers * per_worker
    exact_without = code.n_stragglers if may_be_exact and not too_few else None
    return PlanFacts(
        spec=code.spec,
        n_workers=code.n_workers,
        n_chunks=code.n_chunks,
        n_parts=code.n_parts,
        least_load=min(loads),
        most_load=max(loads),
        least_replication=min(replications),
        most_replication=max(replications),
        n_messages=code.n_workers if code.on_request else code.enough_messages or len(code.messages),
        per_worker=per_worker,
        on_request=code.on_request,
        streams=_streams(code),
        exact_without=exact_without,
        least_possible_load=None
        if exact_without is None
        else least_load(code.n_workers, code.n_chunks, exact_without),
        enough_messages=code.enough_messages,
        may_be_exact=may_be_exact,
        enough_recovered=code.enough_recovered,
        rescaled=code.estimator == "rescaled",
    )


def without(code: GradientCode, absent: frozenset[int]) -> Decoding:
    """The decoding when ``absent`` workers have finished nothing and all others everything."""
    return decoded_without(code, absent)[0]


def absences(code: GradientCode, effort: Effort, seed: int = 0) -> tuple[Absence, ...]:
    """What is left with 0 to n workers absent.

    Args:
        code: any code.
        effort: how many sets are tried.
        seed: of the random sets.

    Cost: ``n_decodings`` decodings.

    >>> from common.codes.fractional_repetition import fractional_repetition
    >>> [round(row.worst_residual ** 2) for row in absences(fractional_repetition(4, 1), Effort())]
    [0, 0, 2, 2, 4]
    """
    orders = _clustered(code, effort)
    rows: list[Absence] = []
    for n_absent in tried_counts(code, effort):
        worst = rows[-1].worst_pattern if rows else ()
        grown = [*worst, *(worker for worker in range(code.n_workers) if worker not in worst)]
        rows.append(_row(code, n_absent, effort, [*orders, grown], seed))
    return tuple(rows)


def absence(code: GradientCode, n_absent: int, effort: Effort, seed: int = 0) -> Absence:
    """What is left with ``n_absent`` workers absent, 0 to n.

    ``absences`` has the same row, if it is exhaustive; if not, it also tries the worst set of the row before
    with more workers, so that the worst does not get better.
    """
    return _row(code, n_absent, effort, _clustered(code, effort), seed)


def tried_counts(code: GradientCode, effort: Effort) -> list[int]:
    """Numbers of absent workers to try: all, or where that is too many, the first ones and a selection.

    >>> from common.codes.uncoded import uncoded
    >>> tried_counts(uncoded(100), Effort(counts=8))
    [0, 1, 2, 3, 27, 52, 76, 100]
    """
    n = code.n_workers
    if n < effort.counts:
        return list(range(n + 1))
    n_first = min(code.n_stragglers + 4, effort.counts // 2)
    rest = np.linspace(n_first - 1, n, effort.counts - n_first + 1)[1:]
    return [*range(n_first), *rest.round().astype(int).tolist()]


def n_decodings(code: GradientCode, effort: Effort) -> int:
    """How many decodings ``absences`` makes, at most."""
    sampled = effort.random + 2 * effort.clustered + 1
    sizes = [math.comb(code.n_workers, n_absent) for n_absent in tried_counts(code, effort)]
    return sum(size if size <= effort.exhaustive else sampled for size in sizes)


def affordable(code: GradientCode, most_decodings: float) -> Effort:
    """The most thorough effort that makes at most so many decodings, or the least one there is."""
    return next((effort for effort in EFFORTS if n_decodings(code, effort) <= most_decodings), EFFORTS[-1])


def wire_verdicts(code: GradientCode, rows: Sequence[Absence] = ()) -> tuple[WireVerdict, ...]:
    """Whether float32 and float64 can carry the plan, by the rule that experiments are refused by.

    Args:
        code: any code.
        rows: of the same code; what they found counts too where it is worse.

    Cost: as ``worst_noise``.
    """
    noise = worst_noise(code)
    carries = noise <= MOST_NOISE_FLOAT32
    if code.messages:
        largest = max(abs(term.coefficient) for message in code.messages for term in message.terms)
        noise = max(
            [noise, *(largest * row.worst_noise for row in rows if row.n_absent <= code.n_stragglers)]
        )
    return tuple(
        WireVerdict(dtype, noise, noise * error, carries or dtype == "float64")
        for dtype, error in ROUNDING.items()
    )


def _row(
    code: GradientCode, n_absent: int, effort: Effort, orders: Sequence[Sequence[int]], seed: int
) -> Absence:
    """One row; ``orders`` are those in which clustered workers go missing."""
    n = code.n_workers
    exhaustive = math.comb(n, n_absent) <= effort.exhaustive
    drawn: list[Sequence[int]]
    if exhaustive:
        drawn, others = list(combinations(range(n), n_absent)), []
    else:
        generator = np.random.default_rng([seed, n_absent])
        drawn = [generator.permutation(n)[:n_absent].tolist() for _ in range(effort.random)]
        others = [order[:n_absent] for order in orders]
    patterns = [*drawn, *others]
    found = [without(code, frozenset(pattern)) for pattern in patterns]
    numbers = [(each.residual, each.recovered_fraction, each.noise_amplification) for each in found]
    table = np.nan_to_num(np.array(numbers), nan=np.inf, posinf=np.inf)
    means = table[: len(drawn)].mean(axis=0).tolist()
    worst = int(np.argmax(table[:, 0]))
    return Absence(
        n_absent=n_absent,
        n_patterns=len(patterns),
        exhaustive=exhaustive,
        exact_share=sum(each.exact for each in found[: len(drawn)]) / len(drawn),
        worst_residual=float(table[worst, 0]),
        mean_residual=means[0],
        worst_recovered=float(table[:, 1].min()),
        mean_recovered=means[1],
        worst_noise=float(table[:, 2].max()),
        mean_noise=means[2],
        worst_pattern=tuple(sorted(patterns[worst])),
    )


def _clustered(code: GradientCode, effort: Effort) -> list[list[int]]:
    """Orders in which workers go missing that are worse than chance."""
    return [*_neighbours(code, effort.clustered), *_holders_first(code, effort.clustered)]


def _streams(code: GradientCode) -> bool:
    """Whether some message is complete before its worker has finished its load."""
    last = [{chunk: place for place, chunk in enumerate(order, 1)} for order in code.assignment.orders]
    return any(
        max(last[message.worker][term.chunk] for term in message.terms) < len(last[message.worker])
        for message in code.messages
    )


def _may_be_exact(code: GradientCode) -> bool:
    """Whether a round can be exact; of those that end at some messages, some random choices are tried."""
    if code.enough_messages is None:
        return without(code, frozenset()).exact
    generator, n_messages = np.random.default_rng(0), len(code.messages)
    orders = [np.arange(n_messages), *(generator.permutation(n_messages) for _ in range(15))]
    chosen = [sorted(order[: code.enough_messages].tolist()) for order in orders]
    return any(decode(code, [code.messages[number] for number in numbers]).exact for numbers in chosen)


def _neighbours(code: GradientCode, n_orders: int) -> list[list[int]]:
    """Orders in which workers go missing, each worker next to the one before."""
    n = code.n_workers
    starts = sorted({round(k * n / n_orders) % n for k in range(n_orders)})
    return [[(start + k) % n for k in range(n)] for start in starts]


def _holders_first(code: GradientCode, n_orders: int) -> list[list[int]]:
    """Orders in which workers go missing such that chunks lose all their holders as soon as possible."""
    n_chunks = code.n_chunks
    starts = sorted({round(k * n_chunks / n_orders) % n_chunks for k in range(n_orders)})
    return [_losing(code, start) for start in starts]


def _losing(code: GradientCode, first: int) -> list[int]:
    """All holders of chunk ``first``, then always those of the chunk that has fewest left."""
    left = np.array([len(workers) for workers in code.assignment.holders], dtype=np.float64)
    gone: dict[int, None] = {}
    chunk = first
    while math.isfinite(left[chunk]):
        for worker in code.assignment.holders[chunk]:
            if worker not in gone:
                gone[worker] = None
                left[list(code.assignment.orders[worker])] -= 1
        left[left <= 0] = np.inf
        chunk = int(np.argmin(left))
    return [*gone, *(worker for worker in range(code.n_workers) if worker not in gone)]
