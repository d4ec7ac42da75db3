"""Which rows a worker may fetch: those that the master has told its link to hold."""

from __future__ import annotations

from common.errors import ProtocolError
from common.wire.frames import DataOrder, FetchRows, Response, RowRange, Welcome
from master.membership import Membership

Rows = tuple[int, int]


class RowPermits:
    """Remembers what links were told, as long as they are open."""

    def __init__(self) -> None:
        self._told: dict[int, set[Rows]] = {}

    def note(self, link: int, frame: Response, members: Membership) -> None:
        """A frame goes out on a link; rows that it orders are permitted, and what was permitted stays so: a
        fetch may be under way."""
        ordered = _ordered(frame)
        if ordered:
            self._told.setdefault(link, set()).update((each.begin, each.end) for each in ordered)
            if len(self._told) > 2 * len(members.links) + 16:
                self._told = {each: rows for each, rows in self._told.items() if each in members.links}

    def check(self, name: str, wanted: FetchRows, members: Membership) -> None:
        """See whether the worker of this name may have these rows.

        Raises:
            ProtocolError: ``foreign_rows``: it has no link, or was not told to hold them.
        """
        link = members.same_name(name)
        if link is None or (wanted.begin, wanted.end) not in self._told.get(link.number, ()):
            where = f"rows [{wanted.begin}, {wanted.end})"
            raise ProtocolError("foreign_rows", f"{where} are not of the place of worker {name[:80]!r}")


def _ordered(frame: Response) -> tuple[RowRange, ...]:
    """The rows that a frame tells a worker to hold."""
    if isinstance(frame, Welcome):
        return () if frame.order is None else frame.order.data.ranges
    data = getattr(frame, "data", None)
    return data.ranges if isinstance(data, DataOrder) else ()
