"""Pure: the numbers of a run for people: totals, waits, places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcode.lab.digest import quantile
from gradcode.report.reading import RunRead
from gradcode.report.work import STATES


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One place over a whole run.

    Attributes:
        place: its number. workers: names, in order of appearance.
        straggled, lost, contributed: rounds. seconds: typical seconds per chunk, None without chunks.
        factor: the same in times of the median place. used, others: chunks that were used, and were not.
    """

    place: int
    workers: tuple[str, ...]
    straggled: int
    lost: int
    contributed: int
    seconds: float | None
    factor: float | None
    used: int
    others: int


def place_rows(run: RunRead) -> list[PlaceRow]:
    """All places, the worst straggler first."""
    straggled, lost = [0] * run.n_places, [0] * run.n_places
    for record in run.records:
        for counts, places in ((straggled, record.stragglers), (lost, record.lost)):
            for place in places:
                counts[place] += 1
    typical = run.work.place_seconds()
    known = typical[np.isfinite(typical)]
    middle = float(np.median(known)) if len(known) else 0.0
    rows = []
    for place in range(run.n_places):
        seconds = float(typical[place]) if math.isfinite(typical[place]) else None
        chunks = {state: run.work.of_place[place, state] for state in STATES}
        rows.append(
            PlaceRow(
                place=place,
                workers=tuple(run.work.workers.get(place, ())),
                straggled=straggled[place],
                lost=lost[place],
                contributed=run.contributions.get(place, 0),
                seconds=seconds,
                factor=seconds / middle if seconds is not None and middle > 0 else None,
                used=chunks["used"],
                others=sum(chunks.values()) - chunks["used"],
            )
        )
    return sorted(rows, key=lambda row: (-row.straggled, row.place))


def ignoring_wait(run: RunRead) -> tuple[int, float, float] | None:
    """What a run that ignores as many stragglers as the plan stands would have waited.

    Returns:
        Rounds that can be compared, what it would have waited in them at the least, and what they took
        here; None where nothing can be compared.
    """
    waits = run.work.ignoring
    known = np.isfinite(waits)
    if not known.any():
        return None
    took = np.array([record.seconds for record in run.records])
    return int(known.sum()), float(waits[known].sum()), float(took[known].sum())


def key_numbers(run: RunRead) -> dict[str, Any]:
    """Numbers by name; None where there is nothing to count. Seconds, bytes, and shares from 0 to 1."""
    summary, records = run.summary, run.records
    times = sorted(record.seconds for record in records)
    work = dict(zip(STATES, run.work.by_state.sum(axis=1).tolist(), strict=True))
    all_work = sum(work.values())
    ignoring = ignoring_wait(run)
    return {
        "rounds": summary.rounds,
        "exact": summary.exact,
        "approximate": summary.approximate,
        "failed": summary.failed,
        "exact_share": summary.exact / summary.rounds if summary.rounds else None,
        "seconds": summary.seconds,
        "p50_seconds": quantile(times, 0.5),
        "p90_seconds": quantile(times, 0.9),
        "loss": summary.loss,
        "score": summary.score,
        "score_name": summary.score_name,
        "bytes_sent": sum(record.bytes_sent for record in records),
        "bytes_received": sum(record.bytes_received for record in records),
        "used_seconds": work["used"],
        "rescued_seconds": float(run.work.rescued.sum()),
        "wasted_seconds": all_work - work["used"],
        "wasted_share": (all_work - work["used"]) / all_work if all_work else None,
        "uncoded_rounds": summary.uncoded.rounds,
        "uncoded_seconds": summary.uncoded.seconds,
        "uncoded_speed_up": summary.uncoded.speed_up,
        "uncoded_endless_from": summary.uncoded.endless_from,
        "ignored_stragglers": run.n_ignored,
        "ignoring_rounds": ignoring[0] if ignoring else 0,
        "ignoring_seconds": ignoring[1] if ignoring else None,
        "reason": summary.reason,
        "exit_code": summary.exit_code,
        "ended": run.ended,
    }


def reached(run: RunRead, loss: float) -> tuple[int, float] | None:
    """The round, and the seconds since the first one, after which the training loss was at most ``loss``."""
    for record in run.records:
        if record.loss is not None and record.loss <= loss:
            return record.round, record.start_seconds + record.seconds
    return None
