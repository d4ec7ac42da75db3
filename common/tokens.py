"""The token that workers and operators share with a master, as it is kept in a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import InvalidSpec
from common.watched import stamp

LEAST_CHARACTERS = 16
"""Of a token that is used beyond loopback: whoever records a call can try short ones at leisure."""


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


class Token:
    """A token that stays the same.

    Args:
        text: the token.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def current(self) -> str:
        """The token."""
        return self._text

    def accepted(self) -> tuple[str, ...]:
        """The tokens that a master takes: the current one, and for some time the one before."""
        return (self.current(),)


class TokenFile(Token):
    """The token in a file; when the file changes, so does the token.

    A file that cannot be used any more is looked past: the last token that it held goes on.

    Args:
        path: of the file. grace_seconds: how long a master takes the token before, after a change.
        clock: monotonic seconds.

    Raises:
        InvalidSpec: as `read_token`.
    """

    def __init__(
        self, path: Path, grace_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(read_token(path) or "")
        self._path = path
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._stamp = stamp(path)
        self._former: tuple[str, float] | None = None

    def current(self) -> str:
        """The token that the file holds now."""
        seen = stamp(self._path)
        if seen != self._stamp:
            self._stamp = seen
            self._change()
        return self._text

    def _change(self) -> None:
        try:
            token = read_token(self._path) or ""
        except InvalidSpec:
            return
        if token != self._text:
            self._former = (self._text, self._clock() + self._grace_seconds)
            self._text = token

    def accepted(self) -> tuple[str, ...]:
        """The current token, and while its grace lasts the one before."""
        current = self.current()
        if self._former is None or self._clock() >= self._former[1]:
            return (current,)
        return current, self._former[0]


def token_file(path: Path | None) -> TokenFile | None:
    """The token of ``--token-file``; None without a file.

    Raises:
        InvalidSpec: as `read_token`.
    """
    return None if path is None else TokenFile(path)
