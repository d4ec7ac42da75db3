"""What there is to say about every code: read from its construction's docstring and signature."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from common.codes import CODES
from common.codes.base import GradientCode
from common.codes.examples import EXAMPLES
from common.codes.parameters import literal
from common.errors import InvalidSpec
from common.spec import Call, find, format_call, make_code, parse_call

USUAL_WORKERS = 12
"""What ``n`` is where nobody says otherwise; many codes are possible with it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A code as its construction describes it; names of code are in `single backticks`.

    Attributes:
        name: in ``CODES``.
        signature: how it is called, defaults included.
        summary: what it does, in a sentence.
        idea: how and why, in paragraphs; may be empty.
        parameters: what each means, with its range.
        source: where it comes from; empty for what needs none.
        when: when to use it.
    """

    name: str
    signature: str
    summary: str
    idea: tuple[str, ...]
    parameters: dict[str, str]
    source: str
    when: str


def entry(name: str) -> Entry:
    """The entry of the code ``name``, one of ``CODES``.

    >>> found = entry("uncoded")
    >>> found.signature, found.parameters["n_workers"]
    ('uncoded(n_workers, chunks_per_worker=1)', 'n, at least 1.')
    """
    construction = CODES[name]
    paragraphs = (inspect.getdoc(construction) or "").replace("``", "`").split("\n\n")
    parameters = inspect.signature(construction).parameters
    shown = [
        p.name if p.default is p.empty else f"{p.name}={literal(p.default)}" for p in parameters.values()
    ]
    source = _line(_section(paragraphs, "Source:"))
    heads = [k for k, text in enumerate(paragraphs) if text.startswith(("Args:", "Raises:", "Returns:"))]
    return Entry(
        name=name,
        signature=f"{name}({', '.join(shown)})",
        summary=_line(paragraphs[0]),
        idea=tuple(paragraphs[1 : min(heads, default=len(paragraphs))]),
        parameters=_parameters(_section(paragraphs, "Args:"), list(parameters)),
        source=source[:1].upper() + source[1:],
        when=EXAMPLES[name].when,
    )


def n_workers_of(text: str) -> int | None:
    """The number of workers that a call says literally; None where it is ``n``, left out, or no number.

    Raises:
        InvalidSpec: not a call, or an unknown code's.

    >>> n_workers_of("cyclic_repetition(8, 3)"), n_workers_of("cyclic_repetition(n, 3)")
    (8, None)
    """
    read = [parse_call(text, {"n": n}, what="code", nested=True) for n in (1, 2)]
    found = [_arguments(call).get("n_workers") for call in read]
    return found[0] if type(found[0]) is int and found[0] == found[1] else None


def example_plan(name: str, n_workers: int) -> GradientCode:
    """The plan that stands for the code ``name``: its example, or the possible one nearest to it.

    The number of workers is ``n_workers`` if that is possible with a small change of other parameters, or
    one as near as possible, or the example's own.
    """
    example = parse_call(EXAMPLES[name].call, what="code", nested=True)
    asked = _with(example, {"n_workers": n_workers})
    near = _neighbours(asked, n_change=max(3, n_workers // 3), change=2, keep_workers=True)
    return next(_possible([*near, example]))


def nearest_possible(
    text: str, n_workers: int | None = None, most: int = 4, go_on: Callable[[], bool] = lambda: True
) -> tuple[str, ...]:
    """Plans near an impossible one: up to 3 workers and up to 2 of every other whole number more or less.

    Args:
        text: the call.
        n_workers: the number of workers; None for the one in the text, or the usual one.
        most: so many plans at most.
        go_on: asked before every attempt; the search ends when it says no.

    Returns:
        Specs, nearest first; none where the text is no call of a code.

    >>> nearest_possible("fractional_repetition(n, 2)", 7, most=2)
    ('fractional_repetition(6, 2)', 'fractional_repetition(9, 2)')
    """
    try:
        n = n_workers or n_workers_of(text) or USUAL_WORKERS
        call = _with(parse_call(text, {"n": n}, what="code", nested=True), {"n_workers": n})
        near = _neighbours(call, n_change=3, change=2, keep_workers=False)
    except InvalidSpec:
        return ()
    allowed = itertools.takewhile(lambda _: go_on(), near)
    specs = dict.fromkeys(code.spec for code in _possible(allowed))
    return tuple(itertools.islice(specs, most))


def _possible(calls: Iterable[Call]) -> Iterator[GradientCode]:
    for call in calls:
        workers = _arguments(call).get("n_workers")
        if type(workers) is not int:
            continue
        try:
            yield make_code(format_call(call), workers)
        except InvalidSpec:
            continue


def _neighbours(call: Call, n_change: int, change: int, keep_workers: bool) -> list[Call]:
    """``call`` with other whole numbers, nearest first; seeds stay."""
    given = {name: value for name, value in _arguments(call).items() if type(value) is int and name != "seed"}
    steps = [
        range(-n_change, n_change + 1) if name == "n_workers" else range(-change, change + 1)
        for name in given
    ]

    def distance(moves: tuple[int, ...]) -> tuple[int, ...]:
        workers = sum(abs(move) for name, move in zip(given, moves, strict=True) if name == "n_workers")
        others = sum(map(abs, moves)) - workers
        return (workers, others) if keep_workers else (workers + others, others)

    moves = sorted(itertools.product(*steps), key=distance)
    return [
        _with(call, {name: value + step for (name, value), step in zip(given.items(), each, strict=True)})
        for each in moves
    ]


def _arguments(call: Call) -> dict[str, object]:
    """The arguments of ``call`` by name.

    Raises:
        InvalidSpec: they do not fit the code, or there is no such code.
    """
    try:
        return dict(_signature(call).bind_partial(*call.args, **call.kwargs).arguments)
    except TypeError as error:
        raise InvalidSpec("code", f"must fit {call.name}: {error}", format_call(call)) from None


def _with(call: Call, values: dict[str, int]) -> Call:
    """``call`` with other values for some parameters, whether they were given by name or by place."""
    names = list(_signature(call).parameters)
    args = tuple(values.get(name, value) for name, value in zip(names, call.args, strict=False))
    left = {name: value for name, value in values.items() if name not in names[: len(args)]}
    return Call(call.name, args, {**call.kwargs, **left})


def _signature(call: Call) -> inspect.Signature:
    return inspect.signature(find(CODES, call.name, what="code"))


def _section(paragraphs: list[str], title: str) -> str:
    """The paragraph that begins with ``title``, without it; empty if there is none."""
    return next((text.removeprefix(title) for text in paragraphs if text.startswith(title)), "")


def _parameters(text: str, names: list[str]) -> dict[str, str]:
    """What an Args section says of each parameter; one description may be for several, ``a, b: ...``."""
    name = rf"(?:{'|'.join(map(re.escape, names))})"
    parts = re.split(rf"(?:^|\s)({name}(?:, {name})*): ", text)
    return {
        each: _line(said)
        for own, said in zip(parts[1::2], parts[2::2], strict=True)
        for each in own.split(", ")
    }


def _line(text: str) -> str:
    return " ".join(text.split())
