"""The gRPC methods of both services, for both ends, carrying raw bytes.

gRPC's own (de)serialisers are left out: what goes in and comes out here are the bytes of ``codec`` and
``control``, so that an array's data is copied as seldom as possible.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

from common.errors import InvalidSpec
from common.wire import control
from common.wire.access import proof
from common.wire.control import RoundsRequest, RunStatus, Scaled, WatchedRounds, WorkerStatus
from common.wire.frames import MAX_MESSAGE_BYTES

TRAINING = "gradcode.v1.TrainingService"
CONTROL = "gradcode.v1.ControlService"
SESSION = f"/{TRAINING}/Session"
FETCH_ROWS = f"/{TRAINING}/FetchRows"

SILENCE_SECONDS = 15.0
"""A watched master that says nothing for so long is gone; it speaks at least every 5 seconds."""

Options: TypeAlias = list[tuple[str, int]]
SessionBehaviour: TypeAlias = Callable[[AsyncIterator[bytes], Any], Any]
FetchBehaviour: TypeAlias = Callable[[bytes, Any], Any]

_COMMON: Options = [
    # A dead peer is found by a ping a second that is not answered within two. It is the http2 ping timeout
    # that decides: without it a frozen peer is noticed after a minute.
    ("grpc.keepalive_time_ms", 1_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]

# ---- options, addresses and credentials -------------------------------------------------------------------


def server_options(most_connections: int | None = None) -> Options:
    """Options of the master's server.

    Args:
        most_connections: that may be open at a time; more are closed as they come. None: any number.
    """
    limits = [] if most_connections is None else [("grpc.max_allowed_incoming_connections", most_connections)]
    return [
        *_COMMON,
        *limits,
        # A worker has a session and some fetches, an operator a watch and a question.
        ("grpc.max_concurrent_streams", 8),
        ("grpc.max_metadata_size", 8 << 10),
        ("grpc.absolute_max_metadata_size", 16 << 10),
        # Who connects and says nothing, or has nothing more to say, makes room.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 60_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
        ("grpc.http2.max_ping_strikes", 0),
        # Two masters on one port would each get some of the workers.
        ("grpc.so_reuseport", 0),
    ]


def client_options() -> Options:
    """Options of a channel to the master."""
    return [
        *_COMMON,
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # Workers dial the master themselves, whatever proxies the environment names for HTTP.
        ("grpc.enable_http_proxy", 0),
        # Every worker has a connection of its own, also when many live in one process.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def parse_address(field: str, text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; brackets around a host with colons are taken off.

    Raises:
        InvalidSpec: it has no host, or no port from 0 to 65535.

    >>> parse_address("--master", "127.0.0.1:50051"), parse_address("--master", "[::1]:80")
    (('127.0.0.1', 50051), ('::1', 80))
    """
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    simple = bracketed or not set(":/ []") & set(host)
    numeric = port.isascii() and port.isdigit() and len(port) <= 5
    if not (colon and host and simple and numeric and int(port) <= 65535):
        raise InvalidSpec(field, "must be HOST:PORT, such as 127.0.0.1:50051", text)
    return host, int(port)


# ---- TrainingService ------------------------------------------------------------------------------------


def session_method(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamMultiCallable[bytes, bytes]:
    """TrainingService.Session of a channel; call it with metadata for SESSION."""
    return channel.stream_stream(SESSION)


def fetch_method(channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamMultiCallable[bytes, bytes]:
    """TrainingService.FetchRows of a channel; call it with the request, and with metadata for FETCH_ROWS."""
    return channel.unary_stream(FETCH_ROWS)


def training_handler(session: SessionBehaviour, fetch: FetchBehaviour) -> grpc.GenericRpcHandler:
    """TrainingService for ``server.add_generic_rpc_handlers((handler,))``.

    Args:
        session: ``async def session(requests, context)``: reads raw frames from ``requests`` (or with
            ``context.read()``) and writes raw frames with ``context.write()``.
        fetch: ``async def fetch(request, context)``: writes, or yields, raw frames.
    """
    handlers: dict[str, Any] = {
        "Session": grpc.stream_stream_rpc_method_handler(session),
        "FetchRows": grpc.unary_stream_rpc_method_handler(fetch),
    }
    return grpc.method_handlers_generic_handler(TRAINING, handlers)


# ---- ControlService -------------------------------------------------------------------------------------


def control_handler(
    get_status: Callable[[], RunStatus],
    list_workers: Callable[[], list[WorkerStatus]],
    stop_run: Callable[[str], Awaitable[bool]],
    scale_run: Callable[[int], Awaitable[Scaled]],
    watch_rounds: Callable[[RoundsRequest], AsyncGenerator[WatchedRounds, None] | None],
) -> grpc.GenericRpcHandler:
    """ControlService for ``server.add_generic_rpc_handlers((handler,))``.

    Args:
        get_status: how the run stands.
        list_workers: every place and every spare.
        stop_run: ends the run for a reason; False when it is over already.
        scale_run: has another number of workers.
        watch_rounds: answers to a watcher; None when too many watch.
    """

    async def answer_status(_: bytes, context: Any) -> bytes:
        return control.encode_status(get_status())

    async def answer_workers(_: bytes, context: Any) -> bytes:
        return control.encode_workers(list_workers())

    async def answer_stop(raw: bytes, context: Any) -> bytes:
        return control.encode_accepted(await stop_run(control.decode_stop(raw)))

    async def answer_scale(raw: bytes, context: Any) -> bytes:
        return control.encode_scaled(await scale_run(control.decode_scale(raw)))

    async def answer_watch(raw: bytes, context: Any) -> AsyncIterator[bytes]:
        answers = watch_rounds(control.decode_rounds_request(raw))
        if answers is None:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch already")
            return
        async with contextlib.aclosing(answers):
            async for each in answers:
                yield control.encode_rounds(each)

    behaviours = {
        "GetStatus": answer_status,
        "ListWorkers": answer_workers,
        "StopRun": answer_stop,
        "ScaleRun": answer_scale,
    }
    handlers: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(each) for name, each in behaviours.items()
    }
    handlers["WatchRounds"] = grpc.unary_stream_rpc_method_handler(answer_watch)
    return grpc.method_handlers_generic_handler(CONTROL, handlers)


class ControlClient:
    """Asks a master how its run stands; every call raises ``grpc.aio.AioRpcError`` when none answers.

    Args:
        channel: to the master, made with ``client_options()``.
        token: what the master wants to see, or None.
        timeout_seconds: for each call, the connection included.
    """

    def __init__(
        self, channel: grpc.aio.Channel, token: str | None = None, timeout_seconds: float = 5.0
    ) -> None:
        self._channel = channel
        self._token = token
        self._timeout = timeout_seconds

    async def get_status(self) -> RunStatus:
        """How the run stands."""
        return control.decode_status(await self._call("GetStatus", b""))

    async def list_workers(self) -> list[WorkerStatus]:
        """Every place and every spare."""
        return control.decode_workers(await self._call("ListWorkers", b""))

    async def stop_run(self, reason: str) -> bool:
        """End the run; False when it is over already."""
        return control.decode_accepted(await self._call("StopRun", control.encode_stop(reason)))

    async def scale_run(self, n_workers: int) -> Scaled:
        """Have another number of workers."""
        return control.decode_scaled(await self._call("ScaleRun", control.encode_scale(n_workers)))

    async def watch_rounds(self, known: RoundsRequest) -> AsyncIterator[WatchedRounds]:
        """The rounds after those that are ``known``, then each new one, until the run is over.

        The last answer holds the run's ending. TimeoutError when nothing comes for SILENCE_SECONDS.
        """
        name = f"/{CONTROL}/WatchRounds"
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(name)
        shown = await proof(self._channel, self._token, name, self._timeout)
        call = method(control.encode_rounds_request(known), metadata=shown)
        try:
            while isinstance(raw := await asyncio.wait_for(call.read(), SILENCE_SECONDS), bytes):
                yield control.decode_rounds(raw)
        finally:
            call.cancel()

    async def _call(self, method: str, request: bytes) -> bytes:
        name = f"/{CONTROL}/{method}"
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(name)
        shown = await proof(self._channel, self._token, name, self._timeout)
        return await call(request, metadata=shown, timeout=self._timeout)
