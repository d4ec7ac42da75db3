from __future__ import annotations

from gradcode.chaos.long_run import MOST_BYTES, N_SAMPLES, LongRun, long_run
from gradcode.chaos.vitals import Vitals


async def test_a_run_of_many_rounds_is_whole_and_measured_at_equal_steps():
    result = await long_run(44)
    # So few rounds say nothing about memory: what is remembered for a while is still being filled.
    assert [text for text in result.complaints if "memory" not in text] == []
    assert len(result.samples) == N_SAMPLES
    assert [number for number, _ in result.samples] == list(range(4, 44, 2))
    assert all(each.n_files > 5 for _, each in result.samples)


def test_what_grew_is_named():
    result = LongRun(10, 1.0)
    result.samples = [(1, Vitals(0.0, 20, 10**8, 5)), (9, Vitals(1.0, 23, 10**8 + MOST_BYTES + 1, 7))]
    result.judge()
    assert [text.split(" more")[0] for text in result.complaints] == [
        f"{MOST_BYTES + 1} bytes of memory",
        "3 open files",
        "2 threads",
    ]
