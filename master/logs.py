"""Log lines of the master: JSON when not on a terminal, readable otherwise."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(level: str = "info", form: str = "auto") -> None:
    """Log to stderr from ``level`` on.

    Args:
        level: debug, info, warning or error.
        form: ``json``, ``text``, or ``auto``: text on a terminal, JSON otherwise.
    """
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
