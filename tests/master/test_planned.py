"""The planned schedule, driven by hand: who is handed what, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.codes.base import Assignment
from common.codes.scheduled import scheduled
from master.paces import Paces
from master.planned import MOST_LOOKS, Planned
from master.shares import Planner


class Driver:
    """What Training and Round do to a schedule, and the queues that workers have by its changes."""

    def __init__(
        self,
        orders: Iterable[tuple[int, ...]],
        seconds: Mapping[int, float] | None = None,
        n_copies: int = 1,
        **known: Mapping[int, float],
    ) -> None:
        orders = tuple(orders)
        self.assignment = Assignment(1 + max(max(order) for order in orders if order), orders)
        self.paces = Paces()
        for place, each in (seconds or {}).items():
            for _ in range(5):
                self.paces.observe(place, each)
        for name, values in known.items():
            getattr(self.paces, name).update(values)
        self.n_copies = n_copies
        self.planned = self.new_round()
        self.queues: dict[int, list[int]] = {}

    def new_round(self) -> Planned:
        planner = Planner(self.assignment, self.n_copies)
        self.planned = Planned(planner, self.assignment, self.n_copies, self.paces)
        self.queues = {}
        return self.planned

    def begin(self, *places: int, now: float = 0.0) -> dict[int, tuple[int, ...]]:
        self.planned.begin(places, now)
        return self.changes(now)

    def finish(self, place: int, chunk: int, seconds: float, now: float) -> dict[int, tuple[int, ...]]:
        self.paces.observe(place, seconds)
        self.planned.finished(place, chunk, seconds, now)
        queue = self.queues.get(place, [])
        if chunk in queue:
            queue.remove(chunk)
        return self.changes(now)

    def drop(self, place: int, now: float) -> dict[int, tuple[int, ...]]:
        self.planned.drop(place, now)
        return self.changes(now)

    def tick(self, now: float) -> dict[int, tuple[int, ...]]:
        self.planned.tick(now)
        return self.changes(now)

    def changes(self, now: float) -> dict[int, tuple[int, ...]]:
        found = {change.place: change.chunks for change in self.planned.take_changes(now)}
        self.queues.update({place: list(chunks) for place, chunks in found.items()})
        return found

    def todo(self, place: int) -> list[int]:
        """The whole list of a place, of which its worker knows the beginning."""
        return list(self.planned._lists.hands[place].todo)

    def on_lists(self) -> list[int]:
        hands = self.planned._lists.hands.values()
        return sorted(chunk for hand in hands for chunk in hand.todo)


# ---- the beginning of a round ---------------------------------------------------------------------------


def test_a_first_round_begins_with_equal_shares():
    code = scheduled(6, 3, 4)
    driver = Driver(code.assignment.orders)
    queues = driver.begin(*range(6))
    assert [len(driver.todo(place)) for place in range(6)] == [4] * 6
    assert driver.on_lists() == list(range(24))
    for place in range(6):
        assert set(driver.todo(place)) <= set(code.assignment.orders[place])
        assert queues[place] == tuple(driver.todo(place)[:2])


def test_shares_are_as_large_as_places_are_fast():
    code = scheduled(6, 3, 4)
    driver = Driver(code.assignment.orders, dict.fromkeys(range(5), 1.0) | {5: 5.0})
    driver.begin(*range(6))
    assert max(len(driver.todo(place)) for place in range(5)) == 5
    assert len(driver.todo(5)) == 1
    assert driver.on_lists() == list(range(24))


def test_of_a_place_that_never_reported_the_usual_is_expected():
    driver = Driver([(0, 1, 2, 3)] * 2, {0: 2.0})
    driver.begin(0, 1)
    assert [len(driver.todo(place)) for place in (0, 1)] == [2, 2]
    assert driver.planned.busy_since(0.0) == {0: 0.0, 1: 0.0}
    assert driver.planned.wakes_at == pytest.approx(2.4)


def test_what_others_would_finish_latest_comes_first():
    # Chunks 2 and 3 are also on place 1, which is fast: they can wait. Nobody else holds 0 and 1.
    driver = Driver([(2, 3, 0, 1), (2, 3, 4, 5, 6, 7)], {0: 1.0, 1: 0.75})
    driver.begin(0, 1)
    assert set(driver.todo(0)[:2]) == {0, 1}


def test_with_copies_every_chunk_is_on_distinct_lists():
    code = scheduled(6, 3, 2, n_parts=2)
    driver = Driver(code.assignment.orders, n_copies=2)
    driver.begin(*range(6))
    assert driver.on_lists() == sorted([*range(12), *range(12)])
    for place in range(6):
        assert len(set(driver.todo(place))) == len(driver.todo(place)) == 4


def test_a_place_that_is_too_slow_to_be_of_use_computes_one_chunk_all_the_same():
    driver = Driver([(0, 1, 2), (0, 1, 2), (0, 1, 2)], {0: 1.0, 1: 1.0, 2: 100.0})
    driver.begin(0, 1, 2)
    (probe,) = driver.todo(2)
    assert probe in driver.todo(0) + driver.todo(1)
    assert sorted(driver.todo(0) + driver.todo(1)) == [0, 1, 2]


def test_nobody_counts_on_a_place_that_is_stuck_in_a_former_chunk():
    orders = [(0, 1, 2), (0, 1, 2), (0, 1, 2)]
    driver = Driver(orders, {0: 1.0, 1: 1.0, 2: 1.0}, busy_since={2: -50.0})
    driver.begin(0, 1, 2)
    assert sorted(driver.todo(0) + driver.todo(1)) == [0, 1, 2]
    assert driver.planned.busy_since(0.5) == {0: 0.0, 1: 0.0, 2: -50.0}
    assert driver.planned.n_left(2) == 1, "it is told of a chunk all the same, to be known better"
    driver.finish(2, driver.todo(2)[0], 1.0, 1.5)
    assert driver.planned.busy_since(1.5).get(2, 0.0) >= 0.0, "it has answered"


def test_who_has_a_former_chunk_in_hand_gets_less():
    driver = Driver([(0, 1, 2, 3), (0, 1, 2, 3)], {0: 1.0, 1: 1.0}, busy_since={1: 8.0})
    driver.begin(0, 1, now=10.0)
    assert [len(driver.todo(place)) for place in (0, 1)] == [3, 1]
    assert driver.planned.busy_since(10.0) == {0: 10.0, 1: 8.0}


def test_when_the_former_chunk_is_finished_earlier_the_next_begins_then():
    driver = Driver([(0, 1, 2, 3), (0, 1, 2, 3)], {0: 1.0, 1: 1.0}, busy_since={1: 8.0})
    driver.begin(0, 1, now=10.0)
    driver.planned.free(1, 10.5)
    driver.planned.free(7, 10.5)
    assert driver.planned.busy_since(10.5) == {0: 10.0, 1: 10.5}
    assert driver.planned.wakes_at == pytest.approx(11.2)


def test_a_round_trip_on_the_way_to_the_first_chunk_is_expected():
    driver = Driver([(0,), (1,)], {0: 1.0, 1: 1.0}, lead_seconds={1: 0.25})
    driver.begin(0, 1)
    assert driver.planned.busy_since(0.0) == {0: 0.0}
    assert driver.planned.busy_since(0.5) == {0: 0.0, 1: 0.25}


# ---- queues ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trip", "depth"), [(None, 1), (0.0, 1), (0.5, 1), (1.0, 1), (1.01, 2), (2.5, 3), (99.0, 6)]
)
def test_so_many_chunks_wait_at_a_worker_as_it_computes_in_a_round_trip(trip, depth):
    known = {} if trip is None else {"round_trip_seconds": {0: trip}}
    driver = Driver([tuple(range(6))], {0: 1.0}, **known)
    assert driver.begin(0) == {0: tuple(range(6))[: 1 + depth]}


def test_with_every_report_the_queue_is_replaced_and_a_worker_is_not_told_what_it_knows():
    driver = Driver([(0, 1, 2), (3, 4, 5)], {0: 1.0, 1: 1.0})
    assert driver.begin(0, 1) == {0: (0, 1), 1: (3, 4)}
    assert driver.changes(0.1) == {}
    assert driver.finish(0, 0, 1.0, 1.0) == {0: (1, 2)}
    assert driver.finish(0, 1, 1.0, 2.0) == {}
    assert driver.finish(0, 2, 1.0, 3.0) == {}
    assert driver.planned.n_left(0) == 0
    assert driver.planned.n_left(1)
    assert driver.planned.n_left(9) == 0


def test_reports_tell_how_long_a_small_frame_takes():
    driver = Driver([(0, 1, 2)], {0: 1.0})
    driver.begin(0, now=10.0)
    driver.planned.heard(0, 1, 0.9, 11.0)
    assert driver.paces.round_trip_seconds == {0: pytest.approx(0.1)}
    for n_queues, seconds in ((-1, 0.5), (5, 0.5), (1, 1.5), (1, -0.5), (1, float("nan"))):
        driver.planned.heard(0, n_queues, seconds, 11.0)
    assert driver.paces.round_trip_seconds == {0: pytest.approx(0.1)}


def test_the_first_report_of_a_round_tells_the_lead():
    driver = Driver([(0, 1, 2)], {0: 1.0})
    driver.begin(0, now=10.0)
    driver.finish(0, 0, 1.0, 11.5)
    driver.finish(0, 1, 1.0, 19.0)
    assert driver.paces.lead_seconds == {0: pytest.approx(0.5)}


def test_but_not_of_a_place_that_had_a_former_chunk_in_hand():
    driver = Driver([(0, 1, 2)], {0: 1.0}, busy_since={0: 9.0})
    driver.begin(0, now=10.0)
    driver.finish(0, 0, 1.0, 12.5)
    assert driver.paces.lead_seconds == {}


# ---- deviations -----------------------------------------------------------------------------------------


def test_a_place_that_runs_dry_pulls_what_is_finished_latest_otherwise():
    driver = Driver([(0, 1, 2, 3), (0, 1, 2, 3)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    mine, other = driver.todo(0), driver.todo(1)
    driver.finish(0, mine[0], 0.9, 0.9)
    assert driver.todo(0) == mine[1:], "nothing is gained by so little"
    driver.finish(0, mine[1], 0.1, 1.0)
    assert driver.todo(0) == other[1:]
    assert driver.todo(1) == other[:1]


def test_what_is_in_hand_elsewhere_is_pulled_as_a_copy():
    driver = Driver([(0,), (0, 1)], {0: 1.8, 1: 1.0})
    driver.begin(0, 1)
    assert (driver.todo(0), driver.todo(1)) == ([0], [1])
    assert driver.finish(1, 1, 0.3, 0.3) == {1: (0,)}
    assert driver.todo(0) == [0]


def test_a_late_place_gives_chunks_away_when_its_chunk_in_hand_is_overdue():
    driver = Driver([(0, 1, 2), (1, 2, 3)], {0: 1.0, 1: 1.75})
    driver.begin(0, 1)
    assert (driver.todo(0), driver.todo(1)) == ([0, 1, 2], [3])
    assert driver.tick(1.1) == {}
    assert driver.planned.wakes_at == pytest.approx(1.2)
    assert driver.tick(1.2) == {1: (3, 2)}
    assert (driver.todo(0), driver.todo(1)) == ([0, 1], [3, 2])


def test_a_place_that_falls_behind_the_plan_gives_chunks_away_when_it_reports():
    driver = Driver([(0, 1, 2), (1, 2, 3)], {0: 1.0, 1: 1.6})
    driver.begin(0, 1)
    assert (driver.todo(0), driver.todo(1)) == ([0, 1, 2], [3])
    assert driver.finish(0, 0, 1.5, 1.5) == {1: (3, 2)}
    assert driver.todo(0) == [1]


def test_if_all_holders_are_full_one_of_theirs_goes_on_to_a_third_place():
    # Place 3 leaves, and only place 0 holds its chunk; 0 and 1 are full, 2 has time, and has no chunk of 0.
    orders = [(0, 1, 2, 3), (3, 4, 5, 6), (6, 7, 8), (0,)]
    driver = Driver(orders, {0: 1.0, 1: 1.0, 2: 1.0, 3: 3.0})
    driver.begin(0, 1, 3)
    driver.begin(2, now=0.1)
    assert [driver.todo(place) for place in range(4)] == [[1, 2, 3], [4, 5, 6], [7, 8], [0]]
    driver.drop(3, now=0.2)
    assert [driver.todo(place) for place in range(4)] == [[1, 2, 0], [4, 5, 3], [7, 8, 6], []]


def overdue() -> Driver:
    """Place 0 is late with chunk 0, of which place 1 has a copy at the end of its list."""
    driver = Driver([(0,), (0, 1, 2, 3)], {0: 1.0, 1: 0.5})
    driver.begin(0, 1)
    assert (driver.todo(0), driver.todo(1)) == ([0], [1, 2, 3])
    driver.finish(1, 1, 0.5, 0.5)
    driver.finish(1, 2, 0.5, 1.0)
    assert driver.todo(1) == [3]
    assert driver.tick(1.2) == {1: (3, 0)}
    assert driver.todo(0) == [0]
    return driver


def test_an_overdue_chunk_in_hand_is_copied_and_leaves_the_other_list_when_it_is_finished_after_all():
    driver = overdue()
    assert driver.finish(0, 0, 1.3, 1.3) == {1: (3,)}
    assert driver.on_lists() == [3]


def test_a_copy_that_was_begun_stays_in_hand():
    driver = overdue()
    driver.finish(1, 3, 0.5, 1.5)
    assert driver.finish(0, 0, 1.6, 1.6) == {}
    assert driver.todo(1) == [0]


def test_when_the_copy_is_finished_first_the_chunk_counts():
    driver = overdue()
    driver.finish(1, 3, 0.5, 1.5)
    driver.finish(1, 0, 0.5, 2.0)
    assert driver.todo(1) == []
    assert driver.todo(0) == [0], "it cannot be taken out of its hand"
    driver.planned.tick(50.0)
    assert driver.todo(1) == []


def test_the_same_chunk_in_hand_is_looked_at_less_and_less_often():
    driver = Driver([(0,)], {0: 1.0})
    driver.begin(0)
    looks = []
    while (due := driver.planned.wakes_at) is not None:
        looks.append(due)
        driver.tick(due)
        assert driver.planned.wakes_at is None or driver.planned.wakes_at > due
    assert looks == pytest.approx([1.2 * 2**k for k in range(MOST_LOOKS)])


def test_the_first_report_of_a_run_tells_how_fast_places_are():
    driver = Driver([(0, 1), (2, 3)])
    driver.begin(0, 1)
    assert driver.planned.wakes_at is None, "nothing is overdue before any pace is known"
    driver.finish(0, 0, 7.0, 7.5)
    assert driver.planned.wakes_at == pytest.approx(1.2 * 7.0)
    driver.tick(8.4)
    assert driver.planned.wakes_at == pytest.approx(7.5 + 1.2 * 7.0)


# ---- places come and go ---------------------------------------------------------------------------------


def test_what_a_dropped_place_should_have_computed_goes_to_others():
    driver = Driver([(0, 1, 2, 3), (0, 1, 4, 5), (2, 3, 4, 5)], dict.fromkeys(range(3), 1.0))
    driver.begin(0, 1, 2)
    assert [len(driver.todo(place)) for place in range(3)] == [2, 2, 2]
    driver.drop(0, now=0.5)
    assert [len(driver.todo(place)) for place in range(3)] == [0, 3, 3]
    assert driver.on_lists() == list(range(6))
    assert driver.planned.busy_since(0.5).keys() == {1, 2}
    assert driver.drop(0, now=0.6) == {}
    assert driver.drop(9, now=0.6) == {}


def test_chunks_that_nobody_else_holds_wait_for_a_holder():
    driver = Driver([(0, 1, 2), (2, 3)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    driver.drop(0, now=0.5)
    assert 0 not in driver.on_lists()
    driver.begin(0, now=1.0)
    assert set(driver.todo(0)) >= {0, 1}


def test_what_a_revived_place_finished_counts_again_and_it_takes_chunks_again():
    driver = Driver([(0, 1, 2, 3), (0, 1, 2, 3)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    mine = driver.todo(0)
    driver.finish(0, mine[0], 1.0, 1.0)
    driver.drop(0, now=1.0)
    driver.planned.redo({mine[0]: []}, now=1.0)
    assert sorted(driver.todo(1)) == [0, 1, 2, 3]
    driver.planned.revive(0, [mine[0]], now=1.5)
    assert mine[0] not in driver.on_lists()
    assert driver.todo(0)
    assert mine[0] not in driver.changes(1.5).get(0, ())
    assert driver.queues[0] == driver.todo(0)[:2]
    assert driver.on_lists() == sorted({0, 1, 2, 3} - {mine[0]})


def test_a_revived_place_that_is_of_no_use_is_told_to_compute_nothing():
    driver = Driver([(0, 1), (0, 1)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    (mine,), (other,) = driver.todo(0), driver.todo(1)
    driver.drop(0, now=0.5)
    driver.finish(1, other, 0.9, 0.9)
    driver.finish(1, mine, 0.9, 1.8)
    driver.planned.revive(0, [], now=2.0)
    assert driver.changes(2.0) == {0: ()}
    assert driver.changes(2.1) == {}


def test_a_dropped_place_may_go_on_reporting():
    driver = Driver([(0, 1), (0, 1)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    (mine,) = driver.todo(0)
    driver.drop(0, now=0.5)
    assert driver.finish(0, mine, 1.0, 1.0) == {}
    assert sorted(driver.todo(1)) == [0, 1], "until it is revived it cannot be asked"
    driver.planned.revive(0, [mine], now=1.1)
    assert driver.todo(1)[1:] == []


def test_a_lost_chunk_is_computed_again():
    driver = Driver([(0, 1), (0, 1)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    (mine,), (other,) = driver.todo(0), driver.todo(1)
    driver.finish(0, mine, 1.0, 1.0)
    driver.finish(1, other, 1.0, 1.0)
    assert driver.on_lists() == []
    driver.drop(0, now=2.0)
    driver.planned.redo({mine: []}, now=2.0)
    assert driver.changes(2.0) == {1: (mine,)}


def test_with_copies_a_lost_one_is_computed_by_a_third_place():
    driver = Driver([(0,), (0,), (0, 1)], dict.fromkeys(range(3), 1.0), n_copies=2)
    driver.begin(0, 1, 2)
    assert [driver.todo(place) for place in range(3)] == [[0], [0], [1]], "only one holds chunk 1"
    for place, chunk in enumerate((0, 0, 1)):
        driver.finish(place, chunk, 1.0, 1.0)
    assert driver.on_lists() == []
    driver.drop(0, now=2.0)
    driver.planned.redo({0: [1]}, now=2.0)
    assert driver.changes(2.0) == {2: (0,)}


def test_a_late_joiner_takes_over():
    code = scheduled(4, 4, 4)
    driver = Driver(code.assignment.orders, dict.fromkeys(range(4), 1.0))
    driver.begin(0, 1, 2)
    now = 1.0
    for place in range(3):
        driver.finish(place, driver.todo(place)[0], 1.0, now)
    assert 3 in driver.begin(3, now=now)
    n_done = [1, 1, 1, 0]
    while any(driver.queues[place] for place in range(4)):
        now += 1.0
        for place in range(4):
            if driver.queues[place]:
                driver.finish(place, driver.queues[place][0], 1.0, now)
                n_done[place] += 1
    assert sum(n_done) == 16
    assert n_done[3] >= 3
    assert now <= 5.0


def test_a_link_that_begins_anew_has_nothing():
    driver = Driver([(0, 1), (0, 1)], {0: 1.0, 1: 1.0})
    driver.begin(0, 1)
    (mine,) = driver.todo(0)
    driver.begin(0, now=0.4)
    assert driver.todo(0) == [mine]
    assert driver.on_lists() == [0, 1]


# ---- any order of events --------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """What Round promises to a schedule, in any order; the books here are kept apart from the schedule's."""

    @initialize(data=st.data())
    def set_up(self, data):
        n, each = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 3))
        copies = data.draw(st.integers(1, min(3, n)))
        self.n_copies = data.draw(st.integers(1, copies))
        code = scheduled(n, copies, each, self.n_copies, seed=data.draw(st.integers(0, 9)))
        seconds = st.sampled_from([0.5, 1.0, 1.0, 5.0])
        known = {place: data.draw(seconds) for place in range(n) if data.draw(st.booleans())}
        trips = {place: data.draw(st.sampled_from([0.1, 2.0])) for place in range(n)}
        self.driver = Driver(code.assignment.orders, known, self.n_copies, round_trip_seconds=trips)
        self.held = code.assignment.orders
        self.now = 0.0
        self.arrived: dict[int, set[int]] = {}  # of the newest link of each place
        self.live: set[int] = set()
        self.finishers: list[set[int]] = [set() for _ in range(code.n_chunks)]
        self.place = st.integers(0, n - 1)
        first = data.draw(st.sets(self.place, min_size=1))
        self.arrived = {place: set() for place in first}
        self.live = set(first)
        self.see(self.driver.begin(*sorted(first)))

    def see(self, changes: dict[int, tuple[int, ...]]) -> None:
        for place, chunks in changes.items():
            assert place in self.live
            assert len(set(chunks)) == len(chunks)
            assert set(chunks) <= set(self.held[place])
            assert self.arrived[place].isdisjoint(chunks), "it has finished that"

    def lose(self, place: int) -> None:
        """What Round does when nothing more is expected of a place."""
        self.live.discard(place)
        redo = {}
        for chunk in sorted(self.arrived[place]):
            self.finishers[chunk].discard(place)
            if len(self.finishers[chunk]) < self.n_copies:
                redo[chunk] = sorted(self.finishers[chunk])
        self.driver.planned.drop(place, self.now)
        if redo:
            self.driver.planned.redo(redo, self.now)
        self.see(self.driver.changes(self.now))

    @rule(data=st.data(), seconds=st.sampled_from([0.0, 0.5, 1.0, 4.0]))
    def pass_time(self, data, seconds):
        self.now += seconds
        self.see(self.driver.tick(self.now))
        wakes_at = self.driver.planned.wakes_at
        assert wakes_at is None or wakes_at > self.now

    @rule(data=st.data(), seconds=st.sampled_from([0.2, 1.0, 3.0]), of_its_own=st.booleans())
    def finish(self, data, seconds, of_its_own):
        """A place finishes the first of its queue, or what it had begun before its queue was replaced."""
        if not self.arrived:
            return
        place = data.draw(st.sampled_from(sorted(self.arrived)))
        queue = self.driver.queues.get(place, [])
        open_chunks = [chunk for chunk in self.held[place] if chunk not in self.arrived[place]]
        wanted = open_chunks if of_its_own or place not in self.live else queue
        if not wanted:
            return
        chunk = data.draw(st.sampled_from(wanted)) if wanted is open_chunks else queue[0]
        self.now += 0.1
        self.arrived[place].add(chunk)
        if place in self.live:
            self.finishers[chunk].add(place)
        self.see(self.driver.finish(place, chunk, seconds, self.now))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def drop(self, data):
        self.lose(data.draw(st.sampled_from(sorted(self.live))))

    @rule(data=st.data())
    def revive(self, data):
        gone = sorted(self.arrived.keys() - self.live)
        if not gone:
            return
        place = data.draw(st.sampled_from(gone))
        self.live.add(place)
        for chunk in self.arrived[place]:
            self.finishers[chunk].add(place)
        self.driver.planned.revive(place, sorted(self.arrived[place]), self.now)
        self.see(self.driver.changes(self.now))

    @rule(data=st.data())
    def begin(self, data):
        """A link takes the place, for the first time or after another."""
        place = data.draw(self.place)
        if place in self.live:
            self.lose(place)
        self.arrived[place] = set()
        self.live.add(place)
        self.driver.queues.pop(place, None)
        self.see(self.driver.begin(place, now=self.now))

    @rule(data=st.data())
    def free(self, data):
        self.driver.planned.free(data.draw(self.place), self.now)

    @invariant()
    def lists_agree_with_queues(self):
        for place in self.live:
            todo = self.driver.todo(place)
            depth = self.driver.planned._lists.hands[place].depth
            assert todo[: 1 + depth] == self.driver.queues.get(place, [])
            assert self.driver.planned.n_left(place) == len(todo)
            assert self.arrived[place].isdisjoint(todo)
        for place in self.arrived.keys() - self.live:
            assert self.driver.planned.n_left(place) == 0

    @invariant()
    def what_is_not_done_is_on_a_list_or_will_be_pulled(self):
        for chunk, finishers in enumerate(self.finishers):
            listed = [place for place in self.live if chunk in self.driver.todo(place)]
            if len(finishers) + len(listed) >= self.n_copies:
                continue
            for place in self.live:
                if chunk in self.held[place] and place not in finishers and place not in listed:
                    assert self.driver.todo(place), f"chunk {chunk} is missing, and place {place} idle"

    def teardown(self):
        """Those who are there go on to the end: then every chunk is finished by as many as it can be."""
        if not hasattr(self, "driver"):
            return
        while busy := [place for place in sorted(self.live) if self.driver.queues.get(place)]:
            place = busy[0]
            chunk = self.driver.queues[place][0]
            self.now += 1.0
            self.arrived[place].add(chunk)
            self.finishers[chunk].add(place)
            self.see(self.driver.finish(place, chunk, 1.0, self.now))
        for chunk, finishers in enumerate(self.finishers):
            able = {place for place in self.live if chunk in self.held[place]}
            assert len(finishers) >= self.n_copies or finishers >= able
        assert self.driver.planned.wakes_at is None


AnyOrder.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
