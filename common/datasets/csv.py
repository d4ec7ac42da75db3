"""Tables as text: one header row, numbers, and one named target column of numbers or text."""

from __future__ import annotations

import csv
import gzip
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from common.datasets.base import REGRESSION, RawData
from common.datasets.files import MOST_BYTES, reading, require_finite
from common.errors import InvalidData

COLUMNS_SHOWN = 12
"""How many column names an error lists."""
LONGEST_LINE = 1 << 24
"""Characters: a line is in memory as a whole."""


def read_csv(
    path: Path,
    target: str | None,
    task: str | None = None,
    ignore: Sequence[str] = (),
    most_bytes: int = MOST_BYTES,
) -> RawData:
    """All rows of a ``.csv`` or ``.csv.gz`` file; every column but the target and ``ignore`` is a feature.

    Args:
        path: comma-separated, UTF-8, the first row names the columns; blank lines are skipped.
        target: name of the column that holds the labels. It is never guessed.
        task: None, or what to do with the labels. A target in which some cells are numbers and others are
            not is refused as a likely mistake unless a classification is asked for.
        ignore: names of columns to leave out.
        most_bytes: reading stops, and the file is refused, where it holds more, unpacked.

    Returns:
        X dense; y numbers if every label is one, otherwise text.

    Raises:
        InvalidData: the file cannot be read, has no rows or no features, has another number of cells in
            some row than in the header, a cell that is no finite number, or no such target.

    Cost: about a second for 2 million cells; 8 bytes a cell while reading.
    """
    with _opened(path) as stream:
        table = _Table(path.name, _lines(path.name, stream, most_bytes))
        position = table.find_target(target)
        left_out = {position, *table.find_ignored(ignore, target)}
        features = [column for column in range(len(table.header)) if column not in left_out]
        if not features:
            raise InvalidData(path.name, "must have a column besides the target", table.header)
        table.read(features, position)
    X = table.numbers(features)
    y = _labels(table, position, task)
    return RawData(path.name, X, y, tuple(table.header[column] for column in features))


def read_columns(path: Path, names: Sequence[str]) -> NDArray[np.float64]:
    """The named columns of a CSV file, in this order, whatever else is in it; shape (rows, len(names)).

    Raises:
        InvalidData: as ``read_csv``; or a column is missing.
    """
    with _opened(path) as stream:
        table = _Table(path.name, _lines(path.name, stream, MOST_BYTES))
        missing = [name for name in names if name not in table.header]
        if missing:
            raise InvalidData(path.name, f"must have the column {missing[0]}", table.shown_header())
        columns = [table.header.index(name) for name in names]
        table.read(columns, None)
    return table.numbers(columns)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with reading(path):
        opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
        # A byte order mark, as spreadsheets write it, is no part of the first column's name.
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream


def _lines(name: str, stream: TextIO, most_bytes: int) -> Iterator[str]:
    """The lines of a file, as long as neither one of them nor all together are too long."""
    n_read, n_lines = 0, 0
    while line := stream.readline(LONGEST_LINE + 1):
        n_read += len(line)
        n_lines += 1
        if len(line) > LONGEST_LINE:
            raise InvalidData(
                f"{name} line {n_lines}", f"must have at most {LONGEST_LINE} characters", "more"
            )
        if n_read > most_bytes:
            raise InvalidData(name, f"must hold at most {most_bytes >> 20} MB (limits.data_mb)", "more")
        yield line


@dataclass
class _Table:
    """A file being read: its header at once, then the cells of chosen columns."""

    name: str
    stream: Iterator[str]
    header: list[str] = field(init=False)
    cells: array[float] = field(default_factory=lambda: array("d"))
    labels: list[str] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        self._rows = csv.reader(self.stream)
        first = next(self._records(), None)
        if first is None:
            raise InvalidData(self.name, "must have a header row", "nothing but blank lines")
        self.header = [cell.strip() for cell in first]
        counts = Counter(self.header)
        repeated = [name for name in self.header if counts[name] > 1]
        if repeated:
            raise InvalidData(f"{self.name} header", "must name every column once", repeated[0])

    def find_target(self, target: str | None) -> int:
        """The position of the target column."""
        if target is None or target not in self.header:
            raise InvalidData("target", f"must name a column of {self.name} ({self.shown_header()})", target)
        return self.header.index(target)

    def find_ignored(self, ignore: Sequence[str], target: str | None) -> list[int]:
        """The positions of columns that are left out."""
        unknown = [name for name in ignore if name not in self.header or name == target]
        if unknown:
            rule = f"must name columns of {self.name} besides the target ({self.shown_header()})"
            raise InvalidData("ignore", rule, unknown[0])
        return [self.header.index(name) for name in ignore]

    def shown_header(self) -> str:
        """The columns' names, the first few of many."""
        shown = self.header[:COLUMNS_SHOWN]
        left = len(self.header) - len(shown)
        return ", ".join(shown) + (f" and {left} more" if left else "")

    def read(self, columns: list[int], target: int | None) -> None:
        """Read all rows: numbers of ``columns``, text of ``target``."""
        pick = itemgetter(*columns) if len(columns) > 1 else itemgetter(slice(columns[0], columns[0] + 1))
        width = len(self.header)
        for row in self._records():
            line = self._rows.line_num
            if len(row) != width:
                raise InvalidData(f"{self.name} line {line}", f"must have {width} cells", len(row))
            try:
                self.cells.extend(map(float, pick(row)))
            except ValueError:
                raise self._not_a_number(row, columns, line) from None
            self.lines.append(line)
            if target is not None:
                self.labels.append(row[target].strip())
        if not self.lines:
            raise InvalidData(self.name, "must have at least one row below the header", 0)

    def numbers(self, columns: list[int]) -> NDArray[np.float64]:
        """What was read of ``columns``: shape (rows, columns), finite."""
        found = np.frombuffer(self.cells, dtype=np.float64).reshape(len(self.lines), len(columns))
        require_finite(found, lambda i: self.place(i // len(columns), columns[i % len(columns)]))
        return found

    def place(self, row: int, column: int) -> str:
        """Where a cell is, for errors."""
        return f"{self.name} line {self.lines[row]}, column {self.header[column]}"

    def _records(self) -> Iterator[list[str]]:
        """Rows that are not blank."""
        try:
            for row in self._rows:
                if row:
                    yield row
        except csv.Error as error:
            line = self._rows.line_num
            raise InvalidData(
                f"{self.name} line {line}", "must be comma-separated text", str(error)
            ) from None

    def _not_a_number(self, row: list[str], columns: list[int], line: int) -> InvalidData:
        column = next(column for column in columns if _number(row[column]) is None)
        return InvalidData(
            f"{self.name} line {line}, column {self.header[column]}", "must be a number", row[column]
        )


def _labels(table: _Table, target: int, task: str | None) -> NDArray[Any]:
    """The target column: float64 if all of it are numbers, otherwise text."""
    if "" in table.labels:
        raise InvalidData(table.place(table.labels.index(""), target), "must not be empty", "")
    numbers = [_number(label) for label in table.labels]
    n_text = numbers.count(None)
    if n_text == 0:
        y = np.array(numbers, dtype=np.float64)
        require_finite(y, lambda row: table.place(row, target))
        return y
    if task == REGRESSION or (task is None and n_text < len(numbers)):
        rule = (
            "must be a number"
            if task
            else "must be a number as in other rows (unless task is classification)"
        )
        first = numbers.index(None)
        raise InvalidData(table.place(first, target), rule, table.labels[first])
    return np.array(table.labels)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
