from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import common
from common.datasets import load_dataset
from common.datasets.synthetic import synthetic
from common.errors import InvalidSpec


def test_rows_come_from_the_two_gaussians_of_the_paper():
    n_rows, p = 40_000, 16
    raw = synthetic(rows=n_rows, features=p, seed=2)
    X = raw.X
    # Both means are +-(1.5/p) beta: the overall mean is 0 and the covariance 100/p I + (1.5/p)^2 beta beta'.
    beta = np.random.default_rng(2).choice([-1.0, 1.0], size=p)
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=5 * 10 / np.sqrt(p * n_rows))
    covariance = 100 / p * np.eye(p) + (1.5 / p) ** 2 * np.outer(beta, beta)
    np.testing.assert_allclose(X.T @ X / n_rows, covariance, atol=6 * 100 / p / np.sqrt(n_rows))


def test_labels_follow_the_logistic_model_of_the_hidden_vector():
    raw = synthetic(rows=40_000, features=4, seed=2)
    beta = np.random.default_rng(2).choice([-1.0, 1.0], size=4)
    scores = raw.X @ beta
    assert set(raw.y.tolist()) == {-1, 1}
    for low, high in ((-3, -1), (-1, 0), (0, 1), (1, 3)):
        inside = (scores > low) & (scores < high)
        expected = np.mean(1 / (1 + np.exp(-scores[inside])))
        assert np.mean(raw.y[inside] == 1) == pytest.approx(expected, abs=0.03)


def test_a_source_with_arguments():
    data = load_dataset("synthetic(120, features=9, seed=1)", held_out=0.25)
    assert (data.n_rows, data.n_features, data.task, data.n_outputs) == (90, 9, "binary", 1)
    assert data.digest == load_dataset("synthetic(rows=120, features=9, seed=1)", held_out=0.25).digest
    assert data.digest != load_dataset("synthetic(rows=120, features=9, seed=2)", held_out=0.25).digest


@pytest.mark.parametrize(
    "source", ["synthetic(rows=1)", "synthetic(features=0)", "synthetic(seed=-1)", "synthetic(rows=2.5)"]
)
def test_impossible_arguments_are_refused(source):
    with pytest.raises(InvalidSpec, match=r"synthetic (rows|features|seed): must be a whole number"):
        load_dataset(source)


def test_only_datasets_that_need_it_load_scikit_learn():
    program = (
        "import sys; from common.datasets.synthetic import synthetic; synthetic(10, 3);"
        "import common.datasets; print(sorted({'sklearn', 'scipy'} & set(sys.modules)))"
    )
    root = Path(common.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert found.stdout.strip() == "[]"
