"""What goes wrong in a simulated run, as its plot says: to frames on their way, and to workers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from common.interruptions import FREEZE
from gradcode.lab.plots import Plot
from gradcode.lab.simulator import Simulator
from master import events as ev

MOST_EXTRA_SECONDS = 0.1
"""A frame that comes later comes at most so much later."""


class Tamperer:
    """Duplicates, delays (and so reorders), replays and loses frames on their way to the master.

    Args:
        odds: of ``twice``, ``later``, ``replayed`` and ``lost`` for each frame, 0 to 1.
        seed: of the chances.

    Attributes:
        counts: how often each was done.
        name_of: the worker behind a link.
    """

    def __init__(self, odds: Mapping[str, float], seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.name_of: Callable[[int], str] = str
        self._random = random.Random(seed)
        self._odds = odds
        self._former: list[tuple[str, ev.ChunkFinished]] = []

    def __call__(self, event: ev.Event) -> list[tuple[float, ev.Event]]:
        """The copies to deliver, each with an extra delay in seconds."""
        if not isinstance(event, ev.ChunkFinished | ev.MessageArrived):
            return [(0.0, event)]
        if self._chance("lost"):
            return []
        name = self.name_of(event.link)
        copies: list[tuple[float, ev.Event]] = [(self._extra(), event)]
        if self._chance("twice"):
            copies.append((self._extra(), event))
        if self._chance("replayed"):
            # Of this worker, from an earlier round, link or start of the master: those of others cannot come
            # over this link.
            own = [each for who, each in self._former if who == name and each.stamp != event.stamp]
            copies += [(self._extra(), replace(each, link=event.link)) for each in own[-3:]]
        if isinstance(event, ev.ChunkFinished):
            self._former.append((name, event))
        return copies

    def _chance(self, what: str) -> bool:
        comes = self._random.random() < self._odds.get(what, 0.0)
        self.counts[what] += comes
        return comes

    def _extra(self) -> float:
        return self._random.uniform(0.0, MOST_EXTRA_SECONDS) if self._chance("later") else 0.0


class Faults:
    """All faults of one run: give ``tamperer`` to the simulator, then ``prepare`` it, and play.

    Attributes:
        counts: how often each kind of action took place.
    """

    def __init__(self, plot: Plot, tamperer: Tamperer | None = None) -> None:
        self.tamperer = tamperer or Tamperer(plot.frames, plot.seed)
        self.counts: Counter[str] = Counter()
        self._plot = plot

    def prepare(self, sim: Simulator) -> None:
        """Have the plot's actions happen in their time."""
        self.tamperer.name_of = lambda link: sim.workers[link].name
        for seconds, kind, index in self._plot.actions:
            sim.at(seconds, partial(self._act, sim, kind, index))

    def happened(self, sim: Simulator) -> Counter[str]:
        """How often each kind of fault took place until the end of ``sim``; lies if they came to light."""
        lasted = sim.training.run_seconds(sim.now)
        interrupted = Counter(
            "freeze" if each.kind == FREEZE else "death"
            for each in self._plot.delays.interruptions
            if each.at_seconds < lasted
        )
        frames = Counter({f"frame {kind}": count for kind, count in self.tamperer.counts.items()})
        lies = Counter(
            f"lie {kind}"
            for name, kind in self._plot.liars.items()
            if name in sim.training.verification.quarantined
        )
        return +(self.counts + interrupted + frames + lies)

    def _act(self, sim: Simulator, kind: str, index: int) -> None:
        living = list(sim.living())
        names = {worker.name for worker in living}
        gone = [worker for worker in sim.workers.values() if worker.name not in names]
        if kind == "join":
            sim.join(f"new{len(sim.workers)}")
        elif kind == "scale":
            sim.feed(ev.ScaleRequested(index))
        elif kind == "stop":
            sim.feed(ev.StopRequested("interrupted", 130))
        elif kind == "cut all":
            for worker in living:
                sim.cut(worker)
        elif kind == "return" and gone:
            sim.join(gone[index % len(gone)].name)
        elif kind != "return" and living:
            worker = living[index % len(living)]
            if kind == "again":
                sim.join(worker.name)
            elif kind == "cut":
                sim.cut(worker)
            elif kind == "drain":
                sim.drain(worker)
            else:
                worker.mute_until = sim.now + 0.1 * (index + 1)
        else:
            return
        self.counts[kind] += 1
