"""A run's folder: what a run leaves behind, and how it is read again.

::

    runs/<name>-<YYYYmmdd-HHMMSS>/
        experiment.toml     the effective experiment; reruns the run
        environment.json    versions of Python and packages, platform
        history.jsonl       one RoundRecord a line, written when the round ends
        chunks.csv          one ChunkRow a line, written within a second
        parameters.npz      the trained model, with all that predicting needs
        summary.json        written last: why the run ended, and the totals
        run.json            id of the run and how often its master was started
        checkpoints/        where the run can go on, unless they are kept elsewhere
        superseded.*        records and chunks of rounds that were played again after a restart

The folder of a killed master can be read: every file is either whole or ends with a torn line.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.appending import AppendedFile
from common.arrays import read_arrays
from common.chunk_lines import CHUNK_COLUMNS, chunk_lines
from common.environment import environment
from common.errors import InvalidData, InvalidSpec, RunFailed
from common.files import replace
from common.history import (
    ChunkRow,
    ChunkState,
    RoundRecord,
    record_from_json,
    strict_json,
    summarise,
    to_json,
)
from common.reopening import Lock, Mark, cut

EXPERIMENT, ENVIRONMENT, SUMMARY = "experiment.toml", "environment.json", "summary.json"
HISTORY, CHUNKS, PARAMETERS = "history.jsonl", "chunks.csv", "parameters.npz"
RUN, CHECKPOINTS, SUPERSEDED = "run.json", "checkpoints", "superseded"
FLUSH_SECONDS = 1.0
MOST_PENDING_BYTES = 1 << 18
"""Of chunk rows that are held back at most."""
MOST_PARAMETER_BYTES = 64 << 30
"""That parameters.npz may hold, as a reader is told by its table of contents."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SavedModel:
    """A trained model as parameters.npz holds it.

    Attributes:
        model: name of the model. parameters: as the model keeps them, float64, any shape.
        n_features, n_outputs, intercept: with these the model reads ``parameters``.
        classes: labels in the order of the outputs, numbers or text; None for regression.
        mean, scale: standardisation, shape (n_features,); None where the features were used as they are.
        feature_names: n_features names, or none. target: name of the target column, or empty.
    """

    model: str
    parameters: NDArray[np.float64]
    n_features: int
    n_outputs: int
    intercept: bool
    classes: NDArray[Any] | None = None
    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    feature_names: tuple[str, ...] = ()
    target: str = ""


class RunFolder:
    """The folder of one run, open for writing; made by `create`, or from a path.

    Only one process at a time has it open.

    Args:
        path: the folder; made if missing.
        again: it may hold a run, which is taken up again; `cut` then says where.

    Raises:
        InvalidSpec: the folder holds a run already, is in use, or cannot be written.
    """

    def __init__(self, path: str | Path, again: bool = False) -> None:
        self.path = Path(path)
        mode: Literal["ab", "xb"] = "ab" if again else "xb"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._history = AppendedFile(self.path / HISTORY, mode)
            self._lock = Lock(self._history.number, self.path)
            self._chunks = AppendedFile(self.path / CHUNKS, mode)
        except FileExistsError:
            raise InvalidSpec("run folder", "must not hold a run already", str(path)) from None
        except OSError as error:
            raise InvalidSpec("run folder", f"must be writable ({error.strerror})", str(path)) from None
        self._pending = bytearray()
        self._flushed = 0.0
        if not again:
            self._begin_chunks()

    def _begin_chunks(self) -> None:
        self._pending += ",".join(CHUNK_COLUMNS).encode() + b"\n"
        self.flush()

    @classmethod
    def create(cls, parent: str | Path, name: str, now: datetime) -> RunFolder:
        """A new folder ``parent/<name>-<YYYYmmdd-HHMMSS>``, with ``-2`` and so on if that is taken."""
        stem = f"{name}-{now:%Y%m%d-%H%M%S}"
        number = 1
        while True:
            path = Path(parent) / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise InvalidSpec("run folder", f"must be writable ({error.strerror})", str(path)) from None
            else:
                return cls(path)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write_experiment(self, toml: str) -> None:
        """Write experiment.toml: the effective experiment."""
        self._replace(EXPERIMENT, toml.encode())

    def write_environment(self) -> None:
        """Write environment.json: what the run runs on; no host name, no user, no path."""
        self._replace(ENVIRONMENT, strict_json(environment(), indent=2).encode() + b"\n")

    def write_run(self, facts: dict[str, Any]) -> None:
        """Write run.json; survives a power cut."""
        self._replace(RUN, strict_json(facts, indent=2).encode() + b"\n", durable=True)

    def mark(self) -> Mark:
        """How far the run is written: what was added up to now, chunks held back included."""
        self.flush()
        return Mark(*(file.n_bytes + file.held_bytes for file in (self._history, self._chunks)))

    def sync(self) -> None:
        """Have what was written survive a power cut; from any thread. Cost: some milliseconds.

        Raises:
            OSError: the disk says no.
        """
        for file in (self._history, self._chunks):
            if file.held_bytes:
                raise OSError(errno.ENOSPC, "records still wait for room on the disk")
            if not file.closed:
                os.fsync(file.number)

    def cut(self, mark: Mark) -> int:
        """Take the run up at ``mark``: what was written after it goes to the files superseded.*.

        A summary is gone: the run goes on. Returns how many rounds were cut off.

        Raises:
            RunFailed: a file cannot be written.
        """
        try:
            n_rounds = cut(self.path / HISTORY, mark.history, self.path / f"{SUPERSEDED}.jsonl")
            cut(self.path / CHUNKS, mark.chunks, self.path / f"{SUPERSEDED}.csv")
            (self.path / SUMMARY).unlink(missing_ok=True)
        except OSError as error:
            raise RunFailed(f"cannot write the run folder {self.path}: {error.strerror}") from None
        if not mark.chunks:
            self._begin_chunks()
        return n_rounds

    def write_parameters(self, model: SavedModel) -> None:
        """Write parameters.npz in one piece: a reader sees the former one or this one.

        The file loads without pickle; fields that are None are left out.
        """
        held: dict[str, Any] = {}
        for field in fields(model):
            value = getattr(model, field.name)
            if value is not None:
                array = np.asarray(value, dtype=np.str_ if field.name == "feature_names" else None)
                held[field.name] = array.astype(np.str_) if array.dtype == object else array
        buffer = io.BytesIO()
        np.savez(buffer, **held)
        self._replace(PARAMETERS, buffer.getvalue())

    def add(self, record: RoundRecord) -> None:
        """Append the record to history.jsonl at once, and its chunks to chunks.csv within a second.

        On a full disk both wait in memory until there is room again.

        Raises:
            RunFailed: the files cannot be written, or too much waits.
        """
        self._history.append(to_json(record).encode() + b"\n")
        self.add_chunks(record.chunks)

    def add_chunks(self, rows: Sequence[ChunkRow]) -> None:
        """Append to chunks.csv; what is held back is written a second later with the next, or by `flush`."""
        self._pending += chunk_lines(rows).encode(errors="replace")
        if len(self._pending) >= MOST_PENDING_BYTES or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the chunk rows held back."""
        self._chunks.append(bytes(self._pending))
        self._pending.clear()
        self._flushed = time.monotonic()

    @property
    def held_bytes(self) -> int:
        """Bytes that wait in memory because the disk is full."""
        return self._history.held_bytes + self._chunks.held_bytes

    def finish(self, reason: str, exit_code: int, **more: object) -> dict[str, Any]:
        """Close the folder with summary.json and return what it holds.

        Args:
            reason: why the run ended, in words. exit_code: 0, 2, 3 or 130.
            more: further entries, such as the final score; they win over the totals of `summarise`.
        """
        self._close_files()
        totals = summarise(iter_history(self.path))
        summary = {"reason": reason, "exit_code": exit_code, **totals, **more}
        self._replace(SUMMARY, strict_json(summary, indent=2).encode() + b"\n")
        self.close()
        return summary

    def close(self) -> None:
        """Write what is held back, close the files, let others have the folder; twice is no harm."""
        try:
            self._close_files()
        finally:
            self._lock.release()

    def _close_files(self) -> None:
        if not self._chunks.closed:
            try:
                self.flush()
                self._chunks.close()
            finally:
                self._history.close()

    def _replace(self, name: str, data: bytes, durable: bool = False) -> None:
        try:
            replace(self.path / name, data, durable)
        except OSError as error:
            raise RunFailed(f"cannot write {self.path / name}: {error.strerror}") from None


# ---- reading --------------------------------------------------------------------------------------------


def iter_history(path: str | Path) -> Iterator[RoundRecord]:
    """The records of history.jsonl in the folder ``path``, one by one; a torn last line is passed over.

    Only one line is in memory at a time.

    Raises:
        InvalidData: there is no such file, or a line in its middle is no record.
    """
    for line in _whole_lines(Path(path), HISTORY):
        yield record_from_json(line)


def read_history(path: str | Path) -> list[RoundRecord]:
    """All records of the folder ``path``; see `iter_history`. Their ``chunks`` are empty."""
    return list(iter_history(path))


def iter_chunks(path: str | Path) -> Iterator[ChunkRow]:
    """The rows of chunks.csv in the folder ``path``, one by one; a torn last line is passed over.

    Raises:
        InvalidData: there is no such file, or a line in its middle is no row.
    """
    lines = csv.reader(_whole_lines(Path(path), CHUNKS))
    try:
        if tuple(next(lines, ())) != CHUNK_COLUMNS:
            raise InvalidData(CHUNKS, f"must have the columns {','.join(CHUNK_COLUMNS)}", str(path))
        for values in lines:
            yield _chunk_row(values)
    except csv.Error as error:
        raise InvalidData(CHUNKS, f"must be a CSV file ({error})", str(path)) from None


def read_chunks(path: str | Path) -> list[ChunkRow]:
    """All rows of the folder ``path``; see `iter_chunks`."""
    return list(iter_chunks(path))


def _chunk_row(values: list[str]) -> ChunkRow:
    try:
        worker, place, number, chunk, seconds, arrived, state = values
        times = float(seconds), float(arrived)
        return ChunkRow(int(place), worker, int(number), int(chunk), *times, _STATES[state])
    except (ValueError, KeyError):
        raise InvalidData(CHUNKS, f"must have rows of {','.join(CHUNK_COLUMNS)}", ",".join(values)) from None


_STATES: dict[str, ChunkState] = {
    "used": "used",
    "duplicate": "duplicate",
    "late": "late",
    "wasted": "wasted",
}


def read_parameters(path: str | Path) -> SavedModel:
    """The model of parameters.npz in the folder ``path``, or in the file ``path`` itself.

    Raises:
        InvalidData: there is no such file, it is no npz file, or a field is missing.
    """
    file = Path(path) / PARAMETERS if Path(path).is_dir() else Path(path)
    packed = io.BytesIO(_bytes_of(file))
    try:
        held = read_arrays(packed, MOST_PARAMETER_BYTES, field=PARAMETERS)
        scalars: dict[str, Callable[[Any], object]] = {
            "model": str,
            "n_features": int,
            "n_outputs": int,
            "intercept": bool,
        }
        values = {name: make(held[name].item()) for name, make in scalars.items()}
        return SavedModel(
            **values,  # type: ignore[arg-type]
            parameters=held["parameters"],
            classes=held.get("classes"),
            mean=held.get("mean"),
            scale=held.get("scale"),
            feature_names=tuple(held["feature_names"].tolist()),
            target=str(held["target"]),
        )
    except KeyError as error:
        raise InvalidData(PARAMETERS, f"must hold {error.args[0]!r}", str(file)) from None
    except (ValueError, AttributeError, InvalidData):
        raise InvalidData(PARAMETERS, "must be a file that a run has written", str(file)) from None


def read_summary(path: str | Path) -> dict[str, Any] | None:
    """What summary.json in the folder ``path`` holds; None when the run has not ended (or was killed).

    Raises:
        InvalidData: the folder holds no run, or the file is no JSON object.
    """
    folder = Path(path)
    if (folder / HISTORY).exists() and not (folder / SUMMARY).exists():
        return None
    text = _bytes_of(folder / SUMMARY).decode(errors="replace")
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        raise InvalidData(SUMMARY, "must be one JSON object", str(path))
    return held


def _whole_lines(folder: Path, name: str) -> Iterator[str]:
    """The lines of a file without their ends; what follows the last end is torn and left out."""
    try:
        with (folder / name).open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1].decode(errors="replace")
    except OSError as error:
        raise _missing(folder / name, error) from None


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _missing(file, error) from None


def _missing(file: Path, error: OSError) -> InvalidData:
    return InvalidData("run folder", f"must hold {file.name} ({error.strerror})", str(file.parent))
