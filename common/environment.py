"""What a run runs on, as it is written down: no host name, no user, no path."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from common.version import __version__

PACKAGES = ("grpcio", "numpy", "protobuf", "pydantic", "scikit-learn", "scipy")


def environment() -> dict[str, Any]:
    """Versions of Python, gradcode and the packages it stands on, platform and number of processors."""
    return {
        "gradcode": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
