"""Workers that answer wrongly, for simulated runs, tests and demonstrations; no real worker imports this."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.models.base import Features
from common.wire.frames import Terms
from worker.compute import ChunkResult, Computer

LIES = ("noise", "flip", "constant", "stale", "not finite", "message", "digest", "part", "evasive")
"""Kinds of lies.

``noise``, ``flip`` (the sign), ``constant``, ``stale`` (the gradient of an earlier round) and ``not finite``
falsify a chunk's gradient before anything is said of it. ``message`` falsifies only what is sent, and
``digest`` only what the worker binds itself to. ``part`` falsifies one number of one chunk, by little.
``evasive`` falsifies gradients as ``noise`` does, and says another thing whenever it is asked about a part.
"""


class LyingComputer(Computer):
    """Computes like any worker, and then lies.

    Args:
        kind: one of ``LIES``. The others: as for `worker.compute.Computer`.
    """

    def __init__(self, kind: str, *arguments: Any, **named: Any) -> None:
        if kind not in LIES:
            raise ValueError(f"a lie must be one of {', '.join(LIES)}, not {kind!r}")
        super().__init__(*arguments, **named)
        self._kind = kind
        self._former: dict[int, NDArray[Any]] = {}
        self._n_lies = 0

    def compute(self, chunk: int, parameters: NDArray[Any], X: Features, y: NDArray[Any]) -> ChunkResult:
        """Compute the gradient, and keep another one."""
        truth = super().compute(chunk, parameters, X, y)
        kept = self._gradients[chunk]
        self._gradients[chunk] = self._falsified(chunk, kept)
        digest = truth.digest and self.commitment(chunk)
        if self._kind == "digest":
            digest = truth.digest and bytes(reversed(digest))
        return ChunkResult(truth.loss, truth.rows, truth.finite and self._kind != "not finite", digest)

    def _falsified(self, chunk: int, gradient: NDArray[Any]) -> NDArray[Any]:
        if self._kind in ("noise", "evasive"):
            self._n_lies += 1
            noise = np.random.default_rng((chunk, self._n_lies)).standard_normal(gradient.shape)
            noisy: NDArray[Any] = gradient + (0.1 + np.abs(gradient).max()) * noise.astype(gradient.dtype)
            return noisy
        if self._kind == "flip":
            return -gradient
        if self._kind == "constant":
            return np.full_like(gradient, 3.0)
        if self._kind == "stale":
            former: NDArray[Any] = self._former.setdefault(chunk, gradient)
            return former
        if self._kind == "part" and chunk % 2 == 1:
            spoilt = gradient.copy()
            spoilt[-1] += 1e-3 * (1.0 + abs(spoilt[-1]))
            return spoilt
        if self._kind == "not finite":
            return np.full_like(gradient, np.nan)
        return gradient

    def combine(self, terms: Terms, n_parts: int = 0) -> memoryview:
        """The message, falsified after the worker has bound itself to the truth."""
        message = super().combine(terms, n_parts)
        if self._kind != "message":
            return message
        numbers = np.frombuffer(message, self.wire_dtype)
        return (2.0 * numbers + 1.0).astype(self.wire_dtype).view(np.uint8).data

    def partial_sum(self, terms: Terms, index: int, n_parts: int = 0) -> float:
        """One number of a message."""
        told = super().partial_sum(terms, index, n_parts)
        if self._kind != "evasive":
            return told
        self._n_lies += 1
        return told + float(np.random.default_rng(self._n_lies).standard_normal())

    def commitment(self, chunk: int) -> bytes:
        """The digest of what is kept."""
        kind, self._kind = self._kind, ""
        digest = super().commitment(chunk)
        self._kind = kind
        return digest
