"""Pure: wrong answers: what is asked about the values of a round, who is quarantined, where to return to.

With ``all`` every value that enters a gradient was claimed by two workers, or is computed again by the master
before the step, so that no lie is ever stepped with. With ``sample`` some are computed again, at moments that
workers cannot know; a lie may be stepped with until its worker is found, and then the run returns to
parameters that were there before its first message was used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from common.codes.base import Term
from master.checked import Checked, Claim, Question
from master.events import Examined
from master.outcome import Work
from master.round import Round


class Sampler:
    """Says which values to audit: of every worker one in each window of 1 / rate values, at random in it.

    A worker that always lies is caught within its first 1 / rate values, and one that begins to lie later
    within 2 / rate values from then on. Independent draws would need 3 / rate in one case of twenty.

    Args:
        rate: share of the values, in (0, 1]. seed: of the moments, which workers must not know.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._window = 1.0 / rate
        self._rng = np.random.default_rng(seed)
        self._counts: dict[str, int] = {}
        self._next: dict[str, tuple[int, float]] = {}

    def is_due(self, worker: str, n_values: int) -> bool:
        """Whether to audit the next ``n_values`` chunks of the worker, which one message holds."""
        first = self._counts.get(worker, 0)
        self._counts[worker] = end = first + n_values
        window, at = self._next.get(worker) or self._draw(0)
        due = at < end
        while at < end:
            window, at = self._draw(window + 1)
        self._next[worker] = window, at
        return due

    def _draw(self, window: int) -> tuple[int, float]:
        return window, (window + float(self._rng.random())) * self._window


class Kept:
    """Which rounds' parameters are kept: the first, and of those before, ever fewer the older they are.

    A number divisible by 2^k is kept for 2^(k + 1) rounds, so about log2 of all rounds are.

    >>> kept = Kept()
    >>> [kept.add(number) for number in range(9)][-1]
    (0, 4, 6, 7, 8)
    >>> kept.before(5)
    4
    """

    def __init__(self) -> None:
        self._numbers: tuple[int, ...] = ()

    def add(self, number: int) -> tuple[int, ...]:
        """Keep the parameters before the step of round ``number``; returns all that are kept."""
        first = self._numbers[0] if self._numbers else number
        rest = (each for each in self._numbers[1:] if number - each < 2 * (each & -each))
        self._numbers = tuple(dict.fromkeys((first, *rest, number)))
        return self._numbers

    def before(self, number: int) -> int:
        """The newest kept parameters that no step of round ``number`` or a later one has touched."""
        return max(each for each in self._numbers if each <= number)

    def forget_after(self, number: int) -> None:
        """The run has returned to the parameters before round ``number``."""
        self._numbers = tuple(each for each in self._numbers if each <= number)


class Verification:
    """Verifies one round after the other.

    Args:
        mode: ``none``, ``all`` or ``sample``. rate: of ``sample``. seed: see `Sampler`.

    Attributes:
        quarantined: worker -> why, in words. checked: of the round in hand.
        n_undone: rounds whose steps were undone; so many more are played.
    """

    def __init__(self, mode: str, rate: float, seed: int) -> None:
        self.mode = mode
        self.quarantined: dict[str, str] = {}
        self.checked = Checked()
        self.n_undone = 0
        self.n_disputed = 0
        self._sampler = Sampler(rate, seed)
        self._kept = Kept()
        self._first_used: dict[str, int] = {}
        self._returns_to: int | None = None
        self._doubts = False

    @property
    def active(self) -> bool:
        """Whether anything is verified."""
        return self.mode != "none"

    def state(self) -> dict[str, Any]:
        """What is remembered over a restart of the master, as plain JSON."""
        return {"quarantined": self.quarantined, "n_undone": self.n_undone}

    def restore(self, held: Mapping[str, Any]) -> None:
        """Remember what ``state`` gave; parameters from before are not kept, so no return goes so far."""
        self.quarantined = dict(held.get("quarantined", {}))
        self.n_undone = int(held.get("n_undone", 0))

    def open(self) -> None:
        """Another round starts."""
        self.checked = Checked()

    def questions(self, ended: Round) -> tuple[Question, ...]:
        """What to ask about the values that are to be stepped with. Cost O(reports of the round)."""
        if not self.active:
            return ()
        assert ended.outcome is not None
        senders = _senders(ended)
        used = {payload for payload, _ in ended.outcome.used}
        said = _Claims(ended, senders)
        asked = []
        for payload, message, n_parts in ended.received():
            if payload not in used:
                continue
            question = partial(Question, message.terms, n_parts, payload)
            if self.mode == "sample":
                worker = senders[payload].worker
                n_values = len({term.chunk for term in message.terms})
                audit = self._sampler.is_due(worker, n_values) or self._doubts
                asked.append(question((Claim(worker, payload),), audit))
            else:
                claims = tuple(said.of(payload, message.terms))
                asked.append(question(claims, alone="computed"))
        self.checked.verified = not asked
        return tuple(asked)

    def judge(self, event: Examined) -> int | None:
        """An examination is done: of the round's values, or of those that were disputed.

        Returns the round whose parameters to return to, as lies were stepped with since; None without any.
        """
        checked = self.checked
        checked.verified = event.n_unsure == 0
        checked.values_audited += event.n_audited
        checked.values_compared += event.n_compared
        checked.values_wrong += event.n_wrong
        self.n_disputed += event.n_disputed
        for worker in event.liars:
            self.quarantined[worker] = f"its answers were wrong, in round {event.round}"
        checked.quarantined += event.liars
        first = [self._first_used[worker] for worker in event.liars if worker in self._first_used]
        if self.mode != "sample" or not first:
            return None
        back = self._kept.before(min(first))
        self._returns_to = checked.returned_to = back
        checked.verified = None
        return back

    def step(self, ended: Round) -> tuple[int, ...]:
        """The round is about to be stepped with; returns the rounds whose parameters are kept."""
        if self.mode != "sample":
            return ()
        assert ended.outcome is not None
        senders = _senders(ended)
        for payload, _ in ended.outcome.used:
            self._first_used.setdefault(senders[payload].worker, ended.number)
        return self._kept.add(ended.number)

    def doubt(self, number: int) -> bool:
        """The step of round ``number`` led to parameters that are not finite: was that a lie?

        If not everything in it was verified, that round's parameters are taken once more, and everything of
        the next round is audited.
        """
        self._doubts = self.mode == "sample" and not self.checked.verified
        if self._doubts:
            self._returns_to = self.checked.returned_to = number
            self.checked.verified = None
        return self._doubts

    def take_return(self, number: int) -> int | None:
        """The round to return to after round ``number``, whose step does not count; told once."""
        back, self._returns_to = self._returns_to, None
        if back is not None:
            self.n_undone += number + 1 - back
            self._kept.forget_after(back)
            self._first_used = {each: first for each, first in self._first_used.items() if first < back}
        return back


def _senders(ended: Round) -> dict[int, Work]:
    """Payload -> the work of the worker that sent it."""
    return {payload: work for work in _works(ended) for payload in work.sent}


def _works(ended: Round) -> Iterator[Work]:
    yield from ended.works
    yield from ended.left


class _Claims:
    """What the workers of a round say of its values."""

    def __init__(self, ended: Round, senders: dict[int, Work]) -> None:
        self._works = ended.works
        self._senders = senders
        self._values: dict[tuple[Term, ...], dict[str, int]] = {}
        for payload, message, _ in ended.received():
            self._values.setdefault(message.terms, {})[senders[payload].worker] = payload
        self._digests: dict[int, dict[str, bytes]] = {}
        for work in _works(ended):
            for chunk, digest in work.digests.items():
                self._digests.setdefault(chunk, {})[work.worker] = digest
        self._on_request = ended.code.on_request

    def of(self, used: int, terms: tuple[Term, ...]) -> Iterator[Claim]:
        """Everything that was said of the value in payload ``used``, which comes first."""
        digests = self._digests.get(terms[0].chunk, {}) if self._on_request else {}
        mine = self._senders[used].worker
        values = {**self._values[terms], mine: used}
        for worker in {mine: None, **values, **digests}:
            payload = values.get(worker)
            yield Claim(worker, payload, digests.get(worker, b""), self._place_of(payload))

    def _place_of(self, payload: int | None) -> int | None:
        """The place of the worker that sent it, if that has not left since."""
        if payload is None:
            return None
        work = self._senders[payload]
        return work.place if work.present and self._works[work.place] is work else None
