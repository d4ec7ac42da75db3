"""The errors of gradcode, as one tree.

::

    GradcodeError                anything below; its text is one line for a person
    |-- InvalidSpec              impossible parameters or configuration     exit 2
    |-- InvalidData              a data file that cannot be used            exit 2
    |-- Unreachable              no master answers at the address           exit 3
    |-- RunFailed                the run ended without a usable result      exit 3
    |-- RunIsOver                the run has ended, and is not run again    exit 0
    `-- ProtocolError            a peer broke the protocol: its link ends, the run goes on

Stragglers, late messages, lost workers and deadlines are values, not errors.
"""

from __future__ import annotations


class GradcodeError(Exception):
    """Base of everything gradcode raises on purpose; ``exit_code`` is what a command ends with."""

    exit_code = 3

    def __str__(self) -> str:
        # What is quoted may come from a file or a peer: it must neither break the line nor reach a terminal.
        return "".join(each if each.isprintable() else " " for each in super().__str__())


class _Named(GradcodeError):
    """An error that names the field, the rule it breaks and the value found."""

    exit_code = 2

    def __init__(self, field: str, rule: str, value: object) -> None:
        self.field = field
        self.rule = rule
        self.value = value
        super().__init__(f"{field}: {rule}, got {_shown(value)}")


class InvalidSpec(_Named):
    """Impossible parameters or configuration: names field, rule and value."""


class InvalidData(_Named):
    """Data that cannot be used: names field, rule and value."""


class Unreachable(GradcodeError):
    """Nothing answers where the master should be."""


class RunFailed(GradcodeError):
    """The run ended without a usable result; the text says why."""


class RunIsOver(GradcodeError):
    """The run ended earlier, as it should; the text says why."""

    exit_code = 0


class ProtocolError(GradcodeError):
    """A peer broke the protocol. ``kind`` is a short constant word used as a metric label."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind}: {detail}")


def _shown(value: object, limit: int = 80) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # lists in lists in lists, numbers of thousands of digits
        text = f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= limit else text[: limit - 3] + "..."
