"""Gradient codes: how chunks are placed, what workers send, and how the sum is found from what arrives."""

from __future__ import annotations

from collections.abc import Callable

from common.codes.base import GradientCode
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.fractional_repetition import fractional_repetition
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.partial_stragglers import partial_stragglers
from common.codes.uncoded import uncoded

CODES: dict[str, Callable[..., GradientCode]] = {
    "uncoded": uncoded,
    "ignore_stragglers": ignore_stragglers,
    "fractional_repetition": fractional_repetition,
    "cyclic_repetition": cyclic_repetition,
    "partial_stragglers": partial_stragglers,
}
"""Every code by the name under which an experiment asks for it."""
