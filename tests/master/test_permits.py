"""Rows are permitted by what a link was told, for as long as it is open."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ProtocolError
from common.models import ModelShape
from common.wire.frames import DataOrder, FetchRows, Prefetch, RowRange, Stamp, StopRound, Welcome, WorkOrder
from master.membership import Membership
from master.permits import RowPermits
from worker.rowstore import RowStore

SHAPE = ModelShape("linear", n_features=3, n_outputs=1, intercept=True)


def welcome(*ranges: tuple[int, int]) -> Welcome:
    rows = tuple(RowRange(number, begin, end) for number, (begin, end) in enumerate(ranges))
    data = DataOrder("digest", 3, False, rows)
    order = WorkOrder(1, "code", SHAPE, SHAPE.n_parameters, 1, data, (), True, max_frame_bytes=8)
    return Welcome("run", "name", 1, 0, order)


def permitted(permits: RowPermits, members: Membership, name: str, begin: int, end: int) -> bool:
    try:
        permits.check(name, FetchRows("run", "digest", begin, end), members)
    except ProtocolError as error:
        return error.kind != "foreign_rows"
    return True


def test_what_was_told_is_permitted_and_stays_so_after_another_plan():
    permits, members = RowPermits(), Membership(4)
    for number, name in ((1, "a"), (2, "b")):
        members.join(number, name, 0.0)
    permits.note(1, welcome((0, 5), (5, 10)), members)
    permits.note(2, welcome((10, 15)), members)
    permits.note(1, welcome((20, 25)), members)
    permits.note(1, StopRound(Stamp("run", 1, 0, 1)), members)
    assert all(permitted(permits, members, "a", begin, begin + 5) for begin in (0, 5, 20))
    assert not permitted(permits, members, "a", 10, 15)
    assert permitted(permits, members, "a", 0, 10), "both were told"
    assert not permitted(permits, members, "a", 8, 12)
    assert not permitted(permits, members, "a", 9, 21)
    assert not permitted(permits, members, "c", 0, 5)


@given(
    told=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), max_size=8),
    begin=st.integers(0, 36),
    length=st.integers(1, 8),
)
def test_exactly_those_rows_are_permitted_that_were_told(told, begin, length):
    permits, members = RowPermits(), Membership(4)
    members.join(1, "a", 0.0)
    for first, n_rows in told:
        permits.note(1, welcome((first, first + n_rows)), members)
    rows = {row for first, n_rows in told for row in range(first, first + n_rows)}
    expected = set(range(begin, begin + length)) <= rows
    assert permitted(permits, members, "a", begin, begin + length) == expected


def test_a_worker_may_fetch_what_another_plan_asks_of_it_and_it_does_not_hold():
    """Of a chunk whose ends have moved a worker lacks only a piece."""
    permits, members, store = RowPermits(), Membership(4), RowStore()
    members.join(1, "a", 0.0)
    for ranges in (((0, 100), (100, 200)), ((0, 90), (90, 180), (180, 270)), ((0, 110), (220, 330))):
        frame = welcome(*ranges)
        assert frame.order is not None
        permits.note(1, frame, members)
        for gap in store.missing(frame.order.data, "float64"):
            assert permitted(permits, members, "a", gap.begin, gap.end)
            rows = (np.zeros((gap.end - gap.begin, 3)), np.zeros(gap.end - gap.begin))
            store.put(frame.order.data, gap, "float64", rows)
        store.rows_of(frame.order.data, "float64")


def test_with_its_link_a_worker_loses_what_it_was_told():
    permits, members = RowPermits(), Membership(4)
    members.join(1, "a", 0.0)
    permits.note(1, welcome((0, 5)), members)
    members.leave(1)
    assert not permitted(permits, members, "a", 0, 5)
    members.join(2, "a", 0.0)
    assert not permitted(permits, members, "a", 0, 5)
    permits.note(2, welcome((0, 5)), members)
    assert permitted(permits, members, "a", 0, 5)


def test_links_that_come_and_go_leave_nothing_behind():
    permits, members = RowPermits(), Membership(4)
    for number in range(1000):
        members.join(number, "a", 0.0)
        permits.note(number, welcome((0, 5)), members)
        members.leave(number)
    assert len(permits._told) < 30


def test_a_spare_was_told_nothing():
    permits, members = RowPermits(), Membership(0)
    members.join(1, "a", 0.0)
    permits.note(1, Welcome("run", "name", 1), members)
    assert not permitted(permits, members, "a", 0, 5)


def test_what_a_spare_is_to_prepare_is_permitted():
    permits, members = RowPermits(), Membership(0)
    members.join(1, "a", 0.0)
    order = welcome((0, 5)).order
    assert order is not None
    permits.note(1, Prefetch("run", order.data, "float64"), members)
    assert permitted(permits, members, "a", 0, 5)
    assert not permitted(permits, members, "a", 5, 10)
