"""Where the command ``gradcode`` starts: first a look whether its packages are the ones it came with.

The names ``common``, ``master`` and ``worker`` are not rare. A package of such a name that Python finds
earlier would be imported instead of gradcode's own, and fail in ways that say nothing of the reason.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("common", "master", "worker")


def check_packages() -> None:
    """End with one line and exit code 2 if another package hides one of gradcode's; imports none of them."""
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != home / name / "__init__.py":
            print(
                f"gradcode: its package {name!r} must be the one beside it in {home}, got {found}; "
                "install gradcode into an environment of its own, and look at PYTHONPATH",
                file=sys.stderr,
            )
            raise SystemExit(2)


def main() -> None:
    """The command ``gradcode``."""
    check_packages()
    from gradcode import cli

    cli.main()
