from __future__ import annotations

import numpy as np
import pytest

from common.datasets.labels import encode_labels
from common.errors import InvalidData


def encode(values, task=None):
    y, found, classes = encode_labels("data", np.array(values), task)
    return y.tolist(), found, classes


def test_text_means_classes():
    assert encode(["b", "a", "c", "a"]) == ([1, 0, 2, 0], "classes", ("a", "b", "c"))
    assert encode(["no", "yes", "no"]) == ([-1.0, 1.0, -1.0], "binary", ("no", "yes"))


def test_few_whole_numbers_mean_classes():
    assert encode([7, 3, 5, 7]) == ([2, 0, 1, 2], "classes", (3, 5, 7))
    assert encode([3.0, 1.0, 3.0]) == ([1.0, -1.0, 1.0], "binary", (1, 3))
    assert encode([False, True]) == ([-1.0, 1.0], "binary", (False, True))


def test_other_numbers_mean_regression():
    assert encode([1.5, 2.0]) == ([1.5, 2.0], "regression", ())
    assert encode(list(range(20)))[1] == "classes"
    assert encode(list(range(21)))[1] == "regression"


def test_a_task_overrides_the_looks():
    assert encode([0, 1, 1], "regression") == ([0.0, 1.0, 1.0], "regression", ())
    assert encode([0, 1, 1], "classes") == ([0, 1, 1], "classes", (0, 1))
    assert encode([0, 1, 1], "classification")[1] == "binary"
    assert encode([0.5, 1.5, 2.5], "classification") == ([0, 1, 2], "classes", (0.5, 1.5, 2.5))
    assert encode(list(range(30)), "classes")[1] == "classes"
    assert encode([4.0, 4.0], "regression") == ([4.0, 4.0], "regression", ())


def test_classes_are_plain_values():
    for values in ([1, 2, 3], [1.0, 2.5], ["a", "b"]):
        assert all(type(label) in {int, float, str} for label in encode(values, "classes")[2])


@pytest.mark.parametrize(
    ("values", "task", "rule"),
    [
        ([1, 1, 1], None, "must have at least two classes, got [1]"),
        (["a", "a"], None, "must have at least two classes, got ['a']"),
        ([1, 2, 3], "binary", "must have exactly two classes, got [1, 2, 3]"),
        (["a", "b"], "regression", "must be numbers for regression, got 'a'"),
        ([1j, 2j], None, "must be numbers or text, got 'complex128'"),
        ([b"a", b"b"], None, "must be numbers or text"),
    ],
)
def test_unsuitable_labels_are_refused(values, task, rule):
    with pytest.raises(InvalidData) as caught:
        encode(values, task)
    assert str(caught.value).startswith(f"data labels: {rule}")
