"""Log lines of the master: JSON when not on a terminal, readable otherwise."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure_logs(level: str = "info", form: str = "auto") -> None:
    """Log to stderr from ``level`` on; lines of libraries too, in the same form.

    Args:
        level: debug, info, warning or error.
        form: ``json``, ``text``, or ``auto``: text on a terminal, JSON otherwise.
    """
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    last: list[Any] = [structlog.dev.ConsoleRenderer()]
    if not text:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        # What is configured again, in a process that runs several masters, holds for all of them.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[drop, *last], foreign_pre_chain=first)
    )
    # What libraries tell below a warning is for those who work on them.
    logging.basicConfig(
        level=max(logging.WARNING, getattr(logging, level.upper())), handlers=[handler], force=True
    )
