"""Progress of diabetes within a year: regression, ships with scikit-learn."""

from __future__ import annotations

from common.datasets.base import REGRESSION, RawData


def diabetes() -> RawData:
    """442 rows, 10 measurements as they were taken; the target is a number from 25 to 346.

    Source: Efron et al. 2004, "Least angle regression".
    """
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    return RawData("diabetes", found.data, found.target, tuple(found.feature_names), REGRESSION)
