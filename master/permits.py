"""Which rows a worker may fetch: those that the master has told its link to hold."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from common.errors import ProtocolError
from common.wire.frames import DataOrder, FetchRows, Response, RowRange, Welcome
from master.membership import Membership


class RowPermits:
    """Remembers what links were told, as long as they are open."""

    def __init__(self) -> None:
        self._told: dict[int, _Rows] = {}

    def note(self, link: int, frame: Response, members: Membership) -> None:
        """A frame goes out on a link; rows that it orders are permitted, and what was permitted stays so: a
        fetch may be under way."""
        ordered = _ordered(frame)
        if ordered:
            self._told.setdefault(link, _Rows()).add(ordered)
            if len(self._told) > 2 * len(members.links) + 16:
                self._told = {each: rows for each, rows in self._told.items() if each in members.links}

    def check(self, name: str, wanted: FetchRows, members: Membership) -> None:
        """See whether the worker of this name may have these rows: all or some of those it was told to hold.

        Raises:
            ProtocolError: ``foreign_rows``: it has no link, or was not told to hold them.
        """
        link = members.same_name(name)
        told = None if link is None else self._told.get(link.number)
        if told is None or not told.cover(wanted.begin, wanted.end):
            where = f"rows [{wanted.begin}, {wanted.end})"
            raise ProtocolError("foreign_rows", f"{where} are not of the place of worker {name[:80]!r}")


class _Rows:
    """A set of rows as disjoint intervals, ascending, none touching the next. O(log n) to look up."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    def add(self, ranges: Iterable[RowRange]) -> None:
        for each in ranges:
            first, last = bisect_left(self._ends, each.begin), bisect_right(self._begins, each.end)
            begin, end = each.begin, each.end
            if first < last:
                begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
            self._begins[first:last], self._ends[first:last] = [begin], [end]

    def cover(self, begin: int, end: int) -> bool:
        at = bisect_right(self._begins, begin) - 1
        return at >= 0 and end <= self._ends[at]


def _ordered(frame: Response) -> tuple[RowRange, ...]:
    """The rows that a frame tells a worker to hold."""
    if isinstance(frame, Welcome):
        return () if frame.order is None else frame.order.data.ranges
    data = getattr(frame, "data", None)
    return data.ranges if isinstance(data, DataOrder) else ()
