"""Where checkpoints are: a folder of this machine, or a URL of any kind that fsspec knows."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Protocol

from common.errors import InvalidSpec
from common.files import FRESH, replace

FIELD = "checkpoint.url"


class Store(Protocol):
    """Holds files by name. Its methods may block; they raise what the file system raises.

    Names that end with FRESH are those of files that were not finished.
    """

    place: str
    """Where it is, for people."""

    def names(self) -> list[str]:
        """Of all files."""

    def read(self, name: str) -> bytes:
        """A whole file."""

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all."""

    def remove(self, name: str) -> None:
        """Forget a file, if it is there."""

    def tidy(self) -> None:
        """Remove what writers that died have left; nobody writes now. Whatever goes wrong is of no matter."""


class FolderStore:
    """A folder; made with the first file. What was written survives a power cut.

    Args:
        folder: its path.
    """

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder

    def names(self) -> list[str]:
        """Of all files."""
        if not self._folder.is_dir():
            return []
        return [path.name for path in self._folder.iterdir() if path.is_file()]

    def read(self, name: str) -> bytes:
        """A whole file."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        replace(self._folder / name, data, durable=True)

    def remove(self, name: str) -> None:
        """Forget a file, if it is there."""
        (self._folder / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what writers that died have left; nobody writes now."""
        with contextlib.suppress(OSError):
            for name in self.names():
                if name.endswith(FRESH):
                    self.remove(name)


class UrlStore:
    """A folder behind a URL such as ``s3://bucket/runs``.

    Args:
        url: of the folder.

    Raises:
        InvalidSpec: fsspec or what it needs is not installed, or it knows no such kind of URL.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise InvalidSpec(FIELD, "needs the extra cloud: pip install 'gradcode[cloud]'", url) from None
        try:
            self._files, self._root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise InvalidSpec(FIELD, f"needs more to be installed ({error})", url) from None
        except ValueError as error:
            raise InvalidSpec(FIELD, f"must be a URL that fsspec knows ({error})", url) from None
        self.place = url

    def names(self) -> list[str]:
        """Of all files."""
        try:
            found: list[Any] = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def read(self, name: str) -> bytes:
        """A whole file."""
        return bytes(self._files.cat_file(f"{self._root}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Put a file there; where the store cannot do that in one step, the checksum tells."""
        self._files.makedirs(self._root, exist_ok=True)
        fresh = f"{self._root}/{name}{FRESH}"
        self._files.pipe_file(fresh, data)
        self._files.mv(fresh, f"{self._root}/{name}")

    def remove(self, name: str) -> None:
        """Forget a file, if it is there."""
        try:
            self._files.rm_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return

    def tidy(self) -> None:
        """Remove what writers that died have left; nobody writes now."""
        with contextlib.suppress(Exception):
            for name in self.names():
                if name.endswith(FRESH):
                    self.remove(name)


def make_store(url: str | None, folder: Path, run: str) -> Store:
    """The store of a run's checkpoints.

    Args:
        url: a path or a URL, under which every run has a folder of its own; None for ``folder``.
        folder: in the run's folder. run: name of the run's folder and id of the run.

    Raises:
        InvalidSpec: see `UrlStore`.
    """
    if url is None:
        return FolderStore(folder)
    path = url.removeprefix("file://")
    return UrlStore(f"{url.rstrip('/')}/{run}") if "://" in path else FolderStore(Path(path) / run)
