"""What a caller shows a master so that it is let in: a certificate, proof that it knows the token, or both.

How a proof is made is written in protos/gradcode/v1/access.proto. Both ends are here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from common.errors import ProtocolError
from common.tls import TlsFiles, trouble
from common.tokens import Token
from common.wire.gradcode.v1 import access_pb2 as pb

ACCESS = "gradcode.v1.AccessService"
CHALLENGE = f"/{ACCESS}/GetChallenge"
CHALLENGE_SECONDS = 30.0
"""A challenge is good for so long."""
CALL_SECONDS = 5.0
"""So long a master may take to give a challenge."""

Metadata: TypeAlias = tuple[tuple[str, str], ...]
AnyMetadata: TypeAlias = Sequence[tuple[str, str | bytes]] | None

_PAUSES = (0.2, 0.5, 1.0, 2.0)
_SCHEME = "Gradcode "
_WORKER = "gradcode-worker"
_RANDOM_BYTES, _SEAL_BYTES = 16, 16


def _proof(token: str, method: str, challenge: bytes) -> bytes:
    text = f"gradcode/1 {method} ".encode()
    return hmac.digest(token.encode(), text + challenge, hashlib.sha256)


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


# ---- the caller ------------------------------------------------------------------------------------------


async def proof(
    channel: grpc.aio.Channel, token: str | None, method: str, seconds: float = CALL_SECONDS
) -> Metadata:
    """The metadata that a call needs; without a token none, otherwise the master is asked for a challenge.

    Args:
        channel: the one that the call will go over. token: the master's, or None.
        method: full name, such as ``/gradcode.v1.TrainingService/Session``.

    Raises:
        grpc.aio.AioRpcError: the master gives no challenge.
    """
    if token is None:
        return ()
    ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHALLENGE)
    for pause_seconds in (*_PAUSES, None):
        try:
            raw = await ask(b"", timeout=seconds)
            return proven(token, method, pb.GetChallengeResponse.FromString(raw).challenge)
        except DecodeError:
            break
        except grpc.aio.AioRpcError as error:
            # Many workers on one machine may ask at a time.
            if pause_seconds is None or error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            await asyncio.sleep(pause_seconds)
    return proven(token, method, b"")


def proven(token: str, method: str, challenge: bytes) -> Metadata:
    """The metadata of a call that answers ``challenge``."""
    return (
        ("authorization", f"{_SCHEME}{_to_text(challenge)}.{_to_text(_proof(token, method, challenge))}"),
    )


def as_worker(name: str) -> Metadata:
    """The metadata of a worker's call outside its session.

    >>> as_worker("rack 3")
    (('gradcode-worker', 'rack%203'),)
    """
    return ((_WORKER, quote(name, safe="")),)


@dataclass(frozen=True)
class Access:
    """What a worker or an operator shows; files may change, every channel and every call looks again.

    Attributes:
        tls: files with certificates, or None for connections without TLS.
        token: what the master shares with its callers, or None.
    """

    tls: TlsFiles | None = None
    token: Token | None = None

    def channel(self, address: str, options: list[tuple[str, int]]) -> grpc.aio.Channel:
        """A channel to the master at ``HOST:PORT``.

        Raises:
            InvalidSpec: a file cannot be read.
        """
        if self.tls is None:
            return grpc.aio.insecure_channel(address, options=options)
        authority, certificate, key = self.tls.read()
        shown = grpc.ssl_channel_credentials(authority, key, certificate)
        more: list[tuple[str, Any]] = list(options)
        if self.tls.expected_name is not None:
            more.append(("grpc.ssl_target_name_override", self.tls.expected_name))
        return grpc.aio.secure_channel(address, shown, options=more)

    def current_token(self) -> str | None:
        """The token as it is now."""
        return None if self.token is None else self.token.current()

    async def metadata(self, channel: grpc.aio.Channel, method: str) -> Metadata:
        """As `proof`, with the token as it is now."""
        return await proof(channel, self.current_token(), method)

    async def trouble(self, host: str, port: int) -> str | None:
        """Why a master that seems to be there is not available; as `common.tls.trouble`."""
        return await asyncio.to_thread(trouble, host, port, self.tls)


# ---- the master ------------------------------------------------------------------------------------------


class Challenges:
    """Gives out challenges and judges proofs. Nothing is remembered of a challenge until it is answered well,
    so that strangers cannot fill the memory.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._answered: set[bytes] = set()
        self._order: deque[tuple[float, bytes]] = deque()

    def fresh(self) -> bytes:
        """A challenge that was never given out before."""
        body = int(self._clock() * 1000).to_bytes(8, "big") + secrets.token_bytes(_RANDOM_BYTES)
        return body + self._seal(body)

    def check(self, metadata: AnyMetadata, method: str, tokens: Sequence[str]) -> None:
        """Let a call through, once.

        Args:
            metadata: of the call. method: its full name. tokens: those that are good now.

        Raises:
            ProtocolError: ``wrong_token`` without a proof or with a wrong one, ``replayed_token`` with one
                that was good before, or whose challenge is too old.
        """
        challenge, given = _answer(metadata)
        if not any(hmac.compare_digest(_proof(each, method, challenge), given) for each in tokens):
            raise ProtocolError("wrong_token", "a wrong token was used")
        body = challenge[:-_SEAL_BYTES]
        if not hmac.compare_digest(self._seal(body), challenge[-_SEAL_BYTES:]):
            raise ProtocolError("replayed_token", "this proof was made for another master")
        age = self._clock() - int.from_bytes(body[:8], "big") / 1000
        if age > CHALLENGE_SECONDS or challenge in self._answered:
            raise ProtocolError("replayed_token", "this proof was used before, or is too old")
        self._remember(challenge)

    def _remember(self, challenge: bytes) -> None:
        now = self._clock()
        while self._order and now - self._order[0][0] > CHALLENGE_SECONDS + 1.0:
            self._answered.discard(self._order.popleft()[1])
        self._answered.add(challenge)
        self._order.append((now, challenge))

    def _seal(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)[:_SEAL_BYTES]


def _answer(metadata: AnyMetadata) -> tuple[bytes, bytes]:
    """Challenge and proof of a call.

    Raises:
        ProtocolError: there are none.
    """
    values = [_text(value) for key, value in metadata or () if key == "authorization"]
    if not values:
        raise ProtocolError("wrong_token", "no token was used")
    challenge, dot, given = values[0].removeprefix(_SCHEME).partition(".")
    if len(values) > 1 or not values[0].startswith(_SCHEME) or not dot:
        raise ProtocolError("wrong_token", "the token was not used as it should be")
    return _from_text(challenge), _from_text(given)


def worker_in(metadata: AnyMetadata) -> str | None:
    """The name of the worker that calls, if the call says so.

    >>> worker_in(as_worker("rack 3")), worker_in(())
    ('rack 3', None)
    """
    names = [unquote(_text(value)) for key, value in metadata or () if key == _WORKER]
    return names[0] if len(names) == 1 else None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def access_handler(challenges: Challenges) -> grpc.GenericRpcHandler:
    """AccessService for ``server.add_generic_rpc_handlers((handler,))``."""

    async def give(_: bytes, context: Any) -> bytes:
        return pb.GetChallengeResponse(challenge=challenges.fresh()).SerializeToString()

    return grpc.method_handlers_generic_handler(
        ACCESS, {"GetChallenge": grpc.unary_unary_rpc_method_handler(give)}
    )
