"""Handwritten digits, 8 x 8 pixels: ten classes, small, ships with scikit-learn."""

from __future__ import annotations

from common.datasets.base import CLASSES, RawData


def digits() -> RawData:
    """1,797 rows, 64 pixels from 0 to 16, classes 0..9.

    Source: Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits" (UCI), its test part.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    return RawData("digits", found.data, found.target, tuple(found.feature_names), CLASSES)
