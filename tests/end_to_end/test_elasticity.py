"""Real processes come and go while a run goes on, and an operator scales it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from common.codes.base import GradientCode
from common.datasets.base import chunk_range
from common.spec import make_code

pytestmark = pytest.mark.xdist_group("processes")

R = 120
LONG = (
    f"data.source=synthetic(rows={R}, features=4)",
    "data.held_out=0",
    "rounds=100000",
    "evaluate_every=0",
    "delays.distribution=constant",
    "delays.seconds=0.01",
    # A busy machine must not end rounds too early.
    "deadline.rule=none",
)
CODE = "code=cyclic_repetition(n, 1)"


def scale(cluster, n_workers, *arguments):
    command = [sys.executable, "-c", "from gradcode.start import main; main()", "scale", str(n_workers)]
    return subprocess.run(
        [*command, cluster.address, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def until_places(cluster, n_places):
    def there() -> bool:
        status = cluster.status()
        return status.n_places == n_places and status.phase == "running"

    cluster.until(there, f"{n_places} places")
    begun = cluster.status().round or 0
    cluster.until_round(begun + 3)


def notes(cluster):
    return [text for record in cluster.history() for text in record.events]


def stop(cluster):
    cluster.master.send_signal(signal.SIGTERM)
    assert cluster.wait() == 130, cluster.log("master")
    history = cluster.history()
    assert [record.round for record in history] == list(range(len(history)))
    assert {record.outcome for record in history} == {"exact"}
    return history


def rows_of(code: GradientCode, place: int) -> set[int]:
    ranges = [chunk_range(chunk, code.n_chunks, R) for chunk in code.assignment.orders[place]]
    return {row for begin, end in ranges for row in range(begin, end)}


def fetched(cluster, name):
    """Rows that the worker says it fetched, in all."""
    return sum(int(found) for found in re.findall(r"fetched (\d+) rows", cluster.log(name)))


def seats(cluster, code):
    """Worker -> rows of its place."""
    return {
        each.worker_name: rows_of(code, each.place) for each in cluster.places() if each.place is not None
    }


def test_scale_4_3_4_by_the_command_fetches_only_what_nobody_had(cluster):
    cluster.start(4, CODE, *LONG)
    until_places(cluster, 4)
    plans = {n: make_code("cyclic_repetition(n, 1)", n) for n in (3, 4)}
    before = seats(cluster, plans[4])
    first = scale(cluster, 3)
    assert (first.returncode, first.stdout) == (0, "the run goes on with 3 workers\n"), first.stderr
    until_places(cluster, 3)
    between = seats(cluster, plans[3])
    assert cluster.status().n_spares == 1
    scale(cluster, 4)
    until_places(cluster, 4)
    after = seats(cluster, plans[4])
    assert sorted(after) == ["w0", "w1", "w2", "w3"]
    history = stop(cluster)
    assert {record.epoch for record in history} == {0, 1, 2}
    for name in between:
        had = before[name] | between[name]
        expected = len(had) + len(after[name] - had)
        assert fetched(cluster, name) == expected, cluster.log(name)


def test_what_the_command_cannot_do_is_one_line_and_exit_code_2(cluster):
    cluster.start(2, "code=fractional_repetition(n, 1)", *LONG)
    until_places(cluster, 2)
    for n_workers, said in ((3, "divide"), (121, "must be from 1 to the training rows (120), got 121")):
        answer = scale(cluster, n_workers)
        assert answer.returncode == 2, answer
        assert answer.stdout == ""
        assert answer.stderr.count("\n") == 1
        assert said in answer.stderr
    waiting = scale(cluster, 4)
    assert waiting.stdout == "the run goes on with 4 workers; it waits for 2 more workers\n"
    assert cluster.status().n_wanted == 4
    for name in ("w2", "w3"):
        cluster.start_worker(name)
    until_places(cluster, 4)
    stop(cluster)


def test_a_spare_that_prepared_takes_a_lost_place_in_the_same_round_without_fetching(cluster):
    slow = [each for each in LONG if not each.startswith("delays.seconds")]
    cluster.start(2, "code=uncoded(n)", *slow, "delays.seconds=0.4", "on_shortfall=wait")
    cluster.until(lambda: cluster.status().phase == "running", "the first round")
    cluster.start_worker("spare")
    cluster.until(lambda: fetched(cluster, "spare") == R, "the spare to load all rows")
    before = cluster.status().round or 0
    cluster.until_round(before + 1)
    cluster.signal("w1", signal.SIGKILL)
    cluster.until(lambda: any("worker spare took place" in text for text in notes(cluster)), "the spare")
    history = stop(cluster)
    taken = next(record for record in history if any("worker spare took" in text for text in record.events))
    assert any(text.startswith("worker w1: ") for text in taken.events)
    assert (taken.outcome, taken.lost) == ("exact", ())
    assert fetched(cluster, "spare") == R


def test_a_worker_that_leaves_hands_over_to_a_spare_and_every_round_is_exact(cluster):
    """No code covers for anybody here."""
    cluster.start(3, "code=uncoded(n)", *LONG)
    cluster.start_worker("spare")
    cluster.until(lambda: cluster.status().n_spares == 1, "the spare")
    cluster.until_round(3)
    # Whoever came last waits as the spare.
    leaving = next(each.worker_name for each in cluster.places() if each.place == 1)
    cluster.signal(leaving, signal.SIGTERM)
    assert cluster.workers[leaving].wait(10) == 0
    now = cluster.status().round or 0
    cluster.until_round(now + 5)
    assert cluster.status().epoch == 0
    history = stop(cluster)
    assert all(record.lost == () for record in history)


def test_workers_that_leave_without_a_spare_end_the_plan_and_no_round_is_short(cluster):
    cluster.start(4, "code=uncoded(n)", *LONG)
    until_places(cluster, 4)
    for name in ("w1", "w2"):
        cluster.signal(name, signal.SIGTERM)
    for name in ("w1", "w2"):
        assert cluster.workers[name].wait(10) == 0
    until_places(cluster, 2)
    stop(cluster)
    assert any("nobody came back to place" in text for text in notes(cluster))


def test_a_killed_worker_is_planned_without_and_is_welcome_again(cluster):
    cluster.start(3, CODE, *LONG, "membership.empty_seconds=0.5", "on_shortfall=wait")
    until_places(cluster, 3)
    cluster.signal("w1", signal.SIGKILL)
    until_places(cluster, 2)
    assert cluster.status().n_wanted == 3
    cluster.start_worker("w1")
    until_places(cluster, 3)
    assert cluster.status().n_replans == 2
    stop(cluster)
