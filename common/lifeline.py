"""A process that ends with the one that started it, however that one ends.

The parent keeps the writing end of a pipe open that is the child's standard input. When the parent is gone,
even by SIGKILL, the system closes its end and the child reads the end of the file. This needs no help from
the system beyond pipes, and no polling.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_THREAD = "lifeline"

GRACE_SECONDS = 5.0
"""How long a process may take to end in order."""


def end_with_parent(grace_seconds: float = GRACE_SECONDS) -> None:
    """From now on, end this process when its standard input ends.

    It gets SIGTERM, which it may heed in order, and SIGKILL if it is still there after ``grace_seconds``.
    What is written to standard input is read and thrown away.
    """
    threading.Thread(target=_watch, args=(grace_seconds,), name=_THREAD, daemon=True).start()


def ends_with_parent() -> bool:
    """Whether ``end_with_parent`` was called."""
    return any(each.name == _THREAD for each in threading.enumerate())


def _watch(grace_seconds: float) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:  # closed from the start: nobody holds the other end either
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os.kill(os.getpid(), signal.SIGKILL)
