"""Coded descent is plain descent, whoever straggles: real processes, real gRPC."""

from __future__ import annotations

import os

import numpy as np
import pytest

from common.datasets import load_dataset
from common.folder import read_parameters
from common.models import make_model

pytestmark = pytest.mark.xdist_group("processes")

CODES = (
    "uncoded(n)",
    "fractional_repetition(n, 1)",
    "cyclic_repetition(n, 1)",
    "cyclic_repetition(n, 2)",
    "partial_stragglers(n, 3, 2)",
)
WIRES = (("float32", 1e-5), ("float64", 1e-9))
SCHEDULED = ("scheduled(n, 3, 2)", "scheduled(n, 3, 2, n_parts=2)")
if os.environ.get("GRADCODE_SLOW") == "1":
    CASES = [(code, *wire) for code in CODES + SCHEDULED for wire in WIRES]
else:
    # Every code over one of the two wires, in turn.
    CASES = [(code, *WIRES[number % 2]) for number, code in enumerate(CODES + SCHEDULED)]
SOURCE = "synthetic(rows=203, features=6)"
ROUNDS = 50
RATE = 0.3
L2 = 1e-3


def plain_descent() -> np.ndarray:
    """Full-batch gradient descent in one process."""
    data = load_dataset(SOURCE)
    model = make_model(data.model_shape())
    parameters = model.initial()
    for _ in range(ROUNDS):
        _, gradient = model.loss_and_gradient(parameters, data.X_train, data.y_train)
        gradient = gradient / data.n_rows + L2 * np.where(model.regularised(), parameters, 0.0)
        parameters = parameters - RATE * gradient
    return parameters


@pytest.mark.parametrize(("code", "wire_dtype", "tolerance"), CASES)
def test_parameters_equal_plain_full_batch_descent(cluster, code, wire_dtype, tolerance):
    cluster.start(
        4,
        f"code={code}",
        f"data.source={SOURCE}",
        f"rounds={ROUNDS}",
        f"wire_dtype={wire_dtype}",
        f"optimizer.learning_rate={RATE}",
        f"model.l2={L2}",
        "deadline.rule=none",
        "delays.distribution=shifted_exponential",
        "delays.seconds=0.0005",
        "delays.mean_seconds=0.001",
        "delays.factors={ 2 = 5.0 }",
    )
    assert cluster.wait() == 0, cluster.log("master")
    history = cluster.history()
    assert [record.outcome for record in history] == ["exact"] * ROUNDS
    assert any(record.stragglers for record in history)
    found, wanted = read_parameters(cluster.folder).parameters, plain_descent()
    assert np.linalg.norm(found - wanted) <= tolerance * np.linalg.norm(wanted)
