"""Few rows move when there is another plan."""

from __future__ import annotations

import itertools

import pytest

from common.spec import make_code
from master import seating
from master.membership import Link
from master.seating import rows_to_move, seats

R = 840


def linked(n: int, spares: int = 0) -> list[Link]:
    places = [*range(n), *[None] * spares]
    return [Link(number, f"w{number}", 1, place) for number, place in enumerate(places)]


@pytest.mark.parametrize("code", ["uncoded(n)", "cyclic_repetition(n, 2)", "scheduled(n, 3, 4)"])
def test_the_same_plan_moves_nobody(code):
    plan, links = make_code(code, 8), linked(8)
    given = seats(links, plan, plan, R)
    assert given == {number: number for number in range(8)}
    assert rows_to_move(given, links, plan, plan, R) == 0


@pytest.mark.parametrize(("before", "after"), [(4, 3), (3, 4), (5, 3), (4, 5)])
def test_no_other_seating_moves_fewer_rows(before, after):
    former, later = (make_code("cyclic_repetition(n, 1)", n) for n in (before, after))
    links = linked(before, max(0, after - before))
    given = seats(links, former, later, R)
    assert sorted(given.values()) == list(range(min(after, len(links))))
    least = min(
        rows_to_move(dict(zip(chosen, range(after), strict=True)), links, former, later, R)
        for chosen in itertools.permutations(range(len(links)), after)
    )
    assert rows_to_move(given, links, former, later, R) == least


def test_a_lost_place_moves_fewer_rows_than_places_in_order():
    """Place 0 is gone: that everybody moved up by one place would be dear."""
    former, later = (make_code("cyclic_repetition(n, 2)", n) for n in (8, 7))
    links = linked(8)[1:]
    given = seats(links, former, later, R)
    in_order = {link.number: place for place, link in enumerate(reversed(links))}
    moved = rows_to_move(given, links, former, later, R)
    assert moved < 0.5 * rows_to_move(in_order, links, former, later, R)


def test_a_spare_that_prepared_a_place_counts_as_holding_its_rows():
    plan = make_code("uncoded(n)", 3)
    links = linked(2, 2)
    links[3].prepares = 2
    given = seats(links, plan, plan, R)
    assert given == {0: 0, 1: 1, 3: 2}
    assert rows_to_move(given, links, plan, plan, R) == 0


def test_very_many_links_keep_their_places_without_counting(monkeypatch):
    monkeypatch.setattr(seating, "MOST_WORK", 10)
    former, later = (make_code("uncoded(n)", n) for n in (5, 4))
    assert seats(linked(5)[1:], former, later, R) == {1: 1, 2: 2, 3: 3, 4: 0}


def test_nobody_there_is_nobody_seated():
    plan = make_code("uncoded(n)", 2)
    assert seats([], plan, plan, R) == {}
