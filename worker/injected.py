"""Obeys injected delays: works longer than it must, freezes, and dies, when it is told to.

A worker that is a process of its own really stops and kills itself, so that nothing of it answers, not even
to the transport's pings. A worker that shares its process with others can only fall silent: its session
neither reads nor writes while it is frozen, but the transport still answers pings.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Protocol

from common.delays import FREEZE, Delays, Walk

# The helper ends with the process it is there for: nobody is left behind, and no later owner of the number
# is let go on.
_THAW = """
import os, signal, sys, time
frozen, until = int(sys.argv[2]), time.monotonic() + float(sys.argv[1])
while os.getppid() == frozen and time.monotonic() < until:
    time.sleep(min(0.05, max(0.0, until - time.monotonic())))
if os.getppid() == frozen:
    os.kill(frozen, signal.SIGCONT)
"""


class Victim(Protocol):
    """What a freeze or a death befalls. Called by the compute thread."""

    def freeze(self, seconds: float, closed: threading.Event) -> None:
        """Be frozen so long, or until ``closed``; returns afterwards."""

    def die(self) -> None:
        """End at once, without a word; need not return."""


class OwnProcess:
    """A worker that is alone in its process."""

    def freeze(self, seconds: float, closed: threading.Event) -> None:
        """Stop this process; a helper process lets it go on after ``seconds``."""
        pid = os.getpid()
        helper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _THAW, str(seconds), str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.kill(pid, signal.SIGSTOP)
        helper.wait()

    def die(self) -> None:
        """Kill this process."""
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class RunClock:
    """The run's time on this machine: it was ``run_seconds`` when the monotonic clock said ``heard_at``."""

    run_seconds: float
    heard_at: float

    def at(self, monotonic_seconds: float) -> float:
        """The run's time at a time of this machine's monotonic clock."""
        return self.run_seconds + max(0.0, monotonic_seconds - self.heard_at)


@dataclass
class Fate:
    """What lies behind this worker in each run; outlives its links."""

    _up_since: dict[str, float] = field(default_factory=dict)
    _served: dict[tuple[str, int], int] = field(default_factory=dict)

    def began(self, run: str, run_seconds: float) -> None:
        """A round of ``run`` begins. The first one is when this worker came up, as far as the run knows."""
        self._up_since.setdefault(run, run_seconds)

    def walk(self, delays: Delays, run: str, place: int, start: float, work_seconds: float) -> Walk:
        """What happens to this worker while it works on its next chunk."""
        up_since = self._up_since.get(run, start)
        walk = delays.walk(place, up_since, start, work_seconds, self._served.get((run, place), 0))
        self._served[run, place] = walk.served
        return walk


def endure(walk: Walk, done_seconds: float, victim: Victim, closed: threading.Event) -> bool:
    """Go through ``walk``, of whose work ``done_seconds`` are done already; False if it was cut short.

    It is cut short by a death, or when ``closed`` is set.
    """
    for kind, seconds in walk.pieces:
        if kind == FREEZE:
            victim.freeze(seconds, closed)
        elif done_seconds < seconds:
            closed.wait(seconds - done_seconds)
            done_seconds = 0.0
        else:
            done_seconds -= seconds
        if closed.is_set():
            return False
    if walk.dies:
        victim.die()
        closed.set()
        return False
    return True
