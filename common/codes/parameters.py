"""What constructions share: checks of their parameters and the canonical notation of a call."""

from __future__ import annotations

import inspect
import json
import operator
from collections.abc import Callable
from typing import TypeAlias

from common.errors import InvalidSpec

Value: TypeAlias = "bool | int | float | str | list[Value]"
"""What an argument in the notation can be."""

MOST_WORKERS = 100_000
"""No plan has more."""
MOST_TERMS = 4_000_000
"""No plan has more (worker, chunk) pairs: a slip in a number must not fill the memory."""


def whole(field: str, value: object, least: int, most: int | None = None, most_is: str = "") -> int:
    """``value`` as an int from ``least`` to ``most``.

    Args:
        field: the parameter's name, for the error.
        value: an int or a NumPy integer; booleans and floats are refused.
        least: smallest value allowed.
        most: largest value allowed; None for no bound.
        most_is: how the bound comes about, such as ``n_workers - 1``.

    Raises:
        InvalidSpec: not a whole number, or out of range.

    >>> whole("n_workers", 8, least=1)
    8
    """
    bound = f"{most_is} = {most}" if most_is else str(most)
    span = f"of at least {least}" if most is None else f"from {least} to {bound}"
    rule = f"must be a whole number {span}"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidSpec(field, rule, value)
    number = operator.index(value)
    if number < least or (most is not None and number > most):
        raise InvalidSpec(field, rule, number)
    return number


def check_size(n_workers: int, load: int) -> None:
    """Refuse plans for more than ``MOST_WORKERS``, and those that would not fit into memory.

    These have more than ``MOST_TERMS`` (worker, chunk) pairs.
    """
    if n_workers > MOST_WORKERS:
        raise InvalidSpec("n_workers", f"must be at most {MOST_WORKERS}", n_workers)
    if n_workers * load > MOST_TERMS:
        raise InvalidSpec("n_workers x load", f"must be at most {MOST_TERMS}", n_workers * load)


def literal(value: Value) -> str:
    """``value`` in the notation.

    >>> literal(["a", 1, 0.5, True])
    '["a", 1, 0.5, True]'
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return repr(value)


def canonical(construction: Callable[..., object], *values: Value) -> str:
    """The call of ``construction`` with ``values``, one for each parameter in order, defaults left out.

    >>> def repetition(n_workers, n_stragglers, seed=0): ...
    >>> canonical(repetition, 8, 3, 0), canonical(repetition, 8, 3, 5)
    ('repetition(8, 3)', 'repetition(8, 3, seed=5)')
    """
    shown = []
    parameters = inspect.signature(construction).parameters.values()
    for parameter, value in zip(parameters, values, strict=True):
        if parameter.default is parameter.empty:
            shown.append(literal(value))
        elif value != parameter.default:
            shown.append(f"{parameter.name}={literal(value)}")
    return f"{construction.__name__}({', '.join(shown)})"
