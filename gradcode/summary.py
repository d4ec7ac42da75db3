"""Pure: what a run came to, in numbers and in words; above all what an uncoded run would have waited."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common.history import RoundRecord, summarise

INDENT = 2
LABEL_WIDTH = 20


@dataclass(frozen=True, slots=True)
class UncodedWait:
    """What the same run without redundancy would have waited, for the chunk times that were measured.

    Attributes:
        rounds: so many rounds, from the first on, an uncoded run would have ended too.
        seconds: what it would have waited for in these rounds, at the least.
        coded_seconds: what these rounds took here.
        away_seconds: the part of ``seconds`` spent on waiting for lost workers that came back.
        endless_from: the round in which it would have begun to wait for ever; None if it never would.
        endless_places: places whose worker was lost in that round and did not come back.
    """

    rounds: int
    seconds: float
    coded_seconds: float
    away_seconds: float
    endless_from: int | None
    endless_places: tuple[int, ...]

    @property
    def speed_up(self) -> float | None:
        """How many times longer an uncoded run would have taken; None where nothing can be compared."""
        return self.seconds / self.coded_seconds if self.rounds and self.coded_seconds > 0 else None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    Attributes:
        reason: why it ended, in words. exit_code: as the master ended; None if it wrote no summary.
        rounds: finished rounds. exact, approximate, failed: the same by outcome.
        seconds: from the first round's start to the last outcome.
        loss: the last training loss. score, score_name: on held-out rows. All None if unknown.
        chunks_used, straggler_chunks_used: finished chunks in gradients, and those by stragglers.
        uncoded: what a run without redundancy would have waited.
        run_folder: where everything is.
        answers: what was verified, and who was found lying, in words; empty where nothing was verified.
    """

    reason: str
    exit_code: int | None
    rounds: int
    exact: int
    approximate: int
    failed: int
    seconds: float
    loss: float | None
    score: float | None
    score_name: str | None
    chunks_used: int
    straggler_chunks_used: int
    uncoded: UncodedWait
    run_folder: str
    answers: str = ""

    def to_event(self) -> dict[str, Any]:
        """The summary as plain values, for machines."""
        plain = asdict(self)
        plain["uncoded"]["speed_up"] = self.uncoded.speed_up
        return {"event": "summary", **plain}


def uncoded_wait(records: Sequence[RoundRecord]) -> UncodedWait:
    """Add up what an uncoded run would have waited in the same rounds.

    A round in which a place had no link counts as the wait until all were back: an uncoded run would have
    stood still so long, and needed its other rounds afterwards, which are left out in its favour.

    Args:
        records: all rounds of a run, in order.
    """
    endless_from, places = _endless(records)
    shared = [record for record in records if endless_from is None or record.round < endless_from]
    away = 0.0
    for index, record in enumerate(shared):
        if record.uncoded_seconds is None:
            following = records[index + 1] if index + 1 < len(records) else None
            ended = record.start_seconds + record.seconds if following is None else following.start_seconds
            away += ended - record.start_seconds
    return UncodedWait(
        rounds=len(shared),
        seconds=away + sum(record.uncoded_seconds or 0.0 for record in shared),
        coded_seconds=sum(record.seconds for record in shared),
        away_seconds=away,
        endless_from=endless_from,
        endless_places=places,
    )


def _endless(records: Sequence[RoundRecord]) -> tuple[int | None, tuple[int, ...]]:
    """The first round from which some place stayed without a worker to the end, and those places."""
    since: dict[int, int] = {}
    for record in records:
        since = {place: since.get(place, record.round) for place in record.lost}
    if not since:
        return None, ()
    first = min(since.values())
    return first, tuple(sorted(place for place, number in since.items() if number == first))


def summarise_run(
    records: Sequence[RoundRecord], summary: Mapping[str, Any] | None, run_folder: str
) -> RunSummary:
    """From a run's records and the content of its summary.json (None: it wrote none) to what it came to."""
    held = summary or {}
    totals = summarise(records)
    return RunSummary(
        reason=str(held.get("reason", "the master ended without a summary")),
        exit_code=held.get("exit_code"),
        rounds=totals["rounds"],
        exact=totals["exact"],
        approximate=totals["approximate"],
        failed=totals["failed"],
        seconds=totals["seconds"],
        loss=totals["loss"],
        score=held.get("score", totals["score"]),
        score_name=held.get("score_name"),
        chunks_used=totals["chunks_used"],
        straggler_chunks_used=totals["straggler_chunks_used"],
        uncoded=uncoded_wait(records),
        run_folder=run_folder,
        answers=answers_in_words(records),
    )


# ---- in words -------------------------------------------------------------------------------------------


def answers_in_words(records: Sequence[RoundRecord]) -> str:
    """What was verified in a run, who was quarantined, and what that cost; empty if nothing was verified."""
    verified = [record.verified for record in records if record.verified is not None]
    if not verified:
        return ""
    audited = plural(sum(record.values_audited for record in records), "value")
    whole = f"{verified.count(True)} of {plural(len(verified), 'round')} wholly verified"
    said = [f"{whole}, {audited} computed again"]
    liars = [name for record in records for name in record.quarantined]
    undone = sum(each.round + 1 - each.returned_to for each in records if each.returned_to is not None)
    said += [f"quarantined: {', '.join(liars)}"] if liars else []
    said += [f"{plural(undone, 'round')} undone"] if undone else []
    return "; ".join(said)


def plural(count: int, what: str) -> str:
    """A count and its noun.

    >>> plural(1, "round"), plural(3, "round")
    ('1 round', '3 rounds')
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def in_words(wait: UncodedWait) -> str:
    """What an uncoded run would have waited, as sentences.

    >>> in_words(UncodedWait(40, 16.0, 4.0, 0.0, None, ()))
    'at least 16.0 s for what took 4.0 s here: 4.0 times as long.'
    >>> in_words(UncodedWait(0, 0.0, 0.0, 0.0, 0, (6,)))
    'From round 0 on it would have waited for ever: place 6 was lost and did not come back.'
    """
    said = []
    if wait.speed_up is not None:
        which = f"rounds 0 to {wait.rounds - 1}, which" if wait.endless_from is not None else "what"
        said.append(
            f"at least {wait.seconds:.1f} s for {which} took {wait.coded_seconds:.1f} s here: "
            f"{wait.speed_up:.1f} times as long."
        )
    if wait.away_seconds > 0:
        said.append(f"{wait.away_seconds:.1f} s of it for lost workers to come back.")
    if wait.endless_from is not None:
        said.append(
            f"From round {wait.endless_from} on it would have waited for ever: "
            f"{_places(wait.endless_places)} lost and did not come back."
        )
    return " ".join(said) or "no round to compare."


def _places(places: Sequence[int]) -> str:
    """Whose loss it is: ``place 6 was`` or ``places 1, 2 and 6 were``."""
    if len(places) == 1:
        return f"place {places[0]} was"
    return f"places {', '.join(map(str, places[:-1]))} and {places[-1]} were"


def summary_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """What people want to know after a run: labels and texts, most wanted first."""
    rows = []
    if summary.score is not None:
        rows.append((f"held-out {summary.score_name or 'score'}", f"{summary.score:.4f}"))
    if summary.loss is not None:
        rows.append(("training loss", f"{summary.loss:.5g}"))
    pace = f", {summary.seconds / summary.rounds:.3f} s a round" if summary.rounds else ""
    rows.append(("time", f"{summary.seconds:.1f} s for {plural(summary.rounds, 'round')}{pace}"))
    counts = f"{summary.exact} exact, {summary.approximate} approximate, {summary.failed} failed"
    rows.append(("rounds", counts))
    if summary.rounds:
        used = plural(summary.straggler_chunks_used, "chunk")
        rows.append(("stragglers' work", f"{used} of the {summary.chunks_used} used came from stragglers"))
        rows.append(("an uncoded run", in_words(summary.uncoded)))
    if summary.answers:
        rows.append(("answers", summary.answers))
    rows.append(("run folder", summary.run_folder))
    if summary.rounds and summary.exit_code in (0, 130):
        rows.append(("predict with", f"gradcode predict {summary.run_folder} DATA.csv"))
    return rows


def as_text(summary: RunSummary, width: int = 80) -> str:
    """The summary as lines of at most ``width`` characters; paths are never broken."""
    lines = [summary.reason[:1].upper() + summary.reason[1:]]
    room = max(30, width - INDENT - LABEL_WIDTH - 1)
    for label, text in summary_rows(summary):
        pieces = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        # A path is copied from the terminal, so it stays in one piece.
        pieces = [text] if label in ("run folder", "predict with") else pieces
        for number, piece in enumerate(pieces):
            lines.append(" " * INDENT + f"{label if number == 0 else '':<{LABEL_WIDTH}}{piece}")
    return "\n".join(lines)
