"""Predictions of a trained run for new rows: from a run's folder and a file to labels."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.datasets import read_features, standardised
from common.errors import InvalidData
from common.folder import PARAMETERS, SavedModel, read_parameters
from common.models import ModelShape, make_model


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Labels for rows, as the training data wrote them.

    Attributes:
        column: what the labels are called: the target column of the training data, or ``prediction``.
        labels: shape (rows,): classes as they were, or numbers for regression.
    """

    column: str
    labels: NDArray[Any]

    def to_csv(self) -> str:
        """A header line and one line for each row, in the order of the rows."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([self.column])
        writer.writerows([label] for label in self.labels.tolist())
        return text.getvalue()


def predict(run_folder: str | Path, source: str) -> Predictions:
    """What the model of a run predicts for the rows of a file.

    Args:
        run_folder: the folder of a run that has ended, or its parameters.npz.
        source: a ``.csv`` or ``.csv.gz`` file with the feature columns of the training data, in any order and
            among others, or an ``.npz`` file with ``X``. Features are standardised as in training.

    Raises:
        InvalidSpec: not a file that can be read.
        InvalidData: no trained model in the folder, or the rows do not suit it.

    Cost: one pass over the file.
    """
    saved = read_parameters(run_folder)
    _check(saved, str(run_folder))
    names = saved.feature_names or tuple(f"x{number}" for number in range(saved.n_features))
    rows = standardised(read_features(source, names), saved.mean, saved.scale)
    model = make_model(ModelShape(saved.model, saved.n_features, saved.n_outputs, saved.intercept))
    encoded = model.predict(saved.parameters, rows)
    return Predictions(saved.target or "prediction", decode_labels(encoded, saved.classes))


def decode_labels(encoded: NDArray[Any], classes: NDArray[Any] | None) -> NDArray[Any]:
    """Labels as the source wrote them, from those a model works with.

    Args:
        encoded: numbers (regression), -1 or +1 (two classes), or indices of classes (whole numbers).
        classes: the original labels; None for regression.

    >>> decode_labels(np.array([1.0, -1.0]), np.array(["ham", "spam"])).tolist()
    ['spam', 'ham']
    >>> decode_labels(np.array([2, 0]), np.array([10, 20, 30])).tolist()
    [30, 10]
    """
    if classes is None:
        return encoded
    indices = encoded if np.issubdtype(encoded.dtype, np.integer) else encoded > 0
    labels: NDArray[Any] = classes[indices.astype(np.intp)]
    return labels


def _check(saved: SavedModel, where: str) -> None:
    """Refuse a file whose parts do not fit together, which no run has written."""
    shape = ModelShape(saved.model, saved.n_features, saved.n_outputs, saved.intercept)
    if saved.parameters.shape != (shape.n_parameters,):
        rule = f"must hold {shape.n_parameters} parameters for {saved.model} ({where})"
        raise InvalidData(PARAMETERS, rule, saved.parameters.shape)
    if not np.isfinite(saved.parameters).all():
        raise InvalidData(PARAMETERS, "must hold finite parameters; the run diverged", where)
    if saved.feature_names and len(saved.feature_names) != saved.n_features:
        raise InvalidData(
            PARAMETERS, f"must name {saved.n_features} features ({where})", len(saved.feature_names)
        )
