from __future__ import annotations

from master.commands import CloseLink, Note, Welcome
from master.events import LinkUp
from master.membership import Membership
from master.roster import Roster


def roster(n_places: int | None, *names: str) -> Roster:
    made = Roster(Membership(n_places))
    for number, name in enumerate(names):
        made.up(LinkUp(number, name), now=0.0)
    return made


def test_a_newcomer_takes_a_place():
    turn = roster(1).up(LinkUp(0, "ann"), now=0.0)
    assert (turn.lost, turn.taken) == ([], [0])
    assert turn.commands == [Welcome(0, 0, 1), Note("joined", "worker ann took place 0", 0)]


def test_a_newcomer_without_a_place_is_a_spare():
    turn = roster(1, "ann").up(LinkUp(1, "bob"), now=0.0)
    assert (turn.lost, turn.taken) == ([], [])
    assert turn.commands == [Welcome(1, None, 2), Note("joined", "worker bob waits as a spare", None)]


def test_a_second_link_of_a_name_takes_over():
    turn = roster(1, "ann").up(LinkUp(5, "ann"), now=1.0)
    assert (turn.lost, turn.taken) == ([0], [0])
    assert turn.commands[:2] == [
        CloseLink(0, "another link of the same worker took over"),
        Welcome(5, 0, 2),
    ]


def test_a_spare_steps_in():
    turn = roster(1, "ann", "bob").down(0, "the process died")
    assert (turn.lost, turn.taken) == ([0], [0])
    assert turn.commands == [
        Note("lost", "worker ann: the process died", 0),
        Welcome(1, 0, 3),
        Note("joined", "worker bob took place 0", 0),
    ]


def test_an_unknown_link_that_ends_changes_nothing():
    turn = roster(1, "ann").down(9, "the process died")
    assert (turn.commands, turn.lost, turn.taken) == ([], [], [])


def test_a_drained_worker_gets_a_goodbye():
    made = roster(2, "ann", "bob")
    link = made._members.links[0]
    link.draining = True
    turn = made.let_go(link)
    assert turn.commands == [CloseLink(0, "drained"), Note("lost", "worker ann: it has drained", 0)]
    assert turn.lost == [0]


def test_the_lobby_opens():
    turn = roster(None, "ann", "bob").open(2)
    assert turn.taken == [0, 1]
    assert [command.place for command in turn.commands if isinstance(command, Welcome)] == [0, 1]


def test_a_draining_worker_that_hangs_up_first_has_drained_as_well():
    made = roster(1, "ann")
    made._members.links[0].draining = True
    assert made.down(0, "the connection ended").commands == [Note("lost", "worker ann: it has drained", 0)]
