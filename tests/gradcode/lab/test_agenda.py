from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from gradcode.lab.agenda import Agenda

# Times from now on; None takes what is first. Some are the same, some are far.
STEPS = st.lists(
    st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1e9]), st.floats(0.0, 1.0), st.floats(0.0, 1e12)),
    max_size=400,
)


@given(STEPS, st.integers(0, 500))
@settings(max_examples=50, deadline=None)
def test_an_agenda_is_a_stable_heap(steps, n_first):
    """Taken in the order of a heap of (time, number), whatever is put down meanwhile."""
    agenda, heap, now = Agenda(), [], 0.0
    for number, delay in enumerate([*(0.001 * (each % 7) for each in range(n_first)), *steps]):
        if delay is None:
            taken = agenda.take()
            assert (taken is None) == (not heap)
            if taken is not None:
                at, expected = heapq.heappop(heap)
                now = taken[0]
                assert (now, taken[1]()) == (at, expected)
        elif delay == 1.0:
            agenda.put_soon(now + delay, lambda number=number: number)
            heapq.heappush(heap, (now + delay, number))
        else:
            agenda.put(now + delay, lambda number=number: number)
            heapq.heappush(heap, (now + delay, number))
    assert len(agenda) == len(heap)
    while heap:
        at, expected = heapq.heappop(heap)
        seconds, action = agenda.take()
        assert (seconds, action()) == (at, expected)
    assert agenda.take() is None


def test_nothing_is_taken_before_its_time():
    agenda = Agenda()
    agenda.put(2.0, lambda: "late")
    assert agenda.take(before=1.0) is None
    assert agenda.take(before=2.0)[1]() == "late"
