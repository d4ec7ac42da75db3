"""Hostile peers, for benchmarks and tests: each does one thing that no honest worker does, without a pause.

For masters of one's own only; the address must be of this machine::

    python -m gradcode.lab.attacks tiny_frames 127.0.0.1:7070 --seconds 5
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from common.errors import InvalidSpec
from common.wire import codec
from common.wire import frames as wire
from common.wire.rpc import CONTROL, TRAINING, parse_address
from gradcode.lab.raw_http2 import RawLink, message

SESSION, FETCH = f"/{TRAINING}/Session", f"/{TRAINING}/FetchRows"
MOST_CONNECTIONS = 1000
_NAMES = count()


@dataclass
class Attack:
    """What an attack is aimed at, and what came of it.

    Attributes:
        address: of the master. page: of its metrics and page, or empty. run, digest: what FetchRows names.
        until: when to stop, by `time.monotonic`. done: what was done, counted.
    """

    address: str
    page: str = ""
    run: str = ""
    digest: str = ""
    until: float = 0.0
    done: Counter[str] = field(default_factory=Counter)

    @property
    def goes_on(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.until

    async def dial(self, greet: bool = True) -> RawLink | None:
        """A connection; None where the master takes no more."""
        try:
            link = await RawLink.dial(self.address, greet)
        except OSError:
            self.done["refused connections"] += 1
            await asyncio.sleep(0.01)
            return None
        self.done["connections"] += 1
        return link

    async def join(self) -> tuple[RawLink, int] | None:
        """A link that has said Hello under a new name."""
        link = await self.dial()
        return None if link is None else (link, link.open_call(SESSION, _hello()))


def _hello() -> bytes:
    return message(codec.encode_request(wire.Hello(f"stranger {next(_NAMES)}", "0.1.0")))


def _report(run: str = "none") -> bytes:
    stamp = wire.Stamp(run, 0, 0, 1)
    return message(codec.encode_request(wire.ChunkFinished(stamp, 0, 0.1, 1.0, 1, True)))


async def _hold(attack: Attack, links: list[RawLink]) -> None:
    while attack.goes_on:
        await asyncio.sleep(0.05)
    attack.done["still open"] = sum(not link.lost.is_set() for link in links)


# ---- the attacks ----------------------------------------------------------------------------------------


async def half_open(attack: Attack) -> None:
    """Connections that never say a word."""
    links = [await attack.dial(greet=False) for _ in range(MOST_CONNECTIONS)]
    await _hold(attack, [link for link in links if link])


async def connections(attack: Attack) -> None:
    """A thousand connections, each with a worker that wants to join."""
    links: list[RawLink] = []
    for _ in range(MOST_CONNECTIONS):
        joined = await attack.join() if attack.goes_on else None
        if joined:
            links.append(joined[0])
    await _hold(attack, links)


async def slow_loris(attack: Attack) -> None:
    """Hellos that come a byte at a time."""
    hello = _hello()
    links: list[tuple[RawLink, int]] = []
    for _ in range(200):
        link = await attack.dial()
        if link is not None:
            links.append((link, link.open_call(SESSION)))
    for byte in hello * 1000:
        for link, stream in links:
            await link.send(stream, bytes([byte]))
        if not attack.goes_on:
            return
        await asyncio.sleep(0.2)


async def tiny_frames(attack: Attack) -> None:
    """Reports of no round, by the hundred thousand."""
    flood = _report() * 500
    while attack.goes_on:
        joined = await attack.join()
        if joined is None:
            continue
        link, stream = joined
        while attack.goes_on and not link.n_resets and await link.send(stream, flood):
            attack.done["frames"] += 500
        link.close()


async def huge_frame(attack: Attack) -> None:
    """Messages that claim to be of a gigabyte, and as much of them as is taken."""
    piece = bytes(1 << 20)
    while attack.goes_on:
        link = await attack.dial()
        if link is None:
            continue
        stream = link.open_call(SESSION, message(b"", announced=1 << 30))
        while attack.goes_on and not link.n_resets and await link.send(stream, piece):
            attack.done["megabytes"] += 1
        link.close()


async def large_frames(attack: Attack) -> None:
    """Frames of the largest size that is let through, of noise."""
    noise = message(random.Random(0).randbytes(1 << 20))
    while attack.goes_on:
        joined = await attack.join()
        if joined is None:
            continue
        link, stream = joined
        while attack.goes_on and not link.n_resets and await link.send(stream, noise):
            attack.done["megabytes"] += 1
        link.close()


async def garbage(attack: Attack) -> None:
    """Noise instead of HTTP/2, and noise instead of frames."""
    rng = random.Random(0)
    while attack.goes_on:
        link = await attack.dial(greet=rng.random() < 0.8)
        if link is None:
            continue
        link.open_call(SESSION, message(rng.randbytes(60)))
        link.write(rng.randbytes(200))
        await asyncio.sleep(0.005)
        link.close()


async def wrong_order(attack: Attack) -> None:
    """Valid frames, none of them where it belongs."""
    stamp = wire.Stamp("none", 0, 0, 1)
    frames: list[wire.Request] = [
        wire.Ready(1, 0),
        wire.Hello("again", "0.1.0"),
        wire.MessageFrame(stamp, 0, 0, 400, "float32", bytes(400)),
        wire.Drain(),
        wire.Goodbye("at once"),
    ]
    rng = random.Random(0)
    while attack.goes_on:
        joined = await attack.join()
        if joined is None:
            continue
        for each in rng.sample(frames, 3):
            await joined[0].send(joined[1], message(codec.encode_request(each)))
        attack.done["sessions"] += 1
        await asyncio.sleep(0.005)
        joined[0].close()


async def reset_at_once(attack: Attack) -> None:
    """Calls that are cancelled as soon as they are begun."""
    while attack.goes_on:
        link = await attack.dial()
        while link is not None and attack.goes_on and not link.lost.is_set():
            for _ in range(50):
                link.reset(link.open_call(SESSION, _hello()))
            attack.done["calls"] += 50
            await asyncio.sleep(0.002)


async def fetch_rows(attack: Attack) -> None:
    """The training rows, over and over, and never read."""
    request = message(codec.encode_fetch(wire.FetchRows(attack.run, attack.digest, 0, 1)))
    while attack.goes_on:
        links = [link for link in [await attack.dial() for _ in range(20)] if link]
        while attack.goes_on and any(not link.lost.is_set() for link in links):
            for link in links:
                for _ in range(8):
                    link.open_call(FETCH, request, end=True)
                attack.done["fetches"] += 8
            await asyncio.sleep(0.02)


async def ask_status(attack: Attack) -> None:
    """How the run stands, and every worker, as often as can be."""
    while attack.goes_on:
        link = await attack.dial()
        while link is not None and attack.goes_on and not link.lost.is_set():
            for method in ("GetStatus", "ListWorkers") * 4:
                link.open_call(f"/{CONTROL}/{method}", message(b""), end=True)
            attack.done["calls"] += 8
            await asyncio.sleep(0.002)


async def page(attack: Attack) -> None:
    """The page: heads that never end, metrics without end, events that nobody reads."""
    host, _, port = attack.page.rpartition(":")
    begun = "GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: "
    whole = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20
    events = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"
    writers: list[asyncio.StreamWriter] = []
    while attack.goes_on:
        for text in (begun, whole, events):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port), limit=1024)
                writer.write(text.encode())
                writers.append(writer)
                attack.done["requests"] += 1
        await asyncio.sleep(0.005)
        for writer in writers[:-500]:
            writer.close()
        del writers[:-500]


ATTACKS: dict[str, Callable[[Attack], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        half_open, connections, slow_loris, tiny_frames, huge_frame, large_frames, garbage, wrong_order,
        reset_at_once, fetch_rows, ask_status, page,
    )
}  # fmt: skip
"""All attacks by name."""


async def play(name: str, attack: Attack, seconds: float) -> Counter[str]:
    """Attack for some seconds. Returns what was done, counted."""
    attack.until = time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + 1.0):
            await ATTACKS[name](attack)
    return attack.done


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser("python -m gradcode.lab.attacks", description="Hostile peers.")
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("address", help="HOST:PORT of a master on this machine")
    parser.add_argument("--page", default="", help="HOST:PORT of its metrics and page")
    parser.add_argument("--run", default="", help="the run, for fetch_rows")
    parser.add_argument("--digest", default="", help="the digest of its training set, for fetch_rows")
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args(argv)
    for address in filter(None, (given.address, given.page)):
        host, _ = parse_address("address", address)
        if host not in ("localhost", "::1") and not host.startswith("127."):
            print(f"attacks: {InvalidSpec('address', 'must be of this machine', address)}", file=sys.stderr)
            return 2
    attack = Attack(given.address, given.page, given.run, given.digest)
    done = asyncio.run(play(given.attack, attack, given.seconds))
    print(", ".join(f"{number} {what}" for what, number in done.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
