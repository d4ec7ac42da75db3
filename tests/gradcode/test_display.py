from __future__ import annotations

import io

import pytest
from made_records import a_record
from rich.console import Console

from common.wire.control import RunStatus, WorkerStatus
from gradcode.display import ASCII, Board, LiveDisplay, board_lines, note_line, round_line, sparkline
from master.status import STATES


def a_status(**changes: object) -> RunStatus:
    values = {
        "run": "0123456789ab",
        "run_name": "demo",
        "phase": "running",
        "detail": "8 of 8 places have a worker",
        "round": 41,
        "rounds_planned": 100,
        "loss": 0.1,
        "score": 0.95,
        "rounds_exact": 40,
        "rounds_approximate": 1,
        "rounds_failed": 0,
        "deadline_seconds": 0.53,
        "code": "partial_stragglers(8, chunks_per_worker=4)",
        "epoch": 0,
        "n_places": 8,
        "n_linked": 8,
        "n_spares": 0,
        "run_folder": "runs/demo",
        "started_unix_seconds": 0.0,
        "elapsed_seconds": 6.1,
        "package_version": "0.1.0",
        "last_record_json": "",
    }
    return RunStatus(**{**values, **changes})


def a_worker(
    place: int | None, finished: int = 5, state: str = "computing", **changes: object
) -> WorkerStatus:
    values = {"worker_name": "b", "load": 12, "seconds_per_chunk": 0.02, "last_seen_seconds": 0.1}
    counts = {"straggles": 3, "rounds": 42}
    return WorkerStatus(
        **{**values, **counts, "place": place, "chunks_finished": finished, "state": state, **changes}
    )


def a_board(n_places: int = 8) -> Board:
    return Board("demo", "partial_stragglers(n, 3, 4)", "127.0.0.1:40001", n_places, 100)


def busy_board(n_places: int = 8, long: bool = False) -> Board:
    board = a_board(n_places)
    for number in range(42):
        outcome = "approximate" if number == 20 else "exact"
        board.hear_record(a_record(number, outcome=outcome, events=("worker b took place 3",), score=0.9))
    reason = "the deadline of 0.53 s passed: " * (9 if long else 1)
    stragglers = tuple(range(30)) if long else (2,)
    board.hear_record(a_record(42, reason=reason, stragglers=stragglers, events=("a note " * 40,)))
    name = "some-host.example.org:0f5b6a4e" if long else "b"
    workers = [a_worker(place, place % 13, worker_name=name) for place in range(n_places)]
    board.hear_status(a_status(n_places=n_places), workers, 1.0)
    return board


def plain(board: Board, width: int = 80, **more: object) -> list[str]:
    return [line.plain for line in board_lines(board, width, **more)]


@pytest.mark.parametrize("width", [20, 41, 60, 80, 99, 100, 120, 200])
@pytest.mark.parametrize("board", [a_board(), busy_board(), busy_board(long=True), busy_board(40, long=True)])
def test_no_line_is_wider_than_the_terminal(board, width):
    for line in plain(board, width):
        assert len(line) < max(width, 41)
        assert "\n" not in line


def test_the_number_of_lines_never_changes_in_a_run():
    board = a_board()
    counts = {len(plain(board))}
    board.hear_status(a_status(phase="waiting", round=None, n_places=8), [], 0.0)
    counts.add(len(plain(board)))
    for number in range(5):
        board.hear_record(a_record(number, events=("one", "two") * number))
        workers = [a_worker(place, state="lost" if place == number else "idle") for place in range(8)]
        board.hear_status(a_status(), [*workers, a_worker(None, state="spare")], float(number))
        counts.add(len(plain(board)))
    assert len(counts) == 1


@pytest.mark.parametrize("n_places", [8, 40, 1000])
def test_the_board_fits_the_height_and_counts_who_does_not(n_places):
    board = busy_board(n_places)
    lines = plain(board, 80, height=24)
    assert len(lines) <= 24
    shown = sum(line.startswith(" place") for line in lines)
    rest = [line for line in lines if "more places" in line]
    if n_places == 8:
        assert (shown, rest) == (8, [])
    else:
        assert f"and {n_places - shown} more places: {n_places - shown} computing" in rest[0]


def test_everything_asked_for_is_on_the_board_at_80_columns():
    text = "\n".join(plain(busy_board(), 80))
    for part in (
        "demo",
        "127.0.0.1:40001",
        "round    43 of 100",
        "loss",
        "held-out score 0.9000",
        "42 exact · 1 approximate · 0 failed",
        " EXACT ",
        "recovered 100%",
        "deadline none",
        "stragglers 2",
        "round 42: the deadline of 0.53 s passed",
        "5/12",
        "computing",
        "20 ms a chunk",
    ):
        assert part in text


def test_at_120_columns_workers_have_names_and_a_past():
    (line,) = [line for line in plain(busy_board(), 120) if "place 3" in line and "5/12" not in line][:1]
    assert "straggler in   7%" in line
    assert line.rstrip().endswith("b")


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_shown_in_words(state):
    board = a_board(1)
    board.hear_status(a_status(n_places=1), [a_worker(0, state=state)], 0.0)
    assert any(state in line and "place 0" in line for line in plain(board))


def test_before_the_run_begins_nobody_is_called_lost():
    board = a_board(1)
    waiting = a_status(phase="waiting", detail="0 of 1 workers are ready", n_places=1)
    board.hear_status(waiting, [a_worker(0, 0, state="lost")], 0.0)
    text = "\n".join(plain(board))
    assert "awaited" in text
    assert "lost" not in text
    assert "0 of 1 workers are ready" in text


def test_a_bar_remembers_for_a_second_how_far_its_place_came():
    board = a_board(1)
    for now, finished in ((0.0, 9), (0.3, 1), (0.9, 2)):
        board.hear_status(a_status(n_places=1), [a_worker(0, finished)], now)
    (line,) = [line for line in plain(board, glyphs=ASCII) if "place 0" in line]
    assert line.count("#") / (line.count("#") + line.count("=") + line.count(".")) == pytest.approx(
        2 / 12, abs=0.03
    )
    assert line.count("=") > 2 * line.count("#")
    board.hear_status(a_status(n_places=1), [a_worker(0, 3)], 1.2)
    assert board.peak(a_worker(0, 3)) == 3


def test_a_cell_of_the_progress_bar_has_the_colour_of_its_worst_round():
    board = a_board()
    for number in range(100):
        board.hear_record(a_record(number, outcome="failed" if number == 50 else "exact"))
    line = board_lines(board, 80)[1]
    styles = [str(span.style) for span in line.spans]
    assert styles.count("red") == 1
    assert styles.count("green") > 30
    assert styles.index("red") == pytest.approx(len(styles) / 2, abs=2)


@pytest.mark.parametrize(
    "values", [[], [1.0], [2.0, 2.0], [0.0, 1.0], [-1.0, 1.0], [10.0 / (i + 1) for i in range(999)]]
)
def test_a_sparkline_fits_whatever_it_is_given(values):
    text = sparkline(values, 20)
    assert len(text) == min(20, len(values))
    if len(set(values)) > 1:
        assert text[0] != text[-1]


def test_a_round_is_one_line_and_an_inexact_one_says_why():
    good = round_line(a_record(7, stragglers=(2, 6)), 100)
    bad = round_line(a_record(8, outcome="failed", reason="nobody is left", loss=None), 100)
    assert good.startswith("round  7  exact ")
    assert "stragglers 2,6" in good
    assert "(nobody is left)" in bad
    assert "\n" not in good + bad
    assert note_line(a_record(7), "worker a was lost") == "round 7: worker a was lost"


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "█"), ("ascii", "#")])
def test_the_live_display_draws_in_place_and_in_the_terminal_s_own_characters(encoding, mark):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict", write_through=True)
    console = Console(file=file, force_terminal=True, width=80, height=24, highlight=False)
    display = LiveDisplay(console)
    display.start()
    board = busy_board()
    for _ in range(3):
        display.draw(board)
    display.stop()
    text = raw.getvalue().decode(encoding)
    assert mark in text
    assert "\x1b[1A" in text
