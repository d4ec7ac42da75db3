"""How a master is secured: what its options ask for, and the parts that see to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from common.errors import InvalidSpec, ProtocolError
from common.tls import TlsFiles
from common.tokens import LEAST_CHARACTERS, Token, TokenFile
from common.wire.access import Challenges, access_handler
from common.wire.rpc import parse_address
from master.access import AccessCheck, Admission
from master.trust import Handshakes, Trust

SWEEP_SECONDS = 1.0
"""Between two looks for handshakes that came to nothing."""


@dataclass(frozen=True)
class Security:
    """Whom a master lets in.

    Attributes:
        tls: its certificates: only callers with one of the same authority may come. None for no TLS.
        token_file: with what callers must prove that they know. token: the same, as text; for tests.
        token_grace_seconds: how long a token still counts after the file holds another.
        insecure_network: beyond loopback without TLS, which then needs a token.
    """

    tls: TlsFiles | None = None
    token_file: Path | None = None
    token: str | None = None
    token_grace_seconds: float = 0.0
    insecure_network: bool = False

    def make_token(self) -> Token | None:
        """What callers must know.

        Raises:
            InvalidSpec: the file cannot be used.
        """
        if self.token_file is not None:
            return TokenFile(self.token_file, self.token_grace_seconds)
        return None if self.token is None else Token(self.token)

    def check(self, listen: str) -> None:
        """Refuse to listen to strangers.

        Args:
            listen: HOST:PORT.

        Raises:
            InvalidSpec: an address beyond loopback without TLS, unless it is asked for and there is a token
                that nobody guesses; a grace below 0; a token file that cannot be used.
        """
        if not self.token_grace_seconds >= 0.0:
            raise InvalidSpec("--token-grace", "must be at least 0 seconds", self.token_grace_seconds)
        token = self.make_token()
        host, _ = parse_address("listen", listen)
        if self.tls is not None or is_loopback(host):
            return
        if not self.insecure_network:
            rule = "needs --tls beyond 127.0.0.1, or --insecure-network and --token-file"
            raise InvalidSpec("listen", rule, listen)
        if token is None:
            raise InvalidSpec("listen", "needs --token-file beyond 127.0.0.1 without --tls", listen)
        if len(token.current()) < LEAST_CHARACTERS:
            rule = f"must hold at least {LEAST_CHARACTERS} characters on a network"
            raise InvalidSpec("--token-file", rule, f"{len(token.current())} characters")

    def warning(self, listen: str) -> str | None:
        """One line if others can read along; otherwise None."""
        host, _ = parse_address("listen", listen)
        if self.tls is not None or is_loopback(host):
            return None
        return "no TLS: who is on this network can read and change everything; docs/security.md says more"


class Entrance:
    """The parts of a server that see to its security.

    Args:
        security: what is asked for. count: told of every refusal.

    Attributes:
        admission: who may do what. interceptor: asks it before every call.
        credentials: of the server's port; None without TLS.
    """

    def __init__(self, security: Security, count: Callable[[ProtocolError], None]) -> None:
        failed = ProtocolError("no_handshake", "a connection came to nothing")
        self._handshakes = Handshakes(lambda: count(failed))
        self._challenges = Challenges()
        trust = None if security.tls is None else Trust(security.tls, self._handshakes.begun)
        self.admission = Admission(security.make_token(), trust, self._challenges)
        self.interceptor = AccessCheck(self.admission, count, self._handshakes.seen)
        self.credentials = None if trust is None else trust.credentials()
        self._sweeping: asyncio.Task[None] | None = None

    def open(self, server: grpc.aio.Server) -> None:
        """Serve AccessService, and count handshakes from now on, in the running event loop."""
        server.add_generic_rpc_handlers((access_handler(self._challenges),))
        if self.credentials is not None:
            self._sweeping = asyncio.create_task(self._sweep(), name="handshakes")

    async def close(self) -> None:
        """Count no more."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._handshakes.sweep()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host in ("localhost", "::1") or host.startswith("127.")
