"""Log lines of a worker: JSON when not on a terminal, readable otherwise, with the fields of the master's.

Only the standard library: a worker is one of many, and what it imports it pays for n times.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

LOGGER = "gradcode.worker"


class WorkerLog(logging.LoggerAdapter[logging.Logger]):
    """The log of one worker; its name, and what it is bound to, go with every line.

    Args:
        worker: name of the worker.

    >>> log = WorkerLog("a")
    >>> log.bind(run="r1", round=7)
    >>> log.bound
    {'worker': 'a', 'run': 'r1', 'round': 7}
    >>> log.bind(round=None)
    >>> log.bound
    {'worker': 'a', 'run': 'r1'}
    """

    def __init__(self, worker: str) -> None:
        super().__init__(logging.getLogger(LOGGER))
        self.bound: dict[str, Any] = {"worker": worker}

    def bind(self, **fields: object) -> None:
        """From now on these fields go with every line; those that are None no more."""
        held = {**self.bound, **fields}
        self.bound = {name: value for name, value in held.items() if value is not None}

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Hand the bound fields to the formatter."""
        return msg, {**kwargs, "extra": {"bound": self.bound}}


class JsonLines(logging.Formatter):
    """One JSON object a line: the bound fields, event, level and timestamp."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line = {
            **getattr(record, "bound", {}),
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": at.replace("+00:00", "Z"),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """One readable line, the bound fields behind the text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s worker: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """The line of a record without its exception."""
        bound = getattr(record, "bound", {}).items()
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in bound)


def configure_logs(level: str = "info", form: str = "auto") -> None:
    """Log to stderr from ``level`` on.

    Args:
        level: debug, info, warning or error.
        form: ``json``, ``text``, or ``auto``: text on a terminal, JSON otherwise.
    """
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
