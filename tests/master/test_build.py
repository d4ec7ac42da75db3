"""What is too large is refused before the run begins, in one line that names the limit."""

from __future__ import annotations

import pytest

from common.errors import InvalidData, InvalidSpec
from common.experiment import load_experiment
from master import build


def prepared(*overrides: str) -> None:
    experiment = load_experiment(
        None, ["data.source=synthetic(rows=60, features=4)", "workers=4", *overrides]
    )
    dataset = build.build_dataset(experiment)
    model = build.build_model(experiment, dataset)
    build.build_code(experiment, dataset, model.n_parameters, 4)


@pytest.mark.parametrize(
    ("limit", "needed"), [("limits.parameters=4", "5 parameters"), ("limits.chunks=31", "32 chunks")]
)
def test_what_is_beyond_a_limit_is_refused(limit, needed):
    field, _, value = limit.partition("=")
    with pytest.raises(InvalidSpec, match=f"{field}: must be at least the {needed}.*got {value}"):
        prepared(limit)
    prepared(f"{field}={int(value) + 1}")


def test_too_little_memory_for_the_messages_of_a_round_is_refused():
    with pytest.raises(InvalidSpec, match=r"limits\.master_memory_mb: must hold the messages"):
        prepared("data.source=synthetic(rows=60, features=100000)", "limits.master_memory_mb=1")


def test_a_data_file_beyond_the_limit_is_refused(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a,y\n" + "1.0,2\n" + "2.0,1\n" * 200_000, encoding="utf-8")
    with pytest.raises(InvalidData, match=r"must hold at most 1 MB \(limits.data_mb\)"):
        prepared(f"data.source={file}", "data.target=y", "limits.data_mb=1")
    prepared(f"data.source={file}", "data.target=y", "limits.data_mb=2")


def test_links_go_with_the_workers_unless_they_are_set():
    assert build.build_limits(load_experiment(None, ["workers=8"])).links == 80
    few = build.build_limits(load_experiment(None, ["limits.links=5", "limits.queued_mb=1"]))
    assert (few.links, few.links_per_host, few.queued_bytes) == (5, 5, 1 << 20)
