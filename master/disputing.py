"""Pure: disputes about sums. Their workers are asked for parts of them, all disputes of a round side by side.

A worker whose sum may be questioned is told later than others that the round is over, as it must keep its
gradients for that long. It has sent its sum already, so that it computes nothing meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from common.codes.base import GradientCode
from common.codes.disputes import Bisection
from master.checked import Dispute, Exposed, Question
from master.commands import AskPartialSum, Command, Examine, StopRound
from master.deadlines import sooner
from master.events import PartialSum, Stamp
from master.membership import Link, Membership

PATIENCE_SECONDS = 1.0
"""A worker that takes longer to say one number is not waited for: the master computes the sum itself."""


@dataclass(slots=True)
class _Case:
    """A dispute under way.

    Attributes:
        question: what it is about, without what liars claim.
        moot: one of the two was found to lie elsewhere, so that the other is not asked.
        asked: place -> number of what it was asked last. told: place -> what it answered.
        until: so long its answers are waited for. given_up: they cannot be had.
    """

    dispute: Dispute
    question: Question
    bisection: Bisection
    moot: bool
    asked: dict[int, int] = field(default_factory=dict)
    told: dict[int, float] = field(default_factory=dict)
    until: float = 0.0
    given_up: bool = False

    @property
    def places(self) -> tuple[int, ...]:
        return tuple(claim.place for claim in self.dispute.claims if claim.place is not None)

    @property
    def settled(self) -> bool:
        return self.moot or self.given_up or self.bisection.asked is None


class Disputing:
    """The disputes of one round that has its outcome.

    Args:
        number: of the round. epoch, code: of its plan.
        questions: what is asked about its values.
        members: who is there.
    """

    def __init__(
        self,
        number: int,
        epoch: int,
        code: GradientCode,
        questions: tuple[Question, ...],
        members: Membership,
    ) -> None:
        self._number = number
        self._code = code
        self._questions = questions
        self._members = members
        self._cases: list[_Case] = []
        self._n_asked = 0
        self._askable: dict[int, tuple[int, Stamp]] = {}
        for place in sorted(_disputable(questions)):
            link = members.at(place)
            if link is not None and link.ready:
                self._askable[place] = link.number, Stamp(epoch, number, link.incarnation)

    @property
    def links(self) -> frozenset[int]:
        """Links that must not be told yet that the round is over."""
        return frozenset(link for link, _ in self._askable.values())

    @property
    def wakes_at(self) -> float | None:
        """When ``look`` has something to do; None if only events can change anything."""
        due: float | None = None
        for case in self._cases:
            due = due if case.settled else sooner(due, case.until)
        return due

    def open(self, disputes: tuple[Dispute, ...], liars: tuple[str, ...], now: float) -> list[Command]:
        """Take up disputes about the questions that were put last; ``liars`` were found answering them.

        Returns what to ask, or what to examine next if nothing can be asked.
        """
        self._cases = [self._case(each, liars) for each in disputes]
        asks = [ask for case in self._cases for ask in self._ask(case, now)]
        return [*asks, *self._conclude()]

    def hear(self, event: PartialSum, link: Link, now: float) -> list[Command] | None:
        """A number that was asked for; returns what follows. None if it was not asked for in this round."""
        place = link.place
        if place is None or self._askable.get(place) != (link.number, event.stamp):
            return []
        if event.number >= self._n_asked:
            return None
        for case in self._cases:
            if case.asked.get(place) == event.number:
                return [*self._take(case, place, event.value, now), *self._conclude()]
        return []  # it came too late

    def look(self, now: float) -> list[Command]:
        """Time has passed, or links have gone: nobody waits for ever."""
        for case in self._cases:
            gone = not all(self._is_there(place) for place in case.places)
            if not case.settled and (gone or now >= case.until):
                case.given_up = True
        return self._conclude()

    def dismiss(self) -> list[Command]:
        """Everything is settled: the round is over for those that were kept waiting."""
        kept = (self._askable[place] for place in self._askable if self._is_there(place))
        return [StopRound(link, stamp) for link, stamp in kept]

    def _is_there(self, place: int) -> bool:
        """Whether the link that sent what the place claims is there still, with what it computed."""
        link = self._members.at(place)
        if link is None or place not in self._askable:
            return False
        number, stamp = self._askable[place]
        return (link.number, link.incarnation) == (number, stamp.incarnation)

    def _ask(self, case: _Case, now: float) -> Iterator[Command]:
        asked = case.bisection.asked
        if asked is None or case.moot:
            return
        if not all(self._is_there(place) for place in case.places):
            case.given_up = True
            return
        terms = case.question.terms[asked[0] : asked[1]]
        case.told, case.asked, case.until = {}, {}, now + PATIENCE_SECONDS
        for place in case.places:
            number, self._n_asked = self._n_asked, self._n_asked + 1
            case.asked[place] = number
            link, stamp = self._askable[place]
            yield AskPartialSum(link, stamp, number, terms, case.question.n_parts, case.dispute.index)

    def _take(self, case: _Case, place: int, value: float, now: float) -> Iterator[Command]:
        case.told[place] = value
        del case.asked[place]
        if not math.isfinite(value):
            case.given_up = True
        elif not case.given_up and len(case.told) == len(case.places):
            first, second = case.places
            case.bisection.answer((case.told[first], case.told[second]))
            yield from self._ask(case, now)

    def _conclude(self) -> list[Command]:
        """When every dispute has come to an end: let its outcome be examined."""
        if not self._cases or not all(case.settled for case in self._cases):
            return []
        cases, self._cases = self._cases, []
        told = ((at, case) for at, case in enumerate(cases) if not (case.moot or case.given_up))
        exposed = tuple(_exposed(at, case) for at, case in told)
        self._questions = tuple(replace(case.question, audit=case.given_up) for case in cases)
        return [Examine(self._number, self._questions, exposed)]

    def _case(self, dispute: Dispute, liars: tuple[str, ...]) -> _Case:
        question = self._if_whole(self._questions[dispute.question]).without(liars)
        moot = any(claim.worker in liars for claim in dispute.claims)
        return _Case(dispute, question, Bisection(dispute.totals, dispute.slacks), moot)

    def _if_whole(self, question: Question) -> Question:
        """What to make of the value if all workers but one are found to lie.

        At most s of a group of s + 1 workers are wrong. So of a whole group that has claimed the value, the
        one that stands when the others have been found to lie is right.
        """
        n_holders = sum(message.terms == question.terms for message in self._code.messages)
        whole = n_holders > 0 and len(question.claims) >= n_holders
        return replace(question, alone="believed") if whole else question


def _disputable(questions: tuple[Question, ...]) -> set[int]:
    """Places of workers that claim a sum which others claim as well."""
    shared = (each for each in questions if len(each.terms) > 1 and len(each.claims) > 1 and not each.audit)
    return {claim.place for each in shared for claim in each.claims if claim.place is not None}


def _exposed(question: int, case: _Case) -> Exposed:
    first, second = case.dispute.claims
    term, values = case.bisection.term, case.bisection.values
    slack = case.dispute.slacks[term]
    return Exposed(question, (first.worker, second.worker), term, case.dispute.index, values, slack)
