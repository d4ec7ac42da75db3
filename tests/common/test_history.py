from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InvalidData
from common.history import ChunkRow, RoundRecord, record_from_json, summarise, to_json

EXAMPLE = RoundRecord(
    round=3,
    outcome="approximate",
    end="deadline",
    reason="the deadline of 0.4 s passed with 7 of 8 chunks",
    stepped=True,
    loss=0.25,
    loss_share=0.875,
    residual=1.0,
    recovered_fraction=0.875,
    noise_amplification=1.5,
    deadline_seconds=0.4,
    start_seconds=1.5,
    seconds=0.45,
    collect_seconds=0.02,
    solve_seconds=0.001,
    combine_seconds=0.002,
    step_seconds=0.003,
    gradient_norm=0.7,
    score=None,
    stragglers=(3,),
    contributors=(0, 1, 2, 4),
    lost=(),
    bytes_sent=100,
    bytes_received=200,
    chunks_used=7,
    chunks_duplicate=2,
    chunks_late=1,
    chunks_wasted=0,
    straggler_chunks_used=1,
    uncoded_seconds=None,
    epoch=0,
    events=("w-3 left place 3",),
    chunks=(ChunkRow(0, "w-0", 3, 5, 0.02, 0.03, "used"),),
)

FLOATS = st.floats()
OPTIONAL = st.none() | FLOATS
COUNTS = st.integers(0, 2**60)
PLACES = st.tuples() | st.tuples(COUNTS) | st.tuples(COUNTS, COUNTS)
BY_TYPE = {
    "int": COUNTS,
    "float": FLOATS,
    "float | None": OPTIONAL,
    "int | None": st.none() | COUNTS,
    "bool | None": st.none() | st.booleans(),
    "bool": st.booleans(),
    "str": st.text(),
    "OutcomeKind": st.sampled_from(["exact", "approximate", "failed"]),
    "End": st.sampled_from(["exact", "enough", "deadline", "exhausted", "stopped"]),
    "tuple[int, ...]": PLACES,
    "tuple[str, ...]": st.lists(st.text(), max_size=3).map(tuple),
}
RECORDS = st.builds(
    RoundRecord,
    **{f.name: BY_TYPE[str(f.type)] for f in dataclasses.fields(RoundRecord) if f.name != "chunks"},
)


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@settings(max_examples=50, deadline=None)
@given(RECORDS)
def test_a_record_is_one_line_of_strict_json_and_comes_back(record):
    line = to_json(record)
    assert "\n" not in line
    assert "\r" not in line
    json.loads(line, parse_constant=refuse_constant)
    assert to_json(record_from_json(line)) == line
    # NaN is not equal to itself; without it the record itself is the same.
    if not any(isinstance(each, float) and math.isnan(each) for each in dataclasses.astuple(record)):
        assert record_from_json(line) == record


def test_numpy_numbers_are_written_as_numbers():
    record = dataclasses.replace(
        EXAMPLE,
        residual=np.float64(2.5),
        loss=np.float32("nan"),
        chunks_used=np.int64(7),
        stepped=np.bool_(True),
        stragglers=(np.int64(3),),
    )
    held = json.loads(to_json(record))
    assert (held["residual"], held["loss"], held["chunks_used"]) == (2.5, "nan", 7)
    assert (held["stepped"], held["stragglers"]) == (True, [3])


def test_chunks_are_no_part_of_the_line_and_later_keys_are_passed_over():
    held = json.loads(to_json(EXAMPLE))
    assert "chunks" not in held
    later = json.dumps({**held, "temperature": 21})
    assert record_from_json(later) == dataclasses.replace(EXAMPLE, chunks=())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"round": "3"}, "history field round: must be of type int, got '3'"),
        ({"round": True}, "history field round: must be of type int, got True"),
        ({"stepped": 1}, "history field stepped: must be of type bool, got 1"),
        ({"seconds": None}, "history field seconds: must be of type float, got None"),
        ({"seconds": "soon"}, "history field seconds: must be of type float, got 'soon'"),
        ({"stragglers": [0.5]}, "history field stragglers: must be of type int, got 0.5"),
        ({"events": "x"}, "history field events: must be of type tuple[str, ...], got 'x'"),
        (
            {"outcome": "good"},
            "history field outcome: must be one of exact, approximate, failed, got 'good'",
        ),
        (
            {"end": []},
            "history field end: must be one of exact, enough, deadline, exhausted, stopped, got []",
        ),
    ],
)
def test_a_wrong_field_is_named(change, words):
    line = json.dumps({**json.loads(to_json(EXAMPLE)), **change})
    with pytest.raises(InvalidData) as caught:
        record_from_json(line)
    assert str(caught.value) == words


@pytest.mark.parametrize("line", ["", "{", "3", "[]", "\x00"])
def test_a_line_that_is_no_object_is_refused(line):
    with pytest.raises(InvalidData, match="history line: must be one JSON object"):
        record_from_json(line)


def test_a_missing_field_is_named():
    held = json.loads(to_json(EXAMPLE))
    del held["residual"]
    with pytest.raises(InvalidData, match="history line: must hold the field 'residual'"):
        record_from_json(json.dumps(held))


def test_the_summary_adds_up_the_rounds():
    exact = dataclasses.replace(
        EXAMPLE, round=4, outcome="exact", start_seconds=2.0, seconds=0.25, uncoded_seconds=1.5, score=0.9
    )
    failed = dataclasses.replace(
        EXAMPLE, round=5, outcome="failed", stepped=False, loss=None, start_seconds=2.25, seconds=0.5
    )
    held = summarise([EXAMPLE, exact, failed])
    assert (held["rounds"], held["exact"], held["approximate"], held["failed"]) == (3, 1, 1, 1)
    assert held["steps"] == 2
    assert held["seconds"] == 2.75
    assert (held["uncoded_seconds"], held["uncoded_endless_rounds"]) == (1.5, 2)
    assert (held["loss"], held["score"]) == (0.25, 0.9)
    assert (held["bytes_received"], held["straggler_chunks_used"]) == (600, 3)
    assert summarise([])["rounds"] == 0


def test_lines_of_versions_that_did_not_verify_are_read():
    held = json.loads(to_json(EXAMPLE))
    for name in (
        "verified",
        "values_audited",
        "values_compared",
        "values_wrong",
        "quarantined",
        "returned_to",
    ):
        del held[name]
    assert record_from_json(json.dumps(held)) == dataclasses.replace(EXAMPLE, chunks=())
