from __future__ import annotations

import pytest

from common.codes.base import GradientCode, decode
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.fractional_repetition import fractional_repetition
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.partial_stragglers import partial_stragglers
from common.codes.scheduled import scheduled
from common.codes.uncoded import uncoded
from master.collecting import Ask, CollectTimes
from master.commands import Solve
from master.deadlines import RoundRules
from master.paces import Paces
from master.planned import Planned
from master.round import Move, Round
from master.schedule import FixedOrder, Requeue, Schedule
from master.shares import Planner


class Played:
    """A round of which every place is linked and started at time 0; answers its own Solve."""

    def __init__(self, code: GradientCode, **rules) -> None:
        schedule: Schedule = FixedOrder(code.assignment, Paces())
        if code.scheduled:
            schedule = Planned(Planner(code.assignment, code.n_parts), code.assignment, code.n_parts, Paces())
        self.round = Round(0, code, RoundRules(**rules), 0.0, schedule, CollectTimes(0))
        self.payloads = 0
        self.asks: list[Ask] = []
        self.n_solves = 0
        for place in range(code.n_workers):
            self.round.expect(place, f"w{place}")
        self.queues: dict[int, tuple[int, ...]] = {}
        for places in [range(code.n_workers)] if code.scheduled else [[n] for n in range(code.n_workers)]:
            self.take(self.round.start(places, now=0.0), 0.0)

    def take(self, moves: list[Move] | None, now: float) -> list[Move] | None:
        for move in list(moves or ()):
            if isinstance(move, Solve):
                self.n_solves += 1
                found = decode(self.round.code, move.received)
                moves += self.take(self.round.solved(found, 0.001, now), now)
            elif isinstance(move, Ask):
                self.asks.append(move)
            elif isinstance(move, Requeue):
                self.queues[move.place] = move.chunks
        return moves

    def finish(self, place: int, *chunks: int, now: float) -> list[Move] | None:
        for chunk in chunks:
            moves = self.take(self.round.chunk_finished(place, chunk, 0.02, now), now)
        return moves

    def send(self, place: int, number: int, now: float) -> list[Move] | None:
        self.payloads += 1
        return self.take(self.round.message_arrived(place, number, self.payloads, now), now)

    def lose(self, place: int, now: float, successor: str | None = None) -> list[Move] | None:
        return self.take(self.round.lose(place, now, successor), now)

    def tick(self, now: float) -> list[Move] | None:
        return self.take(self.round.tick(now), now)

    @property
    def ended(self) -> tuple[str, str] | None:
        outcome = self.round.outcome
        return None if outcome is None else (outcome.end, outcome.reason)


# ---- ends -------------------------------------------------------------------------------------------------


def test_exact_ends_a_round():
    played = Played(fractional_repetition(4, 1))
    played.send(0, 0, now=0.1)
    assert played.n_solves == 0, "half of the blocks are worth no solve"
    played.send(1, 1, now=0.2)
    assert played.ended == ("exact", "every chunk is recovered")
    assert played.round.outcome.used == ((1, (1.0,)), (2, (1.0,)))
    assert played.round.outcome.contributors == (0, 1)


def test_the_first_k_messages_of_a_code_are_enough():
    played = Played(ignore_stragglers(4, 1))
    for place in (3, 1, 2):
        played.send(place, place, now=0.1)
    assert played.ended == ("enough", "the code ends a round at 3 messages: recovered fraction 0.667")


@pytest.mark.parametrize(("enough", "needed"), [(0.07, 7), (0.3, 30), (0.75, 75)])
def test_enough_is_as_many_chunks_as_it_says(enough, needed):
    """Although 1 - 93/100 is a little less than 0.07 in floating point."""
    played = Played(uncoded(100), enough=enough)
    for place in range(needed):
        assert played.ended is None
        played.send(place, place, now=0.1)
    assert played.ended[0] == "enough"


def test_the_deadline_ends_a_round():
    played = Played(uncoded(3), deadline_seconds=1.0)
    played.send(0, 0, now=0.1)
    assert played.round.wakes_at(0.1) == 1.0
    played.tick(now=0.9)
    assert played.ended is None
    played.tick(now=1.0)
    assert played.ended == ("deadline", "the deadline of 1 s passed: recovered fraction 0.333")


def test_a_deadline_that_passes_while_an_event_is_handled_still_wakes_the_round():
    played = Played(uncoded(3), deadline_seconds=1.0)
    assert played.round.wakes_at(1.5) == 1.0
    played.tick(now=1.5)
    assert played.ended[0] == "deadline"
    assert played.round.wakes_at(1.5) is None
    alone = Played(uncoded(1), deadline_seconds=1.0)
    alone.lose(0, now=0.5)
    assert alone.round.wakes_at(1.5) is None, "with nobody linked a round does not wake up for ever"


def test_nothing_more_can_come_ends_a_round():
    played = Played(uncoded(3))
    played.send(0, 0, now=0.1)
    played.send(1, 1, now=0.1)
    played.lose(2, now=0.2)
    assert played.ended == (
        "exhausted",
        "nothing more can come from the linked workers: recovered fraction 0.667",
    )
    assert played.round.outcome.lost == (2,)


def test_waiting_rounds_end_exactly_or_not_at_all():
    played = Played(uncoded(2), deadline_seconds=1.0, waits=True)
    assert played.round.wakes_at(0.0) is None
    played.send(0, 0, now=0.1)
    played.tick(now=2.0)
    played.lose(1, now=3.0)
    assert played.ended is None
    assert played.round.exhausted
    played.round.expect(1)
    assert not played.round.exhausted, "somebody is loading rows"
    played.take(played.round.start([1], now=4.0), 4.0)
    played.send(1, 1, now=5.0)
    assert played.ended[0] == "exact"


def test_with_nobody_linked_a_round_waits():
    played = Played(uncoded(2), deadline_seconds=1.0)
    played.lose(0, now=0.1)
    played.lose(1, now=0.2)
    played.tick(now=1.5)
    assert played.ended is None
    played.round.expect(0)
    played.take(played.round.start([0], now=2.0), 2.0)
    assert played.ended[0] == "deadline"


def test_a_pattern_is_solved_once():
    played = Played(cyclic_repetition(4, 1), deadline_seconds=1.0)
    played.send(0, 0, now=0.1)
    played.send(1, 1, now=0.1)
    played.tick(now=1.0)
    assert played.n_solves == 1
    assert played.ended[0] == "deadline"


# ---- messages ---------------------------------------------------------------------------------------------


def test_a_message_counts_once():
    played = Played(uncoded(2))
    assert played.send(0, 0, now=0.1) == []
    assert played.send(0, 0, now=0.2) is None
    assert played.round.payloads() == (1,)


def test_messages_have_owners():
    fixed = Played(uncoded(3)).round
    assert fixed.owns(1, 1)
    assert not fixed.owns(1, 2)
    assert not fixed.owns(1, -1)
    assert not fixed.owns(1, 3)
    asked = Played(partial_stragglers(2, 2))
    asked.finish(0, 0, 1, now=0.1)
    assert asked.round.owns(0, 0)
    assert not asked.round.owns(1, 0)
    assert not asked.round.owns(0, 1)


def test_a_message_of_a_lost_place_stays_valid():
    played = Played(uncoded(2))
    played.send(0, 0, now=0.1)
    played.lose(0, now=0.2, successor="other")
    assert played.ended is None
    played.send(1, 1, now=0.3)
    assert played.ended[0] == "exact", "the successor need not compute it again"


def test_a_successor_whose_message_is_there_already_is_not_waited_for():
    played = Played(uncoded(3))
    played.send(0, 0, now=0.1)
    played.send(1, 1, now=0.1)
    played.lose(0, now=0.2, successor="other")
    played.lose(2, now=0.3)
    assert played.ended[0] == "exhausted"


# ---- codes on request -------------------------------------------------------------------------------------


def test_asks_when_every_chunk_is_finished_somewhere():
    played = Played(partial_stragglers(3, 2))
    played.finish(0, 0, now=0.1)
    played.finish(1, 1, now=0.2)
    assert played.asks == []
    played.finish(1, 2, now=0.3)
    assert [(ask.place, [term.chunk for term in ask.terms]) for ask in played.asks] == [(1, [1, 2]), (0, [0])]
    played.send(1, 0, now=0.4)
    played.send(0, 1, now=0.5)
    assert played.ended[0] == "exact"
    assert played.round.outcome.collect_seconds == pytest.approx(0.2)


def test_a_report_counts_once():
    played = Played(partial_stragglers(2, 2))
    assert played.finish(0, 0, now=0.1) == []
    assert played.finish(0, 0, now=0.2) is None


def test_a_silent_place_is_replaced_by_another_finisher():
    played = Played(partial_stragglers(2, 2))
    played.finish(0, 0, 1, now=0.1)
    played.finish(1, 1, 0, now=0.15)
    due = played.round.wakes_at(0.15)
    assert due == pytest.approx(0.35)
    played.tick(now=due)
    assert [ask.place for ask in played.asks] == [0, 1]
    assert played.send(1, 1, now=0.4) is not None
    assert played.ended[0] == "exact"


def test_an_answer_after_its_time_is_taken_if_nobody_else_could_be_asked():
    played = Played(partial_stragglers(2, 1), waits=True)
    played.finish(0, 0, now=0.1)
    played.finish(1, 1, now=0.1)
    played.send(0, 0, now=0.11)
    played.tick(now=1.0)
    assert played.ended is None
    played.send(1, 1, now=2.0)
    assert played.ended[0] == "exact"


def test_a_place_that_answers_too_late_can_be_asked_again():
    """Both of two answers that overlap with a repair come late; what they held is not lost with them."""
    played = Played(partial_stragglers(4, 2), waits=True)
    played.lose(3, now=0.0)
    for place, chunks in ((0, (0, 1)), (1, (1, 2)), (2, (2, 3))):
        played.finish(place, *chunks, now=0.1)
    assert [(ask.place, [term.chunk for term in ask.terms]) for ask in played.asks] == [
        (0, [0, 1]),
        (2, [2, 3]),
    ]
    played.tick(now=0.35)
    assert [term.chunk for term in played.asks[2].terms] == [1, 2]
    for place, number in ((0, 0), (2, 1)):
        assert played.send(place, number, now=0.4) is None, "a chunk of it would count twice"
        played.take(played.round.revive(place, now=0.4), 0.4)
    played.send(1, 2, now=0.45)
    assert [(ask.place, [term.chunk for term in ask.terms]) for ask in played.asks[3:]] == [
        (0, [0]),
        (2, [3]),
    ]
    played.send(0, 3, now=0.5)
    played.send(2, 4, now=0.5)
    assert played.ended[0] == "exact"


def test_an_unfinished_chunk_goes_first_where_it_waits():
    played = Played(partial_stragglers(4, 3))
    for place in range(4):
        played.finish(place, place, now=0.1)
    moves = played.lose(0, now=0.2)
    # Place 2 has 3 in hand and then 0; place 3 has 0 in hand already.
    assert moves == [Requeue(2, (0, 3))]


def test_after_the_deadline_there_is_one_collection_and_one_repair():
    played = Played(partial_stragglers(3, 3), deadline_seconds=1.0)
    played.finish(0, 0, 1, now=0.5)
    played.finish(1, 1, now=0.5)
    played.finish(2, 0, now=0.5)
    played.tick(now=1.0)
    assert [ask.place for ask in played.asks] == [0]
    played.tick(now=played.round.wakes_at(1.0))
    assert [ask.place for ask in played.asks] == [0, 1, 2], "the repair"
    played.send(1, 1, now=1.3)
    played.tick(now=played.round.wakes_at(1.3))
    assert played.ended == ("deadline", "the deadline of 1 s passed: recovered fraction 0.333")
    assert len(played.asks) == 3
    # 0.25 s of patience, and twice that because nobody had answered.
    assert played.round.outcome.collect_seconds == pytest.approx(0.75)


def test_what_is_collected_and_enough_is_not_delayed_by_more_asking():
    played = Played(partial_stragglers(4, 1), enough=0.5)
    played.finish(0, 0, now=0.1)
    played.finish(1, 1, now=0.1)
    played.finish(2, 2, now=0.11)
    played.send(0, 0, now=0.12)
    played.send(1, 1, now=0.12)
    assert played.ended == ("enough", "a recovered fraction of 0.5 is enough: recovered fraction 0.500")


def test_the_work_of_a_link_that_left_is_remembered():
    played = Played(partial_stragglers(2, 2), enough=0.5)
    played.finish(0, 0, now=0.1)
    played.send(0, 0, now=0.11)
    assert played.ended[0] == "enough"
    waiting = Played(partial_stragglers(2, 2))
    waiting.finish(0, 0, now=0.1)
    waiting.lose(0, now=0.2, successor="other")
    assert [(work.worker, list(work.arrived)) for work in waiting.round.left] == [("w0", [0])]
    assert waiting.round.works[0].worker == "other"


# ---- scheduled codes --------------------------------------------------------------------------------------


def ring(copies: int = 2, **rules) -> Played:
    """Place j of three holds the chunks j, j + 1, ..., modulo 3: so many as copies are wanted."""
    return Played(scheduled(3, copies, 1, placement="cyclic"), **rules)


def test_the_round_hands_out_chunks_and_ends_when_each_is_finished_once():
    played = ring()
    assert played.queues == {0: (0,), 1: (1,), 2: (2,)}
    for place in range(3):
        played.finish(place, place, now=0.1)
    assert [(ask.place, [term.chunk for term in ask.terms]) for ask in played.asks] == [
        (0, [0]),
        (1, [1]),
        (2, [2]),
    ]
    for ask in played.asks:
        played.send(ask.place, ask.request, now=0.2)
    assert played.ended == ("exact", "every chunk is recovered")
    assert played.round.outcome.stragglers == ()


def test_nothing_more_can_come_when_no_list_holds_a_chunk():
    """The places that are left hold nothing that is missing, though they have not computed all they hold."""
    played = ring()
    played.lose(0, now=0.05)
    played.lose(2, now=0.05)
    played.finish(1, 1, now=0.1)
    assert played.queues[1] == (1, 2)
    assert played.round.outcome is None
    assert not played.round.exhausted
    played.finish(1, 2, now=0.2)
    (ask,) = played.asks
    assert [term.chunk for term in ask.terms] == [1, 2]
    played.send(1, ask.request, now=0.3)
    assert played.round.exhausted
    assert played.ended[0] == "exhausted"


def test_a_place_that_was_handed_nothing_is_not_waited_for():
    played = Played(scheduled(3, 3, 1))
    mine = {place: chunks[0] for place, chunks in played.queues.items()}
    played.finish(0, mine[0], now=0.1)
    assert played.round.works[0].idle
    played.finish(1, mine[1], now=0.1)
    assert not played.round.works[2].idle
    played.lose(2, now=0.11)
    (taker,) = (place for place in (0, 1) if not played.round.works[place].idle)
    assert played.queues[taker] == (mine[2],)
    assert not played.round.exhausted


def test_a_link_that_loads_rows_is_waited_for():
    played = ring(copies=1)
    played.finish(0, 0, now=0.1)
    played.finish(1, 1, now=0.1)
    played.lose(2, now=0.15, successor="new")
    assert not played.round.exhausted
    played.take(played.round.start([2], now=0.5), 0.5)
    assert played.queues[2] == (2,)
    played.finish(2, 2, now=0.6)
    assert len(played.asks) == 3


def test_a_silent_place_is_handed_nothing_until_it_answers():
    played = ring()
    for place in range(3):
        played.finish(place, place, now=0.1)
    for ask in played.asks[1:]:
        played.send(ask.place, ask.request, now=0.2)
    assert played.round.outcome is None
    played.queues.clear()
    played.tick(now=1.0)
    assert played.queues == {2: (0,)}, "place 2 holds chunk 0, too"
    played.send(0, played.asks[0].request, now=1.1)
    assert played.ended[0] == "exact"
    assert played.round.outcome.contributors == (0, 1, 2)


def test_an_overdue_chunk_in_hand_wakes_the_round():
    played = ring()
    assert played.round.wakes_at(0.0) is None
    played.round.schedule._paces.observe(0, 0.1)
    played.finish(0, 0, now=0.1)
    assert played.round.wakes_at(0.1) == pytest.approx(0.12)
    played.queues.clear()
    played.tick(now=0.3)
    assert played.queues == {0: (1,)}, "place 1 is overdue"
