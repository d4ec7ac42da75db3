"""Lines of a worker's log."""

from __future__ import annotations

import json
import logging
import re

import pytest

from worker.logs import WorkerLog, configure_logs


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    held, level = root.handlers[:], root.level
    yield
    root.handlers[:] = held
    root.setLevel(level)


def test_off_a_terminal_a_line_is_json_with_all_that_is_bound(capfd):
    configure_logs()
    log = WorkerLog('a "b"')
    log.bind(run="r1", round=7)
    log.warning("it is %s", "late")
    held = json.loads(capfd.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", held.pop("timestamp"))
    assert held == {"worker": 'a "b"', "run": "r1", "round": 7, "event": "it is late", "level": "warning"}


def test_fields_are_those_of_the_masters_lines(capfd):
    import structlog

    from master.logs import configure_logs as configure_masters

    configure_logs()
    log = WorkerLog("a")
    log.bind(run="r1", round=7)
    log.info("one")
    configure_masters()
    try:
        structlog.get_logger().bind(run="r1").info("one", round=7, worker="a")
    finally:
        structlog.reset_defaults()
    ours, theirs = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert ours.keys() == theirs.keys()
    assert len(ours["timestamp"]) == len(theirs["timestamp"])
    assert (ours["level"], ours["event"]) == (theirs["level"], theirs["event"])


def test_text_is_readable_and_as_full(capfd):
    configure_logs(form="text")
    log = WorkerLog("a")
    log.bind(run="r1")
    log.error("it is late")
    assert capfd.readouterr().err.endswith("ERROR   worker: it is late worker=a run=r1\n")


def test_the_level_is_heeded(capfd):
    configure_logs("warning", "json")
    WorkerLog("a").info("one")
    assert capfd.readouterr().err == ""


def test_lines_of_libraries_and_exceptions_are_json_too(capfd):
    configure_logs()
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("asyncio").exception("gone wrong")
    held = json.loads(capfd.readouterr().err)
    assert held["event"] == "gone wrong"
    assert "KeyError: 'x'" in held["exception"]
