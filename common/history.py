"""What is written down of a round: one record, and one row for every chunk that was finished.

A record is one line of history.jsonl in the run's folder (`common.folder`), whole when its round ends.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from operator import attrgetter
from typing import Any, Literal, get_args

import numpy as np

from common.errors import InvalidData

OutcomeKind = Literal["exact", "approximate", "failed"]
End = Literal["exact", "enough", "deadline", "exhausted", "stopped"]
ChunkState = Literal["used", "duplicate", "late", "wasted"]
_SUMMED = ("bytes_", "chunks_", "straggler_", "values_")
_WORDS = {"OutcomeKind": get_args(OutcomeKind), "End": get_args(End)}


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One finished chunk of one worker.

    Attributes:
        place: seat of the worker. worker: its name. round: the round. chunk: the chunk's number.
        seconds: how long the gradient took, by the worker's clock.
        arrived_seconds: when the report came, since the round's start, by the master's clock.
        state: ``used`` in the outcome; ``duplicate``: another worker's copy was used; ``late``: reported
            after the outcome; ``wasted``: in time, and part of nothing that was used.
    """

    place: int
    worker: str
    round: int
    chunk: int
    seconds: float
    arrived_seconds: float
    state: ChunkState


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """One finished round.

    Attributes:
        round: number of the round, from 0. epoch: version of the plan it ran under.
        outcome: ``exact``, ``approximate`` or ``failed``. end: what ended it. reason: the same in words.
        stepped: whether the optimiser took a step.
        loss: mean over the rows of distinct finished chunks; None without any.
        loss_share: the share of the training rows that ``loss`` covers, 0 to 1.
        residual: ``||E W - J||_F``. recovered_fraction: 0 to 1. noise_amplification: ``||W||_2``.
        deadline_seconds: the deadline of this round; None without one.
        start_seconds: since the run's first round. seconds: from the round's start to its outcome.
        collect_seconds, solve_seconds, combine_seconds, step_seconds: shares of the work.
        gradient_norm: of the mean gradient; None when nothing was combined. score: held-out, if evaluated.
        stragglers: places without a link or slower than twice the median. contributors: places whose
            messages were used. lost: places without a link at the end.
        bytes_sent, bytes_received: payloads on all links.
        chunks_used, chunks_duplicate, chunks_late, chunks_wasted: finished chunks by what became of them.
        straggler_chunks_used: those of ``chunks_used`` that stragglers computed.
        uncoded_seconds: what an uncoded round with the same chunk times would have waited; None: for ever.
        verified: whether every value that was stepped with is known to be right; None where none is checked.
        values_audited: that the master computed again. values_compared: that two workers agreed on.
        values_wrong: that were wrong. quarantined: workers that sent those.
        returned_to: the next round starts with the parameters that this round started with; the steps since
            are undone. None if nothing was undone.
        events: membership and other notes of this round, in words.
        chunks: the finished chunks, for chunks.csv; no part of history.jsonl. The master keeps them by
            worker (`common.chunk_rows`).
    """

    round: int
    outcome: OutcomeKind
    end: End
    reason: str
    stepped: bool
    loss: float | None
    loss_share: float
    residual: float
    recovered_fraction: float
    noise_amplification: float
    deadline_seconds: float | None
    start_seconds: float
    seconds: float
    collect_seconds: float
    solve_seconds: float
    combine_seconds: float
    step_seconds: float
    gradient_norm: float | None
    score: float | None
    stragglers: tuple[int, ...]
    contributors: tuple[int, ...]
    lost: tuple[int, ...]
    bytes_sent: int
    bytes_received: int
    chunks_used: int
    chunks_duplicate: int
    chunks_late: int
    chunks_wasted: int
    straggler_chunks_used: int
    uncoded_seconds: float | None
    epoch: int
    verified: bool | None = None
    values_audited: int = 0
    values_compared: int = 0
    values_wrong: int = 0
    quarantined: tuple[str, ...] = ()
    returned_to: int | None = None
    events: tuple[str, ...] = ()
    chunks: Sequence[ChunkRow] = ()


_WRITTEN = tuple(field.name for field in fields(RoundRecord) if field.name != "chunks")
_values_of = attrgetter(*_WRITTEN)


def to_json(record: RoundRecord) -> str:
    """The record as one line of strict JSON, without its chunks; NaN and infinities become strings."""
    held = dict(zip(_WRITTEN, _values_of(record), strict=True))
    try:
        # Nearly always all values are plain, and looking at each takes longer than writing them.
        return json.dumps(held, allow_nan=False)
    except (TypeError, ValueError):
        return strict_json(held)


def record_from_json(line: str) -> RoundRecord:
    """The record that `to_json` wrote; keys of later versions are passed over.

    Raises:
        InvalidData: the line is no JSON object, or a field is missing or of the wrong type.
    """
    try:
        held = json.loads(line)
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        raise InvalidData("history line", "must be one JSON object", line)
    values: dict[str, Any] = {}
    for field in fields(RoundRecord):
        if field.name == "chunks":
            continue
        if field.name not in held:
            if field.default is not MISSING:
                continue  # earlier versions did not write it
            raise InvalidData("history line", f"must hold the field {field.name!r}", line)
        values[field.name] = _read_field(field.name, str(field.type), held[field.name])
    return RoundRecord(**values)


def _read_field(name: str, kind: str, value: object) -> object:
    if kind.endswith(" | None"):
        return None if value is None else _read_field(name, kind.removesuffix(" | None"), value)
    if kind.startswith("tuple[") and isinstance(value, list):
        inner = kind.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(_read_field(name, inner, each) for each in value)
    if kind == "float" and value in ("nan", "inf", "-inf"):
        return float(str(value))
    if kind in _WORDS:
        if value not in _WORDS[kind]:
            raise InvalidData(f"history field {name}", f"must be one of {', '.join(_WORDS[kind])}", value)
        return value
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value).__name__ != kind:
        raise InvalidData(f"history field {name}", f"must be of type {kind}", value)
    return value


def _plain(value: object) -> object:
    """Only what strict JSON knows: numpy scalars as Python's, NaN and infinities as strings."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def strict_json(value: object, indent: int | None = None) -> str:
    """Plain values as JSON that every reader accepts; NaN and infinities become strings."""
    return json.dumps(_plain(value), allow_nan=False, indent=indent)


def summarise(records: Iterable[RoundRecord]) -> dict[str, Any]:
    """Totals over the rounds of a run, as summary.json holds them.

    Returns:
        ``rounds`` and the number of each outcome, ``steps``, ``seconds`` from the first round's start to
        the last outcome, last ``loss`` and ``score`` (or None), bytes and chunks by what became of them,
        ``uncoded_seconds`` over the rounds that an uncoded run would have ended, and
        ``uncoded_endless_rounds``, in which it would have waited for ever.
    """
    totals: Counter[str] = Counter()
    seconds, uncoded_seconds = 0.0, 0.0
    loss: float | None = None
    score: float | None = None
    summed = [name for name in RoundRecord.__slots__ if name.startswith(_SUMMED)]
    for record in records:
        totals.update({"rounds": 1, record.outcome: 1, "steps": int(record.stepped)})
        totals.update({name: getattr(record, name) for name in summed})
        totals["uncoded_endless_rounds"] += record.uncoded_seconds is None
        uncoded_seconds += record.uncoded_seconds or 0.0
        seconds = record.start_seconds + record.seconds
        loss = loss if record.loss is None else record.loss
        score = score if record.score is None else record.score
    counts = ("rounds", "exact", "approximate", "failed", "steps", *summed, "uncoded_endless_rounds")
    return {
        **{name: totals[name] for name in counts},
        "seconds": seconds,
        "uncoded_seconds": uncoded_seconds,
        "loss": loss,
        "score": score,
    }
