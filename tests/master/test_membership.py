from __future__ import annotations

import pytest

from master.membership import MOST_FORMER, SLOW_LINK_ROUNDS, Link, Membership


def places(members: Membership) -> dict[str, int | None]:
    return {link.name: link.place for link in members.links.values()}


def test_lowest_free_place_first_and_spares_beyond_n():
    members = Membership(2)
    for number, name in enumerate(["ann", "bob", "cat"]):
        members.join(number, name, now=0.0)
    assert places(members) == {"ann": 0, "bob": 1, "cat": None}
    assert members.n_linked == 2
    assert [link.name for link in members.seated()] == ["ann", "bob"]


def test_a_name_gets_its_former_place_if_free():
    members = Membership(3)
    for number, name in enumerate(["ann", "bob", "cat"]):
        members.join(number, name, now=0.0)
    members.leave(0)
    members.leave(2)
    assert members.join(3, "cat", now=1.0).place == 2
    assert members.join(4, "dan", now=1.0).place == 0
    assert members.join(5, "ann", now=1.0).place is None
    assert [members.name_at(place) for place in range(3)] == ["dan", "bob", "cat"]


def test_spares_take_free_places_in_the_order_in_which_they_came():
    members = Membership(1)
    for number, name in enumerate(["ann", "bob", "cat"]):
        members.join(number, name, now=0.0)
    before = members.links[1].incarnation
    gone, spare = members.leave(0)
    assert gone is not None
    assert spare is not None
    assert (gone.name, spare.name, spare.place) == ("ann", "bob", 0)
    assert spare.incarnation > before, "frames of its time as a spare are stale"


def test_a_draining_spare_takes_no_place():
    members = Membership(1)
    members.join(0, "ann", now=0.0)
    members.join(1, "bob", now=0.0).draining = True
    assert members.leave(0)[1] is None
    assert members.at(0) is None
    assert members.join(2, "cat", now=1.0).place == 0


def test_take_over_keeps_the_place_with_a_new_incarnation():
    members = Membership(2)
    old = members.join(0, "ann", now=0.0)
    members.can_compute(old)
    new = members.take_over(old, 7, now=1.0)
    assert (new.place, new.ready, new.incarnation > old.incarnation) == (0, False, True)
    assert members.at(0) is new
    assert members.same_name("ann") is new
    assert (members.n_linked, members.n_ready) == (1, 0)
    assert members.leave(0) == (None, None), "the old link is forgotten"


def test_nobody_is_seated_in_the_lobby():
    members = Membership(None)
    for number, name in enumerate(["ann", "bob", "cat"]):
        assert members.join(number, name, now=0.0).place is None
    members.leave(1)
    assert [link.name for link in members.open(2)] == ["ann", "cat"]
    assert members.n_places == 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_counts_follow_whoever_comes_and_goes(order):
    members = Membership(3)
    for number in range(3):
        members.can_compute(members.join(number, f"w{number}", now=0.0))
    for left, number in enumerate(order, start=1):
        members.leave(number)
        assert (members.n_linked, members.n_ready) == (3 - left, 3 - left)
    again = [members.join(10 + number, f"w{number}", now=1.0).place for number in order]
    assert again == list(order)
    assert (members.n_linked, members.n_ready) == (3, 0)


def test_a_link_that_never_takes_whole_parameters_is_too_slow():
    link = Link(0, "ann", 1)
    for number in range(SLOW_LINK_ROUNDS + 1):
        assert not link.too_slow
        link.starts(number)
    assert link.too_slow
    link.written_round = SLOW_LINK_ROUNDS
    link.starts(SLOW_LINK_ROUNDS + 1)
    assert not link.too_slow


def test_names_are_remembered_up_to_a_bound_and_the_oldest_is_forgotten():
    members = Membership(1)
    most = MOST_FORMER + 2
    for number in range(most + 5):
        members.join(number, f"w{number}", now=0.0)
        members.leave(number)
    former = list(members.state()["former"])
    assert len(former) == most
    assert former[0] == "w5"
    assert former[-1] == f"w{most + 4}"
