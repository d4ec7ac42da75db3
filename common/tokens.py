"""The token that workers and operators show to a master, as it is kept in a file."""

from __future__ import annotations

from pathlib import Path

from common.errors import InvalidSpec


def read_token(path: Path | None) -> str | None:
    """The token in the file given as ``--token-file``; None without a file.

    Raises:
        InvalidSpec: the file cannot be read, or holds something else than one line of plain characters.
    """
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InvalidSpec("--token-file", f"must be a file that can be read ({reason})", str(path)) from None
    if not token or not token.isascii() or not token.isprintable():
        raise InvalidSpec("--token-file", "must hold one line of plain characters", str(path))
    return token
