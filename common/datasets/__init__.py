"""Datasets by name, and files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from common.datasets.base import Dataset, RawData, check_chunks, chunk_range
from common.datasets.breast_cancer import breast_cancer
from common.datasets.csv import read_columns, read_csv
from common.datasets.diabetes import diabetes
from common.datasets.digits import digits
from common.datasets.files import MOST_BYTES
from common.datasets.labels import check_task
from common.datasets.npz import read_npz, read_npz_features
from common.datasets.preparation import prepare, standardised
from common.datasets.synthetic import synthetic
from common.errors import InvalidSpec
from common.models.base import Features

__all__ = [
    "DATASETS",
    "Dataset",
    "RawData",
    "check_chunks",
    "chunk_range",
    "load_dataset",
    "read_features",
    "standardised",
]

DATASETS: dict[str, Callable[..., RawData]] = {
    "digits": digits,
    "breast_cancer": breast_cancer,
    "diabetes": diabetes,
    "synthetic": synthetic,
}
"""Every dataset that needs no file, by its name."""

SUFFIXES = (".npz", ".csv", ".csv.gz")
"""How the name of a file that can be read ends."""


def load_dataset(
    source: str,
    *,
    target: str | None = None,
    held_out: float = 0.2,
    standardise: bool = True,
    seed: int = 0,
    task: str | None = None,
    ignore: Sequence[str] = (),
    most_bytes: int = MOST_BYTES,
) -> Dataset:
    """Read a source and prepare it for training; the same arguments give the same dataset.

    Args:
        source: a name in ``DATASETS``, with arguments if it takes any (``synthetic(rows=500)``), or the
            path of a file that ends in one of ``SUFFIXES``.
        target: the column with the labels, for CSV files and only for these.
        held_out: share of the rows kept out of training, in [0, 1); at least one row if above 0.
        standardise: bring every feature to mean 0 and variance 1 over the training rows (CSR: variance).
        seed: of the order of rows, at least 0.
        task: ``regression``, ``classification``, ``binary`` or ``classes`` (which codes even two classes as
            0 and 1); None means as the source says, or as the labels look: text and at most 20 distinct
            whole numbers are classes, other numbers are regression.
        ignore: columns to leave out, for CSV files and only for these.
        most_bytes: a file that holds more, unpacked, is refused before it is unpacked.

    Raises:
        InvalidSpec: unknown source, arguments it does not take, a target where there are no columns.
        InvalidData: the data cannot be used.

    >>> data = load_dataset("synthetic(rows=10, features=3)")
    >>> data.n_rows, data.n_features, data.task, data.classes
    (8, 3, 'binary', (-1, 1))
    """
    check_task(task)
    path = _path(source)
    if path is None or path.suffix.lower() == ".npz":
        for field, value in (("target", target), ("ignore", ignore)):
            if value:
                raise InvalidSpec(field, f"must be left out: {source} is no CSV file", value)
    if path is None:
        raw = _embedded(source)
    elif path.suffix.lower() == ".npz":
        raw = read_npz(path, most_bytes)
    else:
        raw = read_csv(path, target, task, ignore, most_bytes)
    return prepare(raw, held_out=held_out, standardise=standardise, seed=seed, task=task)


def read_features(source: str, feature_names: Sequence[str]) -> Features:
    """Rows to predict: the named columns of a CSV file, or ``X`` of an ``.npz`` file; labels are ignored.

    Not standardised: see ``standardised``. Shape (rows, len(feature_names)).

    Raises:
        InvalidSpec: not a file that can be read.
        InvalidData: a column is missing, or the data cannot be used.
    """
    path = _path(source)
    if path is None:
        raise InvalidSpec("data source", f"must be a file ending in {', '.join(SUFFIXES)}", source)
    if path.suffix.lower() == ".npz":
        return read_npz_features(path, len(feature_names))
    return read_columns(path, feature_names)


def _path(source: str) -> Path | None:
    """The file that ``source`` names, or None if it names something else."""
    return Path(source).expanduser() if source.lower().endswith(SUFFIXES) else None


def _embedded(source: str) -> RawData:
    """The rows of a member of ``DATASETS``."""
    from common.spec import parse_call

    known = f"must be one of {', '.join(DATASETS)}, or a file ending in {', '.join(SUFFIXES)}"
    try:
        call = parse_call(source, what="data source")
    except InvalidSpec as error:
        # What is no name at all is most likely a path with another ending.
        raise error if "(" in source else InvalidSpec("data source", known, source) from None
    if call.name not in DATASETS:
        raise InvalidSpec("data source", known, source)
    maker = DATASETS[call.name]
    signature = inspect.signature(maker)
    try:
        signature.bind(*call.args, **call.kwargs)
    except TypeError as error:
        takes = ", ".join(signature.parameters)
        raise InvalidSpec("data source", f"must fit {call.name}({takes}): {error}", source) from None
    return replace(maker(*call.args, **call.kwargs), name=source.strip())
