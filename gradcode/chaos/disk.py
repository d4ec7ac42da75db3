"""A small disk of its own, which can be filled without harm to anybody else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

FILLER = "filler"


def why_not() -> str:
    """Why there can be no small disk here; empty if there can."""
    if os.geteuid() != 0:
        return "only root may mount a small disk"
    if shutil.which("mount") is None:
        return "there is no mount command"
    return ""


class SmallDisk:
    """A file system in memory, mounted while the ``with`` block lasts.

    Args:
        folder: where; made if missing. n_bytes: its size.

    Raises:
        OSError: it cannot be mounted.
    """

    def __init__(self, folder: Path, n_bytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"cannot mount a small disk at {folder}: {done.stderr.strip()}")

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Lazily: a process that is being killed may still have a file open here.
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.folder / FILLER).open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        """Give the room back."""
        (self.folder / FILLER).unlink(missing_ok=True)
