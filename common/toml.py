"""TOML as gradcode uses it: the standard library reads it, this module writes it and words the errors.

Written are booleans, whole numbers, finite floats, text, lists, and tables of these.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import InvalidSpec

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\]')
_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_WRAP = 100


def read_toml(path: str | Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InvalidSpec: the file cannot be read (names the file), or is no TOML (names file and line).
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidSpec("experiment file", f"must be readable ({error.strerror})", str(path)) from None
    except UnicodeDecodeError:
        raise InvalidSpec("experiment file", "must be text in UTF-8", str(path)) from None
    try:
        return _loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = text.splitlines() or [""]
        found = _LINE.search(str(error))
        number = int(found[1]) if found else len(lines)
        what = _LINE.sub("", str(error)).removesuffix(" (at end of document)")
        shown = lines[min(number, len(lines)) - 1].strip()
        raise InvalidSpec(f"{path}, line {number}", f"must be TOML ({what})", shown) from None


def _loads(text: str) -> dict[str, Any]:
    """What ``text`` holds; what the standard library cannot cope with is no TOML either."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise tomllib.TOMLDecodeError(what) from None


def parse_value(text: str) -> Any:
    """What ``text`` means as a TOML value, or ``text`` itself where it is none.

    >>> parse_value("50"), parse_value("true"), parse_value("'50'"), parse_value("uncoded(8)")
    (50, True, '50', 'uncoded(8)')
    """
    try:
        held = _loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break in the text could smuggle in further keys.
    return held["value"] if set(held) == {"value"} else text


def write_value(value: object) -> str:
    """One value in TOML; tables in it become inline tables. None has no notation and is left out of tables.

    >>> write_value({"place": 3, "kind": "freeze", "at_seconds": 1.0})
    '{ place = 3, kind = "freeze", at_seconds = 1.0 }'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return '"' + _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", value) + '"'
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {write_value(each)}" for key, each in value.items() if each is not None]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if isinstance(value, Sequence):
        items = [write_value(each) for each in value]
        line = "[" + ", ".join(items) + "]"
        return line if len(line) <= _WRAP else "[\n" + "".join(f"    {item},\n" for item in items) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def write_table(values: Mapping[str, Any], notes: Mapping[str, str], path: str = "") -> str:
    """A table with one key a line, tables in it after everything else; None becomes a commented key.

    Args:
        values: keys and values; a value that is a mapping and is named in ``notes`` with a trailing dot
            becomes a table of its own, any other mapping an inline table.
        notes: comments by dotted key; a key without one gets none.
        path: dotted name of the table, with a trailing dot; empty for the whole document.
    """
    lines: list[str] = []
    tables: list[str] = []
    for key, value in values.items():
        dotted = path + _key(key)
        if f"{dotted}." in notes:
            head = _comment(notes[f"{dotted}."]) + f"[{dotted}]\n"
            tables.append(head + write_table(value, notes, f"{dotted}."))
            continue
        line = f"{_key(key)} = {write_value(value)}\n" if value is not None else f"# {_key(key)} =\n"
        lines.append(_comment(notes.get(dotted, "")) + line)
    return "\n".join(["".join(lines), *tables])


def _comment(text: str) -> str:
    return f"# {text}\n" if text else ""


def _key(key: object) -> str:
    text = str(key)
    return text if _BARE_KEY.fullmatch(text) else write_value(text)
