"""Checkpoints as files: whole, of this run, the last few; and where they are kept."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from common.errors import InvalidData, InvalidSpec
from common.reopening import Mark
from master.checkpoint import Checkpoint, Checkpoints, decode, encode
from master.optimizers import ConstantRate, make_optimizer
from master.resume import newest_usable
from master.snapshot import CheckpointTimes, Snapshot
from master.stores import FolderStore, make_store


def a_snapshot(number: int = 3) -> Snapshot:
    return Snapshot(
        round=number,
        epoch=1,
        code="uncoded(2)",
        wanted=3,
        n_places=2,
        n_linked=1,
        run_seconds=2.0,
        skips=1,
        chronicle={"score": None},
        experience={"few": {"0": 1}},
        members={"former": {"ä": 1}},
    )


def a_checkpoint(number: int = 3, run: str = "abc", length: int = 0) -> Checkpoint:
    optimizer = make_optimizer("nesterov", np.array([0.1, -2.5e-300, 7.0]), ConstantRate(0.5))
    optimizer.step(np.array([1.0, float(number), -1.0]))
    return Checkpoint(
        run=run,
        written_unix_seconds=1.5,
        mark=Mark(length, length),
        snapshot=a_snapshot(number),
        optimizer=optimizer.state(),
    )


@pytest.fixture(params=["folder", "url"])
def store(request, tmp_path):
    if request.param == "folder":
        return make_store(str(tmp_path / "kept"), Path("unused"), "abc")
    return make_store(f"memory://{uuid.uuid4().hex}", Path("unused"), "abc")


def test_what_is_written_is_read_bit_by_bit():
    before = a_checkpoint()
    after = decode(encode(before), "it")
    assert (after.run, after.mark, after.snapshot) == (before.run, before.mark, before.snapshot)
    assert after.optimizer.keys() == before.optimizer.keys()
    for key, value in before.optimizer.items():
        assert np.array_equal(after.optimizer[key], value)
        assert np.asarray(after.optimizer[key]).dtype == np.asarray(value).dtype
    assert encode(after) == encode(before)


def test_it_says_of_itself_what_it_is():
    first, digest, header = encode(a_checkpoint()).split(b"\n")[:3]
    assert first == b"gradcode checkpoint 1"
    assert len(digest) == 64
    assert b'"run": "abc"' in header


def test_whatever_byte_is_changed_or_missing_is_found():
    data = encode(a_checkpoint())
    rng = np.random.default_rng(0)
    for at in {0, 25, len(data) - 1, *rng.integers(len(data), size=60).tolist()}:
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(InvalidData, match="it: must be"):
            decode(bytes(changed), "it")
        with pytest.raises(InvalidData, match="it: must be"):
            decode(data[:at], "it")


def test_the_last_few_are_kept_and_those_of_another_future_go(store):
    checkpoints = Checkpoints(store, "abc", keep=2)
    for number in (10, 20, 30):
        checkpoints.write(a_checkpoint(number))
    assert checkpoints.names() == ["round-0000000020.checkpoint", "round-0000000030.checkpoint"]
    checkpoints.write(a_checkpoint(25))
    assert checkpoints.names() == ["round-0000000020.checkpoint", "round-0000000025.checkpoint"]
    assert checkpoints.read(checkpoints.names()[-1]).snapshot.round == 25


def test_torn_and_foreign_ones_are_refused_by_name_and_the_one_before_is_used(store, tmp_path):
    for name in ("history.jsonl", "chunks.csv"):
        (tmp_path / name).write_text("line\n" * 2)
    checkpoints = Checkpoints(store, "abc", keep=9)
    checkpoints.write(a_checkpoint(10, length=5))
    store.write("round-0000000020.checkpoint", encode(a_checkpoint(20, length=10))[:-3])
    store.write("round-0000000030.checkpoint", encode(a_checkpoint(30, run="other")))
    store.write("round-0000000040.checkpoint", encode(a_checkpoint(40, length=15)))
    store.write("round-0000000050.checkpoint", encode(a_checkpoint(50, length=7)))
    store.write("round-0000000060.checkpoint", b"")
    later = encode(a_checkpoint(70)).replace(b"checkpoint 1", b"checkpoint 9")
    store.write("round-0000000070.checkpoint", later)
    store.write("notes.txt", b"")
    found, refused = newest_usable(checkpoints, tmp_path, lambda state: None)
    assert found is not None
    assert found.snapshot.round == 10
    whys = ["version", "a checkpoint of gradcode", "fit history", "fit history", "of run abc", "be whole"]
    assert len(refused) == len(whys)
    for number, why, text in zip((70, 60, 50, 40, 30, 20), whys, refused, strict=True):
        assert text.startswith(f"checkpoint round-00000000{number}.checkpoint: must")
        assert why in text


def test_a_state_of_another_model_is_refused(store, tmp_path):
    checkpoints = Checkpoints(store, "abc", keep=9)
    checkpoints.write(a_checkpoint(10))
    other = make_optimizer("nesterov", np.zeros(4), ConstantRate(0.5))
    assert newest_usable(checkpoints, tmp_path, other.restore)[0] is None


def test_what_a_writer_that_died_has_left_is_removed(store):
    store.write("round-0000000020.checkpoint.new", b"torn")
    store.write("round-0000000020.checkpoint", b"whole")
    store.tidy()
    assert store.names() == ["round-0000000020.checkpoint"]


def full(number: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / "kept")
    store.write("a", b"before")
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.write("a", b"after")
    assert (store.names(), store.read("a")) == (["a"], b"before")


@pytest.mark.parametrize(
    ("url", "rule"),
    [("nosuch://x", "must be a URL that fsspec knows"), ("dask://x", "needs more to be installed")],
)
def test_a_url_that_cannot_be_used_is_told(url, rule):
    with pytest.raises(InvalidSpec, match=rule):
        make_store(url, Path("unused"), "abc")


def test_without_fsspec_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(InvalidSpec, match=r"checkpoint.url: needs the extra cloud: .*'gradcode\[cloud\]'"):
        make_store("memory://x", Path("unused"), "abc")


def test_a_snapshot_comes_back_and_what_is_none_is_refused():
    plain = a_snapshot().to_plain()
    assert Snapshot.from_plain({**plain, "of a later version": 1}) == a_snapshot()
    for field in plain:
        with pytest.raises(InvalidData, match=f"snapshot {field}"):
            Snapshot.from_plain({**plain, field: None})


@pytest.mark.parametrize(
    ("every_seconds", "every_rounds", "expected"),
    [(None, None, []), (2.0, None, [4, 6, 8]), (None, 3, [5, 8]), (3.5, 2, [4, 6, 8])],
)
def test_checkpoints_are_due_by_time_or_by_rounds(every_seconds, every_rounds, expected):
    times = CheckpointTimes(every_seconds, every_rounds, now=10.0, n_rounds=2)
    due = [n for n in range(2, 10) if times.due(n, 10.0 + (n - 2))]
    assert due == expected
    assert times.worthwhile(9) is bool(expected)
    assert times.worthwhile(8) is False
