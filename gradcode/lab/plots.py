"""Plots for the failure search: everything that happens in one short run, drawn from one integer.

What is drawn covers every code, every distribution of delays, every policy, and every way in which workers,
links and frames are known to fail. Hypothesis draws its plots here as well.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, TypeVar

from common.codes import CODES
from common.codes.base import GradientCode
from common.codes.verified import verified
from common.delays import DISTRIBUTIONS, VARIES, Delays, Interruption
from common.errors import InvalidSpec
from common.interruptions import DEATH, FREEZE
from common.spec import make_code
from gradcode.lab.lies import LIES
from gradcode.lab.network import Network
from master.deadlines import AdaptiveDeadline, DeadlineRule, FixedDeadline, NoDeadline

T = TypeVar("T")

PLAYED: dict[str, str] = {
    "uncoded": "uncoded(n, {few})",
    "ignore_stragglers": "ignore_stragglers(n, {less})",
    "fractional_repetition": "fractional_repetition(n, {less})",
    "cyclic_repetition": "cyclic_repetition(n, {less})",
    "reed_solomon_repetition": "reed_solomon_repetition(n, {less})",
    "grouped": "grouped({inner}, n)",
    "partial_naive_fractional": "partial_naive_fractional(n, {less}, {upto})",
    "partial_naive_cyclic": "partial_naive_cyclic(n, {less}, {upto})",
    "erasurehead": "erasurehead(n, {upto}, {upto})",
    "all_subsets": "all_subsets(n, {less}, {few}, {few})",
    "sum_and_non_owned": "sum_and_non_owned(n, {less}, {few}, {few})",
    "cyclic_partial": "cyclic_partial(n, {less}, {upto})",
    "mixed_load_partial": "mixed_load_partial(n, {upto})",
    "partial_stragglers": "partial_stragglers(n, {upto}, {few}, {parts}, placement={placement})",
    "scheduled": "scheduled(n, {upto}, {few}, {parts}, placement={planned})",
    "communication_efficient_fractional": "communication_efficient_fractional(n, {less}, {parts})",
    "ye_abbe": "ye_abbe(n, {less}, {parts})",
    "block_design": "block_design(7, n_parts={parts})",
    "strongly_regular": 'strongly_regular(10, graph="petersen", n_parts={parts})',
    "bipartite": "bipartite(n, {few}, {few}, {parts})",
    "resolvable_design": "resolvable_design(n, {upto})",
    "expander": "expander(n, {upto}, {seed})",
    "glasgow_wootters": "glasgow_wootters(n, {upto}, {seed})",
    "bernoulli": "bernoulli(n, {upto})",
    "stochastic": "stochastic(n, {upto})",
    "uncoded_streaming": "uncoded_streaming(n, {upto})",
}
"""One line a code: what is drawn of it. Parameters that do not fit each other are drawn again."""

SUITS_ANY_NUMBER = ("uncoded(n, 2)", "ignore_stragglers(n, 0)", "partial_stragglers(n, 1, 2)")
"""Codes for runs that do not know beforehand how many workers join."""

INNER = ("uncoded(2)", "fractional_repetition(2, 1)", "cyclic_repetition(3, 1)", "cyclic_repetition(3, 2)")
MOST_WORKERS = 7
MOST_CHUNKS = 40
"""Not more than the data have rows."""

ACTIONS = ("join", "again", "return", "cut", "drain", "mute", "scale") * 4 + ("cut all", "stop")
"""What can be done to workers, the violent things seldom; to scale means to want another number of them."""


@dataclass(frozen=True)
class Plot:
    """Everything that happens in one run.

    Attributes:
        code: in canonical notation, perhaps with ``n``. n_workers: how many places that is.
        settings: arguments of ``RunSettings`` that are drawn.
        delays: of chunks, with freezes and deaths. network: what links cost.
        n_coming: how many workers join at the start.
        actions: (seconds, one of ``ACTIONS``, which worker) in any order.
        frames: the odds with which a frame is sent ``twice``, ``later``, ``replayed`` or ``lost``.
        seed: of what befalls frames.
        learning: real numbers, or timing only.
        killed_at: when the master is killed, in seconds; another one goes on from its newest checkpoint.
        verify: whether answers are verified. liars: worker -> how it lies, one of `gradcode.lab.lies.LIES`.
    """

    code: str
    n_workers: int
    settings: dict[str, Any]
    delays: Delays
    network: Network
    n_coming: int
    actions: tuple[tuple[float, str, int], ...] = ()
    frames: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    learning: bool = True
    killed_at: float | None = None
    verify: str = "none"
    liars: dict[str, str] = field(default_factory=dict)

    @property
    def loses_frames(self) -> bool:
        """Whether frames may vanish on links that stay up, so that the run may wait for ever."""
        return self.frames.get("lost", 0.0) > 0.0

    def lines(self) -> Iterator[str]:
        """The plot for people, one fact a line."""
        for each in fields(self):
            yield f"{each.name:10} {getattr(self, each.name)}"


@lru_cache(maxsize=4096)
def known_code(text: str, n_workers: int) -> GradientCode:
    """``make_code``, remembered: codes are values, and making some of them takes longer than a run."""
    return make_code(text, n_workers)


def plot_of_seed(seed: int) -> Plot:
    """The plot that ``seed`` stands for; any integer."""
    return draw_plot(random.Random(seed))


def draw_plot(rng: random.Random) -> Plot:
    """A plot from ``rng`` alone; the same state draws the same plot."""
    text, n_workers = draw_code(rng)
    joined = rng.randrange(8) == 0
    if joined:
        text = rng.choice(SUITS_ANY_NUMBER)
    plot = Plot(
        code=text,
        n_workers=n_workers,
        settings=_draw_settings(rng, None if joined else n_workers),
        delays=draw_delays(rng, n_workers),
        network=_draw_network(rng),
        n_coming=n_workers + rng.choice([0, 0, 0, 0, 1, 2, -1]),
        actions=tuple(_draw_actions(rng)),
        frames=_draw_frames(rng),
        seed=rng.randrange(10_000),
        learning=rng.randrange(3) > 0,
    )
    plot = _with_liars(plot, rng) if rng.randrange(3) == 0 else plot
    # Drawn last: what else a seed stands for does not change with it.
    return replace(plot, killed_at=rng.choice([None, None, rng.uniform(0.001, 0.6)]))


def _with_liars(plot: Plot, rng: random.Random) -> Plot:
    """The same with answers verified, and some workers that lie."""
    verify = rng.choice(["all", "sample"])
    try:
        verified(known_code(plot.code, plot.n_workers), verify)
    except InvalidSpec:
        verify = "sample"
    names = rng.sample([f"w{number}" for number in range(plot.n_workers)], rng.randint(0, 1))
    liars = {name: rng.choice(LIES) for name in names if plot.learning}
    return replace(plot, verify=verify, liars=liars)


def draw_code(rng: random.Random) -> tuple[str, int]:
    """A code and how many workers it is for.

    Half of the codes drawn are codes on request: they have more that can go wrong.
    """
    requested = [name for name in ("partial_stragglers", "scheduled") if name in CODES]
    name = rng.choice(requested if rng.random() < 0.5 else [name for name in PLAYED if name in CODES])
    for _ in range(200):
        n_workers = rng.randint(1, MOST_WORKERS)
        text = _filled(PLAYED[name], rng, n_workers)
        fixed = re.match(r"\w+\((\d+)", text)
        n_workers = int(fixed.group(1)) if fixed else n_workers
        try:
            if known_code(text, n_workers).n_chunks <= MOST_CHUNKS:
                return text, n_workers
        except InvalidSpec:
            continue
    return "uncoded(n)", 2


def draw_delays(rng: random.Random, n_workers: int) -> Delays:
    """Delays of any distribution, some places slower or faster, and up to three freezes and deaths."""
    interruptions = []
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        kind = rng.choice([FREEZE, DEATH])
        lasts = rng.uniform(0.01, 2.0) if kind == FREEZE or rng.randrange(2) else 0.0
        interruptions.append(Interruption(rng.randrange(n_workers), kind, rng.uniform(0.001, 0.6), lasts))
    slow = rng.sample(range(n_workers), rng.randint(0, n_workers // 2))
    return Delays(
        distribution=rng.choice(sorted(DISTRIBUTIONS)),
        seconds=rng.choice([0.001, 0.02]),
        mean_seconds=rng.choice([0.0, 0.02]),
        factors=tuple((place, rng.choice([0.5, 3.0, 50.0])) for place in slow),
        interruptions=tuple(interruptions),
        seed=rng.randrange(1000),
        varies=rng.choice(["chunk", "chunk", *VARIES]),
        burst_share=rng.choice([0.0, 0.0, 0.3]),
        burst_rounds=rng.choice([2.0, 5.0]),
        burst_factor=rng.choice([0.5, 10.0]),
    )


def _filled(template: str, rng: random.Random, n_workers: int) -> str:
    values: dict[str, Callable[[], object]] = {
        "few": lambda: rng.randint(1, 3),
        "less": lambda: rng.randint(0, n_workers - 1),
        "upto": lambda: rng.randint(1, n_workers),
        "parts": lambda: rng.choice([1, 1, 2, 3]),
        "seed": lambda: rng.randrange(4),
        "inner": lambda: rng.choice(INNER),
        "placement": lambda: rng.choice(['"cyclic"', '"cyclic"', '"random"']),
        "planned": lambda: rng.choice(['"random"', '"random"', '"cyclic"']),
    }
    return re.sub(r"\{(\w+)\}", lambda found: str(values[found.group(1)]()), template)


def _draw_settings(rng: random.Random, n_workers: int | None) -> dict[str, Any]:
    return {
        "n_workers": n_workers,
        "rounds": rng.randint(1, 8),
        "deadline": _draw_deadline(rng),
        "on_shortfall": rng.choice(["wait", "approximate", "skip", "fail"]),
        "least_recovered": rng.choice([0.0, 0.5, 0.9]),
        "enough": rng.choice([1.0, 1.0, 0.8, 0.5]),
        "max_seconds": rng.choice([None] * 6 + [0.2, 0.7]),
        "evaluate_every": rng.randint(0, 2),
        "join_timeout_seconds": 1.0,
        "join_seconds": 0.2,
        "lost_seconds": rng.choice([0.0, 0.3, 3.0]),
        "on_empty": rng.choice(["wait", "replan"]),
        "empty_seconds": rng.choice([0.0, 0.05, 0.4]),
    }


def _draw_deadline(rng: random.Random) -> DeadlineRule:
    kind = rng.randrange(3)
    if kind == 0:
        return NoDeadline()
    return FixedDeadline(rng.uniform(0.005, 0.3)) if kind == 1 else AdaptiveDeadline(rng.uniform(1.0, 3.0))


def _draw_network(rng: random.Random) -> Network:
    return Network(
        latency_seconds=rng.choice([0.0, 0.0005, 0.02]),
        bytes_per_second=rng.choice([1e9, 1e4, 100.0]),
        detect_seconds=rng.choice([0.05, 0.5]),
        ready_seconds=rng.choice([0.0, 0.01, 0.2]),
        arithmetic_seconds=rng.choice([0.0, 0.0, 0.001, 0.05]),
    )


def _draw_actions(rng: random.Random) -> Iterator[tuple[float, str, int]]:
    for _ in range(rng.choice([0, 0, 1, 2, 4, 7])):
        yield rng.uniform(0.001, 0.6), rng.choice(ACTIONS), rng.randrange(10)


def _draw_frames(rng: random.Random) -> dict[str, float]:
    odds = {"twice": [0.1, 0.5], "later": [0.1, 0.5], "replayed": [0.1, 0.3], "lost": [0.02, 0.2]}
    return {kind: rng.choice(choices) for kind, choices in odds.items() if rng.randrange(4) == 0}
