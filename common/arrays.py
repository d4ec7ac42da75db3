"""Reads ``.npz`` archives that strangers made: what they unpack to is known before anything is unpacked.

Nothing is unpickled, and no memory is set aside for more than the archive holds.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidData

MOST_MEMBERS = 256
"""Arrays in one archive."""
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(
    file: str | Path | IO[bytes],
    most_bytes: int,
    wanted: Iterable[str] | None = None,
    field: str = "data file",
) -> dict[str, NDArray[Any]]:
    """The arrays of an archive by name.

    Args:
        file: path, or an open file that can seek.
        most_bytes: what all members may hold together, unpacked.
        wanted: names to read, which may be missing; None reads all.
        field: what the archive is called in errors.

    Raises:
        InvalidData: it holds too much, too many arrays, Python objects, or is no archive of arrays.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = _sizes(archive, most_bytes, field)
            names = sizes if wanted is None else [name for name in wanted if name in sizes]
            return {name: _read(archive, name, sizes[name], field) for name in names}
    except InvalidData:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise InvalidData(field, "must be an .npz archive", str(error)) from None
    except Exception as error:
        # zipfile and numpy raise many kinds for broken archives: theirs are no bugs of ours.
        raise InvalidData(field, "must be whole, and hold plain arrays", _brief(error)) from None


def array_names(file: str | Path) -> list[str]:
    """The names of the arrays in an archive, unread.

    Raises:
        InvalidData: it is no archive. OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()[:MOST_MEMBERS]]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InvalidData("data file", "must be an .npz archive", _brief(error)) from None


def _sizes(archive: zipfile.ZipFile, most_bytes: int, field: str) -> dict[str, int]:
    """Bytes of every member as the archive's table of contents says; more are never unpacked."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise InvalidData(field, f"must hold at most {MOST_MEMBERS} arrays", len(members))
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise InvalidData(
            field, f"must hold at most {most_bytes >> 20} MB (limits.data_mb)", f"{total >> 20} MB"
        )
    for member in members:
        if member.compress_type not in _PLAIN or member.flag_bits & 1:
            raise InvalidData(field, "must be stored or deflated, and not encrypted", member.filename)
    return {member.filename.removesuffix(".npy"): member.file_size for member in members}


def _read(archive: zipfile.ZipFile, name: str, n_bytes: int, field: str) -> NDArray[Any]:
    member = f"{name}.npy" if f"{name}.npy" in archive.namelist() else name
    with archive.open(member) as stream:
        shape, _, dtype = _READERS[np.lib.format.read_magic(stream)](stream)
    if dtype.hasobject:
        raise InvalidData(field, "must hold plain arrays (it holds Python objects)", name)
    count = 1
    for size in shape:
        count *= size
    if min(shape, default=0) < 0 or count * dtype.itemsize > n_bytes or (count and not dtype.itemsize):
        raise InvalidData(f"{field} array {name}", f"must fit into its {n_bytes} bytes", (shape, dtype.str))
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:80]
