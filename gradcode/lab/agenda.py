"""Pure: what happens when. A heap for the near future, unsorted slots for the rest.

With 10,000 workers a plain heap's comparisons wander through memory that no cache holds; here only some
dozens of actions are in order at a time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

Action = Callable[[], object]
_Entry = tuple[float, int, Action]
_IN_A_SLOT = 64
_LEAST_WIDTH = 1e-300
"""Of narrower slots the reciprocal is not finite."""


class Agenda:
    """Actions by time; those of equal time in the order in which they were put down.

    Cost: O(log) of the few that are near to put down or take; O(1) for `put_soon`.

    >>> agenda = Agenda()
    >>> for seconds in (3.0, 1.0, 2.0):
    ...     agenda.put(seconds, lambda: None)
    >>> agenda.put_soon(2.0, print)
    >>> [agenda.take(before=2.5)[0] for _ in range(len(agenda) - 1)], agenda.take(before=2.5)
    ([1.0, 2.0, 2.0], None)
    """

    def __init__(self) -> None:
        self._serial = 0
        self._near: list[_Entry] = []
        self._soon: deque[_Entry] = deque()
        self._far: list[_Entry] = []
        # Slot k holds the times from _base + k / _slots_a_second on; those below slot _next are near.
        self._slots: list[list[_Entry]] = []
        self._base, self._slots_a_second, self._next = 0.0, 0.0, 0
        self._far_from = float("-inf")

    def __len__(self) -> int:
        return len(self._near) + len(self._soon) + len(self._far) + sum(map(len, self._slots))

    def put(self, seconds: float, action: Action) -> None:
        """Put ``action`` down for the time ``seconds``, which is finite."""
        self._serial += 1
        entry = (seconds, self._serial, action)
        if seconds >= self._far_from:
            self._far.append(entry)
            return
        slot = int((seconds - self._base) * self._slots_a_second)
        if slot < self._next:
            heapq.heappush(self._near, entry)
        else:
            self._slots[slot].append(entry)

    def put_soon(self, seconds: float, action: Action) -> None:
        """The same for times that never decrease from one call to the next."""
        self._serial += 1
        self._soon.append((seconds, self._serial, action))

    def take(self, before: float = float("inf")) -> tuple[float, Action] | None:
        """Remove the first action and return it with its time; None if there is none up to ``before``."""
        near, soon = self._near, self._soon
        if not near:
            near = self._refill()
        from_soon = bool(soon) and (not near or soon[0] < near[0])
        if not (from_soon or near) or (soon if from_soon else near)[0][0] > before:
            return None
        seconds, _, action = soon.popleft() if from_soon else heapq.heappop(near)
        return seconds, action

    def _refill(self) -> list[_Entry]:
        """Bring the next slot near, or cut the earlier half of what is far into slots."""
        while True:
            while self._next < len(self._slots):
                entries, self._slots[self._next] = self._slots[self._next], []
                self._next += 1
                if entries:
                    heapq.heapify(entries)
                    self._near = entries
                    return entries
            if not self._far:
                return self._near
            self._cut()

    def _cut(self) -> None:
        # Only half of them: a few times that are very far would make the slots too wide for the others.
        entries, self._far = self._far, []
        times = sorted(entry[0] for entry in entries)
        self._base, self._far_from = times[0], times[len(times) // 2]
        n_slots = len(times) // 2 // _IN_A_SLOT + 1
        width = (self._far_from - self._base) / n_slots
        self._slots_a_second = 1.0 / width if width > _LEAST_WIDTH else 0.0
        # One more, because rounding may put the last time behind the end.
        self._slots, self._next = [[] for _ in range(n_slots + 1)], 0
        for entry in entries:
            if entry[0] > self._far_from:
                self._far.append(entry)
            else:
                self._slots[int((entry[0] - self._base) * self._slots_a_second)].append(entry)
