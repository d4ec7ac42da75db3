"""Every decoder of foreign bytes, with valid encodings to start from and the errors it may raise."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from common.codes import CODES
from common.codes.examples import EXAMPLES
from common.datasets import load_dataset
from common.errors import GradcodeError
from common.experiment import default_toml, load_experiment
from common.folder import read_chunks, read_parameters, read_summary
from common.history import record_from_json
from common.reopening import Mark
from common.spec import make_code, parse_call
from common.wire import codec, control
from common.wire import frames as wire
from common.wire.checksum import seal, unseal
from common.wire.rows import pack_rows
from gradcode.lab.mutations import Mutator
from master import checkpoint
from master.snapshot import Snapshot

Decode = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """A decoder.

    Attributes:
        name: what it is asked for by. make: the next input. decode: raises GradcodeError or nothing.
        share: of all inputs, in proportion; slow decoders get fewer. seconds: an input may take.
        close: makes bytes of others, as atheris has them, pass the checksum.
    """

    name: str
    make: Callable[[random.Random], bytes]
    decode: Decode
    share: int
    seconds: float = 2.0
    close: Callable[[bytes], bytes] = bytes


def targets() -> dict[str, Target]:
    """All of them by name."""
    found = [*_frame_targets(), *_text_targets(), *_file_targets()]
    return {each.name: each for each in found}


# ---- frames ---------------------------------------------------------------------------------------------

_STAMP = wire.Stamp("run", 1, 2, 3)


def requests() -> list[bytes]:
    """A frame of every kind that a worker sends."""
    frames: list[wire.Request] = [
        wire.Hello("worker", "0.1.0"),
        wire.Ready(3, 1),
        wire.ChunkFinished(_STAMP, 4, 0.25, 1.5, 10, True, 2, 0.01),
        wire.MessageFrame(_STAMP, 5, 8, 64, "float32", bytes(16)),
        wire.PartialSum(_STAMP, 3, 0.5),
        wire.Drain(),
        wire.Goodbye("done", True),
    ]
    return [codec.encode_request(frame) for frame in frames]


def responses() -> list[bytes]:
    """A frame of every kind that the master sends."""
    from master.build import build_dataset, build_model, build_orders

    terms = wire.Terms.of([(0, 0, 1.0), (3, 0, -0.5)])
    welcomes: list[wire.Response] = []
    for code in ("cyclic_repetition(n, 1)", "scheduled(n, 2, 2)"):
        experiment = load_experiment(
            None,
            [
                "data.source=synthetic(rows=20, features=3)",
                "workers=3",
                "delays.distribution=constant",
                "delays.seconds=0.1",
                "delays.factors={1 = 2.0}",
                'delays.interruptions=[{place = 0, kind = "freeze", at_seconds = 2.0, for_seconds = 1.0}]',
            ],
        )
        dataset = build_dataset(experiment)
        orders = build_orders(experiment, dataset, build_model(experiment, dataset))
        welcomes.append(wire.Welcome("run", "name", 1, 0, orders.order(make_code(code, 3), 0, 0)))
    frames: list[wire.Response] = [
        *welcomes,
        wire.Welcome("run", "name", 1),
        wire.StartRound(_STAMP, 1.5, 64, "float32"),
        wire.ParametersFrame(_STAMP, 0, 64, "float32", bytes(32)),
        wire.NextChunk(_STAMP, (1, 2, 3)),
        wire.Collect(_STAMP, 7, terms, 1),
        wire.AskPartialSum(_STAMP, 3, terms, 5, 1),
        wire.StopRound(_STAMP),
        wire.Drain(),
        wire.Goodbye("over"),
    ]
    return [codec.encode_response(frame) for frame in frames]


def _fetches() -> list[bytes]:
    return [codec.encode_fetch(wire.FetchRows("run", "digest", 0, 10))]


def _fetched() -> list[bytes]:
    header, payload = pack_rows(np.ones((3, 2)), np.ones(3))
    return [codec.encode_fetch_response(header), codec.encode_fetch_response(wire.RowsData(payload))]


def _sealed(seeds: Sequence[bytes]) -> Callable[[random.Random], bytes]:
    """Most inputs get the right checksum anew, so that they come further than to be called corrupt."""
    bare = Mutator([bytes(unseal(seed)) for seed in seeds], protobuf=True)
    whole = Mutator(seeds)

    def make(rng: random.Random) -> bytes:
        return seal(bare.make(rng)) if rng.random() < 0.95 else whole.make(rng)

    return make


def _frame_targets() -> list[Target]:
    asked = [control.encode_stop("why"), control.encode_rounds_request(control.RoundsRequest("run", 3))]
    watched = control.WatchedRounds("run", ("{}", "{}"), 2, control.Ending("over", 0))
    place = control.WorkerStatus(0, "w", "idle", 1, 2, 0.1, 0.2, 3, 4)
    answered = [control.encode_rounds(watched), control.encode_workers([place, place])]

    def read_control(raw: bytes) -> None:
        control_readers = (control.decode_stop, control.decode_rounds_request, control.decode_rounds)
        for read in (
            *control_readers,
            control.decode_workers,
            control.decode_status,
            control.decode_accepted,
        ):
            _quietly(read, raw)

    return [
        Target("request", _sealed(requests()), codec.decode_request, 400, close=seal),
        Target("hello", _sealed(requests()), codec.decode_hello, 50, close=seal),
        Target("response", _sealed(responses()), codec.decode_response, 200, close=seal),
        Target("welcome", _sealed(responses()), codec.decode_welcome, 50, close=seal),
        Target("fetch", _sealed(_fetches()), codec.decode_fetch, 100, close=seal),
        Target("fetch_response", _sealed(_fetched()), codec.decode_fetch_response, 100, close=seal),
        Target("control", Mutator([*asked, *answered], protobuf=True).make, read_control, 50),
    ]


def _quietly(read: Decode, raw: bytes) -> None:
    with contextlib.suppress(GradcodeError):
        read(raw)


# ---- texts ----------------------------------------------------------------------------------------------

_NUMBERS = [b"0", b"1", b"-1", b"1e308", b"1000000000", b"9" * 30, b"nan", b"inf", b"-0.0", b"1_0", b"0x7f"]
_PUNCTUATION = [b"(", b")", b"[", b"]", b"{", b"}", b",", b"=", b'"', b"'", b"\\", b"\n", b"#", b".", b"\x00"]
_SPECS = [b"n", b"seed=", b"True", b"lambda", b"__import__('os')", b"*", b"**", b"f''", b"uncoded(n)", b"1j"]
_WORDS = [b"null", b"true", b"1e999", b"-", b"\\u0000", b"\xff", b"\xef\xbb\xbf", b"used", b"exact"]


def code_specs() -> list[bytes]:
    """Every code as its examples write it, and some that are too large."""
    known = [each.call for each in EXAMPLES.values()]
    large = ["cyclic_repetition(1000000000, 3)", "uncoded(n, 1000000000)", "scheduled(n, 3, 100000000)"]
    return [text.encode() for text in [*known, *(f"{name}(n, 2)" for name in CODES), *large]]


def _calls(specs: Callable[[random.Random], bytes]) -> Callable[[random.Random], bytes]:
    """Mostly codes that exist, with other numbers than those of the examples."""
    known = [(each.call, _NUMBER_IN.findall(each.call)) for each in EXAMPLES.values()]

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.2:
            return specs(rng)
        call, numbers = rng.choice(known)
        for _ in range(1 + rng.randrange(2)):
            call = call.replace(rng.choice(numbers), str(rng.choice(SIZES)), 1)
        # Arguments beyond those of the example.
        more = rng.choice(("", "", f", {rng.choice(SIZES)}", f", seed={rng.choice(SIZES)}"))
        return (call[:-1] + more + ")").encode()

    return make


SIZES = (
    -1,
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    11,
    12,
    13,
    24,
    50,
    100,
    1000,
    30000,
    10**6,
    10**9,
    2**63,
    10**40,
    0.5,
    1.5,
)
_NUMBER_IN = re.compile(r"\d+(?:\.\d+)?")


def _experiments() -> list[bytes]:
    small = b'workers = 4\ncode = "uncoded(n)"\n[delays]\nfactors = { 1 = 2.0 }\n'
    return [default_toml().encode(), small]


def _history_lines() -> list[bytes]:
    held = {
        "round": 0, "outcome": "exact", "end": "exact", "reason": "r", "stepped": True, "loss": 0.5,
        "loss_share": 1.0, "residual": 0.0, "recovered_fraction": 1.0, "noise_amplification": 1.0,
        "deadline_seconds": None, "start_seconds": 0.0, "seconds": 0.1, "collect_seconds": 0.0,
        "solve_seconds": 0.0, "combine_seconds": 0.0, "step_seconds": 0.0, "gradient_norm": 1.0,
        "score": None, "stragglers": [1], "contributors": [0, 2], "lost": [], "bytes_sent": 1,
        "bytes_received": 2, "chunks_used": 3, "chunks_duplicate": 0, "chunks_late": 0, "chunks_wasted": 0,
        "straggler_chunks_used": 0, "uncoded_seconds": None, "epoch": 0, "events": ["lost"],
    }  # fmt: skip
    return [json.dumps(held).encode()]


def _text_targets() -> list[Target]:
    def text(decode: Callable[[str], object]) -> Decode:
        return lambda raw: decode(raw.decode(errors="replace"))

    names = [name.encode() for name in CODES]
    specs = Mutator(code_specs(), [*_NUMBERS, *_PUNCTUATION, *_SPECS, *names]).make
    lines = Mutator(_history_lines(), [*_NUMBERS, *_PUNCTUATION, *_WORDS]).make
    assigned = Mutator(
        [b"code=uncoded(n)", b"delays.factors={1 = 2.0}", b"workers=3", b"data.ignore=['a']"],
        [*_NUMBERS, *_PUNCTUATION, b"deadline.", b"rounds=", b"[["],
    ).make
    return [
        Target("spec", specs, text(partial(parse_call, names={"n": 8}, nested=True)), 40),
        Target("code", _calls(specs), text(partial(make_code, n_workers=12)), 1, seconds=20.0),
        Target("override", assigned, text(lambda held: load_experiment(None, [held])), 10),
        Target("history", lines, text(record_from_json), 30),
    ]


# ---- files ----------------------------------------------------------------------------------------------


def _archives() -> list[bytes]:
    def saved(compressed: bool, **arrays: object) -> bytes:
        held = io.BytesIO()
        (np.savez_compressed if compressed else np.savez)(held, **arrays)  # type: ignore[arg-type]
        return held.getvalue()

    dense = {"X": np.arange(12.0).reshape(6, 2), "y": np.array([0, 1, 0, 1, 0, 1])}
    csr = {
        "data": np.ones(4), "indices": np.array([0, 1, 0, 1]), "indptr": np.array([0, 1, 2, 3, 4]),
        "shape": np.array([4, 2]), "y": np.array(["a", "b", "a", "b"]),
    }  # fmt: skip
    return [saved(False, **dense), saved(True, **dense), saved(False, **csr)]


def _checkpoints() -> Callable[[random.Random], bytes]:
    """Most get the right digest anew, so that they come further than to be called torn."""
    parts: dict[str, object] = {"score": None, "few": {"0": 1}, "former": {"w": 1}}
    snapshot = Snapshot(
        round=3, epoch=1, code="uncoded(2)", wanted=2, n_places=2, n_linked=1, run_seconds=2.0, skips=1,
        chronicle=parts, experience=parts, members=parts,
    )  # fmt: skip
    held = checkpoint.Checkpoint(
        run="run", written_unix_seconds=1.5, mark=Mark(10, 20), snapshot=snapshot,
        optimizer={"steps": 3, "parameters": np.ones(3)},
    )  # fmt: skip
    whole = checkpoint.encode(held)
    head, _, rest = whole.partition(b"\n")
    body = Mutator([rest.partition(b"\n")[2]], [*_NUMBERS, *_PUNCTUATION, *_WORDS, b"{}", b'"<f8"', b'"O"'])

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.05:
            return Mutator([whole]).make(rng)
        made = body.make(rng)
        return b"\n".join((head, hashlib.sha256(made).hexdigest().encode(), made))

    return make


def _models() -> list[bytes]:
    held = io.BytesIO()
    np.savez(
        held, model="linear", parameters=np.ones(3), n_features=2, n_outputs=1, intercept=True,
        feature_names=np.array(["a", "b"]), target="y",
    )  # fmt: skip
    return [held.getvalue()]


class _Written:
    """Writes an input to a file, always the same one, and has it read."""

    def __init__(self, name: str, read: Callable[[Path], object]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gradcode-fuzz-", dir=_fast_folder())
        self._path = Path(self._folder.name) / name
        self._read = read

    def __call__(self, raw: bytes) -> object:
        self._path.write_bytes(raw)
        return self._read(self._path)


def _fast_folder() -> str | None:
    shared = "/dev/shm"
    return shared if os.access(shared, os.W_OK) else None


def _file_targets() -> list[Target]:
    cells = [*_NUMBERS, b",", b"\n", b"\r\n", b'"', b"\x00", b"\xff", b"\xef\xbb\xbf", b",,", b"a,b\n"]
    table = [b"a,b,y\n1,2,0\n3,4.5,1\n-1,0,0\n2,2,1\n", b'"a","b",y\n1,2,"yes"\n3,4,no\n5,6,yes\n']
    rows = [b"worker,place,round,chunk,seconds,arrived_seconds,state\nw,0,0,0,0.1,0.2,used\n"]
    dataset = partial(load_dataset, held_out=0.0)
    return [
        Target("checkpoint", _checkpoints(), lambda raw: checkpoint.decode(raw, "checkpoint"), 20),
        Target("npz", Mutator(_archives()).make, _Written("d.npz", lambda path: dataset(str(path))), 5),
        Target("parameters", Mutator(_models()).make, _Written("parameters.npz", read_parameters), 5),
        Target(
            "csv",
            Mutator(table, cells).make,
            _Written("d.csv", lambda path: dataset(str(path), target="y")),
            10,
        ),
        Target(
            "chunks",
            Mutator(rows, cells).make,
            _Written("chunks.csv", lambda path: read_chunks(path.parent)),
            15,
        ),
        Target(
            "summary",
            Mutator(_history_lines(), [*_NUMBERS, *_PUNCTUATION, *_WORDS]).make,
            _Written("summary.json", lambda path: read_summary(path.parent)),
            15,
        ),
        Target(
            "experiment",
            Mutator(_experiments(), [*_NUMBERS, *_PUNCTUATION, b"[delays]", b"[[", b"= ", b"'''"]).make,
            _Written("e.toml", load_experiment),
            3,
        ),
    ]
