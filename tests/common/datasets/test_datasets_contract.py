"""What every dataset promises, tried on every member of DATASETS."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from common.datasets import DATASETS, load_dataset
from common.errors import InvalidSpec
from common.models import MODELS, ModelShape, make_model

EXAMPLES = {
    "digits": ("digits", 1797, 64, "classes", tuple(range(10))),
    "breast_cancer": ("breast_cancer", 569, 30, "binary", ("benign", "malignant")),
    "diabetes": ("diabetes", 442, 10, "regression", ()),
    "synthetic": ("synthetic(rows=300, features=7, seed=4)", 300, 7, "binary", (-1, 1)),
}
"""One line a dataset: a source and what is expected of it."""

every_dataset = pytest.mark.parametrize("name", sorted(DATASETS))


@cache
def load(name, **arguments):
    return load_dataset(EXAMPLES[name][0], **arguments)


def rows_of(data):
    """All rows with their labels, in an order that does not depend on the seed."""
    X = np.vstack([data.X_train, data.X_held])
    y = np.concatenate([data.y_train, data.y_held])
    table = np.column_stack([X, y])
    return table[np.lexsort(table.T)]


def test_every_member_is_tried():
    assert set(EXAMPLES) == set(DATASETS)


@every_dataset
def test_shapes_task_and_classes(name):
    data = load(name)
    source, n_rows, n_features, task, classes = EXAMPLES[name]
    n_held = round(0.2 * n_rows)
    assert (data.name, data.task, data.classes) == (source, task, classes)
    assert data.X_train.shape == (n_rows - n_held, n_features) == (data.n_rows, data.n_features)
    assert data.X_held.shape == (n_held, n_features)
    assert data.y_train.shape == (n_rows - n_held,)
    assert data.y_held.shape == (n_held,)
    assert data.X_train.dtype == np.float64
    assert len(data.feature_names) == n_features
    assert all(type(feature) is str for feature in data.feature_names)
    assert all(type(label) in {int, str} for label in data.classes)


@every_dataset
def test_labels_are_as_the_default_model_wants_them(name):
    data = load(name)
    assert data.y_train.dtype == (np.int64 if data.task == "classes" else np.float64)
    if data.task == "binary":
        assert set(data.y_train) == {-1.0, 1.0}
    if data.task == "classes":
        assert set(data.y_train) == set(range(len(data.classes)))
    model = make_model(data.model_shape())
    start_loss, gradient = model.loss_and_gradient(model.initial(), data.X_train, data.y_train)
    parameters = -0.01 * gradient / data.n_rows
    assert model.loss_and_gradient(parameters, data.X_train, data.y_train)[0] < start_loss


@every_dataset
def test_models_that_do_not_understand_the_labels_are_refused(name):
    data = load(name)
    suitable = {"regression": {"linear"}, "binary": {"linear", "logistic"}, "classes": {"softmax"}}[data.task]
    for model in suitable:
        shape = data.model_shape(model, intercept=False)
        assert shape == ModelShape(model, data.n_features, data.n_outputs, False)
        make_model(shape)
    for model in {*MODELS, "tree"} - suitable:
        with pytest.raises(InvalidSpec, match=f"model: must be one of auto, .* for the task {data.task}"):
            data.model_shape(model)


@every_dataset
def test_the_same_arguments_give_the_same_dataset(name):
    one, two = load_dataset(EXAMPLES[name][0], seed=3), load_dataset(EXAMPLES[name][0], seed=3)
    for field in ("X_train", "y_train", "X_held", "y_held", "mean", "scale"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    assert one.digest == two.digest
    assert len(one.digest) == 64


@every_dataset
def test_another_seed_orders_the_same_rows_otherwise(name):
    one, two = load(name, seed=0, standardise=False), load(name, seed=1, standardise=False)
    assert one.digest != two.digest
    assert not np.array_equal(one.X_train, two.X_train)
    np.testing.assert_array_equal(rows_of(one), rows_of(two))


@every_dataset
def test_training_and_held_out_rows_together_are_all_rows_once(name):
    split, whole = load(name, standardise=False), load(name, standardise=False, held_out=0.0)
    assert whole.X_held.shape == (0, whole.n_features)
    np.testing.assert_array_equal(rows_of(split), rows_of(whole))


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example[3] == "binary"])
def test_two_classes_are_coded_for_softmax_if_asked(name):
    data = load(name, task="classes")
    assert (data.task, data.n_outputs, set(data.y_train)) == ("classes", 2, {0, 1})
    assert data.model_shape("softmax").n_outputs == 2


@every_dataset
def test_the_order_of_rows_does_not_depend_on_the_split(name):
    small, large = load(name, standardise=False, held_out=0.5), load(name, standardise=False, held_out=0.1)
    np.testing.assert_array_equal(small.X_train, large.X_train[: small.n_rows])
    np.testing.assert_array_equal(small.y_train, large.y_train[: small.n_rows])


@every_dataset
def test_training_rows_are_standardised_by_their_own_statistics(name):
    data, plain = load(name), load(name, standardise=False)
    np.testing.assert_allclose(data.X_train.mean(axis=0), 0.0, atol=1e-12)
    constant = plain.X_train.std(axis=0) == 0.0
    np.testing.assert_allclose(data.X_train.std(axis=0), np.where(constant, 0.0, 1.0), atol=1e-12)
    np.testing.assert_array_equal(data.X_held, (plain.X_held - data.mean) / data.scale)
    assert (plain.mean, plain.scale) == (None, None)


@every_dataset
def test_arguments_it_does_not_take_are_refused(name):
    with pytest.raises(InvalidSpec, match="data source: must fit"):
        load_dataset(f"{name}(colour=3)")
    with pytest.raises(InvalidSpec, match="target: must be left out"):
        load_dataset(name, target="y")
