"""Two Gaussians with noisy labels, as large as one likes: the artificial data of gradient coding."""

from __future__ import annotations

import numpy as np

from common.datasets.base import BINARY, RawData
from common.errors import InvalidSpec


def synthetic(rows: int = 2000, features: int = 50, seed: int = 0) -> RawData:
    """Rows from two Gaussians, labels -1 and +1 drawn by a logistic model.

    With p features and a hidden vector beta in {-1, +1}^p, a row is
    ``x = c (1.5/p) beta + (10/sqrt(p)) z`` with c = -1 or +1 at random and z standard normal, and its label
    is +1 with probability ``1 / (1 + exp(-x beta))``.

    Args:
        rows: how many, at least 2.
        features: p, at least 1.
        seed: of everything drawn, at least 0.

    Raises:
        InvalidSpec: an argument is out of range.

    Source: Tandon et al. 2017, section 5 (artificial dataset).
    """
    for field, value, least in (("rows", rows, 2), ("features", features, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:
            raise InvalidSpec(f"synthetic {field}", f"must be a whole number of at least {least}", value)
    rng = np.random.default_rng(seed)
    beta = rng.choice([-1.0, 1.0], size=features)
    X = rng.standard_normal((rows, features))
    X *= 10.0 / np.sqrt(features)
    X += rng.choice([-1.0, 1.0], size=(rows, 1)) * (1.5 / features) * beta
    chance = 1.0 / (1.0 + np.exp(-X.dot(beta)))
    y = np.where(rng.random(rows) < chance, 1, -1)
    return RawData("synthetic", X, y, tuple(f"x{column}" for column in range(features)), BINARY)
