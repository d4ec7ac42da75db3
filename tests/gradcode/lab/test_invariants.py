"""What must hold in whatever order events come: hypothesis drives the production core through the simulator.

Workers join late, die, freeze, are cut off, drain, take over and fall silent; frames are duplicated, delayed
and so reordered, replayed from earlier rounds, and lost. ``GRADCODE_EXAMPLES`` sets how many runs are tried.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.codes.base import EXACT_TOLERANCE, GradientCode, Term, decoding_target
from common.datasets import load_dataset
from common.delays import Delays, Interruption
from common.models import ModelShape, make_model
from common.spec import make_code
from gradcode.lab.learning import LocalLearning
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from master import events as ev
from master.arithmetic import Arithmetic
from master.deadlines import AdaptiveDeadline, FixedDeadline, NoDeadline
from master.optimizers import ConstantRate, make_optimizer
from master.settings import RunSettings

EXAMPLES = int(os.environ.get("GRADCODE_EXAMPLES", "300"))
MOST_EVENTS = 30_000
RATE = 0.1
L2 = 0.01

DATA = load_dataset("synthetic(rows=60, features=3)", held_out=0.1, standardise=False, task="regression")
MODEL = make_model(ModelShape("linear", n_features=3))


@dataclass(frozen=True)
class Plot:
    """Everything that happens in one run."""

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


@st.composite
def codes(draw: st.DrawFn) -> tuple[str, int]:
    n = draw(st.integers(1, 6))
    s = draw(st.integers(0, n - 1))
    divisor = draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0]))
    calls = [
        f"uncoded(n, {draw(st.integers(1, 3))})",
        f"ignore_stragglers(n, {s})",
        f"fractional_repetition(n, {divisor - 1})",
        f"cyclic_repetition(n, {s})",
        f"partial_stragglers(n, {s + 1}, {draw(st.integers(1, 3))}, {draw(st.integers(1, s + 1))})",
        f"partial_stragglers(n, {s + 1}, {draw(st.integers(1, 3))})",
        f"scheduled(n, {s + 1}, {draw(st.integers(1, 3))})",
        f"scheduled(n, {s + 1}, {draw(st.integers(1, 3))}, placement='cyclic')",
        f"scheduled(n, {s + 1}, {draw(st.integers(1, 3))}, {draw(st.integers(1, s + 1))})",
    ]
    # Codes on request have more that can go wrong.
    return draw(st.sampled_from([*calls, calls[-1], calls[-1]])), n


@st.composite
def plots(draw: st.DrawFn) -> Plot:
    code, n = draw(codes())
    times = st.floats(0.001, 0.6)
    places = st.integers(0, n - 1)
    returns = st.just(0.0) | st.floats(0.001, 2.0)
    deaths = st.builds(Interruption, places, st.just("death"), times, returns)
    freezes = st.builds(Interruption, places, st.just("freeze"), times, st.floats(0.01, 2.0))
    return Plot(
        code=code,
        n_workers=n,
        settings={
            "n_workers": draw(st.sampled_from([n] * 6 + [None])),
            "rounds": draw(st.integers(1, 12)),
            "deadline": draw(
                st.one_of(
                    st.just(NoDeadline()),
                    st.builds(FixedDeadline, st.floats(0.005, 0.3)),
                    st.builds(AdaptiveDeadline, st.floats(1.0, 3.0)),
                )
            ),
            "on_shortfall": draw(st.sampled_from(["wait", "approximate", "skip", "fail"])),
            "least_recovered": draw(st.sampled_from([0.0, 0.5, 0.9])),
            "enough": draw(st.sampled_from([1.0, 1.0, 0.8, 0.5])),
            "max_seconds": draw(st.sampled_from([None] * 6 + [0.2, 0.7])),
            "evaluate_every": draw(st.integers(0, 2)),
            "join_timeout_seconds": 1.0,
            "join_seconds": 0.2,
            "lost_seconds": draw(st.sampled_from([0.0, 0.3, 3.0])),
        },
        delays=Delays(
            distribution=draw(st.sampled_from(["none", "constant", "shifted_exponential", "pareto"])),
            seconds=draw(st.sampled_from([0.001, 0.02])),
            mean_seconds=draw(st.sampled_from([0.0, 0.02])),
            factors=tuple(draw(st.dictionaries(places, st.sampled_from([0.5, 3.0, 50.0]))).items()),
            interruptions=tuple(draw(st.lists(deaths | freezes, max_size=3))),
            seed=draw(st.integers(0, 1000)),
        ),
        network=Network(
            latency_seconds=draw(st.sampled_from([0.0, 0.0005, 0.02])),
            bytes_per_second=draw(st.sampled_from([1e9, 1e4, 100.0])),
            detect_seconds=draw(st.sampled_from([0.05, 0.5])),
            ready_seconds=draw(st.sampled_from([0.0, 0.01, 0.2])),
            arithmetic_seconds=draw(st.sampled_from([0.0, 0.0, 0.001, 0.05])),
        ),
        n_coming=n + draw(st.sampled_from([0, 0, 0, 0, 1, 2, -1])),
        actions=tuple(
            draw(
                st.lists(
                    st.tuples(
                        times,
                        st.sampled_from(["join", "again", "cut", "drain", "mute"] * 4 + ["cut all", "stop"]),
                        st.integers(0, 9),
                    ),
                    max_size=7,
                )
            )
        ),
        frames=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "twice": st.sampled_from([0.1, 0.5]),
                    "later": st.sampled_from([0.1, 0.5]),
                    "replayed": st.sampled_from([0.1, 0.3]),
                    "lost": st.sampled_from([0.02, 0.2]),
                },
            )
        ),
        seed=draw(st.integers(0, 10_000)),
        learning=draw(st.sampled_from([True, True, False])),
    )


class Tamperer:
    """Duplicates, delays, replays and loses frames on their way to the master."""

    def __init__(self, odds: dict[str, float], seed: int) -> None:
        self.random = random.Random(seed)
        self.odds = odds
        self.former: list[ev.Event] = []
        self.n_lost = 0

    def __call__(self, event: ev.Event) -> list[tuple[float, ev.Event]]:
        if not isinstance(event, ev.ChunkFinished | ev.MessageArrived):
            return [(0.0, event)]
        if self.chance("lost"):
            self.n_lost += 1
            return []
        copies = [(self.delay(), event)]
        if self.chance("twice"):
            copies.append((self.delay(), event))
        self.former.append(event)
        if self.chance("replayed"):
            # Of this worker, from any earlier round: the frames of others cannot come over its link.
            own = [each for each in self.former if each.link == event.link and each.stamp != event.stamp]
            copies += [(self.delay(), each) for each in own[-3:] if isinstance(each, ev.ChunkFinished)]
        return copies

    def chance(self, what: str) -> bool:
        return self.random.random() < self.odds.get(what, 0.0)

    def delay(self) -> float:
        return self.random.uniform(0.0, 0.1) if self.chance("later") else 0.0


class Witness:
    """Sees every event and command, and keeps its own books about them."""

    def __init__(self, sim: Simulator, frames: dict[str, float]) -> None:
        self.sim = sim
        self.sim_frames = frames.keys()
        self.code: GradientCode | None = None
        self.linked: set[int] = set()
        self.started: set[tuple[int, ev.Stamp]] = set()
        self.asked: dict[tuple[int, int], tuple[int, tuple[Term, ...]]] = {}
        self.terms: dict[int, tuple[Term, ...]] = {}
        self.used: set[int] = set()
        self.discarded: set[int] = set()
        self.outcomes: set[int] = set()
        self.coefficients: dict[int, np.ndarray] = {}
        self.shadow = MODEL.initial()
        self.records: list[int] = []
        self.ticks: Counter[float] = Counter()
        self.n_finishes = 0
        sim.watch = self
        if sim.training.code is not None:
            self.code = sim.training.code

    def __call__(self, item: Any) -> None:
        assert self.n_finishes == 0, f"{item} after the end"
        current = self.sim.training.round
        if current is not None and current.outcome is not None:
            self.outcomes.add(current.number)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(item).__name__).lower()
        getattr(self, name, lambda item: None)(item)
        is_command = not isinstance(item, ev.Event)
        if is_command and hasattr(item, "link"):
            late_guest = isinstance(item, ev.CloseLink) and item.reason == "the run is over"
            assert item.link in self.linked or late_guest, f"{item}: there is no such link"
            if isinstance(item, ev.CloseLink):
                self.linked.discard(item.link)

    # ---- events -----------------------------------------------------------------------------------------

    def link_up(self, event: ev.LinkUp) -> None:
        self.linked.add(event.link)

    def link_down(self, event: ev.LinkDown) -> None:
        self.linked.discard(event.link)

    def tick(self, event: ev.Tick) -> None:
        self.ticks[self.sim.now] += 1
        assert self.ticks[self.sim.now] < 10, "the timer spins"

    def message_arrived(self, event: ev.MessageArrived) -> None:
        assert self.code is not None
        if not self.code.on_request:
            self.terms[event.payload] = self.code.messages[event.message].terms
        else:
            link, terms = self.asked[event.stamp.round, event.message]
            assert link == event.link
            self.terms[event.payload] = terms

    # ---- commands ---------------------------------------------------------------------------------------

    def planned(self, command: ev.Planned) -> None:
        self.code = command.code

    def start_round(self, command: ev.StartRound) -> None:
        key = (command.link, command.stamp)
        assert key not in self.started, "a link is sent a round once"
        self.started.add(key)

    def collect(self, command: ev.Collect) -> None:
        key = (command.stamp.round, command.request)
        assert key not in self.asked, "requests have numbers of their own"
        assert command.terms
        self.asked[key] = (command.link, command.terms)

    def stop_round(self, command: ev.StopRound) -> None:
        self.outcomes.add(command.stamp.round)

    def discard(self, command: ev.Discard) -> None:
        assert command.payload in self.terms
        assert command.payload not in self.discarded
        assert command.payload not in self.used
        self.discarded.add(command.payload)

    def combine(self, command: ev.Combine) -> None:
        """No payload counts twice, and the coefficients are those that the certificate claims."""
        assert self.code is not None
        n_parts, n_chunks = self.code.n_parts, self.code.n_chunks
        payloads = [payload for payload, _ in command.weights]
        assert len(set(payloads)) == len(payloads)
        assert self.used.isdisjoint(payloads)
        assert self.discarded.isdisjoint(payloads)
        self.used.update(payloads)
        achieved = np.zeros((n_parts * n_chunks, n_parts))
        for payload, weights in command.weights:
            for term in self.terms[payload]:
                achieved[term.part * n_chunks + term.chunk] += term.coefficient * np.array(weights)
        outcome = self.sim.training.round.outcome
        assert np.allclose(achieved, outcome.decoding.coefficients, atol=1e-9)
        self.coefficients[command.round] = achieved

    def step(self, command: ev.Step) -> None:
        """The same step in one process."""
        n_parts, n_chunks = self.code.n_parts, self.code.n_chunks
        length = -(-MODEL.n_parameters // n_parts)
        parts = np.zeros((n_parts * n_chunks, length))
        for chunk in range(n_chunks):
            first, end = (k * DATA.n_rows // n_chunks for k in (chunk, chunk + 1))
            X, y = DATA.X_train[first:end], DATA.y_train[first:end]
            padded = np.zeros(n_parts * length)
            padded[: MODEL.n_parameters] = MODEL.loss_and_gradient(self.shadow, X, y)[1]
            parts[chunk::n_chunks] = padded.reshape(n_parts, length)
        total = (self.coefficients[command.round].T @ parts).reshape(-1)[: MODEL.n_parameters]
        l2 = L2 * np.where(MODEL.regularised(), self.shadow, 0.0)
        self.shadow = self.shadow - RATE * (total / DATA.n_rows + l2)

    def record(self, command: ev.Record) -> None:
        """One record a round, in order, that says what was achieved."""
        record = command.record
        assert record.round == len(self.records)
        self.records.append(record.round)
        rows = self.code.n_parts * self.code.n_chunks
        if record.outcome == "exact":
            assert record.residual <= EXACT_TOLERANCE * rows**0.5
        achieved = self.coefficients.get(record.round)
        if achieved is not None:
            assert record.stepped
            target = decoding_target(self.code.n_chunks, self.code.n_parts)
            assert record.residual == pytest.approx(np.linalg.norm(achieved - target), abs=1e-9)
            recovered = max(0.0, 1.0 - record.residual**2 / rows)
            assert record.recovered_fraction == pytest.approx(recovered, abs=1e-9)
        assert record.stepped == (record.outcome != "failed")
        used = Counter((row.round, row.place, row.chunk) for row in record.chunks if row.state == "used")
        assert all(count == 1 for count in used.values())
        assert {place for _, place, _ in used} <= set(record.contributors)
        if record.stepped and not {"lost", "later"} & self.sim_frames:
            assert record.chunks_used >= record.recovered_fraction * self.code.n_chunks - 1e-6
        assert 0.0 <= record.loss_share <= 1.0 + 1e-9

    def finish(self, command: ev.Finish) -> None:
        self.n_finishes += 1


def simulator(plot: Plot) -> tuple[Simulator, Tamperer]:
    # How many join is not known beforehand, so that the code must suit every number.
    code = plot.code if plot.settings["n_workers"] else "partial_stragglers(n, 1, 2)"
    run = RunSettings(
        make_code=lambda n: make_code(code, n),
        n_rows=DATA.n_rows,
        n_parameters=MODEL.n_parameters,
        item_bytes=8,
        learning=plot.learning,
        **plot.settings,
    )
    learning = None
    if plot.learning:
        optimizer = make_optimizer("gradient_descent", MODEL.initial(), ConstantRate(RATE))
        arithmetic = Arithmetic(
            optimizer, DATA.n_rows, L2, MODEL.regularised(), lambda parameters: 0.5, wire_dtype="float64"
        )
        learning = LocalLearning(arithmetic, MODEL, DATA, wire_dtype="float64")
    tamperer = Tamperer(plot.frames, plot.seed)
    sim = Simulator(run, plot.delays, plot.n_coming, plot.network, learning, tamperer)
    for seconds, kind, index in plot.actions:
        sim.at(seconds, lambda kind=kind, index=index: act(sim, kind, index))
    return sim, tamperer


def act(sim: Simulator, kind: str, index: int) -> None:
    living = list(sim.living())
    if kind == "join":
        sim.join(f"new{len(sim.workers)}")
    elif kind == "stop":
        sim.feed(ev.StopRequested("interrupted", 130))
    elif kind == "cut all":
        for worker in living:
            sim.cut(worker)
    elif living:
        worker = living[index % len(living)]
        if kind == "again":
            sim.join(worker.name)
        elif kind == "cut":
            sim.cut(worker)
        elif kind == "drain":
            sim.drain(worker)
        else:
            worker.mute_until = sim.now + 0.1 * (index + 1)


def play(plot: Plot) -> tuple[Simulator, Witness]:
    sim, tamperer = simulator(plot)
    witness = Witness(sim, plot.frames)
    sim.play(most_events=MOST_EVENTS)
    assert sim.violations == [], "honest workers break no rule"
    assert sim.finished is not None or tamperer.n_lost, "the run hangs"
    if sim.finished is None:
        # Only a place that is thought to be computing still can be waited for, for ever where no deadline is.
        assert sim.training.wakes_at(sim.now) is None
        assert not sim.training.round.exhausted
    if plot.learning:
        parameters = sim.learning.arithmetic.optimizer.parameters
        assert np.allclose(parameters, witness.shadow, rtol=1e-9, atol=1e-9)
    if sim.finished is not None:
        assert witness.outcomes <= set(witness.records), "one record for every outcome"
        if plot.learning:
            assert sim.learning.arithmetic.n_kept == 0
        else:
            assert witness.discarded == witness.terms.keys()
    return sim, witness


many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@many
@given(plots())
def test_whatever_happens_the_books_are_right(plot: Plot):
    play(plot)


@st.composite
def bearable_plots(draw: st.DrawFn) -> Plot:
    """As many workers are lost, slow or silent as the code can do without; frames come late and twice."""
    code, n = draw(codes())
    bears = make_code(code, n).n_stragglers
    lost = draw(st.lists(st.integers(0, n - 1), max_size=bears, unique=True))
    times = st.floats(0.0, 0.5)
    plot = draw(plots())
    return replace(
        plot,
        code=code,
        n_workers=n,
        settings={"n_workers": n, "rounds": draw(st.integers(1, 12)), "join_timeout_seconds": 1.0},
        delays=replace(plot.delays, interruptions=(), factors=tuple((place, 20.0) for place in lost)),
        n_coming=n,
        actions=tuple((draw(times), draw(st.sampled_from(["cut", "mute"])), place) for place in lost),
        frames={name: odds for name, odds in plot.frames.items() if name != "lost"},
        learning=True,
    )


@settings(many, max_examples=max(1, EXAMPLES // 2))
@given(bearable_plots())
def test_with_as_many_absent_as_the_code_bears_every_step_is_that_of_gradient_descent(plot: Plot):
    """Silent workers that nobody can stand in for are late, not lost, so they are waited for."""
    if "ignore" in plot.code:
        plot = replace(plot, code="ignore_stragglers(n, 0)")
    waits = {**plot.settings, "on_shortfall": "wait", "lost_seconds": 60.0}
    sim, _ = play(replace(plot, settings=waits))
    assert sim.finished == ev.Finish(f"all {plot.settings['rounds']} rounds are done", 0)
    assert {record.outcome for record in sim.records} == {"exact"}
    point = MODEL.initial()
    for _ in sim.records:
        gradient = MODEL.loss_and_gradient(point, DATA.X_train, DATA.y_train)[1] / DATA.n_rows
        point = point - RATE * (gradient + L2 * np.where(MODEL.regularised(), point, 0.0))
    assert np.allclose(sim.learning.arithmetic.optimizer.parameters, point, rtol=1e-6, atol=1e-9)


@settings(many, max_examples=max(1, EXAMPLES // 6))
@given(plots())
def test_same_arguments_same_history(plot: Plot):
    first, _ = play(plot)
    second, _ = play(plot)
    assert first.records == second.records
    assert first.notes == second.notes
    assert first.finished == second.finished
