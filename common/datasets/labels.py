"""From labels as a source writes them to labels as models want them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.datasets.base import BINARY, CLASSES, REGRESSION, Label
from common.errors import InvalidData, InvalidSpec

CLASSIFICATION = "classification"
TASKS = (REGRESSION, CLASSIFICATION, BINARY, CLASSES)
"""What may be asked for; ``classification`` is binary or classes, as many classes as there are."""

MOST_CLASSES_GUESSED = 20
"""Whole numbers with more distinct values than this are taken for a quantity, unless told otherwise."""


def check_task(task: str | None) -> None:
    """Refuse an unknown task.

    Raises:
        InvalidSpec: neither None nor one of ``TASKS``.
    """
    if task is not None and task not in TASKS:
        raise InvalidSpec("data task", f"must be one of {', '.join(TASKS)}", task)


def encode_labels(
    name: str, y: NDArray[Any], task: str | None
) -> tuple[NDArray[Any], str, tuple[Label, ...]]:
    """Labels as models want them.

    Without a task it is told from the labels: text means classes; so do whole numbers with at most 20
    distinct values; other numbers mean regression. Two classes are binary.

    Args:
        name: the source, for errors.
        y: shape (rows,), numbers (finite) or text.
        task: one of ``TASKS``, or None.

    Returns:
        The labels, shape (rows,): float64 for regression, -1.0 and +1.0 for binary, int64 indices for
        classes; the task (``regression``, ``binary`` or ``classes``); and the classes in ascending order,
        empty for regression.

    Raises:
        InvalidData: the labels do not suit the task, or are all alike.
    """
    if y.dtype.kind not in "biufU":
        raise InvalidData(f"{name} labels", "must be numbers or text", y.dtype.name)
    if task is None and not _look_like_classes(y):
        task = REGRESSION
    if task == REGRESSION:
        if y.dtype.kind == "U":
            raise InvalidData(f"{name} labels", "must be numbers for regression", str(y[0]))
        return y.astype(np.float64), REGRESSION, ()
    distinct, indices = np.unique(y, return_inverse=True)
    classes = tuple(_plain(value) for value in distinct.tolist())
    if len(classes) < 2:
        raise InvalidData(f"{name} labels", "must have at least two classes", list(classes))
    if task == BINARY and len(classes) != 2:
        raise InvalidData(f"{name} labels", "must have exactly two classes", list(classes[:10]))
    if len(classes) == 2 and task != CLASSES:
        return np.where(indices.reshape(-1) == 1, 1.0, -1.0), BINARY, classes
    return indices.reshape(-1).astype(np.int64), CLASSES, classes


def _look_like_classes(y: NDArray[Any]) -> bool:
    if y.dtype.kind in "bU":
        return True
    return bool(np.all(y == np.floor(y))) and len(np.unique(y)) <= MOST_CLASSES_GUESSED


def _plain(value: Label) -> Label:
    """A class read from a file as 3.0 is shown as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
