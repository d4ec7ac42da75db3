"""Pure: what a round came to, and what can be read off it: stragglers, use of work, the uncoded wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from common.chunk_rows import ChunkRows, WorkerRows
from common.codes.base import Decoding, GradientCode, Message
from common.history import ChunkState, End

ROUNDING = 1e-9
"""Recovered fractions are compared with so much lenience: 1 - 93/100 is a little less than 0.07."""

STRAGGLER_FACTOR = 2.0
"""A place is a straggler when its seconds per chunk exceed this times the median of live places."""


@dataclass(slots=True)
class Work:
    """What one link did at a place in one round.

    Attributes:
        load: chunks that the place holds. share: those it computes in a round where nobody straggles.
        present: the place has this link.
        worker: name of the worker.
        started_at: when its link was sent the round; None while it still loads rows.
        arrived: chunk -> when its report arrived.
        seconds: durations by the worker's clock, in the order of arrival.
        sent: its payloads that arrived.
        digests: chunk -> digest of the value that it is bound to, where workers commit themselves.
        idle: nothing is in its hand, as far as the master knows; never where workers go on by themselves.
        gone: it lost its link, or did not answer in time and has not answered since; it is not asked.
    """

    place: int
    load: int
    share: float
    present: bool = False
    worker: str = ""
    started_at: float | None = None
    arrived: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    gone: bool = False
    idle: bool = False
    digests: dict[int, bytes] = field(default_factory=dict)

    @property
    def last_at(self) -> float | None:
        """When the newest report arrived; None before the first."""
        return max(self.arrived.values(), default=None)

    def seconds_per_chunk(self, round_started: float, now: float) -> float | None:
        """Time per chunk so far, counting transfer and the chunk in hand; None without a started link."""
        if not self.present or self.started_at is None:
            return None
        start = max(round_started, self.started_at)
        last = self.last_at
        if last is None:
            return None if self.idle else now - start
        pace = (last - start) / len(self.arrived)
        return pace if self.idle or len(self.arrived) == self.load else max(pace, now - last)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a round ended.

    Attributes:
        end: ``exact``, ``enough``, ``deadline`` or ``exhausted``.
        reason: the same in words.
        decoding: weights and certificate.
        used: (payload, weights) of the messages that enter the gradient.
        messages: the columns behind the decoding, in the order of its weights.
        ended_at: the master's clock at the outcome.
    """

    end: End
    reason: str
    decoding: Decoding
    used: tuple[tuple[int, tuple[float, ...]], ...]
    messages: tuple[Message, ...]
    stragglers: tuple[int, ...]
    lost: tuple[int, ...]
    ended_at: float
    collect_seconds: float
    solve_seconds: float

    @property
    def contributors(self) -> tuple[int, ...]:
        """Places whose messages enter the gradient."""
        return tuple(sorted({message.worker for message in self._used_messages()}))

    def used_chunks(self) -> dict[int, set[int]]:
        """Payload -> the chunks in it, for those that enter the gradient."""
        pairs = zip(self.used, self._used_messages(), strict=True)
        return {payload: {term.chunk for term in message.terms} for (payload, _), message in pairs}

    def _used_messages(self) -> Iterator[Message]:
        counts: list[bool] = np.any(self.decoding.weights, axis=1).tolist()
        return (message for message, used in zip(self.messages, counts, strict=True) if used)


def enough_messages(code: GradientCode, n_messages: int) -> bool:
    """Whether the code itself ends a round at so many messages."""
    return code.enough_messages is not None and n_messages >= code.enough_messages


def acceptance(
    code: GradientCode, enough: float, n_messages: int, decoding: Decoding
) -> tuple[End, str] | None:
    """Why a decoding ends the round at once, in one word and in words; None if it does not.

    ``enough`` is the recovered fraction that is good enough.
    """
    if decoding.exact:
        return "exact", "every chunk is recovered"
    if enough_messages(code, n_messages):
        return "enough", f"the code ends a round at {code.enough_messages} messages"
    if enough < 1.0 and decoding.recovered_fraction >= enough - ROUNDING:
        return "enough", f"a recovered fraction of {enough:.3g} is enough"
    return None


def stragglers(works: Sequence[Work], round_started: float, now: float) -> tuple[int, ...]:
    """Places without a link, or slower per chunk than twice the median of live places.

    The same rule for every code: it does not ask whether the place was needed.
    """
    paces = {work.place: work.seconds_per_chunk(round_started, now) for work in works}
    live = [pace for pace in paces.values() if pace is not None]
    limit = STRAGGLER_FACTOR * median(live) if live else 0.0
    return tuple(
        work.place
        for work in works
        if not work.present or ((pace := paces[work.place]) is not None and pace > limit)
    )


def chunk_rows(works: Iterable[Work], number: int, round_started: float, outcome: Outcome) -> ChunkRows:
    """One row for each finished chunk, saying whether it was used, duplicated or wasted."""
    used = outcome.used_chunks()
    covered = set().union(*used.values())
    rows = []
    for work in works:
        if work.arrived:
            given = set().union(*(used.get(payload, ()) for payload in work.sent))
            arrived = [at - round_started for at in work.arrived.values()]
            chunks = list(work.arrived)
            states = _states(chunks, given, covered)
            rows.append(WorkerRows(work.place, work.worker, number, chunks, work.seconds, arrived, states))
    return ChunkRows(rows)


def _states(chunks: Sequence[int], given: set[int], covered: set[int]) -> list[ChunkState]:
    """What became of the chunks of a worker whose messages gave those in ``given``."""
    if given.issuperset(chunks):
        return ["used"] * len(chunks)
    return ["used" if chunk in given else "duplicate" if chunk in covered else "wasted" for chunk in chunks]


def uncoded_seconds(
    works: Sequence[Work],
    usual: Mapping[int, float],
    chunks_each: float,
    round_started: float,
    now: float,
) -> float | None:
    """What a round without redundancy would have waited: the slowest place's own share of the chunks.

    A place that has not finished so many chunks yet would have been waited for at least until ``now``, unless
    it has nothing to do.

    Args:
        usual: place -> remembered seconds per chunk, for places that reported nothing in this round.
        chunks_each: the share of one place, N / n.

    Returns seconds, or None where a place has no link: an uncoded round would wait for ever.
    """
    slowest = 0.0
    for work in works:
        if not work.present:
            return None
        pace = median(work.seconds) if work.seconds else usual.get(work.place, 0.0)
        started = round_started if work.started_at is None else work.started_at
        done = work.idle or len(work.arrived) >= min(chunks_each, work.load)
        waited = 0.0 if done else now - started
        slowest = max(slowest, chunks_each * pace, waited)
    return slowest
