"""The one notation for things with parameters: ``cyclic_repetition(n, 3)``.

Used alike on the command line, in experiment files, logs and run folders, for codes, datasets and whatever
else is a name with arguments. A call has literals only, or other calls where a code is made of another one:
``grouped(cyclic_repetition(10, 2), n)``. Nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from common.codes import CODES
from common.codes.base import GradientCode
from common.codes.parameters import Value, literal
from common.errors import InvalidSpec

T = TypeVar("T")

LONGEST_TEXT = 2000
"""Characters; a longer text is refused unread."""


@dataclass(frozen=True)
class Call:
    """A name with arguments.

    Attributes:
        name: an identifier.
        args: positional arguments.
        kwargs: named arguments, in the order written.
    """

    name: str
    args: tuple[Argument, ...] = ()
    kwargs: Mapping[str, Argument] = field(default_factory=dict)


Argument: TypeAlias = "Value | Call"
"""What an argument of a call can be; another call only where that is asked for."""


def parse_call(
    text: str, names: Mapping[str, int] | None = None, what: str = "spec", nested: bool = False
) -> Call:
    """Read a call such as ``synthetic(rows=1000, features=20)``; a bare name is a call without arguments.

    Args:
        text: the notation. Arguments are numbers, strings, True or False, lists of these, and ``names``.
        names: values that may be written by name, such as ``{"n": 8}``.
        what: the field that the text came from, for errors.
        nested: arguments may be calls themselves.

    Raises:
        InvalidSpec: anything else than a name with such arguments.

    >>> parse_call("cyclic_repetition(n, 3)", {"n": 8})
    Call(name='cyclic_repetition', args=(8, 3), kwargs={})
    """
    rule = "must be a name with arguments, such as name(8, seed=1)"
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise InvalidSpec(what, f"{rule}, of at most {LONGEST_TEXT} characters", text)
    source = text.strip()
    node = _parsed(source)
    if isinstance(node, ast.Name):
        return Call(node.id)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise InvalidSpec(what, rule, text)
    return _Reader(source, names or {}, what, nested).call(node.func.id, node)


def format_call(call: Call) -> str:
    """The canonical text of ``call``; ``parse_call`` reads it back as an equal value.

    >>> format_call(Call("synthetic", (1000,), {"kind": "dense"}))
    'synthetic(1000, kind="dense")'
    """
    shown = [_written(value) for value in call.args]
    shown += [f"{name}={_written(value)}" for name, value in call.kwargs.items()]
    return f"{call.name}({', '.join(shown)})" if shown else call.name


def make_code(text: str, n_workers: int) -> GradientCode:
    """The gradient code that ``text`` describes, for ``n_workers`` workers.

    Args:
        text: such as ``cyclic_repetition(n, 3)`` or ``grouped(cyclic_repetition(10, 3), n)``; ``n`` stands
            for the number of workers, and a call without any argument is given it.
        n_workers: the experiment's number of workers.

    Raises:
        InvalidSpec: unknown code, impossible parameters, or another number of workers than ``n_workers``.

    >>> make_code("fractional_repetition(n, 1)", 8).spec
    'fractional_repetition(8, 1)'
    """
    call = parse_call(text, {"n": n_workers}, what="code", nested=True)
    if not call.args and not call.kwargs:
        call = Call(call.name, (n_workers,))
    construction, given = _fitted(call)
    if type(given["n_workers"]) is int and given["n_workers"] != n_workers:
        raise InvalidSpec("code", f"n_workers must equal workers ({n_workers})", given["n_workers"])
    return construction(**given)


def _fitted(call: Call) -> tuple[Callable[..., GradientCode], dict[str, object]]:
    """The construction that ``call`` names and the arguments it gives, with codes in place of calls."""
    construction = find(CODES, call.name, what="code")
    signature = inspect.signature(construction)
    shape = f"must fit {call.name}{_shape(construction)}"
    try:
        given = signature.bind_partial(*call.args, **call.kwargs).arguments
    except TypeError as error:
        raise InvalidSpec("code", f"{shape}: {error}", format_call(call)) from None
    for name, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and name not in given:
            raise InvalidSpec("code", f"{shape}: {name} is missing", format_call(call))
        if isinstance(given.get(name), Call):
            if name != "code":
                raise InvalidSpec(name, "must not be a call", format_call(given[name]))
            inner, arguments = _fitted(given[name])
            given[name] = inner(**arguments)
    return construction, given


def find(known: Mapping[str, T], name: str, what: str) -> T:
    """The member of ``known`` called ``name``.

    Args:
        known: members by name, such as ``CODES``.
        name: what was asked for.
        what: the field that the name came from, for the error.

    Raises:
        InvalidSpec: not a member; names the members and the nearest one.
    """
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise InvalidSpec(what, f"must be one of {', '.join(known)}{hint}", name)


def _shape(construction: Callable[..., object]) -> str:
    """Its parameters, with defaults: ``(n_workers, n_stragglers, seed=0)``."""
    parameters = inspect.signature(construction).parameters.values()
    shown = [p.name if p.default is p.empty else f"{p.name}={literal(p.default)}" for p in parameters]
    return f"({', '.join(shown)})"


def _parsed(source: str) -> ast.expr | None:
    """The one expression in ``source``, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash in a path is no news to the reader
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _written(value: Argument) -> str:
    if isinstance(value, Call):
        return format_call(value) if value.args or value.kwargs else f"{value.name}()"
    return literal(value)


@dataclass(frozen=True)
class _Reader:
    """Reads nodes of ``source``."""

    source: str
    names: Mapping[str, int]
    what: str
    nested: bool

    def call(self, name: str, node: ast.Call) -> Call:
        kwargs: dict[str, Argument] = {}
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg in kwargs:
                raise InvalidSpec(self.what, "must name every argument once", self.source)
            kwargs[keyword.arg] = self.argument(keyword.value)
        return Call(name, tuple([self.argument(argument) for argument in node.args]), kwargs)

    def argument(self, node: ast.expr) -> Argument:
        if self.nested and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.call(node.func.id, node)
        return self.value(node)

    def value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.List):
            return [self.value(item) for item in node.elts]
        if isinstance(node, ast.Name) and node.id in self.names:
            return self.names[node.id]
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bool):
            return node.value
        return self._number(node)

    def _number(self, node: ast.expr) -> int | float:
        sign, inner = 1, node
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            sign, inner = (-1 if isinstance(node.op, ast.USub) else 1), node.operand
        if isinstance(inner, ast.Constant):
            number = inner.value
            if type(number) is int or (isinstance(number, float) and math.isfinite(number)):
                return sign * number
        allowed = "".join(f", {name}" for name in self.names)
        rule = f"arguments must be numbers, strings, True, False or lists of these{allowed}"
        raise InvalidSpec(self.what, rule, ast.get_source_segment(self.source, node))
