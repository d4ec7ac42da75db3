"""The report and the comparison of runs, on folders of runs that nobody played."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_records import a_record

from common.errors import InvalidData, InvalidSpec
from common.experiment import Experiment, to_toml
from common.folder import CHUNKS, EXPERIMENT, HISTORY, RunFolder
from common.history import ChunkRow
from common.spec import make_code
from gradcode.commands_report import compare_runs, write_report
from gradcode.report.comparing import compared
from gradcode.report.numbers import ignoring_wait, key_numbers, place_rows
from gradcode.report.reading import MOST_EVENTS, read_run
from gradcode.report.work import MOST_CELLS, STATES, Work, waits
from gradcode.summary import uncoded_wait

VOID = {"meta", "img", "br", "link", "hr"}
FOREIGN = "<script>alert('$x$ & more')</script>"


class Page(HTMLParser):
    """A page that must be well-formed and stand alone."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def rows(number: int, n_places: int, slow: tuple[int, ...] = (), lost: tuple[int, ...] = ()) -> tuple:
    """Two chunks of every place: the first is used, the second another's copy, or late from a slow place."""
    made = []
    for place in range(n_places):
        seconds = 0.05 if place in slow else 0.01
        for turn in range(2):
            state = "used" if turn == 0 else "late" if place in slow else "duplicate"
            chunk = (place + turn) % n_places
            arrived = seconds * (turn + 1) + 0.001
            if place not in lost:
                made.append(ChunkRow(place, f"w{place}", number, chunk, seconds, arrived, state))
    return tuple(made)


def a_round(number: int, n_places: int = 4, lost: tuple[int, ...] = (), **more):
    values = {
        "stragglers": (1, *lost),
        "contributors": tuple(place for place in range(n_places) if place not in lost),
        "chunks": rows(number, n_places, slow=(1,), lost=lost),
        "seconds": 0.03,
        **more,
    }
    return replace(a_record(number, uncoded=None if lost else 0.05, lost=lost), **values)


def a_folder(path: Path, records, finish: bool = True, **fields) -> Path:
    experiment = Experiment(**{"name": "made", "workers": 4, "code": "cyclic_repetition(n, 1)", **fields})
    with RunFolder(path) as folder:
        folder.write_experiment(to_toml(experiment))
        folder.write_environment()
        for record in records:
            folder.add(record)
        if finish:
            folder.finish("all rounds are done", 0, score=0.9, score_name="accuracy")
    return path


def report(folder: Path, out: Path | None = None) -> tuple[Page, Path]:
    file = write_report(folder, out)
    return Page(file.read_text(encoding="utf-8")), file


# ---- the page -------------------------------------------------------------------------------------------


def test_a_report_is_one_page_that_stands_alone_and_pictures_beside_it(tmp_path):
    folder = a_folder(tmp_path / "run", [a_round(number) for number in range(12)])
    page, file = report(folder)
    assert file == folder / "report" / "report.html"
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert len(page.images) == 6
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.images)
    assert all(address.startswith("data:") for address in page.addresses)
    names = {"loss", "rounds", "waiting", "arrivals", "places", "work"}
    assert {each.stem for each in file.parent.glob("*.png")} == names
    for each in file.parent.glob("*.png"):
        width, height = struct.unpack(">II", each.read_bytes()[16:24])
        assert width == 1300
        assert 300 < height < 2000
    # Nothing in it depends on when it is written.
    first = file.read_bytes()
    assert report(folder)[1].read_bytes() == first
    for word in (
        "all rounds are done",
        "cyclic_repetition(4, 1)",
        "accuracy",
        "w1",
        'name = "made"',
        "numpy",
    ):
        assert word in page.text


def test_text_of_others_is_escaped(tmp_path):
    record = a_round(0, events=(FOREIGN,), reason=FOREIGN)
    rows = tuple(replace(row, worker=FOREIGN) for row in record.chunks)
    folder = a_folder(tmp_path / "run", [replace(record, chunks=rows)], finish=False)
    (folder / "summary.json").write_text(json.dumps({"reason": FOREIGN}))
    (folder / "environment.json").write_text(json.dumps({FOREIGN: FOREIGN}))
    with (folder / EXPERIMENT).open("a") as file:
        file.write(f"# {FOREIGN}\n")
    page, _ = report(folder)
    assert "script" not in page.tags
    assert page.text.count(FOREIGN) >= 5


STORIES = {
    "one round": [a_round(0)],
    "no deadline": [a_round(number, deadline_seconds=None) for number in range(5)],
    "a deadline": [a_round(number, deadline_seconds=0.04 + 0.001 * number) for number in range(5)],
    "approximate": [
        a_round(number, outcome="approximate", residual=0.3 * number, deadline_seconds=0.04)
        for number in range(5)
    ],
    "failed": [
        a_round(
            number, outcome="failed", stepped=False, loss=None, gradient_norm=None, residual=2.0, chunks=()
        )
        for number in range(5)
    ],
    "diverged": [a_round(number, loss=[1.0, 1e9, math.inf, math.nan][number]) for number in range(4)],
    "nothing arrives": [a_round(0, lost=(0, 1, 2, 3))],
    "some are lost": [a_round(number, lost=(2,) if number % 3 else ()) for number in range(9)],
    "scores": [a_round(number, score=0.5 + 0.01 * number) for number in range(5)],
    "no time at all": [a_round(number, seconds=0.0, start_seconds=0.0, chunks=()) for number in range(3)],
}


@pytest.mark.parametrize("records", [pytest.param(each, id=name) for name, each in STORIES.items()])
def test_every_run_has_a_report(tmp_path, records):
    page, _ = report(a_folder(tmp_path / "run", records))
    assert len(page.images) == (6 if any(each.chunks for each in records) else 5)
    assert "no summary" not in page.text


def test_a_run_before_its_first_round_has_a_report(tmp_path):
    page, _ = report(a_folder(tmp_path / "run", [], finish=False))
    assert page.images == []
    assert "No round has ended yet" in page.text


def test_of_a_killed_run_whose_workers_joined_the_whole_lines_are_shown(tmp_path):
    records = [a_round(number) for number in range(3)]
    folder = a_folder(tmp_path / "run", records, finish=False, workers="joined")
    for name in (HISTORY, CHUNKS):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-7])
    assert len(read_run(folder).records) == 2
    page, _ = report(folder)
    assert "4 places" in page.text
    assert "no summary yet" in page.text


def test_rows_of_rounds_that_are_not_over_are_passed_over(tmp_path):
    folder = a_folder(tmp_path / "run", [a_round(0)], finish=False)
    with (folder / CHUNKS).open("a") as file:
        file.write("w0,0,1,0,0.5,0.5,used\nw0,99,0,0,0.5,0.5,used\nw0,0,0,0,nan,0.5,used\n")
    assert read_run(folder).work.by_state.sum() == pytest.approx(sum(row.seconds for row in rows(0, 4, (1,))))


def test_an_experiment_that_cannot_be_used_is_told_and_the_rest_shown(tmp_path):
    folder = a_folder(tmp_path / "run", [a_round(number) for number in range(3)])
    (folder / EXPERIMENT).write_text("code = 'no_such_code(n)'\n")
    page, _ = report(folder)
    assert "the code cannot be made" in page.text
    assert len(page.images) == 6
    (folder / EXPERIMENT).unlink()
    assert "experiment.toml cannot be read" in read_run(folder).trouble


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / HISTORY).write_text("nonsense\n"), "must be one JSON object"),
        (lambda folder: (folder / CHUNKS).write_text("a,b\n"), "must have the columns"),
        (lambda folder: (folder / CHUNKS).unlink(), "must hold chunks.csv"),
        (lambda folder: (folder / "summary.json").write_text("[]"), "must be one JSON object"),
        (
            lambda folder: (folder / HISTORY).write_text(2 * (folder / HISTORY).read_text()),
            "must be 1, got 0",
        ),
    ],
)
def test_files_that_cannot_be_used_are_told_in_one_line(tmp_path, spoil, says):
    folder = a_folder(tmp_path / "run", [a_round(0)])
    spoil(folder)
    with pytest.raises(InvalidData, match=says) as caught:
        write_report(folder, None)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_that_is_no_run_is_told_in_one_line(tmp_path):
    with pytest.raises(InvalidData, match="must exist"):
        write_report(tmp_path / "nowhere", None)
    with pytest.raises(InvalidData, match="must hold"):
        write_report(tmp_path, None)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidData, match="must hold"):
        write_report(tmp_path / "file", None)
    folder = a_folder(tmp_path / "run", [])
    with pytest.raises(InvalidSpec, match="--out"):
        write_report(folder, tmp_path / "file")


# ---- the numbers ----------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_records(tmp_path):
    run = read_run(a_folder(tmp_path / "run", [a_round(number) for number in range(10)]))
    held = key_numbers(run)
    # 3 places with 0.01 s and a straggler with 0.05 s; each chunk is used once and computed twice.
    assert held["used_seconds"] == pytest.approx(10 * (3 * 0.01 + 0.05))
    assert held["rescued_seconds"] == pytest.approx(10 * 0.05)
    assert held["wasted_share"] == pytest.approx(0.5)
    assert (held["rounds"], held["exact_share"], held["p50_seconds"]) == (10, 1.0, 0.03)
    first = place_rows(run)[0]
    assert (first.place, first.straggled, first.lost, first.contributed) == (1, 10, 0, 10)
    assert (first.seconds, first.factor) == (pytest.approx(0.05), pytest.approx(5.0))
    assert (first.used, first.others, first.workers) == (10, 10, ("w1",))


def test_ignoring_stragglers_waits_for_all_but_the_slowest_s(tmp_path):
    """The plan stands one straggler: place 1 is not waited for, the others need 0.01 s for their share."""
    run = read_run(a_folder(tmp_path / "run", [a_round(number) for number in range(10)]))
    assert make_code("cyclic_repetition(n, 1)", 4).n_stragglers == run.n_ignored == 1
    assert ignoring_wait(run) == (10, pytest.approx(0.1), pytest.approx(0.3))


def test_ignoring_waits_for_ever_when_more_are_lost_than_it_ignores(tmp_path):
    records = [a_round(0), a_round(1, lost=(2, 3)), a_round(2, lost=(2,))]
    run = read_run(a_folder(tmp_path / "run", records))
    assert np.isfinite(run.work.ignoring).tolist() == [True, False, True]
    # In the last round place 2 is the one left out, and the straggler is waited for.
    assert run.work.ignoring[2] == pytest.approx(0.05)


def test_without_ignoring_anybody_the_wait_is_that_of_an_uncoded_round():
    """The same rule as the master's for the uncoded round."""
    record = a_round(0, seconds=0.2)
    held = {0: [0.1, 0.3, 0.2], 1: [0.4], 2: []}
    times = waits(held, {0: 0.2, 1: 0.4, 2: 0.7}, replace(record, lost=(3,)), 4, chunks_each=1)
    assert times == [0.2, 0.4, 0.7, math.inf]
    # Who did not finish so many chunks is waited for at least until the round's end.
    assert waits({0: [0.01]}, {0: 0.01}, record, 1, chunks_each=2) == [0.2]


def test_the_waiting_curve_ends_at_the_summary(tmp_path):
    from gradcode.report.pictures import uncoded_curve

    records = [a_round(number, lost=(2,) if number in (3, 4, 8, 9) else ()) for number in range(10)]
    run = read_run(a_folder(tmp_path / "run", records))
    curve, n = uncoded_curve(run)
    wait = uncoded_wait(records)
    assert (n, wait.endless_from) == (8, 8)
    assert curve[n - 1] == pytest.approx(wait.seconds)
    assert np.isnan(curve[n:]).all()


def test_memory_is_bounded_whatever_the_size():
    records = [a_record(number) for number in range(5000)]
    work = Work(records, 2000, 1.0, 1)
    assert work.seconds.size <= MOST_CELLS + 2000
    for number in range(0, 5000, 10):
        work.add(ChunkRow(1999, "w", number, 0, 0.1, 0.1, "used"))
    work.close()
    assert work.counts.sum() == 500
    assert work.by_state[STATES.index("used")].sum() == pytest.approx(50.0)


def test_notes_in_the_middle_of_very_many_are_left_out(tmp_path):
    records = [a_record(number, events=(f"note {number}",)) for number in range(MOST_EVENTS + 50)]
    run = read_run(a_folder(tmp_path / "run", records))
    assert len(run.events) == MOST_EVENTS
    assert run.n_events == MOST_EVENTS + 50
    assert (run.events[0], run.events[-1]) == ((0, "note 0"), (MOST_EVENTS + 49, f"note {MOST_EVENTS + 49}"))


# ---- comparing ------------------------------------------------------------------------------------------


def two_runs(tmp_path: Path) -> list[Path]:
    slow = [replace(a_round(number), start_seconds=0.4 * number, seconds=0.3) for number in range(4)]
    return [
        a_folder(tmp_path / "a", [a_round(number, score=0.1 * number) for number in range(8)]),
        a_folder(tmp_path / "b", slow, code="uncoded(n)", **{"deadline": {"rule": "none"}}),
    ]


def test_runs_are_compared_at_a_loss_that_all_reached(tmp_path):
    found = compared([read_run(folder) for folder in two_runs(tmp_path)])
    assert found.labels == ["a", "b"]
    assert found.loss == pytest.approx(0.25)
    assert [held["rounds_to_common_loss"] for held in found.numbers] == [4, 4]
    assert [held["seconds_to_common_loss"] for held in found.numbers] == pytest.approx([0.63, 1.5])
    assert found.score is None


def test_only_fields_that_differ_are_shown(tmp_path):
    found = compared([read_run(folder) for folder in two_runs(tmp_path)])
    assert found.differences == {
        "code": ["cyclic_repetition(n, 1)", "uncoded(n)"],
        "deadline.rule": ["adaptive", "none"],
    }


def test_a_comparison_as_json(tmp_path, capsys):
    compare_runs(two_runs(tmp_path), None, "json")
    held = json.loads(capsys.readouterr().out)
    assert [run["label"] for run in held["runs"]] == ["a", "b"]
    assert held["runs"][1]["p50_seconds"] == 0.3
    assert held["differences"]["code"] == ["cyclic_repetition(n, 1)", "uncoded(n)"]


def test_a_comparison_as_a_table_and_a_page(tmp_path, capsys):
    folders = [*two_runs(tmp_path), a_folder(tmp_path / "empty", [], finish=False)]
    compare_runs(folders, tmp_path / "compared.html", "text")
    text = capsys.readouterr().out
    for word in ("0.3 s", "exact / approximate / failed", "uncoded(n)", "compared.html"):
        assert word in text
    page = Page((tmp_path / "compared.html").read_text(encoding="utf-8"))
    assert len(page.images) == 2
    assert all(address.startswith("data:") for address in page.addresses)
    assert "empty" in page.text


def test_the_same_run_twice_has_two_names(tmp_path, capsys):
    folder = a_folder(tmp_path / "run", [a_round(0)])
    compare_runs([folder, folder], None, "text")
    text = capsys.readouterr().out
    assert "run (2)" in text
    assert "The experiments are the same." in text


def test_comparing_needs_two_runs_and_an_html_file(tmp_path):
    folder = a_folder(tmp_path / "run", [a_round(0)])
    with pytest.raises(InvalidSpec, match="two runs or more"):
        compare_runs([folder], None, "text")
    with pytest.raises(InvalidSpec, match=r"must end in \.html"):
        compare_runs([folder, folder], tmp_path / "out.pdf", "text")
    with pytest.raises(InvalidSpec, match="must be writable"):
        compare_runs([folder, folder], tmp_path / "nowhere" / "out.html", "text")
    with pytest.raises(InvalidData, match="must exist"):
        compare_runs([folder, tmp_path / "nowhere"], None, "text")
