"""Who may call what: every call passes here before the service sees it.

A master with TLS takes only callers with a certificate of its authority (gRPC sees to that in the handshake),
and of those workers for TrainingService and operators for ControlService. A master with a token takes only
callers that prove they know it. One with both wants both; one with neither takes everybody, on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from common.errors import ProtocolError
from common.tls import Roles
from common.tokens import Token
from common.wire.access import ACCESS, AnyMetadata, Challenges, worker_in
from common.wire.rpc import CONTROL, TRAINING
from master.trust import Trust

FIRST_FRAME_SECONDS = 10.0
"""So long a caller that is refused may take to send a first frame."""
LOOK_SECONDS = 2.0
"""So often open links are looked at: whether their certificate still holds."""

Context = Any
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_DENIED = grpc.StatusCode.PERMISSION_DENIED
_HINTS = {
    "wrong_token": "give the token file of this run",
    "replayed_token": "every call needs a challenge of its own",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a call comes from, as far as its certificate tells.

    Attributes:
        roles: what it allows. certificate: in PEM.
    """

    roles: Roles
    certificate: bytes


def caller(context: Context) -> Caller | None:
    """Whom a call comes from; None without TLS."""
    seen = context.auth_context()
    certificates = seen.get("x509_pem_cert", ())
    if not certificates:
        return None
    names = [bytes(each).decode("utf-8", "replace") for each in seen.get("peer_dns", ())]
    return Caller(Roles.of(names), bytes(certificates[0]))


class Admission:
    """Judges calls.

    Args:
        token: what callers must know, or None. trust: judges certificates, or None without TLS.
        challenges: those that proofs answer.
    """

    def __init__(self, token: Token | None, trust: Trust | None, challenges: Challenges) -> None:
        self._token = token
        self._trust = trust
        self._challenges = challenges

    @property
    def asks_for_names(self) -> bool:
        """Whether a worker must say who it is when it fetches rows."""
        return self._token is not None or self._trust is not None

    def check(self, method: str, metadata: AnyMetadata, context: Context) -> None:
        """Let a call pass.

        Raises:
            ProtocolError: it may not; the kind is ``expired``, ``wrong_role``, ``wrong_token`` or
                ``replayed_token``.
        """
        if self._trust is not None:
            self.check_certificate(context)
            self._check_role(method, caller(context))
        if self._token is not None and not method.startswith(f"/{ACCESS}/"):
            self._challenges.check(metadata, method, self._token.accepted())

    def check_certificate(self, context: Context) -> None:
        """See whether the certificate of a call, or of a link that is open, still holds.

        Raises:
            ProtocolError: ``expired``: it has, or its authority is trusted no more.
        """
        who = caller(context)
        if self._trust is not None and who is not None:
            self._trust.check(who.certificate)

    @staticmethod
    def _check_role(method: str, who: Caller | None) -> None:
        service = method.split("/")[1]
        if who is None:
            raise ProtocolError("wrong_role", "there is no certificate")
        if service == TRAINING and not who.roles.worker_names:
            raise ProtocolError("wrong_role", "this certificate is not a worker's")
        if service == CONTROL and not who.roles.operator:
            raise ProtocolError("wrong_role", "this certificate is not an operator's")

    def check_name(self, name: str, context: Context) -> None:
        """See whether a worker may have this name.

        Raises:
            ProtocolError: ``wrong_name``: its certificate is for another one.
        """
        who = caller(context)
        if self._trust is not None and who is not None and not who.roles.may_be(name):
            allowed = ", ".join(who.roles.worker_names)
            raise ProtocolError("wrong_name", f"this certificate is for {allowed}, not for {name[:80]!r}")

    def fetcher(self, context: Context) -> str | None:
        """The name of the worker that fetches rows; None where nobody is asked who he is.

        Raises:
            ProtocolError: ``wrong_name``: it does not say, or its certificate is for another one.
        """
        if not self.asks_for_names:
            return None
        name = worker_in(context.invocation_metadata())
        if name is None:
            raise ProtocolError("wrong_name", "the call does not say which worker it is")
        self.check_name(name, context)
        return name

    async def until_void(self, context: Context) -> None:
        """Return never, as long as the certificate of an open link holds.

        Raises:
            ProtocolError: as `check_certificate`, at most LOOK_SECONDS late.
        """
        if self._trust is None:
            await asyncio.get_running_loop().create_future()
        who = caller(context)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._trust is not None and who is not None:
                self._trust.check(who.certificate)


def refusal(error: ProtocolError) -> tuple[grpc.StatusCode, str]:
    """Status and words for a caller that may not."""
    code = _DENIED if error.kind in ("wrong_role", "wrong_name") else _UNAUTHENTICATED
    hint = _HINTS.get(error.kind)
    return code, f"{error.detail}: {hint}" if hint else error.detail


class AccessCheck(grpc.aio.ServerInterceptor):
    """Refuses calls that may not be; health checks need only the handshake.

    Args:
        admission: judges. count: told of every refusal. seen: told of every caller's address.
    """

    def __init__(
        self, admission: Admission, count: Callable[[ProtocolError], None], seen: Callable[[str], None]
    ) -> None:
        self._admission = admission
        self._count = count
        self._seen = seen

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Put the judge before the handler."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return _guarded(handler, self._judge(handler_call_details))

    def _judge(self, details: Any) -> Callable[[Context], ProtocolError | None]:
        method, metadata = str(details.method), details.invocation_metadata

        def judge(context: Context) -> ProtocolError | None:
            self._seen(context.peer())
            if method.startswith("/grpc.health.v1."):
                return None
            try:
                self._admission.check(method, metadata, context)
            except ProtocolError as error:
                self._count(error)
                return error
            return None

        return judge


def _guarded(handler: Any, judge: Callable[[Context], ProtocolError | None]) -> Any:
    """A handler of the same kind that lets only those through that are judged well."""

    async def refused(context: Context) -> None:
        error = judge(context)
        if error is not None:
            await context.abort(*refusal(error))

    if handler.request_streaming and handler.response_streaming:

        async def stream_stream(requests: AsyncIterator[bytes], context: Context) -> None:
            error = judge(context)
            if error is not None:
                # Without reading a frame first, gRPC loses the status now and then, and the peer dials again.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(anext(aiter(requests), b""), FIRST_FRAME_SECONDS)
                await context.abort(*refusal(error))
            await handler.stream_stream(requests, context)

        return grpc.stream_stream_rpc_method_handler(stream_stream)
    if handler.response_streaming:
        answers = handler.unary_stream

        async def one_by_one(request: bytes, context: Context) -> AsyncIterator[bytes]:
            await refused(context)
            async with contextlib.aclosing(answers(request, context)) as each_answer:
                async for each in each_answer:
                    yield each

        async def written(request: bytes, context: Context) -> None:
            await refused(context)
            await answers(request, context)

        return grpc.unary_stream_rpc_method_handler(
            one_by_one if inspect.isasyncgenfunction(answers) else written
        )

    async def unary_unary(request: bytes, context: Context) -> Any:
        await refused(context)
        return await handler.unary_unary(request, context)

    # Other than ours, health checks come with (de)serialisers.
    return grpc.unary_unary_rpc_method_handler(
        unary_unary, handler.request_deserializer, handler.response_serializer
    )
