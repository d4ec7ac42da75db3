"""Where histograms of master and workers are cut: fixed, so that all runs and machines can be compared."""

from __future__ import annotations

SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 300.0),
)
"""For rounds and chunks: 1 ms to 300 s, three a decade."""

SHORT_SECONDS = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
"""For what should take no time, such as decoding and sending: 0.1 ms to 5 s."""
