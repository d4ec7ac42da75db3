"""A checkpoint as bytes, and which of a run's checkpoints can be used.

One self-describing file::

    gradcode checkpoint 1
    <sha256 of everything after this line, in hex>
    <header: one line of JSON>
    <arrays of the optimiser, raw, little-endian, one after the other>

The header names the run, says how far its files were written, holds the snapshot, and for every array its
name, dtype and shape. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from common.errors import InvalidData
from common.history import strict_json
from common.reopening import Mark
from common.version import __version__
from master.snapshot import Snapshot
from master.stores import Store

MAGIC = b"gradcode checkpoint "
VERSION = b"1"
NAME = re.compile(r"round-(\d{10})\.checkpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything a run needs to go on.

    Attributes:
        run: id of the run. written_unix_seconds: since 1970.
        mark: how far the run's files were written. snapshot: where the run stood.
        optimizer: state of the optimiser; numbers, and float64 arrays.
    """

    run: str
    written_unix_seconds: float
    mark: Mark
    snapshot: Snapshot
    optimizer: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The file's name; later rounds come later in the alphabet.

        Ten digits are enough for any run.
        """
        return f"round-{self.snapshot.round:010d}.checkpoint"


def encode(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as a file. Cost: a few copies of the arrays, and their hash."""
    arrays = {
        key: np.ascontiguousarray(value, dtype="<f8")
        for key, value in checkpoint.optimizer.items()
        if isinstance(value, np.ndarray)
    }
    header = {
        "gradcode": __version__,
        "run": checkpoint.run,
        "written_unix_seconds": checkpoint.written_unix_seconds,
        "mark": checkpoint.mark._asdict(),
        "snapshot": checkpoint.snapshot.to_plain(),
        "numbers": {key: value for key, value in checkpoint.optimizer.items() if key not in arrays},
        "arrays": [
            {"name": key, "dtype": "<f8", "shape": list(array.shape)} for key, array in arrays.items()
        ],
    }
    body = [strict_json(header).encode() + b"\n", *(array.tobytes() for array in arrays.values())]
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return b"".join([MAGIC, VERSION, b"\n", digest.hexdigest().encode(), b"\n", *body])


def decode(data: bytes, what: str) -> Checkpoint:
    """The checkpoint that `encode` wrote.

    Args:
        data: the file. what: its name, for errors.

    Raises:
        InvalidData: it is none, of another version, or not whole.
    """
    first, _, rest = data.partition(b"\n")
    if not first.startswith(MAGIC):
        raise InvalidData(what, "must be a checkpoint of gradcode", first[:40].decode(errors="replace"))
    if first != MAGIC + VERSION:
        version = first.removeprefix(MAGIC)[:20].decode(errors="replace")
        raise InvalidData(what, f"must be of version {VERSION.decode()}", version)
    digest, _, body = rest.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise InvalidData(what, "must be whole, but its checksum does not fit", f"{len(data)} bytes")
    line, _, raw = body.partition(b"\n")
    try:
        header = json.loads(line)
        return Checkpoint(
            run=str(header["run"]),
            written_unix_seconds=float(header["written_unix_seconds"]),
            mark=Mark(**header["mark"]),
            snapshot=Snapshot.from_plain(header["snapshot"]),
            optimizer={**header["numbers"], **_arrays(header["arrays"], raw)},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidData(what, "must hold a run's state", repr(error)) from None


def _arrays(described: Sequence[Mapping[str, Any]], raw: bytes) -> dict[str, Any]:
    found, offset = {}, 0
    for each in described:
        count = prod(each["shape"])
        if each["dtype"] != "<f8":
            raise ValueError(f"an array of {each['dtype']!r}")
        values = np.frombuffer(raw, dtype="<f8", count=count, offset=offset)
        found[each["name"]] = values.astype(np.float64).reshape(each["shape"])
        offset += values.nbytes
    return found


class Checkpoints:
    """The checkpoints of one run.

    Args:
        store: where they are. run: id of the run. keep: so many of the newest stay.
    """

    def __init__(self, store: Store, run: str, keep: int) -> None:
        self.store = store
        self.run = run
        self._keep = keep

    def write(self, checkpoint: Checkpoint) -> int:
        """Write one, whole or not at all; older ones beyond ``keep`` go. Returns its size in bytes.

        Those of later rounds go too: the run was taken up before them.

        Raises:
            OSError or whatever else the store raises: nothing is lost but this one.
        """
        data = encode(checkpoint)
        self.store.write(checkpoint.name, data)
        names = self.names()
        here = names.index(checkpoint.name) + 1
        for name in (*names[here:], *names[: max(0, here - self._keep)]):
            self.store.remove(name)
        return len(data)

    def names(self) -> list[str]:
        """Names of all, the oldest first."""
        return sorted(name for name in self.store.names() if NAME.fullmatch(name))

    def read(self, name: str) -> Checkpoint:
        """One of them.

        Raises:
            InvalidData: it is not whole, or of another run.
        """
        checkpoint = decode(self.store.read(name), f"checkpoint {name}")
        if checkpoint.run != self.run:
            raise InvalidData(f"checkpoint {name}", f"must be of run {self.run}", checkpoint.run)
        return checkpoint
