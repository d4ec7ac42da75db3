"""What a run looks like while it lasts: a live board on a terminal, one line a round otherwise.

The board is a list of lines of fixed number, each cut to the terminal's width, so that nothing wraps and
nothing jumps. It is drawn from values alone; who fetches them is the caller's matter.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from common.history import OutcomeKind, RoundRecord, record_from_json
from common.wire.control import RunStatus, WorkerStatus

WIDEST = 120
NOTES_SHOWN = 3
LINES_BESIDES_PLACES = 9 + NOTES_SHOWN
PEAK_SECONDS = 1.0
"""For so long a place's bar remembers how far it came."""

OUTCOMES: dict[OutcomeKind, tuple[str, str]] = {
    "exact": ("green", "black on green"),
    "approximate": ("yellow", "black on yellow"),
    "failed": ("red", "white on red"),
}
"""Every outcome, from good to bad, with its colour and the style of its badge."""
STATE_STYLES = {
    "computing": "green",
    "idle": "dim",
    "straggling": "yellow",
    "link too slow": "yellow",
    "loading": "cyan",
    "draining": "magenta",
    "lost": "bold red",
    "awaited": "cyan",
}


SPARKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of bars: done, done lately, not done; sparks from low to high; the sign for cut text."""

    done: str = "█"
    lately: str = "▒"
    open: str = "·"
    line: str = "━"
    sparks: str = SPARKS
    cut: str = "…"
    dot: str = "·"


ASCII = Glyphs(done="#", lately="=", open=".", line="=", sparks="_.-=+*%#", cut="~", dot="-")
"""For terminals that do not speak UTF-8."""


@dataclass
class Board:
    """All that the display shows, kept up to date by `hear_record` and `hear_status`.

    Args:
        title: the run's name. code: its code, as far as known. address: where workers dial.
        n_places: how many rows to keep for places. rounds: rounds planned.
        message: shown instead of the last outcome's reason, if there is one.
    """

    title: str
    code: str
    address: str
    n_places: int
    rounds: int
    status: RunStatus | None = None
    workers: list[WorkerStatus] = field(default_factory=list)
    last: RoundRecord | None = None
    score: float | None = None
    losses: list[float] = field(default_factory=list)
    outcomes: list[OutcomeKind] = field(default_factory=list)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES_SHOWN))
    peaks: dict[int, tuple[int, float]] = field(default_factory=dict)
    message: str = ""
    earlier: Counter[OutcomeKind] = field(default_factory=Counter)
    earlier_until: int = -1

    def hear_earlier(self, status: RunStatus) -> None:
        """Rounds that have ended before, unseen; those of them that still come are counted once."""
        seen = Counter(self.outcomes)
        counts = (status.rounds_exact, status.rounds_approximate, status.rounds_failed)
        self.earlier = Counter(
            {kind: max(0, count - seen[kind]) for kind, count in zip(OUTCOMES, counts, strict=True)}
        )
        line = status.last_record_json
        self.earlier_until = record_from_json(line).round if line else -1

    def hear_record(self, record: RoundRecord) -> None:
        """A round has ended."""
        self.last = record
        self.outcomes.append(record.outcome)
        if record.round <= self.earlier_until:
            self.earlier[record.outcome] = max(0, self.earlier[record.outcome] - 1)
        if record.loss is not None and math.isfinite(record.loss):
            self.losses.append(record.loss)
        if record.score is not None:
            self.score = record.score
        self.notes.extend(note_line(record, text) for text in record.events)

    def hear_status(self, status: RunStatus, workers: Sequence[WorkerStatus], now: float) -> None:
        """The master has answered, at ``now`` by any monotonic clock."""
        self.status = status
        self.code = status.code or self.code
        self.workers = sorted(workers, key=lambda each: (each.place is None, each.place or 0))
        self.n_places = max(self.n_places, status.n_places)
        for each in self.workers:
            if each.place is not None:
                best, at = self.peaks.get(each.place, (0, now))
                if each.chunks_finished >= best or now - at > PEAK_SECONDS:
                    self.peaks[each.place] = (each.chunks_finished, now)

    def peak(self, worker: WorkerStatus) -> int:
        """How far the place came within the last second."""
        finished = worker.chunks_finished
        return max(finished, self.peaks.get(-1 if worker.place is None else worker.place, (finished, 0.0))[0])


# ---- lines ----------------------------------------------------------------------------------------------


def board_lines(board: Board, width: int, height: int = 1000, glyphs: Glyphs | None = None) -> list[Text]:
    """The board as lines no longer than ``width``, as many for every state of the same run.

    Args:
        board: what to show. width, height: of the terminal, in characters.
        glyphs: characters of bars; None for the usual ones.
    """
    g = glyphs or Glyphs()
    width = max(40, min(width - 1, WIDEST))
    lines = [
        _head(board, width, g),
        _progress(board, width, g),
        _loss(board, width, g),
        _counts(board, g),
        _outcome(board),
        Text(f" {_reason(board)}", style="dim"),
        Text(),
        *_places(board, width, max(3, height - LINES_BESIDES_PLACES), g),
        Text(),
        *_notes(board),
    ]
    for line in lines:
        _cut(line, width, g)
    return lines


def _cut(line: Text, width: int, g: Glyphs) -> None:
    line.no_wrap = True
    if len(line) > width:
        line.truncate(width - len(g.cut))
        line.append(g.cut)


def _head(board: Board, width: int, g: Glyphs) -> Text:
    head = Text(" gradcode", style="bold")
    head.append(f" {g.dot} {board.title} {g.dot} {board.code}", style="not bold")
    room = width - len(head) - len(board.address)
    if room > 1:
        head.append(" " * room + board.address, style="not bold dim")
    return head


def _progress(board: Board, width: int, g: Glyphs) -> Text:
    """How far the run is; every cell in the colour of the worst outcome of its rounds."""
    n_earlier = board.earlier.total()
    finished = n_earlier + len(board.outcomes)
    elapsed = 0.0 if board.status is None else board.status.elapsed_seconds
    line = Text(f" round {finished:>5} of {board.rounds:<6} ")
    right = f" {elapsed:7.1f} s"
    n_cells = max(5, width - len(line) - len(right))
    n_full = n_cells * finished // max(board.rounds, finished, 1)
    severity = list(OUTCOMES)
    for cell in range(n_full):
        first = cell * finished // n_full
        after = max(first + 1, (cell + 1) * finished // n_full)
        rounds = board.outcomes[max(0, first - n_earlier) : max(0, after - n_earlier)]
        worst = max(rounds, key=severity.index, default=None)
        line.append(g.done, style="dim" if worst is None else OUTCOMES[worst][0])
    return line.append(g.open * (n_cells - n_full), style="dim").append(right)


def _bar(done: int, lately: int, whole: int, width: int, g: Glyphs, style: str = "cyan") -> Text:
    """A bar of ``width`` characters; two shades for what is done and what was done lately."""
    full = min(width, round(width * done / whole)) if whole else 0
    shade = min(width, max(full, round(width * lately / whole))) if whole else 0
    bar = Text(g.done * full, style=style)
    bar.append(g.lately * (shade - full), style=f"dim {style}")
    return bar.append(g.open * (width - shade), style="dim")


def _loss(board: Board, width: int, g: Glyphs) -> Text:
    loss = f"{board.losses[-1]:.5g}" if board.losses else "-"
    line = Text(f" loss  {loss:<15}")
    score = "" if board.score is None else f"   held-out score {board.score:.4f}"
    line.append(sparkline(board.losses, min(60, width - len(line) - 27), g.sparks), style="cyan")
    return line.append(score, style="bold")


def sparkline(values: Sequence[float], width: int, sparks: str = SPARKS) -> str:
    """The course of ``values`` in at most ``width`` characters, on a logarithmic scale if all are positive.

    >>> sparkline([8, 4, 2, 1], 10)
    '█▆▃▁'
    """
    if not values or width < 1:
        return ""
    n_cells = min(width, len(values))
    cells = [values[(i + 1) * len(values) // n_cells - 1] for i in range(n_cells)]
    heights = [math.log(value) for value in cells] if min(cells) > 0 else list(cells)
    low, high = min(heights), max(heights)
    scale = (len(sparks) - 1) / (high - low) if high > low else 0.0
    return "".join(sparks[round((value - low) * scale)] for value in heights)


def _outcome(board: Board) -> Text:
    if board.last is None:
        return Text(" ").append("   WAITING   ", style="black on cyan").append("  no round is finished yet")
    last = board.last
    line = Text(" ").append(f" {last.outcome.upper():^11} ", style=OUTCOMES[last.outcome][1])
    line.append(f"  recovered {last.recovered_fraction:4.0%}")
    line.append(
        f"   deadline {'none' if last.deadline_seconds is None else f'{last.deadline_seconds:.2f} s'}"
    )
    return line.append(f"   stragglers {', '.join(map(str, last.stragglers)) or 'none'}")


def _counts(board: Board, g: Glyphs) -> Text:
    counts = Counter(board.outcomes) + board.earlier
    line = Text(" ")
    for kind, (colour, _) in OUTCOMES.items():
        line.append(f" {g.dot} " if len(line) > 1 else "", style="dim")
        line.append(f"{counts[kind]} {kind}", style=colour if counts[kind] else "dim")
    return line


def _reason(board: Board) -> str:
    if board.message:
        return board.message
    if board.status is not None and board.status.phase != "running":
        return board.status.detail
    return "" if board.last is None else f"round {board.last.round}: {board.last.reason}"


def _places(board: Board, width: int, rows: int, g: Glyphs) -> list[Text]:
    seats = [worker for worker in board.workers if worker.place is not None]
    if board.n_places <= rows:
        lines = [_place(board, worker, width, g) for worker in seats]
        return lines + [Text() for _ in range(board.n_places - len(lines))]
    states = Counter(worker.state for worker in seats[rows - 1 :])
    rest = f" and {board.n_places - rows + 1} more places"
    if states:
        rest += ": " + ", ".join(f"{count} {state}" for state, count in states.most_common())
    shown = [_place(board, worker, width, g) for worker in seats[: rows - 1]]
    return [*shown, *(Text() for _ in range(rows - 1 - len(shown))), Text(rest, style="dim")]


def _place(board: Board, worker: WorkerStatus, width: int, g: Glyphs) -> Text:
    pace = worker.seconds_per_chunk
    lost = worker.state == "lost"
    awaited = lost and board.status is not None and board.status.phase == "waiting"
    state = "awaited" if awaited else worker.state
    tail = Text(f" {worker.chunks_finished:>3}/{worker.load:<3} ")
    tail.append(f"{state:<13}", style=STATE_STYLES.get(state, ""))
    shown = "" if pace is None or lost else f"{_brief(pace)} a chunk"
    tail.append(f" {shown:<14}", style="dim")
    if width >= 100:
        share = worker.straggles / worker.rounds if worker.rounds else 0.0
        name = worker.worker_name if len(worker.worker_name) <= 12 else f"{worker.worker_name[:11]}{g.cut}"
        tail.append(f"  straggler in {share:4.0%}  ", style="dim").append(f"{name:<12}", style="dim")
    line = Text(f" place {worker.place:<4} ")
    bar = _bar(
        0 if lost else worker.chunks_finished,
        0 if lost else board.peak(worker),
        worker.load,
        max(5, width - len(line) - len(tail)),
        g,
        "yellow" if worker.state in ("straggling", "link too slow") else "green",
    )
    return line.append_text(bar).append_text(tail)


def _brief(seconds: float) -> str:
    """Seconds in at most 6 characters."""
    return f"{1000 * seconds:.0f} ms" if seconds < 0.9995 else f"{min(seconds, 9999):.3g} s"


def _notes(board: Board) -> list[Text]:
    lines = [Text(f" {note}", style="dim") for note in board.notes]
    return lines + [Text() for _ in range(NOTES_SHOWN - len(lines))]


def note_line(record: RoundRecord, text: str) -> str:
    """One thing that happened during a round, or before it."""
    return f"round {record.round}: {text}"


def round_line(record: RoundRecord, rounds: int) -> str:
    """One finished round as one line of a log; ``rounds`` are planned."""
    loss = "-" if record.loss is None else f"{record.loss:.5g}"
    score = "" if record.score is None else f"  score {record.score:.4f}"
    slow = ",".join(map(str, record.stragglers)) or "none"
    why = "" if record.outcome == "exact" else f"  ({record.reason})"
    return (
        f"round {record.round:>{len(str(rounds - 1))}}  {record.outcome:<11}  {record.seconds:7.3f} s  "
        f"loss {loss:<9}  recovered {record.recovered_fraction:4.0%}  stragglers {slow:<5}{score}{why}"
    ).rstrip()


# ---- on a terminal --------------------------------------------------------------------------------------


class LiveDisplay:
    """Draws a board in place on a terminal; the last drawing stays.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._glyphs = Glyphs() if console.encoding.lower().startswith("utf") else ASCII
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def start(self) -> None:
        """Take the lines below the cursor."""
        self._live.start()

    def stop(self) -> None:
        """Leave the last drawing where it is."""
        self._live.stop()

    def draw(self, board: Board) -> None:
        """Show the board as it is now."""
        width, height = self._console.size
        self._live.update(Group(*board_lines(board, width, height, self._glyphs)), refresh=True)
