"""Spares prepare for the places that are likeliest to become free."""

from __future__ import annotations

from master.bookkeeping import Totals
from master.commands import Prefetch
from master.membership import Membership
from master.paces import Paces
from master.preparing import EVERY_ROUNDS, MOST_PLACES, Preparing


def of(n_places: int, n_spares: int) -> tuple[Preparing, Membership, Totals, Paces]:
    members, totals, paces = Membership(n_places), Totals(), Paces()
    for number in range(n_places + n_spares):
        members.join(number, f"w{number}", now=0.0)
    return Preparing(members, totals, paces), members, totals, paces


def first(told: list) -> dict[int, int]:
    assert all(isinstance(each, Prefetch) for each in told)
    return {each.link: each.places[0] for each in told}


def test_who_leaves_comes_first_then_who_was_lost_straggled_or_is_slow():
    preparing, members, totals, paces = of(6, 1)
    paces.observe(5, 9.0)
    totals.straggles[4] = 3
    preparing.lost([3])
    members.drain(members.links[2])
    (told,) = preparing.look(0)
    assert told == Prefetch(6, (2, 3, 4, 5, 0, 1))


def test_spares_prepare_for_different_places_and_only_once():
    preparing, _, totals, _ = of(4, 3)
    totals.straggles.update({0: 1, 1: 5, 3: 2})
    assert first(preparing.look(0)) == {4: 1, 5: 3, 6: 0}
    assert preparing.look(1) == []


def test_a_place_that_another_spare_takes_is_replaced_by_the_next():
    preparing, members, totals, _ = of(4, 2)
    totals.straggles.update({1: 5, 3: 2})
    assert first(preparing.look(0)) == {4: 1, 5: 3}
    gone, taker = members.leave(3)
    assert gone is not None
    assert taker is not None
    assert (taker.number, taker.place) == (5, 3)
    members.join(6, "new", now=1.0)
    assert first(preparing.look(0)) == {6: 3}


def test_the_spare_that_prepared_gets_the_place_before_those_that_came_earlier():
    preparing, members, totals, _ = of(4, 3)
    totals.straggles.update({0: 1, 1: 5, 3: 2})
    preparing.look(0)
    assert members.leave(0)[1].number == 6
    assert members.leave(2)[1].number == 4, "nobody prepared for place 2: who came first"


def test_what_is_known_of_stragglers_is_looked_at_again_now_and_then():
    preparing, _, totals, _ = of(4, 1)
    assert first(preparing.look(0)) == {4: 0}
    totals.straggles[2] = 7
    assert preparing.look(EVERY_ROUNDS - 1) == []
    assert first(preparing.look(EVERY_ROUNDS)) == {4: 2}


def test_more_spares_than_places_and_very_many_places():
    preparing, _, _, _ = of(1, 3)
    assert first(preparing.look(0)) == {1: 0}
    preparing, _, _, _ = of(100, 1)
    (told,) = preparing.look(0)
    assert len(set(told.places)) == MOST_PLACES


def test_nobody_prepares_in_the_lobby():
    members = Membership(None)
    members.join(0, "w0", now=0.0)
    assert Preparing(members, Totals(), Paces()).look(0) == []
