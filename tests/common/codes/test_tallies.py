from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from common.codes.tallies import CountMessages, CoverChunks, CoverGroups


def test_counting_ignores_repetitions_and_chunks():
    tally = CountMessages(2).start()
    for _ in range(3):
        tally.arrived(7)
    tally.finished(worker=0, chunk=0)
    tally.finished(worker=1, chunk=1)
    assert not tally.may_suffice
    tally.arrived(2)
    tally.unfinished(worker=0, chunk=0)
    assert tally.may_suffice


def test_every_group_is_needed_once():
    tally = CoverGroups((0, 0, 1, 2)).start()
    for message in (0, 1, 3):
        tally.arrived(message)
    assert not tally.may_suffice
    tally.arrived(2)
    assert tally.may_suffice


def test_rounds_do_not_share_a_tally():
    rule = CoverGroups((0,))
    rule.start().arrived(0)
    assert not rule.start().may_suffice


@settings(max_examples=50, deadline=None)
@given(
    n_chunks=st.integers(1, 4),
    copies=st.integers(1, 3),
    events=st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 3)), max_size=60),
)
def test_chunks_are_covered_as_a_recount_says(n_chunks, copies, events):
    tally = CoverChunks(n_chunks, copies).start()
    finished: set[tuple[int, int]] = set()
    for is_finished, worker, chunk in events:
        pair = (worker, chunk % n_chunks)
        if is_finished:
            tally.finished(*pair)
            finished.add(pair)
        else:
            tally.unfinished(*pair)
            finished.discard(pair)
        tally.arrived(0)
        covered = sum(sum(c == chunk for _, c in finished) >= copies for chunk in range(n_chunks))
        assert tally.covered == covered
        assert tally.may_suffice == (covered == n_chunks)
