"""What a run remembers in words is bounded, however much happens in one round."""

from __future__ import annotations

from master.chronicle import MOST_TOLD, Chronicle
from master.commands import Note


def test_notes_of_one_round_are_kept_up_to_a_bound_and_the_rest_is_counted():
    chronicle = Chronicle(n_rows=1)
    for number in range(MOST_TOLD):
        chronicle.note("joined", f"worker {number} waits as a spare")
    assert chronicle.note("lost", "one note too many") == [Note("lost", "one note too many", None)]
    chronicle.tell([Note("lost", "and another")])
    events = chronicle._events()
    assert len(events) == MOST_TOLD + 1
    assert events[-1] == "and 2 notes more"
