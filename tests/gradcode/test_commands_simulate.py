from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import InvalidData, InvalidSpec
from common.experiment import Experiment, to_toml
from common.folder import RunFolder
from common.spec import make_code
from gradcode import commands_simulate
from gradcode.commands_simulate import SimulateOptions, show_simulations, simulated, with_places
from gradcode.lab.learning import simulate
from gradcode.lab.replay import read_replay

ROOT = Path(__file__).parents[2]
DELAYS = {"distribution": "shifted_exponential", "seconds": 0.01, "mean_seconds": 0.02, "factors": {2: 5.0}}
EXPERIMENT = Experiment(
    code="partial_stragglers(n, 3, 4)",
    rounds=12,
    delays={
        "distribution": "shifted_exponential",
        "seconds": 0.01,
        "mean_seconds": 0.02,
        "factors": {2: 5.0},
    },
)
HISTORY = """
import sys
from common.experiment import load_experiment
from common.history import to_json
from gradcode.lab.learning import simulate
from gradcode.lab.replay import read_replay
for record in simulate(load_experiment(sys.argv[1])).play():
    print(to_json(record), record.chunks)
"""


def shown(capsys, experiment=EXPERIMENT, **more):
    """What the command prints as JSON, and as it is."""
    show_simulations(experiment, SimulateOptions(form="json", **more))
    out, err = capsys.readouterr()
    assert err == ""
    return [json.loads(line) for line in out.splitlines()], out


def run(*arguments, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_codes_are_compared_on_the_same_draws(capsys):
    (own, other), _ = shown(capsys, codes=["uncoded(n)", EXPERIMENT.code])
    assert (own["code"], other["code"]) == (make_code(EXPERIMENT.code, 8).spec, "uncoded(8)")
    plain = EXPERIMENT.model_copy(update={"code": "uncoded(n)"})
    n_drawn = make_code(EXPERIMENT.code, 8).n_chunks
    same = simulate(plain, learning=False, n_drawn=n_drawn).play()
    assert other["seconds"] == same[-1].start_seconds + same[-1].seconds
    assert simulate(plain, learning=False).play()[0].seconds != same[0].seconds


def test_the_same_call_prints_the_same(capsys):
    first, again = (shown(capsys, codes=["uncoded(n)"])[0] for _ in range(2))
    for line in [*first, *again]:
        assert line.pop("wall_seconds") > 0.0
    assert json.dumps(first) == json.dumps(again)


def test_a_history_does_not_depend_on_the_process(tmp_path):
    file = tmp_path / "experiment.toml"
    deaths = [
        {"place": 5, "kind": "death", "at_seconds": 0.3},
        {"place": 1, "kind": "death", "at_seconds": 0.5},
    ]
    delays = EXPERIMENT.delays.model_dump() | {"interruptions": deaths}
    file.write_text(to_toml(Experiment(**{**EXPERIMENT.model_dump(), "delays": delays})))
    one, other = (
        run("-c", HISTORY, str(file), cwd=tmp_path, PYTHONHASHSEED=seed).stdout for seed in ("1", "2")
    )
    assert one.count("\n") == 12
    assert one == other


def test_the_table_and_the_picture(capsys, tmp_path):
    out = tmp_path / "codes.png"
    show_simulations(EXPERIMENT, SimulateOptions(codes=["uncoded(n)"], plot=out))
    text = capsys.readouterr().out
    for word in ("p50", "p99", "residual", "wasted", "bytes", "x oracle", "2  uncoded(8)", "same draws"):
        assert word in text
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_refused_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.setattr(commands_simulate, "simulated", lambda *_: pytest.fail("played"))
    for name in ("codes.bmp", "nowhere/codes.png"):
        with pytest.raises(InvalidSpec, match="--plot"):
            show_simulations(EXPERIMENT, SimulateOptions(plot=tmp_path / name))


def test_a_recorded_run_is_replayed(capsys, tmp_path):
    calm = Experiment(**{**EXPERIMENT.model_dump(), "deadline": {"rule": "none"}})
    recorded = simulate(calm, learning=False).play()
    with RunFolder(tmp_path / "run") as folder:
        folder.write_experiment(to_toml(calm))
        for record in recorded:
            folder.add(record)
    quiet = Experiment(**{**calm.model_dump(), "delays": {}})
    again = simulated(quiet, SimulateOptions(), read_replay(tmp_path / "run"))
    # What was in hand when the run ended was not recorded.
    times = [record.seconds for record in recorded[:-1]]
    assert again.digest.round_seconds[:-1] == pytest.approx(times)
    (_, other), _ = shown(capsys, quiet, codes=["uncoded(n)"], replay=tmp_path / "run")
    assert other["exact_share"] == 1.0
    with pytest.raises(InvalidData, match="run folder"):
        shown(capsys, quiet, replay=tmp_path)


def test_latency_and_bandwidth_count():
    calm = Experiment(code="uncoded(n)", rounds=2, delays={"distribution": "constant", "seconds": 0.1})
    network = commands_simulate.Network(latency_seconds=0.05, bytes_per_second=1e5)
    held = simulated(calm, SimulateOptions(network=network)).numbers()
    way = 0.05 + held["bytes_received"] / 16 / 1e5
    assert held["p50_seconds"] == pytest.approx(0.1 + 2 * way)
    assert held["oracle_ratio"] == pytest.approx((0.1 + 2 * way) / 0.2)


def test_records_are_not_kept():
    """A run of 10,000 workers would fill the memory with them."""
    kept = []
    real = commands_simulate.simulate

    def remember(*arguments, **more):
        kept.append(real(*arguments, **more))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands_simulate, "simulate", remember)
        simulated(EXPERIMENT, SimulateOptions())
    assert kept[0].records == []


def test_delays_of_places_that_are_not_there_are_left_out():
    few = with_places(EXPERIMENT.model_copy(update={"workers": 2}))
    assert few.delays.factors == {}
    assert with_places(EXPERIMENT) == EXPERIMENT


def test_workers_and_rounds_override_the_experiment(tmp_path):
    (tmp_path / "experiment.toml").write_text(to_toml(EXPERIMENT))
    script = "from gradcode.start import main; main()"
    command = ("-c", script, "simulate", "experiment.toml", "--format", "json")
    done = run(*command, "--workers", "600", "--rounds", "2", cwd=tmp_path)
    held = json.loads(done.stdout)
    # More chunks than the data have rows: only times are drawn.
    assert (held["rounds"], held["code"]) == (2, "partial_stragglers(600, chunks_per_worker=4)")
    assert (held["oracle_rounds"], done.stderr) == (2, "")
