"""A worker: dials its master, works as long as the link lasts, and dials again."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import logging
import random
from collections.abc import Awaitable

import grpc
import grpc.aio

from common.errors import GradcodeError, InvalidSpec
from common.tls import TlsFiles, own_roles
from common.watched import Stamp
from common.wire.access import Access
from common.wire.rpc import client_options, parse_address
from worker.endings import Ended
from worker.metrics import WorkerMetrics
from worker.session import Memory, Session

FIRST_PAUSE_SECONDS = 0.2
"""Pause before dialing again the first time; it doubles from one attempt to the next."""
LONGEST_PAUSE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
"""How long one attempt to connect may take."""
LOOK_SECONDS = 1.0
"""Between two looks whether the certificates have changed."""
_STEADY_SECONDS = 1.0  # a link that lasted so long makes the next pause short again


class Worker:
    """Works for the master at ``address`` until that says goodbye, whatever happens to the link.

    Args:
        address: ``HOST:PORT`` of the master.
        name: unique among the workers of a run; brings back the former place when dialing again.
        access: what it shows the master: certificates, a token, neither. New certificates are shown as soon
            as no round is in hand.
        metrics: where counts go; None for a registry of its own.
        give_up_seconds: end when no link could be made for so long; None for never.
        own_process: injected freezes and deaths befall this whole process; otherwise only the session, which
            then neither reads nor writes (though its transport still answers pings), or ends. Whoever is to
            come back from a death dials again as if it were new.
        stop_event: set it (or call ``stop``) and the worker finishes its round, says goodbye and ends.

    Raises:
        InvalidSpec: the address or the name is none.
    """

    def __init__(
        self,
        address: str,
        name: str,
        *,
        access: Access | None = None,
        metrics: WorkerMetrics | None = None,
        give_up_seconds: float | None = None,
        own_process: bool = False,
        stop_event: asyncio.Event | None = None,
    ) -> None:
        host, port = parse_address("master", address)
        self._host, self._port = host, port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.name = checked_name(name)
        self.metrics = metrics or WorkerMetrics()
        self.metrics.queue_length.set_function(lambda: self._session.queue_length if self._session else 0)
        self._give_up_seconds = give_up_seconds
        self._stop = stop_event or asyncio.Event()
        self._session: Session | None = None
        self._kept = Memory(name, package_version(), access or Access(), self.metrics, own_process)
        self.log = self._kept.log

    def stop(self) -> None:
        """Finish the round in hand, say goodbye, end; from the event loop's thread."""
        self._stop.set()

    async def run(self) -> int:
        """Work until the end.

        Returns:
            0 when the master said goodbye or ``stop`` was called, 2 when the master refuses this worker or
            the work cannot be done here, 3 when no link could be made for ``give_up_seconds``, 137 after an
            injected death from which nobody comes back.
        """
        try:
            return await self._run()
        finally:
            self._kept.state = "ended"

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        pause, linked_at = FIRST_PAUSE_SECONDS, loop.time()
        while not self._stop.is_set():
            dialed_at = loop.time()
            ended, welcomed = await self._link()
            if not ended.again:
                level = logging.ERROR if ended.exit_code else logging.INFO
                self.log.log(level, "%s: %s", self.address, ended.reason)
                return ended.exit_code
            if ended.at_once:
                self.log.info("%s: %s; dialing again", self.address, ended.reason)
                linked_at = loop.time()
                continue
            if ended.dead_seconds:
                await self._be_dead(ended)
                pause, linked_at = FIRST_PAUSE_SECONDS, loop.time()
                continue
            if welcomed:
                linked_at = loop.time()
                if linked_at - dialed_at > _STEADY_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
            if self._give_up_seconds is not None and loop.time() - linked_at >= self._give_up_seconds:
                self.log.error(
                    "%s: %s; giving up after %g s", self.address, ended.reason, self._give_up_seconds
                )
                return GradcodeError.exit_code
            jittered = pause * random.uniform(0.75, 1.25)
            self.log.warning("%s: %s; dialing again in %.1f s", self.address, ended.reason, jittered)
            await self._until_stopped(asyncio.sleep(jittered))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return 0

    def health(self) -> tuple[bool, dict[str, object]]:
        """Whether the worker is well (linked, or still trying), and how it stands, as JSON values."""
        session, state = self._session, self._kept.state
        if state == "ready" and session is not None and session.in_round:
            state = "computing"
        status: dict[str, object] = {
            "worker": self.name,
            "master": self.address,
            "state": state,
            "linked": session is not None and session.welcomed,
        }
        return state != "ended", status

    async def _link(self) -> tuple[Ended, bool]:
        """One attempt, and the link if it comes about: how it ended, and whether there was one."""
        self._kept.state = "dialing"
        tls = self._kept.access.tls
        shown = None if tls is None else tls.stamp
        try:
            channel = self._kept.access.channel(self.address, client_options())
        except InvalidSpec as error:
            return Ended(str(error)), False
        renewing: asyncio.Task[None] | None = None
        try:
            reason = await self._until_stopped(_connect(channel))
            if self._stop.is_set():
                return Ended("it was asked to leave", again=False), False
            if reason:
                return await self._explained(Ended(reason)), False
            self._session = Session(channel, self._kept, self._stop)
            if tls is not None:
                renewing = asyncio.create_task(_renew(self._session, tls, shown))
            ended = await self._session.talk()
            return (await self._explained(ended) if ended.unavailable else ended), self._session.welcomed
        finally:
            if renewing is not None:
                renewing.cancel()
            self._session = None
            self._kept.state = "dialing"
            await channel.close(None)

    async def _explained(self, ended: Ended) -> Ended:
        """The same, with the reason if TLS is the trouble, which gRPC does not tell."""
        told = await self._until_stopped(self._kept.access.trouble(self._host, self._port))
        return dataclasses.replace(ended, reason=told) if told else ended

    async def _be_dead(self, ended: Ended) -> None:
        """Forget everything, and wait until it is time to come back or to leave."""
        self.log.warning("%s: %s, for %g s", self.address, ended.reason, ended.dead_seconds)
        self._kept.forget()
        self._kept.state = "dead"
        await self._until_stopped(asyncio.sleep(ended.dead_seconds))

    async def _until_stopped(self, doing: Awaitable[str | None]) -> str | None:
        """The result of ``doing``, or None as soon as the worker is asked to leave."""
        task = asyncio.ensure_future(doing)
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        for each in (task, stopped):
            each.cancel()
        await asyncio.wait((task, stopped))
        return None if task.cancelled() else task.result()


async def _renew(session: Session, tls: TlsFiles, shown: Stamp | None) -> None:
    """Have the session come back when the files hold other certificates than those that it ``shown``."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if (seen := tls.stamp) != shown:
            try:
                own_roles(tls)
            except InvalidSpec:
                continue  # one file is written, another not yet
            if tls.stamp == seen:
                session.renew()
                return


async def _connect(channel: grpc.aio.Channel) -> str | None:
    """Connect; the reason if that takes too long. If it fails at once, the first call says why."""
    states = grpc.ChannelConnectivity
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while (state := channel.get_state(try_to_connect=True)) != states.READY:
                if state in (states.TRANSIENT_FAILURE, states.SHUTDOWN):
                    return None
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return f"no master answers (nothing came within {CONNECT_SECONDS:g} s)"
    return None


def package_version() -> str:
    """The version of this installation, for display."""
    try:
        return importlib.metadata.version("gradcode")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def checked_name(name: str) -> str:
    """``name`` when a worker may have it.

    Raises:
        InvalidSpec: it is empty, too long, or cannot be printed.
    """
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InvalidSpec("--name", "must be 1 to 200 characters that can be printed", name)
    return name
