"""Fuzzing: feeds every decoder of foreign bytes with nearly valid inputs, and looks for what must not happen.

A decoder may refuse an input with an error of gradcode (`common.errors`); anything else is a finding: another
exception, more time or more memory than an input is worth. A finding is written to a file that replays it::

    python -m gradcode.lab.fuzz --inputs 1000000
    python -m gradcode.lab.fuzz --target request --seconds 60
    python -m gradcode.lab.fuzz --target npz --replay fuzz-npz-0123456789ab.bin
    python -m gradcode.lab.fuzz --engine atheris --target request --seconds 60    # guided by coverage
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from common.errors import GradcodeError
from gradcode.lab.fuzz_targets import Target, targets

MEMORY_BYTES = 1 << 30
"""That an input may take beyond what the process has at the start."""
INPUTS = 200_000
"""So many are made when nothing else is asked for."""


class TooSlow(BaseException):
    """An input took longer than it may; no decoder can catch this by accident."""


@dataclass(frozen=True)
class Finding:
    """An input that a decoder could not cope with, and what happened, the place of it last."""

    target: str
    data: bytes
    what: str

    def save(self, folder: Path) -> Path:
        """Write the input to a file of its own."""
        path = folder / f"fuzz-{self.target}-{hashlib.sha256(self.data).hexdigest()[:12]}.bin"
        path.write_bytes(self.data)
        return path


def try_input(target: Target, data: bytes) -> Finding | None:
    """Decode one input, within the target's time: of the processor, so that a busy machine finds nothing."""
    signal.setitimer(signal.ITIMER_PROF, target.seconds)
    try:
        target.decode(data)
    except GradcodeError as error:
        if "\n" in str(error):
            return Finding(target.name, data, f"an error of several lines: {error!r}")
    except TooSlow:
        return Finding(target.name, data, f"more than {target.seconds:g} s")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Finding(target.name, data, f"{error!r:.300} at {place.filename}:{place.lineno}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    return None


@contextmanager
def watched() -> Iterator[None]:
    """Time and memory are limited meanwhile: a decoder that wants more gets an exception."""

    def alarm(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, alarm)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, limits[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGPROF, before)


def fuzz(target: Target, seed: int, n_inputs: int, until: float | None = None) -> tuple[int, Finding | None]:
    """Make and decode inputs until one is a finding. Returns how many, and the finding.

    Args:
        target: the decoder. seed: the inputs follow from it. n_inputs: at most so many.
        until: or until this time of `time.monotonic`.
    """
    rng = random.Random(f"{target.name} {seed}")
    for index in range(n_inputs):
        if until is not None and time.monotonic() >= until:
            return index, None
        found = try_input(target, target.make(rng))
        if found is not None:
            return index + 1, found
    return n_inputs, None


def shares(chosen: list[Target], n_inputs: int) -> dict[str, int]:
    """How many inputs each target gets of ``n_inputs``: fast ones many, each at least one."""
    total = sum(each.share for each in chosen)
    return {each.name: max(1, n_inputs * each.share // total) for each in chosen}


def run(chosen: list[Target], n_inputs: int, seconds: float | None, seed: int, folder: Path) -> int:
    """Fuzz the targets one after the other and print a line each. Returns 1 for a finding, else 0."""
    counts = shares(chosen, n_inputs)
    findings: list[Finding] = []
    total, began = 0, time.monotonic()
    with watched():
        for target in chosen:
            start = time.monotonic()
            count = sys.maxsize if seconds is not None else counts[target.name]
            until = None if seconds is None else start + seconds / len(chosen)
            done, found = fuzz(target, seed, count, until)
            rate = done / max(1e-9, time.monotonic() - start)
            total += done
            print(f"{target.name:15}{done:>10} inputs {rate:>9.0f} a second", flush=True)
            if found is not None:
                findings.append(found)
                print(f"  found: {found.what}\n  {found.save(folder)}", flush=True)
    rate = total / max(1e-9, time.monotonic() - began)
    print(f"{'all':15}{total:>10} inputs {rate:>9.0f} a second, {len(findings)} findings, seed {seed}")
    return 1 if findings else 0


def run_atheris(target: Target, seconds: float) -> None:
    """The same, inputs guided by coverage; atheris ends the process. Returns only where it is missing."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed (pip install 'gradcode[fuzz]'): inputs are not guided by coverage")
        return

    def one(data: bytes) -> None:
        found = try_input(target, target.close(data))
        if found is not None:
            raise RuntimeError(found.what)

    for name, module in list(sys.modules.items()):
        if name.startswith("common."):
            for each in vars(module).values():
                if inspect.isfunction(each) and each.__module__ == name:
                    atheris.instrument_func(each)
    with watched():
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", "-max_len=4096"], one)
        atheris.Fuzz()


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, 1 for a finding, 2 for bad input."""
    known = targets()
    parser = argparse.ArgumentParser("python -m gradcode.lab.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help="over all targets (default %(default)s)")
    parser.add_argument("--seconds", type=float, help="instead of --inputs, over all targets")
    parser.add_argument("--seed", type=int, default=0, help="the inputs follow from it (default 0)")
    parser.add_argument("--target", action="append", choices=sorted(known), help="may be repeated")
    parser.add_argument("--replay", type=Path, help="decode the input in this file; needs one --target")
    parser.add_argument("--engine", choices=["own", "atheris"], default="own")
    parser.add_argument("--folder", type=Path, default=Path(), help="where findings are written")
    given = parser.parse_args(argv)
    chosen = [known[name] for name in given.target or known]
    if given.replay is not None:
        if len(chosen) != 1 or not given.replay.is_file():
            parser.error("--replay needs a file, and one --target")
        with watched():
            found = try_input(chosen[0], given.replay.read_bytes())
        print("no finding" if found is None else f"found: {found.what}")
        return 1 if found else 0
    if given.engine == "atheris":
        run_atheris(chosen[0], given.seconds or 60.0)
    return run(chosen, given.inputs, given.seconds, given.seed, given.folder)


if __name__ == "__main__":
    sys.exit(main())
