"""What processes hold, read from /proc: open files, memory and threads; and whether that grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

PAGE_BYTES = 4096
WARM_UP_SECONDS = 20.0
"""So old a process has loaded what it needs."""
LEAST_SAMPLES = 48
MOST_FILES = 6
MOST_THREADS = 4
MOST_BYTES = 8 << 20
MOST_SHARE = 0.05
"""A process may come to hold so much more than it did: connections come and go, and memory is not given back
at once. Memory: so many bytes, and so much of what it was."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one process held at one time.

    Attributes:
        at_seconds: since it was first looked at. n_files: open file descriptors.
        n_bytes: of memory (resident). n_threads: as the system counts them.
    """

    at_seconds: float
    n_files: int
    n_bytes: int
    n_threads: int


def read_vitals(pid: int, at_seconds: float) -> Vitals | None:
    """What the process holds now; None when it is gone."""
    folder = Path("/proc") / str(pid)
    try:
        n_files = sum(1 for _ in (folder / "fd").iterdir())
        fields = (folder / "statm").read_text().split()
        n_threads = sum(1 for _ in (folder / "task").iterdir())
    except OSError:
        return None
    return Vitals(at_seconds, n_files, int(fields[1]) * PAGE_BYTES, n_threads)


@dataclass(slots=True)
class Life:
    """One process from its start to its end.

    Attributes:
        name: of the process. pid: its number. samples: in the order of time.
    """

    name: str
    pid: int
    began: float
    samples: list[Vitals] = field(default_factory=list)

    def look(self, now: float) -> None:
        """Take a sample, if the process is there."""
        found = read_vitals(self.pid, now - self.began)
        if found is not None:
            self.samples.append(found)


@dataclass(frozen=True, slots=True)
class Growth:
    """How much more a process held in the end than early on: medians over a quarter of its samples.

    Attributes:
        leaks: in words, what grew by more than it may, and went on growing; empty if nothing did. What is
            needed for the first time in the middle, such as another plan, makes memory grow once.
    """

    name: str
    seconds: float
    n_files: int
    n_threads: int
    n_bytes: int
    leaks: str


def growth_of(life: Life) -> Growth | None:
    """What a process came to hold; None if it lived too short to say."""
    warm = [each for each in life.samples if each.at_seconds >= WARM_UP_SECONDS]
    if len(warm) < LEAST_SAMPLES:
        return None
    files = _Grown.of([each.n_files for each in warm])
    threads = _Grown.of([each.n_threads for each in warm])
    n_bytes = _Grown.of([each.n_bytes for each in warm])
    allowed = MOST_BYTES + MOST_SHARE * n_bytes.at_first
    found = [
        f"{grown.by} {what}"
        for grown, limit, what in (
            (files, MOST_FILES, "open files"),
            (threads, MOST_THREADS, "threads"),
            (n_bytes, allowed, "bytes of memory"),
        )
        if grown.by > limit and grown.n_steps > 1
    ]
    seconds = warm[-1].at_seconds - warm[0].at_seconds
    return Growth(life.name, seconds, files.by, threads.by, n_bytes.by, ", ".join(found))


@dataclass(frozen=True, slots=True)
class _Grown:
    """From the first quarter to the last, by how much, and in how many of the three steps between."""

    at_first: int
    by: int
    n_steps: int

    @classmethod
    def of(cls, values: Sequence[int]) -> _Grown:
        """Medians of quarters are compared; a step is at least a tenth of the growth."""
        size = len(values) // 4
        quarters = [round(median(values[k * size : (k + 1) * size])) for k in range(4)]
        by = quarters[-1] - quarters[0]
        n_steps = sum(later - sooner >= max(1, 0.1 * by) for sooner, later in pairwise(quarters))
        return cls(quarters[0], by, n_steps)
