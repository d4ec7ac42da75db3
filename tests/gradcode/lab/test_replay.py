from __future__ import annotations

import dataclasses

import pytest

from common.errors import InvalidData
from common.experiment import Experiment, to_toml
from common.folder import RunFolder
from common.history import ChunkRow
from gradcode.lab.learning import simulate
from gradcode.lab.replay import Replay, read_replay

EXPERIMENT = Experiment(
    workers=4,
    code="partial_stragglers(n, 2, 2)",
    rounds=8,
    evaluate_every=0,
    deadline={"rule": "none"},
    delays={"distribution": "shifted_exponential", "seconds": 0.01, "mean_seconds": 0.02, "seed": 5},
)


def row(place: int, number: int, chunk: int, seconds: float) -> ChunkRow:
    return ChunkRow(place, f"w{place}", number, chunk, seconds, 1.0, "used")


def written(folder, experiment, rows=None):
    """A run's folder, of the simulated run."""
    records = simulate(experiment, learning=False, n_workers=4).play()
    with RunFolder(folder) as run:
        run.write_experiment(to_toml(experiment))
        for record in records:
            run.add(record if rows is None else dataclasses.replace(record, chunks=tuple(rows)))
    return records


ROWS = [row(0, 1, 2, 0.12), row(0, 1, 3, 0.13), row(0, 3, 0, 0.30), row(1, 0, 0, 1.0), row(1, 4, 1, 2.0)]


@pytest.mark.parametrize(
    ("place", "number", "chunk", "expected"),
    [
        (0, 1, 3, 0.13),  # its own record
        (0, 1, 4, 0.12),  # others of the round, in turn
        (0, 1, 5, 0.13),
        (0, 2, 3, 0.13),  # the nearest earlier round
        (0, 4, 1, 0.30),
        (0, 0, 2, 0.12),  # none earlier: the first
        (1, 3, 9, 1.0),
        (0, 6, 2, 0.12),  # five rounds, then again
        (7, 0, 0, 0.30),  # never reported: the median
    ],
)
def test_what_is_replayed(place, number, chunk, expected):
    assert Replay(ROWS, n_chunks=10).chunk_seconds(place, number, chunk) == expected


def test_a_replay_of_a_run_is_the_run(tmp_path):
    """Every chunk was recorded, so the same code has the same rounds."""
    records = written(tmp_path / "run", EXPERIMENT)
    replay = read_replay(tmp_path / "run")
    assert replay.n_chunks == 8
    again = simulate(EXPERIMENT, learning=False, source=replay).play()
    # What was in hand when the run ended was not recorded.
    times = [[record.seconds for record in each[:-1]] for each in (again, records)]
    assert times[0] == pytest.approx(times[1])


def test_workers_that_joined_are_counted(tmp_path):
    joined = EXPERIMENT.model_copy(update={"workers": "joined"})
    written(tmp_path / "run", joined)
    assert read_replay(tmp_path / "run").n_chunks == 8


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "chunks.csv: must hold at least one chunk"),
        ([row(0, 0, 8, 1.0)], "chunks.csv chunk: must be from 0 to 7, got 8"),
        ([row(0, 0, 0, float("nan"))], "chunks.csv seconds: must be at least 0 and finite, got nan"),
        ([row(-1, 0, 0, 1.0)], "chunks.csv place: must be at least 0, got -1"),
    ],
)
def test_bad_rows(tmp_path, rows, text):
    written(tmp_path / "run", EXPERIMENT, rows)
    with pytest.raises(InvalidData, match=text):
        read_replay(tmp_path / "run")


def test_bad_folders(tmp_path):
    with pytest.raises(InvalidData, match=r"run folder: must hold chunks.csv"):
        read_replay(tmp_path)
    written(tmp_path / "run", EXPERIMENT)
    (tmp_path / "run" / "experiment.toml").write_text("code = 3")
    with pytest.raises(InvalidData, match=r"recorded experiment.toml: must be usable") as caught:
        read_replay(tmp_path / "run")
    assert "\n" not in str(caught.value)
    (tmp_path / "run" / "experiment.toml").unlink()
    with pytest.raises(InvalidData, match=r"run folder: must hold experiment.toml"):
        read_replay(tmp_path / "run")
