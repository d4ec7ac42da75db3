"""Models by name. Imports numpy only: worker processes import this package."""

from __future__ import annotations

from common.errors import InvalidSpec
from common.models.base import Features, Model, ModelClass, ModelShape
from common.models.linear import LinearModel
from common.models.logistic import LogisticModel
from common.models.softmax import SoftmaxModel

__all__ = ["MODELS", "Features", "Model", "ModelShape", "make_model"]

MODELS: dict[str, ModelClass] = {
    "linear": LinearModel,
    "logistic": LogisticModel,
    "softmax": SoftmaxModel,
}
"""Every model by its name."""


def make_model(shape: ModelShape) -> Model:
    """The model that ``shape`` names.

    Raises:
        InvalidSpec: the name is unknown, or the model cannot have so many outputs.

    >>> make_model(ModelShape("softmax", n_features=64, n_outputs=10, intercept=True)).n_parameters
    650
    """
    if shape.name not in MODELS:
        raise InvalidSpec("model", f"must be one of {', '.join(MODELS)}", shape.name)
    return MODELS[shape.name](shape)
