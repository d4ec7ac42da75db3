"""Breast cancer diagnoses from cell nuclei: two classes, ships with scikit-learn."""

from __future__ import annotations

from common.datasets.base import BINARY, RawData


def breast_cancer() -> RawData:
    """569 rows, 30 measurements, classes ``benign`` (-1) and ``malignant`` (+1).

    Source: Wolberg et al. 1995, "Breast Cancer Wisconsin (Diagnostic)" (UCI).
    """
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = tuple(str(name) for name in found.feature_names)
    return RawData("breast_cancer", found.data, found.target_names[found.target].astype(str), names, BINARY)
