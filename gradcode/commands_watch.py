"""``gradcode watch``: the display of a run elsewhere; holds on while its master is away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Protocol

import grpc
import grpc.aio
from rich.console import Console

from common.errors import GradcodeError, InvalidSpec, ProtocolError, Unreachable
from common.history import RoundRecord, record_from_json, strict_json
from common.wire.access import Access
from common.wire.control import Ending, RoundsRequest, RunStatus, WatchedRounds, WorkerStatus
from common.wire.rpc import ControlClient, client_options, parse_address
from gradcode.commands_ask import ANSWER_SECONDS, explained
from gradcode.commands_train import INTERRUPTED, Interrupts, JsonView, TextView
from gradcode.display import Board, LiveDisplay

POLL_SECONDS = 0.25
"""Between two looks at the places of a run."""
RETRY_SECONDS = 1.0
"""Between two calls of a master that is away."""
LASTING = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
"""Refusals that trying again does not change."""


class Watching(Protocol):
    """What people or programs see of a run elsewhere."""

    polls: bool

    def meet(self, status: RunStatus) -> None:
        """A run answers; another than before, or for the first time."""

    def resume(self, status: RunStatus) -> None:
        """Rounds come from now on, again or for the first time; ``status`` counts those before."""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""

    def status(self, status: RunStatus, workers: list[WorkerStatus]) -> None:
        """How the run stands; asked for while ``polls``."""

    def say(self, event: str, text: str) -> None:
        """Of the watching itself: the master is ``away`` or ``back``, or rounds were ``missed``."""

    def end(self, ending: Ending) -> None:
        """The run is over."""

    def close(self) -> None:
        """Nothing more comes."""


class WatchedText(TextView):
    """One line for each round and for everything that happened in it."""

    def __init__(self) -> None:
        super().__init__(1)

    def meet(self, status: RunStatus) -> None:
        """Which run it is."""
        self.polls = True
        self._rounds = status.rounds_planned
        print(f"run {status.run_name} ({status.run}), {status.code or 'no plan yet'}", flush=True)

    def resume(self, status: RunStatus) -> None:
        """Nothing to say."""

    def say(self, event: str, text: str) -> None:
        """Said in words."""
        print(text, flush=True)

    def end(self, ending: Ending) -> None:
        """How it ended."""
        print(f"the run is over: {ending.reason}", flush=True)


class WatchedJson(JsonView):
    """One JSON object a line: ``run``, ``round``, ``away``, ``back``, ``missed``, ``end``."""

    def meet(self, status: RunStatus) -> None:
        """Which run it is."""
        facts = {"run": status.run, "name": status.run_name, "rounds_planned": status.rounds_planned}
        print(strict_json({"event": "run", **facts}), flush=True)

    def resume(self, status: RunStatus) -> None:
        """Nothing to say."""

    def say(self, event: str, text: str) -> None:
        """The event, and the same in words."""
        print(strict_json({"event": event, "text": text}), flush=True)

    def end(self, ending: Ending) -> None:
        """How it ended."""
        print(
            strict_json({"event": "end", "reason": ending.reason, "exit_code": ending.exit_code}), flush=True
        )


class WatchedLive:
    """The board, drawn in place.

    Args:
        address: of the master.
    """

    polls = True

    def __init__(self, address: str) -> None:
        self._address = address
        self._board = Board("", "", address, 0, 1)
        self._display = LiveDisplay(Console(highlight=False))
        self._display.start()

    def meet(self, status: RunStatus) -> None:
        """A board of its own for every run."""
        planned = status.rounds_planned
        self._board = Board(status.run_name, status.code, self._address, status.n_places, planned)

    def resume(self, status: RunStatus) -> None:
        """Rounds that were not seen count all the same."""
        self._board.hear_earlier(status)
        self._board.message = ""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""
        self._board.hear_record(record)

    def status(self, status: RunStatus, workers: list[WorkerStatus]) -> None:
        """Draw."""
        self._board.hear_status(status, workers, time.monotonic())
        self._display.draw(self._board)

    def say(self, event: str, text: str) -> None:
        """In the place of the last outcome's reason."""
        self._board.message = text if event == "away" else ""
        self._display.draw(self._board)

    def end(self, ending: Ending) -> None:
        """How it ended stays on the screen."""
        self._board.message = f"the run is over: {ending.reason}"

    def close(self) -> None:
        """Leave the last drawing where it is."""
        self._display.draw(self._board)
        self._display.stop()


@dataclass
class Watch:
    """Where a watcher stands.

    Attributes:
        patience_seconds: how long the master may be away.
        known: the run, and the last round of it that was shown.
        lost_at: since when the master is away; None while it answers.
        began: it has answered at least once.
    """

    view: Watching
    patience_seconds: float
    known: RoundsRequest = field(default_factory=RoundsRequest)
    lost_at: float | None = None
    began: bool = False

    async def follow(self, client: ControlClient) -> Ending | None:
        """Show the run until it ends; None when the line breaks in an orderly manner before.

        Raises:
            AioRpcError, TimeoutError, ProtocolError: the line breaks.
        """
        status = await client.get_status()
        self._meet(status)
        polling = asyncio.create_task(self._poll(client))
        try:
            async for answer in client.watch_rounds(self.known):
                if answer.missed:
                    self.view.resume(await client.get_status())
                ending = self._hear(answer)
                if ending is not None:
                    return ending
        finally:
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
        return None

    def _meet(self, status: RunStatus) -> None:
        if self.lost_at is not None:
            self.view.say("back", "the master is back")
        self.lost_at = None
        self.began = True
        if status.run != self.known.run:
            self.known = RoundsRequest(status.run)
            self.view.meet(status)
        self.view.resume(status)

    def _hear(self, answer: WatchedRounds) -> Ending | None:
        if answer.missed:
            self.view.say("missed", f"{answer.missed} rounds were missed")
        for line in answer.records_json:
            record = record_from_json(line)
            self.view.record(record)
            self.known = RoundsRequest(answer.run, record.round)
        if answer.ending is not None:
            self.view.end(answer.ending)
        return answer.ending

    async def _poll(self, client: ControlClient) -> None:
        while True:
            if self.view.polls:
                # One that does not answer now may do so next time; whether it is away, the rounds tell.
                with contextlib.suppress(grpc.aio.AioRpcError, ProtocolError):
                    self.view.status(await client.get_status(), await client.list_workers())
            await asyncio.sleep(POLL_SECONDS)

    def miss(self, why: str) -> None:
        """The master does not answer.

        Raises:
            Unreachable: it has not for longer than the watcher is patient.
        """
        now = time.monotonic()
        if self.lost_at is None:
            self.lost_at = now
            self.view.say("away", f"the master is away ({why}); waiting for it, Ctrl-C ends the watch")
        elif now - self.lost_at > self.patience_seconds:
            raise Unreachable(f"the master has been away for {self.patience_seconds:g} s")


def watch(address: str, access: Access, form: str, patience_seconds: float) -> int:
    """Show the run at ``address`` until it ends.

    Args:
        address: of the master. access: what to show it. form: ``live``, ``text`` or ``json``.
        patience_seconds: how long the master may be away, once it has answered.

    Returns:
        The exit code that the run ends with, or 130 when interrupted.

    Raises:
        InvalidSpec: the address is none, or the master refuses the token or the certificate.
        Unreachable: nobody answers there, or nobody has for too long.
    """
    parse_address("master", address)
    return asyncio.run(_watch(address, access, form, patience_seconds))


async def _watch(address: str, access: Access, form: str, patience_seconds: float) -> int:
    following = asyncio.current_task()
    assert following is not None
    view: Watching
    view = WatchedLive(address) if form == "live" else WatchedJson() if form == "json" else WatchedText()
    state = Watch(view, patience_seconds)

    def interrupted(_: int) -> None:
        following.cancel()

    with Interrupts(interrupted) as interrupts:
        try:
            while True:
                why = "it has ended its calls"
                try:
                    async with access.channel(address, client_options()) as channel:
                        client = ControlClient(channel, access.current_token(), ANSWER_SECONDS)
                        ending = await state.follow(client)
                    if ending is not None:
                        return ending.exit_code
                except (grpc.aio.AioRpcError, TimeoutError, ProtocolError) as error:
                    why = await _reason(error, address, access, state.began)
                state.miss(why)
                await asyncio.sleep(RETRY_SECONDS)
        except asyncio.CancelledError:
            if interrupts.count:
                return INTERRUPTED
            raise
        finally:
            view.close()


async def _reason(error: Exception, address: str, access: Access, began: bool) -> str:
    """Why the line broke; raises what trying again would not mend."""
    if isinstance(error, grpc.aio.AioRpcError):
        told = await _explained(error, address, access)
        if not began or error.code() in LASTING:
            raise told from None
        return str(told)
    if not began:
        raise Unreachable(f"the master at {address} did not answer") from None
    return "it has fallen silent"


async def _explained(error: grpc.aio.AioRpcError, address: str, access: Access) -> GradcodeError:
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Unreachable(f"the master at {address} refuses: {error.details()}")
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return InvalidSpec("master", "must be of a version that can be watched", address)
    return await explained(error, address, access)
