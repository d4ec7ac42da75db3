"""Plays the stories: what comes in at the master and what it does, line by line.

A story is a text file. Lines that start with ``#`` explain, the line ``run:`` says what is run, a line that
starts with a time is what comes in, and the indented lines after it are what the master answers. The test
plays what comes in through the production ``Training`` and compares the answers letter by letter. After a
change that is meant, record them again and read the difference:

    RECORD_STORIES=1 python -m pytest tests/master/test_stories.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from common.codes.base import Message, Term, decode
from common.spec import make_code
from master import commands as cmd
from master import events as ev
from master.deadlines import AdaptiveDeadline, DeadlineRule, FixedDeadline, NoDeadline
from master.settings import RunSettings
from master.training import Training

STORIES = sorted(Path(__file__).with_name("stories").glob("*.txt"))
LINE = re.compile(r"(?P<time>\d+\.\d+)  (?:(?P<who>[a-z2 ]+): )?(?P<what>.+)")
ROUND_TRIP = 0.001
LIMITS = ("join_timeout_seconds", "join_seconds", "lost_seconds", "target_loss", "max_seconds", "enough",
          "empty_seconds")  # fmt: skip


def settings_of(text: str) -> RunSettings:
    """``run: fractional_repetition(n, 1) on 4 workers, rounds = 2, deadline = fixed 0.1``"""
    found = re.fullmatch(r"run: (?P<code>\w+\(.*?\)) on (?P<workers>\d+|all) workers(?P<more>.*)", text)
    assert found, text
    given = dict(item.split(" = ") for item in found["more"].split(", ")[1:])
    deadline: DeadlineRule = NoDeadline()
    if "deadline" in given:
        kind, number = given.pop("deadline").split()
        deadline = {"fixed": FixedDeadline, "adaptive": AdaptiveDeadline}[kind](float(number))
    return RunSettings(
        make_code=lambda n: make_code(found["code"], n),
        n_workers=None if found["workers"] == "all" else int(found["workers"]),
        rounds=int(given.pop("rounds", "10")),
        n_rows=100,
        deadline=deadline,
        on_shortfall=given.pop("on_shortfall", "approximate"),
        on_empty=given.pop("on_empty", "wait"),
        learning=given.pop("learning", "no") == "yes",
        **{name: float(value) for name, value in given.items() if name in LIMITS or pytest.fail(name)},
    )


class Player:
    """Feeds lines to Training and writes down what it answers."""

    def __init__(self, settings: RunSettings) -> None:
        self.training = Training(settings, now=0.0)
        self.links: dict[str, int] = {}
        self.n_payloads = 0
        self.solve: cmd.Solve | None = None
        self.wakes_at: float | None = None
        self.now = 0.0
        self.heard: dict[int, tuple[int, float]] = {}

    def play(self, line: str) -> list[str]:
        found = LINE.fullmatch(line)
        assert found, f"not a line of a story: {line}"
        self.now = now = float(found["time"])
        answers: list[str] = []
        for who in (found["who"] or "").split() or [""]:
            for event in self.events(who, found["what"]):
                answers += self.told(self.training.handle(event, now))
        wakes_at = self.training.wakes_at(now)
        if wakes_at != self.wakes_at:
            self.wakes_at = wakes_at
            answers.append("(no timer)" if wakes_at is None else f"(timer at {wakes_at:.3f})")
        return answers

    # ---- what comes in ----------------------------------------------------------------------------------

    def events(self, who: str, what: str) -> list[ev.Event]:
        if who and what == "up":
            self.links[who] = len(self.links) + 1
        link = self.links.get(who, 0)
        kind, _, rest = what.partition(" ")
        makers: dict[str, Callable[[int, str], list[ev.Event]]] = {
            "up": lambda link, rest: [ev.LinkUp(link, who.rstrip("2"))],
            "ready": lambda link, rest: [ev.LinkReady(link, self.training.members.links[link].incarnation)],
            "down,": lambda link, rest: [ev.LinkDown(link, rest)],
            "draining": lambda link, rest: [ev.LinkDraining(link)],
            "finished": self.finished,
            "sends": self.sends,
            "solved": self.solved,
            "combined": self.combined,
            "stepped": lambda link, rest: [ev.Stepped(self.round, rest != "beyond numbers", 0.0)],
            "scored": lambda link, rest: [ev.Evaluated(self.round, float(rest))],
            "scale": lambda link, rest: [ev.ScaleRequested(int(rest.split()[1]))],
            "interrupted": lambda link, rest: [ev.StopRequested("interrupted", 130)],
            "tick": lambda link, rest: [ev.Tick()],
        }
        return makers[kind](link, rest)

    @property
    def round(self) -> int:
        return self.training.next_round - 1

    def stamp(self, link: int, rest: str) -> ev.Stamp:
        current = self.training.members.links.get(link)
        incarnation = current.incarnation if current else 1
        found = re.search(r"of round (\d+)", rest)
        epoch = re.search(r"of epoch (\d+)", rest)
        number = int(found[1]) if found else self.round
        return ev.Stamp(int(epoch[1]) if epoch else self.training.epoch, number, incarnation)

    def finished(self, link: int, rest: str) -> list[ev.Event]:
        found = re.fullmatch(
            r"(?P<chunks>[\d ]+?)(?: in (?P<seconds>[\d.]+))?(?: of \w+ \d+)?(?P<wrong>, not finite)?", rest
        )
        assert found, rest
        assert self.training.code is not None
        rows = 100 // self.training.code.n_chunks
        seconds, loss, finite = float(found["seconds"] or 0.02), 0.5 * rows, not found["wrong"]
        n_queues, heard_at = self.heard.get(link, (0, 0.0))
        heard = n_queues, max(0.0, self.now - heard_at - ROUND_TRIP)
        return [
            ev.ChunkFinished(link, self.stamp(link, rest), int(chunk), seconds, loss, rows, finite, *heard)
            for chunk in found["chunks"].split()
        ]

    def sends(self, link: int, rest: str) -> list[ev.Event]:
        self.n_payloads += 1
        number = int(rest.split()[1])
        return [ev.MessageArrived(link, self.stamp(link, rest), number, self.n_payloads, 4)]

    def solved(self, link: int, rest: str) -> list[ev.Event]:
        assert self.solve is not None
        assert self.training.code is not None
        return [ev.Solved(self.solve.round, decode(self.training.code, self.solve.received), 0.0)]

    def combined(self, link: int, rest: str) -> list[ev.Event]:
        culprit = int(rest.split()[1]) if rest.startswith("payload") else None
        return [ev.Combined(self.round, 1.0, culprit, 0.0)]

    # ---- what the master answers ------------------------------------------------------------------------

    def told(self, commands: list[cmd.Command]) -> list[str]:
        """A line each; links that are told the same share one."""
        for command in commands:
            if isinstance(command, cmd.Solve):
                self.solve = command
            elif isinstance(command, cmd.StartRound):
                self.heard[command.link] = 0, self.now
            elif isinstance(command, cmd.NextChunk):
                self.heard[command.link] = self.heard[command.link][0] + 1, self.now
        names = {number: name for name, number in self.links.items()}
        lines = []
        pairs = [(names.get(getattr(command, "link", 0), ""), in_words(command)) for command in commands]
        for words, group in groupby(pairs, key=lambda pair: pair[1]):
            who = " ".join(name for name, _ in group)
            lines.append(f"{who}: {words}" if who.strip() else words)
        return lines


def in_words(command: cmd.Command) -> str:
    match command:
        case cmd.Welcome(place=place):
            return "welcome as a spare" if place is None else f"welcome to place {place}"
        case cmd.Prefetch(places=places):
            return f"prepare for places {listed(places)}"
        case cmd.StartRound(stamp=stamp):
            return f"start round {stamp.round}"
        case cmd.NextChunk(chunks=chunks):
            return f"next compute {listed(chunks)}"
        case cmd.Collect(request=request, terms=terms):
            return f"send message {request}: {form(terms)}"
        case cmd.StopRound(stamp=stamp):
            return f"stop round {stamp.round}"
        case cmd.CloseLink(reason=reason):
            return f"goodbye, {reason}"
        case cmd.Discard(payload=payload):
            return f"discard payload {payload}"
        case cmd.Solve(received=received):
            return f"solve {'; '.join(map(column, received)) or 'nothing'}"
        case cmd.Combine(weights=weights):
            return "combine " + " + ".join(f"{row[0]:.4g} x payload {payload}" for payload, row in weights)
        case cmd.Step():
            return "step"
        case cmd.Evaluate():
            return "score"
        case cmd.Planned(code=code, epoch=epoch):
            return f"plan {code.spec}, epoch {epoch}"
        case cmd.Note(kind=kind, text=text):
            return f"note ({kind}) {text}"
        case cmd.Finish(reason=reason, exit_code=exit_code):
            return f"finish with exit code {exit_code}: {reason}"
        case cmd.Record(record=record):
            slow = f"; stragglers {listed(record.stragglers)}" if record.stragglers else ""
            stepped = "a step" if record.stepped else "no step"
            return f"record round {record.round}: {record.outcome}, {stepped}: {record.reason}{slow}"


def column(message: Message) -> str:
    return f"place {message.worker}: {form(message.terms)}"


def form(terms: tuple[Term, ...]) -> str:
    if all(term.coefficient == 1.0 for term in terms):
        return f"chunks {listed([term.chunk for term in terms])}"
    return " + ".join(f"{term.coefficient:.4g} x chunk {term.chunk}" for term in terms)


def listed(numbers: tuple[int, ...] | list[int]) -> str:
    return " ".join(map(str, numbers))


def replay(text: str) -> str:
    """The story with the answers that the master gives now."""
    player: Player | None = None
    lines = []
    for line in text.splitlines():
        if line.startswith("    "):
            continue
        lines.append(line)
        if line.startswith("run: "):
            player = Player(settings_of(line))
            lines += [f"    {answer}" for answer in player.told(player.training.begin())]
        elif line and not line.startswith("#"):
            assert player is not None, "the run: line comes first"
            lines += [f"    {answer}" for answer in player.play(line)]
    return "\n".join(lines) + "\n"


def test_there_are_stories():
    assert len(STORIES) >= 8


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path):
    told = path.read_text(encoding="utf-8")
    now = replay(told)
    if os.environ.get("RECORD_STORIES"):
        path.write_text(now, encoding="utf-8")
    else:
        assert now == told
