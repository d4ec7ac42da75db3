"""Pure: what a simulated network costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """What links cost, and how long the master calculates.

    Attributes:
        latency_seconds: one way, for every frame.
        bytes_per_second: of each link.
        detect_seconds: after so long a silent link is declared dead.
        ready_seconds: from the welcome until the rows of a place are loaded.
        compute_seconds: what a chunk takes besides the injected delay.
        arithmetic_seconds: what each of the master's sums takes: solving, combining, stepping, scoring.
    """

    latency_seconds: float = 0.0005
    bytes_per_second: float = 1e9
    detect_seconds: float = 2.0
    ready_seconds: float = 0.01
    compute_seconds: float = 0.0
    arithmetic_seconds: float = 0.0
