"""What a dataset is: training and held-out rows in their final order, and chunks as ranges of rows.

A new dataset is one file with a function that returns ``RawData``, and one line in ``DATASETS``; what
follows (order of rows, split, standardisation, labels) is the same for all and lives in ``preparation``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidSpec
from common.models import MODELS, Features, ModelShape

Label: TypeAlias = str | int | float | bool
"""A class as the source writes it."""

REGRESSION = "regression"
BINARY = "binary"
CLASSES = "classes"

DEFAULT_MODELS = {REGRESSION: "linear", BINARY: "logistic", CLASSES: "softmax"}
"""For every task the model that suits it."""


@dataclass(frozen=True, eq=False)
class RawData:
    """All rows of a source, as they are there.

    Attributes:
        name: what people call the source.
        X: shape (rows, features), float64, finite: dense or a CSR array in canonical form.
        y: shape (rows,), numbers or text.
        feature_names: a name for every column.
        task: ``regression``, ``binary`` or ``classes``; None if it is to be told from the labels.
    """

    name: str
    X: Features
    y: NDArray[Any]
    feature_names: tuple[str, ...]
    task: str | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows ready for training; chunks are ranges of its training rows.

    Attributes:
        name: what people call the source.
        X_train: shape (R, n_features), float64, dense or CSR.
        y_train: shape (R,): any float64 for regression, -1.0 or +1.0 for binary, int64 indices of classes.
        X_held: the held-out rows, as X_train; there may be none.
        y_held: their labels, as y_train.
        task: ``regression``, ``binary`` or ``classes``.
        classes: the original labels. For binary the first is -1 and the second +1; empty for regression.
        feature_names: a name for every column.
        mean: what was subtracted from every column, shape (n_features,), zeros for CSR; None if X is
            not standardised.
        scale: what every column was divided by afterwards, above 0; None if X is not standardised.
        digest: sha256 in hex over the training rows and labels with their shapes.
    """

    name: str
    X_train: Features
    y_train: NDArray[Any]
    X_held: Features
    y_held: NDArray[Any]
    task: str
    classes: tuple[Label, ...]
    feature_names: tuple[str, ...]
    mean: NDArray[np.float64] | None
    scale: NDArray[np.float64] | None
    digest: str

    @property
    def n_rows(self) -> int:
        """Number of training rows R."""
        return int(self.X_train.shape[0])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.X_train.shape[1])

    @property
    def n_outputs(self) -> int:
        """How many numbers a model maps a row to: the classes, or 1 for regression and binary."""
        return len(self.classes) if self.task == CLASSES else 1

    @property
    def default_model(self) -> str:
        """The name of the model that suits the task."""
        return DEFAULT_MODELS[self.task]

    def model_shape(self, name: str = "auto", intercept: bool = True) -> ModelShape:
        """The shape of a model for these rows; ``auto`` is the default model.

        Raises:
            InvalidSpec: no such model, or one that does not understand these labels.
        """
        suitable = [known for known, model in MODELS.items() if self.task in model.tasks]
        if name != "auto" and name not in suitable:
            rule = f"must be one of auto, {', '.join(suitable)} for the task {self.task} of {self.name}"
            raise InvalidSpec("model", rule, name)
        chosen = self.default_model if name == "auto" else name
        return ModelShape(chosen, self.n_features, self.n_outputs, intercept)


def chunk_range(chunk: int, n_chunks: int, n_rows: int) -> tuple[int, int]:
    """The training rows of one chunk: from the first number up to, not including, the second.

    The chunks 0..n_chunks-1 cover all rows without overlap, and their sizes differ by one row at most.

    >>> [chunk_range(chunk, 3, 10) for chunk in range(3)]
    [(0, 3), (3, 6), (6, 10)]
    """
    return chunk * n_rows // n_chunks, (chunk + 1) * n_rows // n_chunks


def check_chunks(n_chunks: int, n_rows: int) -> None:
    """Refuse more chunks than training rows.

    Raises:
        InvalidSpec: some chunk would have no row.
    """
    if n_chunks > n_rows:
        raise InvalidSpec("number of chunks", f"must be at most the training rows ({n_rows})", n_chunks)


def is_csr(X: Features) -> bool:
    """Whether X is a CSR matrix of scipy, rather than a dense array."""
    return hasattr(X, "indptr")


def digest_of(X: Features, y: NDArray[Any]) -> str:
    """sha256 in hex over the rows, their labels and all shapes; the same on every machine.

    Cost: one pass over the data; a copy only of arrays that are not contiguous.
    """
    arrays = {"dense X": X}
    if is_csr(X):
        arrays = {"csr data": X.data, "csr indices": X.indices, "csr indptr": X.indptr}
    digest = hashlib.sha256(f"rows {X.shape[0]} features {X.shape[1]}\n".encode())
    for what, array in {**arrays, "y": y}.items():
        # Indices are int32 or int64 as scipy sees fit; the digest must not depend on that.
        kind = "<f8" if array.dtype.kind == "f" else "<i8"
        digest.update(f"{what} {kind} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, dtype=kind).reshape(-1).data)
    return digest.hexdigest()
