"""Pure: published experiments about completion times, played by the simulator round by round.

Every round is a run of its own on a network that costs nothing: no chunk in hand is carried from one round to
the next, and who is silent in a round is as good as all others in the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.codes.base import Assignment, GradientCode
from common.codes.designs import random_biregular
from common.codes.ordering import matching_order, q_max
from common.codes.partial_stragglers import partial_stragglers
from common.delays import Delays, Interruption, Walk
from common.errors import InvalidSpec
from common.history import RoundRecord
from gradcode.lab.draws import DelaySource
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from master import commands as cmd
from master import events as ev
from master.settings import RunSettings

NO_COST = Network(latency_seconds=0.0, bytes_per_second=math.inf, ready_seconds=0.0)
"""A network on which frames arrive as they are sent."""

SILENT_SECONDS = 1e9
"""What a chunk takes on a place that does not answer: longer than any round."""

TRIED_ORDERS = 100

Orders = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Silent:
    """A source of delays with places that do not answer, though their links stay up.

    Args:
        source: of the other places. places: who is silent.
        from_round: from this round on.
    """

    source: DelaySource
    places: frozenset[int]
    from_round: int = 0

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002 - the word of the trade
        """As the source says, or for ever."""
        if round >= self.from_round and place in self.places:
            return SILENT_SECONDS
        return self.source.chunk_seconds(place, round, chunk)

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """As the source says."""
        return self.source.walk(place, up_since, start, work_seconds, served)


@dataclass(frozen=True, slots=True)
class WholeLoads:
    """A source of delays under which a worker has finished nothing before it has finished everything.

    So a chunk counts as in original gradient coding, where a worker sends one message for its whole load:
    the first chunk of its order takes as long as all of them, and the others take no time.

    Args:
        source: of delays. orders: of the code that is played.
    """

    source: DelaySource
    orders: Orders

    def chunk_seconds(self, place: int, round: int, chunk: int) -> float:  # noqa: A002
        """The seconds of all chunks of the place for its first, 0 for the others."""
        order = self.orders[place]
        if chunk != order[0]:
            return 0.0
        return sum(self.source.chunk_seconds(place, round, each) for each in order)

    def walk(self, place: int, up_since: float, start: float, work_seconds: float, served: int = 0) -> Walk:
        """As the source says."""
        return self.source.walk(place, up_since, start, work_seconds, served)


def play(
    code: GradientCode,
    source: DelaySource,
    rounds: int = 1,
    network: Network = NO_COST,
    known_seconds: Mapping[int, float] | None = None,
) -> list[RoundRecord]:
    """The records of a run of ``code`` without a deadline, in which only time is simulated.

    ``known_seconds`` are remembered from an earlier run: place -> seconds a chunk.

    >>> from common.codes.uncoded import uncoded
    >>> [record.seconds for record in play(uncoded(3, 2), Delays("constant", seconds=1.5), rounds=2)]
    [3.0, 3.0]
    """
    settings = RunSettings(
        make_code=lambda n_places: code, n_workers=code.n_workers, rounds=rounds, n_rows=1, learning=False
    )
    simulator = Simulator(settings, source, code.n_workers, network)

    def remember(item: ev.Event | cmd.Command) -> None:
        # What is known of a place is forgotten when a worker takes it, so it is remembered just after that.
        if isinstance(item, ev.LinkReady) and known_seconds is not None:
            place = simulator.workers[item.link].place
            assert place is not None
            simulator.training.experience.paces.observe(place, known_seconds[place])

    simulator.watch = remember
    return simulator.play()


def exponential(
    seed: int, varies: str = "round", mean_seconds: float = 1.0, deaths: tuple[Interruption, ...] = ()
) -> Delays:
    """Exponential seconds a chunk, the same for all chunks of a place in a round, or in a run."""
    return Delays(
        "shifted_exponential", mean_seconds=mean_seconds, interruptions=deaths, varies=varies, seed=seed
    )


def drawn_places(n_workers: int, n_drawn: int, seed: int) -> frozenset[int]:
    """So many places, uniformly and without repetition."""
    drawn = np.random.default_rng((seed, n_workers)).choice(n_workers, size=n_drawn, replace=False)
    return frozenset(drawn.tolist())


# ---- completion times of partial stragglers ---------------------------------------------------------------


@dataclass(frozen=True)
class OrderTrial:
    """How long it takes until every chunk is finished by l workers, for one placement.

    Every worker takes a time for each chunk that is exponential of mean 1 and holds for the round; of the
    delta holders that every chunk has, delta - l random workers do not answer in the round.

    Args:
        held: for each of n workers the chunks that it holds; n chunks, regular.
        orders: in which each computes them; None for optimised ones.
        n_copies: l.
        whole_loads: a chunk counts only when its worker has finished all that it holds.

    Source: Ramamoorthy et al. 2024, the experiment about exact completion times.
    """

    held: Orders
    orders: Orders | None = None
    n_copies: int = 1
    whole_loads: bool = False

    def code(self) -> GradientCode:
        """Partial stragglers with this placement and these orders."""
        n, delta = len(self.held), len(self.held[0])
        # A frame that is drawn suits every placement.
        made = partial_stragglers(n, delta, n_parts=self.n_copies, frame="random")
        return replace(made, assignment=Assignment(n, self.orders or matching_order(self.held)))

    def seconds(self, rounds: Sequence[int]) -> list[int]:
        """The completion times of these rounds, rounded up to whole numbers.

        Equal rounds have equal draws, whatever the placement.

        Cost: about 30 ms a round for 200 workers that hold 8 chunks each.
        """
        code = self.code()
        n, delta = code.n_workers, len(self.held[0])
        times = []
        for number in rounds:
            source: DelaySource = exponential(number)
            if self.whole_loads:
                source = WholeLoads(source, code.assignment.orders)
            source = Silent(source, drawn_places(n, delta - self.n_copies, number))
            (record,) = play(code, source)
            if record.outcome != "exact":
                raise InvalidSpec("round", "must end with every chunk", record.reason)
            times.append(math.ceil(record.seconds))
        return times


def cyclic_placement(n_workers: int, load: int) -> Orders:
    """Worker j holds the chunks j .. j + load - 1, modulo n, in this order."""
    return tuple(tuple((worker + k) % n_workers for k in range(load)) for worker in range(n_workers))


def regular_placement(n_workers: int, load: int, seed: int) -> Orders:
    """Drawn such that workers hold equally many chunks and chunks have equally many holders."""
    return random_biregular(n_workers, n_workers, load, np.random.default_rng(seed))


def random_orders(held: Orders, seed: int, tries: int = TRIED_ORDERS) -> Orders:
    """Of some random orders of what every worker holds, the one with the smallest `q_max`."""
    rng = np.random.default_rng(seed)
    tried = (tuple(tuple(rng.permutation(chunks).tolist()) for chunks in held) for _ in range(tries))
    score: Callable[[Orders], int] = lambda orders: q_max(Assignment(len(held), orders))  # noqa: E731
    return min(tried, key=score)
