"""Some inputs for every decoder of foreign bytes, and those that were found once."""

from __future__ import annotations

import hashlib
import json
import random
import time

import pytest

from common.errors import GradcodeError, InvalidData, InvalidSpec
from common.experiment import load_experiment
from common.folder import read_summary
from common.history import record_from_json
from common.spec import make_code
from gradcode.lab import fuzz
from gradcode.lab.fuzz_targets import Target, targets
from gradcode.lab.mutations import Mutator, change_field, join_fields, split_fields
from master import checkpoint

TARGETS = targets()
INPUTS = 60_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_copes_with_whatever_comes(name, tmp_path):
    target = TARGETS[name]
    count = fuzz.shares(list(TARGETS.values()), INPUTS)[name]
    with fuzz.watched():
        done, found = fuzz.fuzz(target, seed=7, n_inputs=count)
    assert found is None, f"{found.what}: {found.save(tmp_path)}"
    assert done == count


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_valid_is_among_the_inputs(name):
    """A mutator that only makes noise would find nothing: some inputs must be accepted, and some refused."""
    target = TARGETS[name]
    rng = random.Random(1)
    accepted = refused = 0
    for _ in range(400):
        try:
            target.decode(target.make(rng))
            accepted += 1
        except GradcodeError:
            refused += 1
        if accepted and (refused or name == "control"):
            return
    raise AssertionError(f"{accepted} accepted, {refused} refused")


def planted(decode) -> Target:
    return Target("planted", Mutator([b"abc"]).make, decode, 1, seconds=0.2)


def crash(data: bytes) -> None:
    raise KeyError(data)


def hang(data: bytes) -> None:
    while True:
        pass


def swallow(data: bytes) -> None:
    bytearray(8 << 30)


def babble(data: bytes) -> None:
    raise InvalidData("a", "b", "c")


@pytest.mark.parametrize(
    ("decode", "said"), [(crash, "KeyError"), (hang, "more than 0.2 s"), (swallow, "MemoryError")]
)
def test_what_must_not_happen_is_found_and_can_be_replayed(decode, said, tmp_path):
    target = planted(decode)
    with fuzz.watched():
        done, found = fuzz.fuzz(target, seed=1, n_inputs=10)
        assert done == 1
        assert found is not None
        assert said in found.what
        again = fuzz.try_input(target, found.save(tmp_path).read_bytes())
        assert again is not None
        assert said in again.what
        assert fuzz.fuzz(planted(babble), seed=1, n_inputs=10) == (10, None)


def test_the_same_seed_makes_the_same_inputs():
    made = [[TARGETS["request"].make(rng) for _ in range(50)] for rng in (random.Random(5), random.Random(5))]
    assert made[0] == made[1]
    assert len(set(made[0])) > 40


def test_the_command_counts_and_ends_with_0_or_1(tmp_path, capsys, monkeypatch):
    assert fuzz.main(["--inputs", "50", "--target", "fetch", "--folder", str(tmp_path)]) == 0
    assert "50 inputs" in capsys.readouterr().out
    monkeypatch.setattr(fuzz, "targets", lambda: {"planted": planted(crash)})
    assert fuzz.main(["--inputs", "50", "--folder", str(tmp_path)]) == 1
    (written,) = tmp_path.iterdir()
    assert str(written) in capsys.readouterr().out
    assert fuzz.main(["--target", "planted", "--replay", str(written)]) == 1


def test_fields_are_changed_and_put_together_again():
    message = join_fields([(1, 0, b"\x05"), (2, 2, b"name"), (3, 1, bytes(8)), (4, 5, bytes(4))])
    assert join_fields(split_fields(message)) == message
    rng = random.Random(3)
    assert len({change_field(message, rng) for _ in range(200)}) > 100


HEADER = json.dumps(
    {
        "run": "r", "written_unix_seconds": 1.0, "mark": {}, "numbers": {},
        "snapshot": {
            "round": 1, "epoch": 1, "code": "c", "wanted": 1, "n_places": 1, "n_linked": 1,
            "run_seconds": 1.0, "skips": 0, "chronicle": {}, "experience": {}, "members": {},
        },
        "arrays": [{"name": "a", "dtype": ",", "shape": []}],
    }
)  # fmt: skip


# ---- found once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "{a=" * 3000, "a = " + "9" * 5000])
def test_toml_that_is_too_deep_or_too_long_is_refused_in_one_line(text, tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    with pytest.raises(InvalidSpec, match="line 1: must be TOML"):
        load_experiment(file)
    with pytest.raises(InvalidSpec):
        load_experiment(None, [f"rounds={text.partition('= ')[2]}"])


def test_values_that_cannot_be_shown_do_not_hide_the_error():
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]
    assert "cannot be shown" in str(InvalidSpec("a", "must be b", nested))
    assert "cannot be shown" in str(InvalidSpec("a", "must be b", 10**5000))


def test_errors_are_one_line_that_a_terminal_can_show():
    error = InvalidData("column a\nb", "must be c\x1b[31m", "d")
    assert str(error) == "column a b: must be c [31m, got 'd'"


def test_json_that_is_too_deep_is_refused_in_one_line(tmp_path):
    with pytest.raises(InvalidData):
        record_from_json("[" * 100_000)
    (tmp_path / "summary.json").write_text(json.dumps({})[:-1] + '"a":' + "[" * 100_000)
    with pytest.raises(InvalidData):
        read_summary(tmp_path)


@pytest.mark.parametrize(
    ("text", "n_workers"),
    [
        ("cyclic_repetition(1000000000, 3)", 8),
        ("uncoded(1000000000)", 8),
        ("grouped(cyclic_repetition(1000000, 3), n)", 12),
        ("scheduled(n, 3, 1000000000)", 8),
        ("uncoded(n, chunks_per_worker=10000000)", 8),
        ("all_subsets(n, 50)", 100),
    ],
)
def test_codes_that_are_too_large_are_refused_at_once(text, n_workers):
    began = time.process_time()
    with pytest.raises(InvalidSpec):
        make_code(text, n_workers)
    assert time.process_time() - began < 0.5


def test_a_large_bipartite_plan_takes_no_square_of_memory():
    with fuzz.watched(), pytest.raises(InvalidSpec, match="solved by least squares"):
        make_code("bipartite(n)", 30_000)


@pytest.mark.parametrize("header", ["[" * 5000, '{"run": 1' + "0" * 400 + "}", "[1]", HEADER])
def test_checkpoints_of_strange_shape_are_refused_in_one_line(header):
    body = header.encode() + b"\n"
    digest = hashlib.sha256(body).hexdigest().encode()
    with pytest.raises(InvalidData, match="must hold a run's state"):
        checkpoint.decode(b"gradcode checkpoint 1\n" + digest + b"\n" + body, "checkpoint")
