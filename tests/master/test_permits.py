"""Rows are permitted by what a link was told, for as long as it is open."""

from __future__ import annotations

from common.errors import ProtocolError
from common.models import ModelShape
from common.wire.frames import DataOrder, FetchRows, Prefetch, RowRange, Stamp, StopRound, Welcome, WorkOrder
from master.membership import Membership
from master.permits import RowPermits

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
    assert not permitted(permits, members, "a", 0, 10)
    assert not permitted(permits, members, "c", 0, 5)


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
