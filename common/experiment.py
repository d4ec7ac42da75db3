"""Experiment: one frozen, validated description of a run, to and from TOML.

Every field has a default, so an empty file is an experiment. Fields are named by their dotted path, such as
``deadline.factor``, in files, on the command line (``--set deadline.factor=3``) and in errors.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from common.errors import InvalidSpec
from common.settings import (
    CheckpointSettings,
    DataSettings,
    DeadlineSettings,
    DelaySettings,
    Fraction,
    LimitSettings,
    MembershipSettings,
    ModelSettings,
    OptimizerSettings,
    Settings,
    StopSettings,
)
from common.toml import parse_value, read_toml, write_table

if TYPE_CHECKING:
    from common.codes.base import GradientCode


def _n_workers(value: object) -> object:
    if value == "joined" or (type(value) is int and 1 <= value <= 100_000):
        return value
    raise ValueError("must be a whole number from 1 to 100000, or 'joined'")


class Experiment(Settings):
    """A run, described completely.

    Example:
        >>> Experiment(rounds=50).deadline.rule
        'adaptive'
    """

    name: str = Field(
        default="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="names the run's folder"
    )
    workers: Annotated[int | Literal["joined"], BeforeValidator(_n_workers)] = Field(
        default=8, description="number of places, or 'joined': those who are there at the start"
    )
    code: str = Field(
        default="scheduled(n, 3, 8)",
        min_length=1,
        description="the gradient code; n stands for workers",
    )
    rounds: int = Field(default=100, ge=1, description="rounds to run")
    on_shortfall: Literal["wait", "approximate", "skip", "fail"] = Field(
        default="approximate", description="wait, approximate, skip or fail: when a deadline passes too early"
    )
    least_recovered: Fraction = Field(
        default=0.5, description="approximate: skip below this recovered fraction"
    )
    enough: float = Field(default=1.0, gt=0, le=1, description="end a round at this recovered fraction")
    compute_dtype: Literal["float64", "float32"] = Field(
        default="float64", description="numbers workers compute in"
    )
    wire_dtype: Literal["float32", "float64"] = Field(default="float32", description="numbers on the network")
    verify: Literal["none", "all", "sample"] = Field(
        default="none",
        description="all: every chunk's value from two workers; sample: some are computed again; or none",
    )
    verify_rate: float = Field(
        default=0.05, gt=0, le=1, description="sample: share of the values that the master computes again"
    )
    evaluate_every: int = Field(default=10, ge=0, description="rounds between two scores; 0: only at the end")
    data: DataSettings = Field(default=DataSettings(), description="which data, and how they are prepared")
    model: ModelSettings = Field(default=ModelSettings(), description="what is trained")
    optimizer: OptimizerSettings = Field(
        default=OptimizerSettings(), description="how the gradient becomes a step"
    )
    deadline: DeadlineSettings = Field(
        default=DeadlineSettings(), description="how long a round lasts at most"
    )
    stop: StopSettings = Field(
        default=StopSettings(), description="what ends the run before its rounds are over"
    )
    membership: MembershipSettings = Field(
        default=MembershipSettings(), description="how long the run waits for workers"
    )
    limits: LimitSettings = Field(
        default=LimitSettings(), description="what is refused before it can do harm"
    )
    checkpoint: CheckpointSettings = Field(
        default=CheckpointSettings(),
        description="how a run is kept, so that it can go on after its master was lost",
    )
    delays: DelaySettings = Field(
        default=DelaySettings(),
        description="delays injected on purpose, to see stragglers on a quiet machine",
    )


# ---- reading --------------------------------------------------------------------------------------------


def load_experiment(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a TOML file (None: the defaults), changed by ``overrides``.

    Args:
        path: the file, or None.
        overrides: texts ``dotted.key=value``; the value is TOML, or text where it is no TOML.

    Raises:
        InvalidSpec: the file cannot be read, or a field is unknown or breaks its rule; names the first.

    Example:
        >>> load_experiment(None, ["code=uncoded(n)", "deadline.factor=3"]).deadline.factor
        3.0
    """
    values = {} if path is None else read_toml(path)
    for text in overrides:
        _override(values, text)
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise _invalid(error.errors()) from None


def _override(values: dict[str, Any], text: str) -> None:
    key, equals, written = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise InvalidSpec("--set", "must be key=value, such as deadline.factor=3", text)
    field = _field(parts)
    value = parse_value(written.strip())
    if field is not None and not isinstance(value, str) and field.annotation in (str, str | None):
        value = written.strip()
    table = values
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise InvalidSpec("--set", f"{part!r} must be a table to set a key in it", text)
    table[parts[-1]] = value


def _field(parts: Sequence[str]) -> FieldInfo | None:
    """The field with this dotted path, if there is one."""
    table = _table(parts[:-1])
    return table.model_fields.get(parts[-1]) if table else None


def _table(parts: Sequence[int | str]) -> type[BaseModel] | None:
    """The model behind the table with this dotted path, if there is one; numbers count in a list."""
    model: type[BaseModel] = Experiment
    for part in parts:
        if isinstance(part, int):
            continue
        kind = model.model_fields[part].annotation if part in model.model_fields else None
        inner = (get_args(kind) or (kind,))[0]
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        model = inner
    return model


# ---- errors ---------------------------------------------------------------------------------------------


class _Invalid(InvalidSpec):
    """An InvalidSpec with a text of its own."""

    def __init__(self, field: str, rule: str, value: object, text: str) -> None:
        super().__init__(field, rule, value)
        self.args = (text,)


_RULES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be 1 to 64 letters, digits, dots, dashes or underscores",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "missing": "must be given",
    "value_error": "{error}",
}


def _invalid(found: list[ErrorDetails]) -> InvalidSpec:
    first = found[0]
    dotted = _dotted(first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if first["type"] == "extra_forbidden":
        rule = f"unknown key {dotted!r}{_did_you_mean(first['loc'])}"
        return _Invalid(dotted, "unknown key", first["input"], rule + more)
    template = _RULES.get(first["type"], first["msg"].lower())
    rule = template.format_map({key: str(value) for key, value in first.get("ctx", {}).items()})
    plain = InvalidSpec(dotted, rule, first["input"])
    return _Invalid(dotted, rule, first["input"], str(plain) + more)


def _did_you_mean(loc: tuple[int | str, ...]) -> str:
    table, key = _table(loc[:-1]), str(loc[-1])
    # The very name in another table is nearer than a name that is only similar.
    close = [each for each in _NOTES if each.endswith(f".{key}")]
    near = difflib.get_close_matches(key, table.model_fields if table else (), n=1)
    close = close or [_dotted((*loc[:-1], each)) for each in near]
    return f" (did you mean {close[0]!r}?)" if close else ""


def _dotted(loc: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in loc if part != "[key]")


# ---- writing --------------------------------------------------------------------------------------------


def _describe(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every field's description by dotted path; tables end with a dot."""
    for name, field in model.model_fields.items():
        inner = _table([*path.split(".")[:-1], name])
        if isinstance(field.annotation, type) and inner:
            yield f"{path}{name}.", str(field.description)
            yield from _describe(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(field.description)


_NOTES = dict(_describe(Experiment))
_TABLES = dict.fromkeys((path for path in _NOTES if path.endswith(".")), "")


def to_toml(experiment: Experiment) -> str:
    """The experiment as TOML; `load_experiment` reads an equal one from it."""
    head = "# An experiment of gradcode. Run it with: gradcode train FILE\n\n"
    return head + write_table(experiment.model_dump(exclude_none=True), _TABLES)


def default_toml() -> str:
    """The default experiment as TOML, every field with its description as a comment."""
    head = "# An experiment of gradcode with every field at its default. Run it with: gradcode train FILE\n\n"
    return head + write_table(Experiment().model_dump(), _NOTES)


# ---- checking -------------------------------------------------------------------------------------------


def check_experiment(experiment: Experiment, n_workers: int | None = None) -> GradientCode | None:
    """Check what no field can know alone: that the code fits the workers, and delays name places that exist.

    Args:
        experiment: the experiment.
        n_workers: how many workers joined, where ``workers`` is ``joined`` and they are there.

    Returns:
        The code; None while the number of workers is unknown (the code's name is checked all the same).

    Raises:
        InvalidSpec: the code is unknown or impossible, or a delay names a place that does not exist.

    Cost: that of making the code, which may search for seeds.
    """
    # Making codes imports scipy, which only those who need a code should pay for.
    from common.codes import CODES
    from common.codes.verified import verified
    from common.spec import find, make_code, parse_call

    n_places = n_workers if experiment.workers == "joined" else experiment.workers
    if n_places is None:
        find(CODES, parse_call(experiment.code, {"n": 1}, what="code", nested=True).name, what="code")
        return None
    named = {
        "delays.factors": experiment.delays.factors,
        "delays.interruptions": [each.place for each in experiment.delays.interruptions],
    }
    for field, places in named.items():
        if experiment.workers != "joined" and max(places, default=0) >= n_places:
            raise InvalidSpec(field, f"must name places from 0 to {n_places - 1}", max(places))
    return verified(make_code(experiment.code, n_places), experiment.verify)
