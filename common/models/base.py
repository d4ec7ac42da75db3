"""What a model is: the loss and gradient of the SUM over rows, and a score for people.

All models here are linear in their parameters: scores ``S = X W + b`` and a loss of S and the labels.
The parameters are one vector: first W, shape (n_features, n_outputs), row by row, then b, n_outputs
numbers, if there is an intercept. A new model is one file with a loss, and one line in ``MODELS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidSpec

# scipy is never imported here: what a model needs of a CSR matrix are its methods dot, T and astype.
Features: TypeAlias = Any
"""Rows of features, shape (rows, n_features): a dense array or a CSR matrix of scipy."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Everything a worker must know to build the model.

    Args:
        name: a name in ``MODELS``.
        n_features: columns of X, at least 1.
        n_outputs: numbers a row is mapped to, at least 1 (classes for softmax, otherwise 1).
        intercept: whether a constant is added to every output.

    Raises:
        InvalidSpec: a count is below 1.
    """

    name: str
    n_features: int
    n_outputs: int = 1
    intercept: bool = True

    def __post_init__(self) -> None:
        for field, value in (("n_features", self.n_features), ("n_outputs", self.n_outputs)):
            if value < 1:
                raise InvalidSpec(f"model {field}", "must be at least 1", value)

    @property
    def n_weights(self) -> int:
        """How many parameters are weights, the intercepts not counted."""
        return self.n_features * self.n_outputs

    @property
    def n_parameters(self) -> int:
        """Length d of the parameter vector."""
        return self.n_weights + (self.n_outputs if self.intercept else 0)


class ModelClass(Protocol):
    """What makes a model: its class, or a function with the same attribute."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks whose labels it understands: some of ``regression``, ``binary``, ``classes``."""

    def __call__(self, shape: ModelShape) -> Model:
        """The model of this shape; raises InvalidSpec if it cannot have so many outputs."""


class Model(Protocol):
    """A loss that is a sum over rows; a frozen value without state.

    Numbers are computed in the dtype of the parameters (float64 or float32). X is not copied when it has
    that dtype already. No argument is ever changed.
    """

    @property
    def shape(self) -> ModelShape:
        """What the model was made from."""

    @property
    def n_parameters(self) -> int:
        """Length d of the parameter vector."""

    @property
    def score_name(self) -> str:
        """What ``score`` measures: ``accuracy`` or ``r2``."""

    def initial(self) -> NDArray[np.float64]:
        """The parameters a run starts from: zeros, shape (d,)."""

    def loss_and_gradient(
        self, parameters: NDArray[Any], X: Features, y: NDArray[Any]
    ) -> tuple[float, NDArray[Any]]:
        """Loss and gradient of the sum over the rows, in one pass.

        Args:
            parameters: shape (d,), float64 or float32.
            X: shape (rows, n_features), dense or CSR; zero rows are allowed.
            y: shape (rows,), as the model wants its labels.

        Returns:
            The loss, added up in float64, and the gradient, shape (d,), dtype of the parameters. Either
            is not finite when the numbers leave the dtype's range; nothing is raised and nothing warned.

        Cost: O(stored entries of X x n_outputs), and one array of shape (rows, n_outputs).
        """

    def regularised(self) -> NDArray[np.bool_]:
        """Which parameters an L2 term may touch: shape (d,), False on intercepts."""

    def predict(self, parameters: NDArray[Any], X: Features) -> NDArray[Any]:
        """The label of every row, shape (rows,), in the encoding of the training labels."""

    def score(self, parameters: NDArray[Any], X: Features, y: NDArray[Any]) -> float:
        """How good the predictions are (``score_name``); 1 is perfect, nan without rows."""


@dataclass(frozen=True, slots=True)
class LinearScores:
    """What the models share: layout of the parameters, scores, and the way back to a gradient."""

    shape: ModelShape

    @property
    def n_parameters(self) -> int:
        """Length d of the parameter vector."""
        return self.shape.n_parameters

    def initial(self) -> NDArray[np.float64]:
        """The parameters a run starts from: zeros, shape (d,)."""
        return np.zeros(self.n_parameters)

    def regularised(self) -> NDArray[np.bool_]:
        """Which parameters an L2 term may touch: shape (d,), False on intercepts."""
        return np.arange(self.n_parameters) < self.shape.n_weights

    def scores(self, parameters: NDArray[Any], X: Features) -> NDArray[Any]:
        """``X W + b``: shape (rows,) for one output, otherwise (rows, n_outputs); always a new array."""
        n_weights, n_outputs = self.shape.n_weights, self.shape.n_outputs
        weights = parameters[:n_weights]
        if n_outputs > 1:
            weights = weights.reshape(self.shape.n_features, n_outputs)
        result: NDArray[Any] = in_dtype(X, parameters.dtype).dot(weights)
        if self.shape.intercept:
            result += parameters[n_weights:]
        return result

    def gradient(self, X: Features, slopes: NDArray[Any]) -> NDArray[Any]:
        """The gradient, shape (d,), from the slope of the loss in every score (shaped as ``scores``)."""
        n_weights = self.shape.n_weights
        result = np.empty(self.n_parameters, dtype=slopes.dtype)
        result[:n_weights] = in_dtype(X, slopes.dtype).T.dot(slopes).reshape(-1)
        if self.shape.intercept:
            result[n_weights:] = slopes.sum(axis=0)
        return result


def in_dtype(array: Any, dtype: np.dtype[Any]) -> Any:
    """``array`` (dense or CSR) itself when it has the dtype, otherwise a converted copy."""
    return array if array.dtype == dtype else array.astype(dtype)


def require_outputs(shape: ModelShape, least: int, most: int | None = None) -> None:
    """Raise InvalidSpec when the model cannot have so many outputs."""
    if shape.n_outputs < least or (most is not None and shape.n_outputs > most):
        rule = (
            f"must be {least} for {shape.name}"
            if least == most
            else f"must be at least {least} for {shape.name}"
        )
        raise InvalidSpec("model n_outputs", rule, shape.n_outputs)


def accuracy(predicted: NDArray[Any], y: NDArray[Any]) -> float:
    """The share of rows predicted rightly; nan without rows."""
    return float(np.mean(predicted == y)) if len(y) else float("nan")
