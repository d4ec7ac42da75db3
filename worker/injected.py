"""Obeys injected delays: works longer than it must, freezes, and dies, when it is told to.

A worker that is a process of its own really stops and kills itself, so that nothing of it answers, not even
to the transport's pings. A worker that shares its process with others can only fall silent: its session
neither reads nor writes while it is frozen, but the transport still answers pings.

A worker that comes back from its death is a process that was started again: everything of the former one
is gone. It has the number of the former one all the same, because whoever started that waits for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from common.delays import Delays
from common.interruptions import FREEZE, Walk
from common.lifeline import ends_with_parent
from worker.logs import WorkerLog

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

# What a dead process is until it comes back: nothing but a wait that can be ended, as the worker could, by a
# signal and, if that was wanted, with the parent. Arguments: seconds, whether to end so, and the command.
_DEAD = """
import os, select, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os._exit(0))
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
until, watched = time.monotonic() + float(sys.argv[1]), [0] * int(sys.argv[2])
while (left := until - time.monotonic()) > 0:
    if select.select(watched, [], [], min(left, 3600.0))[0] and not os.read(0, 4096):
        os._exit(0)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Victim(Protocol):
    """What a freeze or a death befalls. Called by the compute thread."""

    def freeze(self, seconds: float, closed: threading.Event) -> None:
        """Be frozen so long, or until ``closed``; returns afterwards."""

    def die(self, for_seconds: float) -> None:
        """End at once, without a word, and come back after ``for_seconds``, 0 for never; need not return."""


class OwnProcess:
    """A worker that is alone in its process.

    Args:
        log: of the worker.
        leaving: whether the worker was asked to leave; then it does not come back from a death.
    """

    def __init__(self, log: WorkerLog, leaving: Callable[[], bool] = lambda: False) -> None:
        self._log = log
        self._leaving = leaving

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

    def die(self, for_seconds: float) -> None:
        """Kill this process, or leave nothing of it but its number and start it again later."""
        if for_seconds > 0.0 and not self._leaving():
            try:
                _start_again(for_seconds)
            except OSError as error:
                self._log.error("cannot come back from an injected death: %s", error)
        os.kill(os.getpid(), signal.SIGKILL)


def _start_again(after_seconds: float) -> NoReturn:
    """Replace this process, at once, by one that waits and then runs the same command again.

    Raises:
        OSError: the system does not let it.
    """
    for number in _open_files():
        # The system closes them when the process is replaced, all at one moment, as it does at a death.
        os.set_inheritable(number, False)
    command = [sys.executable, *sys.orig_argv[1:]]
    wait = ["-I", "-S", "-c", _DEAD, str(after_seconds), str(int(ends_with_parent()))]
    # Until the new process heeds them itself; nothing of the kind is lost in between.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    os.execv(sys.executable, [sys.executable, *wait, *command])


def _open_files() -> list[int]:
    """Numbers of this process's open files and sockets, without the standard ones."""
    found = []
    for name in os.listdir("/dev/fd"):
        number = int(name)
        try:
            os.fstat(number)
        except OSError:  # that of the listing itself is closed by now
            continue
        found += [number] if number > 2 else []
    return found


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
        victim.die(walk.returns_after or 0.0)
        closed.set()
        return False
    return True
