"""Lines of the master's log, of real rounds."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from common.experiment import load_experiment
from common.folder import read_history
from gradcode.local import run_in_process
from master.logs import configure_logs

pytestmark = pytest.mark.xdist_group("processes")
SMALL = ("workers=4", "rounds=6", "data.source=synthetic(rows=64, features=3)")


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    held, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = held
    root.setLevel(level)


async def lines_of(tmp_path, capfd, *changes: str, level: str = "info") -> list[dict]:
    """The lines that a run logs, and its history beside them."""
    configure_logs(level, "json")
    await run_in_process(load_experiment(None, [*SMALL, *changes]), tmp_path / "run", 4)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    return [line for line in lines if "event" in line]


async def test_exact_rounds_are_told_at_debug_only_and_chunks_never(tmp_path, capfd):
    lines = await lines_of(tmp_path, capfd, "on_shortfall=wait")
    joined = [line for line in lines if line.get("kind") == "joined"]
    assert len(joined) == 4
    assert {line["worker"] for line in joined} == set("abcd")
    run = {line["run"] for line in lines if "run" in line}
    assert len(run) == 1
    assert all(line.keys() >= {"event", "level", "timestamp"} for line in lines)
    assert not [line for line in lines if line["event"].startswith("the round is")]


async def test_at_debug_every_round_is_told(tmp_path, capfd):
    lines = await lines_of(tmp_path, capfd, "on_shortfall=wait", level="debug")
    told = [line for line in lines if line["event"] == "the round is exact"]
    assert [(line["round"], line["level"]) for line in told] == [(number, "debug") for number in range(6)]


@pytest.mark.parametrize(
    ("changes", "event", "level"),
    [
        (
            ("code=ignore_stragglers(n, 1)", "delays.distribution=constant", "delays.seconds=0.005",
             "delays.factors={1 = 20.0}"),
            "the round is approximate",
            "info",
        ),
        (
            ("code=ignore_stragglers(n, 1)", "deadline.rule=fixed", "deadline.seconds=0.0001",
             "on_shortfall=skip", "delays.distribution=constant", "delays.seconds=0.02"),
            "the round is failed",
            "warning",
        ),
    ],
)  # fmt: skip
async def test_every_outcome_that_is_not_exact_is_told_with_its_reason(
    tmp_path, capfd, changes, event, level
):
    lines = await lines_of(tmp_path, capfd, *changes)
    told = [line for line in lines if line["event"] == event]
    kind = event.removeprefix("the round is ")
    records = [each for each in read_history(tmp_path / "run") if each.outcome == kind]
    assert records
    assert [(line["round"], line["reason"], line["level"]) for line in told] == [
        (record.round, record.reason, level) for record in records
    ]


def test_lines_of_libraries_have_the_same_form(capfd):
    configure_logs("info", "json")
    logging.getLogger("asyncio").warning("slow %s", "callback")
    logging.getLogger("aiohttp").info("nothing")
    held = json.loads(capfd.readouterr().err)
    assert (held["event"], held["level"]) == ("slow callback", "warning")
    assert held["timestamp"].endswith("Z")
