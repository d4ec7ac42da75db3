from __future__ import annotations

from common.codes.fractional_repetition import fractional_repetition
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.uncoded import uncoded
from master.joining import Begin, GiveUp, Joining, KeepWaiting, Open, Patience
from master.membership import Membership


def members(n_places: int, n_linked: int, n_ready: int) -> Membership:
    made = Membership(n_places)
    links = [made.join(number, f"w{number}", now=0.0) for number in range(n_linked)]
    for link in links[:n_ready]:
        made.can_compute(link)
    return made


def joining() -> Joining:
    return Joining(timeout_seconds=10.0, quiet_seconds=2.0, now=100.0)


def test_begins_when_every_place_can_compute():
    assert joining().begin(members(2, 2, 2), uncoded(2), now=101.0) == Begin()
    assert joining().begin(members(2, 2, 1), uncoded(2), now=101.0) == KeepWaiting()


def test_at_the_timeout_begins_without_those_the_code_can_spare():
    code = fractional_repetition(4, 1)
    assert joining().begin(members(4, 3, 3), code, now=109.9) == KeepWaiting()
    assert joining().begin(members(4, 3, 3), code, now=110.0) == Begin(1)
    assert joining().begin(members(4, 3, 0), code, now=110.0) == KeepWaiting(), "nobody can compute yet"


def test_a_code_that_ends_rounds_early_can_spare_the_others():
    assert joining().begin(members(4, 2, 2), ignore_stragglers(4, 2), now=110.0) == Begin(2)


def test_otherwise_it_gives_up_and_says_how_many_came():
    found = joining().begin(members(4, 2, 2), fractional_repetition(4, 1), now=110.0)
    assert found == GiveUp(
        "2 of 4 workers came within 10 s, and fractional_repetition(4, 1) can do without 1"
    )


def test_the_lobby_waits_for_a_quiet_time():
    lobby = joining()
    assert lobby.leave_lobby(0, None, now=101.0) == KeepWaiting()
    lobby.newcomer_at = 105.0
    assert lobby.wakes_at(lobby=True, n_links=1) == 107.0
    assert lobby.leave_lobby(1, None, now=106.9) == KeepWaiting()
    assert lobby.leave_lobby(1, None, now=107.0) == Open(1)


def test_the_lobby_goes_on_waiting_when_everybody_has_left():
    lobby = joining()
    lobby.newcomer_at = 105.0
    assert lobby.wakes_at(lobby=True, n_links=0) == 110.0
    assert lobby.leave_lobby(0, None, now=107.0) == KeepWaiting()
    assert lobby.leave_lobby(0, None, now=110.0) == GiveUp("no worker was there after 10 s")


def test_patience_tells_once_and_ends():
    patience = Patience(5.0)
    assert patience.look("", now=1.0) == ""
    assert patience.look("nobody is there", now=2.0) == (
        "nobody is there: waiting up to 5 s for lost workers"
    )
    assert patience.look("nobody is there", now=3.0) == ""
    assert patience.wakes_at == 7.0
    assert patience.look("nobody is there", now=7.0) == GiveUp("nobody is there, and nobody came back in 5 s")


def test_patience_starts_anew_when_the_run_can_go_on():
    patience = Patience(5.0)
    patience.look("nobody is there", now=2.0)
    assert patience.look("", now=6.0) == ""
    assert patience.wakes_at is None
    patience.look("nobody is there", now=6.5)
    assert patience.wakes_at == 11.5
