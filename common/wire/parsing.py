"""Bytes to protobuf messages, and messages to the frame they hold; a part of the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from common.errors import ProtocolError

AnyMessage = TypeVar("AnyMessage", bound=Message)


def parse(kind: type[AnyMessage], raw: bytes | memoryview) -> AnyMessage:
    """``raw`` as a message of this kind.

    Raises:
        ProtocolError: ``unreadable``.
    """
    packed = kind()
    try:
        packed.ParseFromString(bytes(raw))
    except DecodeError:
        raise ProtocolError("unreadable", f"{len(raw)} bytes are no {kind.__name__}") from None
    return packed


def unpack(packed: Any, unpackers: dict[str, Callable[[Any], Any]]) -> Any:
    """The frame in a message, by the name of the field that holds it.

    Raises:
        ProtocolError: ``unknown_frame``, or whatever the unpacker finds.
    """
    which = packed.WhichOneof("frame")
    if which is None:
        raise ProtocolError("unknown_frame", f"a {type(packed).__name__} without a frame that is known here")
    return unpackers[which](getattr(packed, which))
