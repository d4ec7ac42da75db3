from __future__ import annotations

import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from common import folder as run_folder
from common.errors import GradcodeError, InvalidData, InvalidSpec
from common.folder import (
    RunFolder,
    SavedModel,
    read_chunks,
    read_history,
    read_parameters,
    read_summary,
)
from common.history import ChunkRow, RoundRecord
from common.version import __version__

NOON = datetime(2025, 3, 4, 12, 0, 0)
ROOT = Path(__file__).parents[2]


def a_record(number: int, **changes: object) -> RoundRecord:
    values: dict[str, object] = dict.fromkeys(
        [f.name for f in dataclasses.fields(RoundRecord) if f.type in ("float", "int", "float | None")], 1
    )
    places = dict.fromkeys(["stragglers", "contributors", "lost"], (0, 2))
    words = {"outcome": "exact", "end": "exact", "reason": "all chunks arrived", "stepped": True}
    return RoundRecord(**{**values, **places, **words, "round": number, **changes})


def a_row(number: int, worker: str = "w-0") -> ChunkRow:
    return ChunkRow(0, worker, number, 5, 0.1 + 0.2, 1 / 3, "used")


def test_the_folder_is_named_after_run_and_time_and_taken_names_get_a_number(tmp_path):
    names = []
    for _ in range(3):
        with RunFolder.create(tmp_path / "runs", "demo", NOON) as folder:
            names.append(folder.path.name)
    assert names == ["demo-20250304-120000", "demo-20250304-120000-2", "demo-20250304-120000-3"]


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(tmp_path):
    with RunFolder(tmp_path / "a") as folder:
        folder.add(a_record(0))
    with pytest.raises(InvalidSpec, match="run folder: must not hold a run already"):
        RunFolder(tmp_path / "a")
    assert [record.round for record in read_history(tmp_path / "a")] == [0]


def test_an_empty_folder_is_taken_and_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty").close()
    (tmp_path / "file").write_text("x")
    for make in (
        lambda: RunFolder(tmp_path / "file"),
        lambda: RunFolder.create(tmp_path / "file", "demo", NOON),
    ):
        with pytest.raises(InvalidSpec) as caught:
            make()
        assert "\n" not in str(caught.value)


def test_records_and_chunks_come_back(tmp_path):
    rows = (a_row(0), a_row(0, 'host,with "odd"\nname'), dataclasses.replace(a_row(0), state="late"))
    records = [a_record(0, chunks=rows), a_record(1, residual=float("inf"), uncoded_seconds=None)]
    with RunFolder(tmp_path / "run") as folder:
        for record in records:
            folder.add(record)
        # A record is on disk when `add` returns, even before anything is closed.
        assert len(read_history(folder.path)) == 2
    assert read_history(tmp_path / "run") == [dataclasses.replace(r, chunks=()) for r in records]
    header = (tmp_path / "run" / "chunks.csv").read_text().splitlines()[0]
    assert header == "worker,place,round,chunk,seconds,arrived_seconds,state"
    found = read_chunks(tmp_path / "run")
    assert (found[0], found[2]) == (rows[0], rows[2])


def test_chunk_rows_are_held_back_for_at_most_a_second(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(run_folder.time, "monotonic", lambda: clock[0])
    with RunFolder(tmp_path / "run") as folder:
        folder.add_chunks([a_row(0)])
        assert read_chunks(folder.path) == []
        clock[0] += 1.0
        folder.add_chunks([a_row(1)])
        assert read_chunks(folder.path) == [a_row(0), a_row(1)]


def test_a_torn_last_line_is_passed_over_and_a_broken_line_in_the_middle_is_not(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.add(a_record(0, chunks=(a_row(0),)))
        folder.add(a_record(1, chunks=(a_row(1),)))
    for name, read in (("history.jsonl", read_history), ("chunks.csv", read_chunks)):
        file = tmp_path / "run" / name
        whole = file.read_bytes()
        for cut in range(1, 40):
            file.write_bytes(whole[:-cut])
            assert len(read(tmp_path / "run")) == 1
        file.write_bytes(whole.replace(b"w-0", b"w-0,x", 1).replace(b'"residual"', b'"r"', 1))
        with pytest.raises(InvalidData) as caught:
            read(tmp_path / "run")
        assert "\n" not in str(caught.value)


def test_the_folder_of_a_killed_master_is_readable(tmp_path):
    script = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from test_folder import RunFolder, a_record, a_row
folder = RunFolder({str(tmp_path / "run")!r})
folder.write_experiment("rounds = 2")
folder.add(a_record(0, chunks=(a_row(0),)))
folder.add(a_record(1, chunks=(a_row(1),)))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [record.round for record in read_history(tmp_path / "run")] == [0, 1]
    assert read_chunks(tmp_path / "run") == []
    assert read_summary(tmp_path / "run") is None


def test_finishing_writes_the_summary_once_everything_else_is_there(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.add(a_record(0, seconds=0.5, start_seconds=0.0, chunks=(a_row(0),)))
    summary = folder.finish("all 1 rounds done", 0, score=0.75, nothing=float("nan"))
    assert read_summary(folder.path) == {**summary, "nothing": "nan"}
    assert (summary["exit_code"], summary["exact"], summary["score"]) == (0, 1, 0.75)
    assert (summary["reason"], summary["seconds"]) == ("all 1 rounds done", 0.5)
    assert read_chunks(folder.path) == [a_row(0)]
    assert sorted(os.listdir(folder.path)) == ["chunks.csv", "history.jsonl", "summary.json"]


@pytest.mark.parametrize(
    "classes", [None, np.array([0, 1, 9]), np.array(["ja", "né"]), np.array(["a", "b"], dtype=object)]
)
def test_parameters_come_back_without_pickle(tmp_path, classes):
    model = SavedModel(
        model="softmax",
        parameters=np.arange(6.0).reshape(3, 2),
        n_features=2,
        n_outputs=3,
        intercept=False,
        classes=classes,
        mean=None if classes is None else np.array([0.1, 0.2]),
        feature_names=() if classes is None else ("höhe", "b"),
        target="y",
    )
    with RunFolder(tmp_path / "run") as folder:
        folder.write_parameters(dataclasses.replace(model, n_features=99))
        folder.write_parameters(model)
    with np.load(tmp_path / "run" / "parameters.npz") as plain:
        assert plain["parameters"].dtype == np.float64
    for path in (tmp_path / "run", tmp_path / "run" / "parameters.npz"):
        found = read_parameters(path)
        assert (found.model, found.n_features, found.n_outputs) == ("softmax", 2, 3)
        assert (found.intercept, found.target, found.scale) == (False, "y", None)
        assert found.feature_names == model.feature_names
        np.testing.assert_array_equal(found.parameters, model.parameters)
        for name in ("classes", "mean"):
            want, have = getattr(model, name), getattr(found, name)
            assert have is None if want is None else have.tolist() == want.tolist()


def test_the_environment_names_versions_and_no_machine(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.write_environment()
    text = (tmp_path / "run" / "environment.json").read_text()
    held = json.loads(text)
    assert held["packages"]["numpy"] == np.__version__
    assert held["python"] == platform.python_version()
    assert held["gradcode"] == __version__
    assert platform.node() not in text


@pytest.mark.parametrize("read", [read_history, read_chunks, read_parameters, read_summary])
def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path, read):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(GradcodeError) as caught:
            read(path)
        assert "No such file" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "read"),
    [("parameters.npz", read_parameters), ("summary.json", read_summary), ("chunks.csv", read_chunks)],
)
@pytest.mark.parametrize("content", [b"", b"\x00\xff\x01", b"PK\x03\x04 torn", b"[]\n"])
def test_a_foreign_file_is_refused_in_one_line(tmp_path, name, read, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_pickled_parameters_are_refused(tmp_path):
    np.savez(tmp_path / "parameters.npz", parameters=np.array([{}], dtype=object))
    with pytest.raises(InvalidData, match="must be a file that a run has written"):
        read_parameters(tmp_path)


def test_parameters_with_a_missing_field_name_it(tmp_path):
    np.savez(tmp_path / "parameters.npz", parameters=np.zeros(2))
    with pytest.raises(InvalidData, match=r"parameters\.npz: must hold 'model'"):
        read_parameters(tmp_path)


def test_records_outlast_a_full_disk(tmp_path, small_disk):
    disk = small_disk(tmp_path / "disk", 128 << 10)
    with RunFolder(disk.folder / "run") as folder:
        folder.add(a_record(0, chunks=(a_row(0),)))
        disk.fill()
        for number in range(1, 40):
            folder.add(a_record(number, chunks=(a_row(number),)))
        assert folder.held_bytes > 0
        there = [record.round for record in read_history(disk.folder / "run")]
        assert there == list(range(len(there)))
        disk.free()
        folder.add(a_record(40))
    assert [record.round for record in read_history(disk.folder / "run")] == list(range(41))
    assert [row.round for row in read_chunks(disk.folder / "run")] == list(range(40))
