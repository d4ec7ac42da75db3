"""Softmax regression for two or more classes, labelled 0, 1, 2, ..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.models.base import Features, LinearScores, accuracy, in_dtype, require_outputs


@dataclass(frozen=True, slots=True)
class SoftmaxModel(LinearScores):
    """Loss ``log(sum of exp of all scores) - own score`` a row; y is a class index; scored by accuracy.

    Raises:
        InvalidSpec: the shape has fewer than two outputs.

    >>> from common.models.base import ModelShape
    >>> model = SoftmaxModel(ModelShape("softmax", n_features=1, n_outputs=2, intercept=False))
    >>> loss, gradient = model.loss_and_gradient(np.zeros(2), np.array([[2.0]]), np.array([0]))
    >>> round(loss, 6), gradient.tolist()
    (0.693147, [-1.0, 1.0])
    """

    score_name: ClassVar[str] = "accuracy"
    tasks: ClassVar[tuple[str, ...]] = ("classes",)

    def __post_init__(self) -> None:
        require_outputs(self.shape, 2)

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(
        self, parameters: NDArray[Any], X: Features, y: NDArray[Any]
    ) -> tuple[float, NDArray[Any]]:
        """Loss and gradient of the sum over the rows, as Model promises."""
        X = in_dtype(X, parameters.dtype)
        own_class = (np.arange(len(y)), in_dtype(y, np.dtype(np.int64)))
        scores = self.scores(parameters, X)
        # Only differences of scores matter; with the largest at 0 no exp can overflow.
        scores -= scores.max(axis=1, keepdims=True)
        own_scores = scores[own_class]
        chances = np.exp(scores, out=scores)
        totals = chances.sum(axis=1)
        loss = float((np.log(totals) - own_scores).sum(dtype=np.float64))
        chances /= totals[:, np.newaxis]
        chances[own_class] -= 1.0
        return loss, self.gradient(X, chances)

    def predict(self, parameters: NDArray[Any], X: Features) -> NDArray[np.int64]:
        """The index of the likeliest class of every row, shape (rows,); the lowest of equals."""
        likeliest: NDArray[np.int64] = self.scores(parameters, X).argmax(axis=1).astype(np.int64)
        return likeliest

    def score(self, parameters: NDArray[Any], X: Features, y: NDArray[Any]) -> float:
        """Accuracy: the share of rows predicted rightly; nan without rows."""
        return accuracy(self.predict(parameters, X), y)
