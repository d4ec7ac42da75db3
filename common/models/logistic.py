"""Logistic regression for two classes, labelled -1 and +1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.models.base import Features, LinearScores, accuracy, in_dtype, require_outputs


@dataclass(frozen=True, slots=True)
class LogisticModel(LinearScores):
    """Loss ``log(1 + exp(-y (x w + b)))`` a row; y is -1 or +1; scored by accuracy.

    Raises:
        InvalidSpec: the shape has more than one output.

    >>> from common.models.base import ModelShape
    >>> model = LogisticModel(ModelShape("logistic", n_features=1, n_outputs=1, intercept=False))
    >>> loss, gradient = model.loss_and_gradient(np.zeros(1), np.array([[2.0]]), np.array([1.0]))
    >>> round(loss, 6), gradient.tolist()
    (0.693147, [-1.0])
    """

    score_name: ClassVar[str] = "accuracy"
    tasks: ClassVar[tuple[str, ...]] = ("binary",)

    def __post_init__(self) -> None:
        require_outputs(self.shape, 1, 1)

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(
        self, parameters: NDArray[Any], X: Features, y: NDArray[Any]
    ) -> tuple[float, NDArray[Any]]:
        """Loss and gradient of the sum over the rows, as Model promises."""
        X, y = in_dtype(X, parameters.dtype), in_dtype(y, parameters.dtype)
        margins = self.scores(parameters, X)
        margins *= y
        # exp of a number that is never positive cannot overflow, whatever the margin.
        decay = np.exp(-np.abs(margins))
        loss = np.maximum(-margins, 0.0) + np.log1p(decay)
        doubt = np.where(margins >= 0.0, decay, 1.0) / (1.0 + decay)
        return float(loss.sum(dtype=np.float64)), self.gradient(X, -y * doubt)

    def predict(self, parameters: NDArray[Any], X: Features) -> NDArray[np.float64]:
        """-1.0 or +1.0 for every row, shape (rows,); a score of exactly 0 gives +1."""
        return np.where(self.scores(parameters, X) >= 0.0, 1.0, -1.0)

    def score(self, parameters: NDArray[Any], X: Features, y: NDArray[Any]) -> float:
        """Accuracy: the share of rows predicted rightly; nan without rows."""
        return accuracy(self.predict(parameters, X), y)
