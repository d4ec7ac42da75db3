"""Linear regression: half the squared error, summed over the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.models.base import Features, LinearScores, in_dtype, require_outputs


@dataclass(frozen=True, slots=True)
class LinearModel(LinearScores):
    """Loss ``1/2 (x w + b - y)^2`` a row; y is any number; scored by r2.

    Raises:
        InvalidSpec: the shape has more than one output.

    >>> from common.models.base import ModelShape
    >>> model = LinearModel(ModelShape("linear", n_features=2, n_outputs=1, intercept=True))
    >>> loss, gradient = model.loss_and_gradient(np.zeros(3), np.array([[1.0, 2.0]]), np.array([3.0]))
    >>> loss, gradient.tolist()
    (4.5, [-3.0, -6.0, -3.0])
    """

    score_name: ClassVar[str] = "r2"
    tasks: ClassVar[tuple[str, ...]] = ("regression", "binary")

    def __post_init__(self) -> None:
        require_outputs(self.shape, 1, 1)

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(
        self, parameters: NDArray[Any], X: Features, y: NDArray[Any]
    ) -> tuple[float, NDArray[Any]]:
        """Loss and gradient of the sum over the rows, as Model promises."""
        X = in_dtype(X, parameters.dtype)
        errors = self.scores(parameters, X)
        errors -= in_dtype(y, parameters.dtype)
        # Squares of float32 errors may leave float32's range although the loss itself does not.
        wide = in_dtype(errors, np.dtype(np.float64))
        return 0.5 * float(wide.dot(wide)), self.gradient(X, errors)

    def predict(self, parameters: NDArray[Any], X: Features) -> NDArray[Any]:
        """The expected value of every row, shape (rows,)."""
        return self.scores(parameters, X)

    @np.errstate(over="ignore", invalid="ignore")
    def score(self, parameters: NDArray[Any], X: Features, y: NDArray[Any]) -> float:
        """r2: the share of the labels' variance that is explained; nan without rows.

        When all labels are equal it is 1 if every prediction is right, otherwise 0.
        """
        if not len(y):
            return float("nan")
        errors = self.predict(parameters, X) - y
        spread = y - y.mean()
        unexplained, total = float(errors.dot(errors)), float(spread.dot(spread))
        if total == 0.0:
            return 1.0 if unexplained == 0.0 else 0.0
        return 1.0 - unexplained / total
