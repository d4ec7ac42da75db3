"""Pure: how much a peer may do, counted with given times.

A *token bucket* fills with time and is emptied by what a peer does; an *occupancy* counts what is open, of
every peer and altogether. Neither knows what is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from common.codes.base import GradientCode
from common.wire.frames import MAX_FRAME_BYTES

LOOSE_BYTES = 64 * 1024
"""A frame counts as one, and once more for every so many bytes."""
MOST_KEYS = 4096
"""Peers that are remembered one by one; the one that was quiet longest is forgotten."""


@dataclass(frozen=True)
class Limits:
    """What peers of one master may do; `[limits]` of the experiment, with numbers for what was left out.

    Attributes:
        links, links_per_host: links that may be open at a time, in total and from one host.
        links_per_second: links that may be opened in a second; as many as ``links`` may come at once.
        frames_per_second: frames that a link may send in a second though nothing called for them.
        calls_per_second: calls of operators from one host in a second.
        fetches, fetches_per_link: FetchRows under way at a time, in total and on one connection.
        fetches_per_second: FetchRows in a second, in total; ``fetches_at_once`` may come at once.
        fetched_bytes: of rows that wait to be sent at a time.
        queued_bytes: control frames that wait to be sent on one link.
        patience_seconds: how long a peer may take to say Hello, or to take one frame.
        tarpit_seconds: how long a refused call is held, so that refusing costs the master less than calling
            costs the peer.
    """

    links: int = 80
    links_per_host: int = 80
    links_per_second: float = 20.0
    frames_per_second: float = 20.0
    calls_per_second: float = 100.0
    fetches: int = 32
    fetches_per_link: int = 4
    fetches_per_second: float = 200.0
    fetches_at_once: int = 1000
    fetched_bytes: int = 256 << 20
    queued_bytes: int = 8 << 20
    patience_seconds: float = 30.0
    tarpit_seconds: float = 2.0

    @property
    def connections(self) -> int:
        """Connections that may be open at a time: one a link, and some for operators."""
        return self.links + 64


class TokenBucket:
    """Holds at most ``most`` tokens, is full at first, and gains ``per_second`` in a second.

    >>> bucket = TokenBucket(per_second=2.0, most=1.0, now=0.0)
    >>> bucket.take(1.0, now=0.0), bucket.take(1.0, now=0.1), bucket.owe(1.0, now=0.1)
    (True, False, 0.4)
    """

    def __init__(self, per_second: float, most: float, now: float) -> None:
        self._per_second = per_second
        self._most = most
        self._held = most
        self._at = now

    def take(self, n: float, now: float) -> bool:
        """Take ``n`` tokens if they are there."""
        self._fill(now)
        if self._held < n:
            return False
        self._held -= n
        return True

    def owe(self, n: float, now: float) -> float:
        """Take ``n`` tokens that need not be there. Returns the seconds until what is owed has come in."""
        self._fill(now)
        self._held -= n
        return max(0.0, -self._held / self._per_second)

    def give(self, n: float, most: float, now: float) -> None:
        """Put ``n`` tokens in, up to ``most``, which may be more than time alone brings."""
        self._fill(now)
        self._held = max(self._held, min(self._held + n, most))

    def _fill(self, now: float) -> None:
        if self._held < self._most:
            self._held = min(self._most, self._held + max(0.0, now - self._at) * self._per_second)
        self._at = max(self._at, now)


class Buckets:
    """A bucket for every key, made when it is first asked for; at most MOST_KEYS are kept."""

    def __init__(self, per_second: float, most: float) -> None:
        self._per_second = per_second
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, n: float, now: float) -> bool:
        """Take ``n`` tokens of ``key`` if they are there."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= MOST_KEYS:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = TokenBucket(self._per_second, self._most, now)
        self._buckets.move_to_end(key)
        return bucket.take(n, now)


class Occupancy:
    """Counts what is open, by key and altogether.

    >>> open_links = Occupancy(most=2, most_each=1)
    >>> open_links.enter("a"), open_links.enter("a"), open_links.enter("b"), open_links.enter("c")
    ('', '1 from one peer', '', '2 in total')
    """

    def __init__(self, most: int, most_each: int) -> None:
        self.n_open = 0
        self._most = most
        self._most_each = most_each
        self._each: dict[str, int] = {}

    def enter(self, key: str) -> str:
        """One more of ``key``; or nothing, and the limit that it would exceed in words."""
        if self.n_open >= self._most:
            return f"{self._most} in total"
        if self._each.get(key, 0) >= self._most_each:
            return f"{self._most_each} from one peer"
        self.n_open += 1
        self._each[key] = self._each.get(key, 0) + 1
        return ""

    def leave(self, key: str) -> None:
        """One less of ``key``, which has entered."""
        self.n_open -= 1
        self._each[key] -= 1
        if not self._each[key]:
            del self._each[key]


class Allowance:
    """What one link may send: what the master called for, and a little more.

    A round calls for the reports of the place's chunks and for its messages, a Collect for one message; that
    much is given when they are sent. Everything else, such as frames out of nowhere, lives on what time
    brings.

    Args:
        per_second: frames a second that nothing called for. now: the master's clock.
    """

    AT_ONCE = 30.0
    """Frames that may come at once though nothing called for them."""
    ROUNDS = 4.0
    """So many rounds' worth may be saved up, by a worker whose reports come late."""

    def __init__(self, per_second: float, now: float) -> None:
        self._bucket = TokenBucket(per_second, self.AT_ONCE, now)
        self._largest = 0.0

    def call_for(self, n_frames: float, now: float) -> None:
        """The master has called for so many frames, as ``frames_of`` counts them."""
        self._largest = max(self._largest, n_frames)
        self._bucket.give(n_frames, self.AT_ONCE + self.ROUNDS * self._largest, now)

    def take(self, n_bytes: int, now: float) -> bool:
        """A frame of so many bytes has come; False if it is one too many."""
        return self._bucket.take(frames_of(n_bytes), now)


def frames_of(n_bytes: int) -> float:
    """What a frame of so many bytes counts as.

    >>> frames_of(10), frames_of(65536), frames_of(1 << 20)
    (1.0, 2.0, 17.0)
    """
    return 1.0 + n_bytes // LOOSE_BYTES


def frames_of_message(n_bytes: int) -> float:
    """What a message of so many bytes may count as, in frames as large as may be, heads included.

    >>> frames_of_message(10), frames_of_message(3 << 20)
    (2.0, 54.0)
    """
    n_frames = -(-n_bytes // MAX_FRAME_BYTES)
    return 2.0 * n_frames + n_bytes // LOOSE_BYTES


def frames_of_round(code: GradientCode, place: int, message_bytes: int) -> float:
    """What a round calls for at ``place``: a report of every chunk it holds, and its own messages."""
    n_messages = 0 if code.on_request else len(code.messages_of[place])
    return len(code.assignment.orders[place]) + n_messages * frames_of_message(message_bytes)


def host_of(peer: str) -> str:
    """The host in gRPC's name of a peer; its port is another for every connection.

    >>> host_of("ipv4:127.0.0.1:40000"), host_of("ipv6:%5B::1%5D:40000"), host_of("unix:")
    ('ipv4:127.0.0.1', 'ipv6:%5B::1%5D', 'unix:')
    """
    host, colon, port = peer.rpartition(":")
    return host if colon and port.isdecimal() else peer
