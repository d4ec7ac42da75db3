from __future__ import annotations

import os
import threading

from gradcode.chaos.vitals import MOST_BYTES, Life, Vitals, growth_of, read_vitals


def life(once: bool = False, **grown: int) -> Life:
    """120 s of a process; in its last quarter it holds so much more, all the time more or at once."""
    made = Life("w0", 1, 0.0)
    for second in range(120):
        quarter = max(0, second - 20) // 25
        share = float(quarter >= 2) if once else quarter / 3
        values = {name: start + round(share * grown.get(name, 0)) for name, start in START.items()}
        made.samples.append(Vitals(second, **values))
    return made


START = {"n_files": 20, "n_bytes": 100 << 20, "n_threads": 8}


def test_this_process_is_seen(tmp_path):
    before = read_vitals(os.getpid(), 1.0)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with (tmp_path / "a").open("w"):
        after = read_vitals(os.getpid(), 2.0)
    stop.set()
    thread.join()
    assert after.n_files == before.n_files + 1
    assert after.n_threads == before.n_threads + 1
    assert before.n_bytes > 10 << 20


def test_a_process_that_is_gone_has_no_vitals():
    assert read_vitals(2**22 + 1, 0.0) is None


def test_what_grows_is_named():
    assert growth_of(life()).leaks == ""
    assert growth_of(life(n_files=7)).leaks == "7 open files"
    assert growth_of(life(n_threads=5)).leaks == "5 threads"
    assert growth_of(life(n_bytes=MOST_BYTES)).leaks == ""
    assert growth_of(life(n_bytes=20 << 20, n_files=100)).leaks == "100 open files, 20971520 bytes of memory"


def test_what_grows_once_is_no_leak():
    growth = growth_of(life(once=True, n_bytes=20 << 20, n_files=10))
    assert (growth.n_bytes, growth.n_files, growth.leaks) == (20 << 20, 10, "")


def test_a_short_life_says_nothing():
    short = life()
    del short.samples[30:]
    assert growth_of(short) is None
