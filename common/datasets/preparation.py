"""From raw rows to a dataset: one order of rows, a split, standardisation, labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.datasets.base import Dataset, RawData, digest_of, is_csr
from common.datasets.labels import encode_labels
from common.errors import InvalidData, InvalidSpec
from common.models.base import Features


def prepare(
    raw: RawData, *, held_out: float = 0.2, standardise: bool = True, seed: int = 0, task: str | None = None
) -> Dataset:
    """Permute all rows once, keep the last ones out, standardise by the training rows, encode the labels.

    Args:
        raw: all rows.
        held_out: share of the rows that is kept out, in [0, 1), rounded; at least one row if above 0.
        standardise: bring every column to mean 0 and variance 1 over the training rows. Constant columns
            become 0. CSR columns are only scaled, since a mean would fill them.
        seed: of the order of rows, at least 0. The order depends on nothing else but the number of rows.
        task: what to do with the labels; None means as the source says or the labels look.

    Raises:
        InvalidData: held_out out of range, too few rows, unsuitable labels, numbers too large to scale.
        InvalidSpec: the seed is negative.
    """
    n_rows = int(raw.X.shape[0])
    n_held = _n_held(raw.name, n_rows, held_out)
    if not (isinstance(seed, int) and seed >= 0):
        raise InvalidSpec("data seed", "must be a whole number of at least 0", seed)
    y, task, classes = encode_labels(raw.name, raw.y, task or raw.task)
    order = np.random.default_rng(seed).permutation(n_rows)
    train, held = order[: n_rows - n_held], order[n_rows - n_held :]
    X_train, X_held = raw.X[train], raw.X[held]
    mean = scale = None
    if standardise:
        mean, scale = statistics(raw, X_train)
        for X in (X_train, X_held):
            _standardise_in_place(X, mean, scale)
    return Dataset(
        name=raw.name,
        X_train=X_train,
        y_train=y[train],
        X_held=X_held,
        y_held=y[held],
        task=task,
        classes=classes,
        feature_names=raw.feature_names,
        mean=mean,
        scale=scale,
        digest=digest_of(X_train, y[train]),
    )


def standardised(
    X: Features, mean: NDArray[np.float64] | None, scale: NDArray[np.float64] | None
) -> Features:
    """New rows as a dataset with this ``mean`` and ``scale`` would have them; X itself if they are None.

    For predictions on rows that were not there in training. X is not changed.
    """
    if mean is None or scale is None:
        return X
    copy = X.astype(np.float64)
    _standardise_in_place(copy, mean, scale)
    return copy


def statistics(raw: RawData, X: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (zeros for CSR) and scale of every column of X, which are rows of ``raw``.

    The scale is the standard deviation; 1 where a column is constant.

    Raises:
        InvalidData: a column's numbers are so large that their squares are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance, constant = _sparse_moments(X) if is_csr(X) else _dense_moments(X)
        scale = np.sqrt(variance)
    broken = ~(np.isfinite(mean) & np.isfinite(scale))
    if broken.any():
        column = int(np.argmax(broken))
        rule = "must have squares that are finite, to be standardised"
        raise InvalidData(f"{raw.name} column {raw.feature_names[column]}", rule, float(X[:, [column]].max()))
    # The root of a subnormal variance may be 0 although the column is not constant.
    scale[constant | (scale == 0.0)] = 1.0
    return (np.zeros_like(mean) if is_csr(X) else mean), scale


def _dense_moments(
    X: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    constant = X.max(axis=0) == X.min(axis=0)
    mean = X.mean(axis=0)
    # A sum of equal numbers may be rounded; their mean is one of them.
    mean[constant] = X[0, constant]
    return mean, X.var(axis=0), constant


def _sparse_moments(X: Features) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    n_rows, n_columns = X.shape
    highest, lowest = (np.asarray(X.max(axis=0).todense()), np.asarray(X.min(axis=0).todense()))
    stored = np.bincount(X.indices, minlength=n_columns)
    mean = np.bincount(X.indices, weights=X.data, minlength=n_columns) / n_rows
    squares = np.bincount(X.indices, weights=(X.data - mean[X.indices]) ** 2, minlength=n_columns)
    variance = (squares + (n_rows - stored) * mean**2) / n_rows
    return mean, variance, (highest == lowest).reshape(-1)


def _standardise_in_place(X: Features, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
    if is_csr(X):
        X.data /= scale[X.indices]
    else:
        X -= mean
        X /= scale


def _n_held(name: str, n_rows: int, held_out: float) -> int:
    if not 0.0 <= held_out < 1.0:
        raise InvalidData("held_out", "must be at least 0 and below 1", held_out)
    n_held = max(1, round(held_out * n_rows)) if held_out > 0.0 else 0
    if n_held >= n_rows:
        rule = f"must leave at least one of the {n_rows} rows of {name} for training"
        raise InvalidData("held_out", rule, held_out)
    return n_held
