"""How a link ends, and what the status of its call means."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

_FINAL = {
    grpc.StatusCode.UNAUTHENTICATED: "the master refuses the token",
    grpc.StatusCode.PERMISSION_DENIED: "the master refuses the certificate",
    grpc.StatusCode.FAILED_PRECONDITION: "the master refuses this worker",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a link ended: the reason, whether to dial again, and otherwise the exit code.

    ``dead_seconds`` above 0 is for how long the worker is dead before it dials again as if it were new.
    ``at_once``: it dials again without a pause. ``unavailable``: gRPC does not tell why there was no link.
    """

    reason: str
    again: bool = True
    exit_code: int = 0
    dead_seconds: float = 0.0
    at_once: bool = False
    unavailable: bool = False


def closed(code: grpc.StatusCode, details: str | None, welcomed: bool, known: bool) -> Ended:
    """What the status of a call that is over means.

    Args:
        code, details: the status. welcomed: whether the link was let in. known: whether a link before it was.
    """
    text = brief(details or "")
    if code in _FINAL:
        said = f"{_FINAL[code]}: {text}" if text else _FINAL[code]
        # Whoever was let in before may be so again, when its files have followed those of the master.
        return Ended(said) if known else Ended(said, again=False, exit_code=2)
    if code == grpc.StatusCode.OK:
        return Ended("the master closed the link")
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return Ended("what answers there is no gradcode master")
    if not welcomed and code == grpc.StatusCode.UNAVAILABLE:
        return Ended(f"no master answers ({text})", unavailable=True)
    if code == grpc.StatusCode.INTERNAL:
        # A frame was being written when the link ended, and gRPC keeps no better reason then.
        return Ended("the link is lost")
    return Ended(f"the link is lost ({code.name.lower().replace('_', ' ')}: {text})")


def brief(details: str) -> str:
    """What is of interest in gRPC's details: the last of its errors.

    >>> brief("failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused")
    'ipv4:127.0.0.1:1: Connection refused'
    """
    last = " ".join(details.split()).rpartition("last error: ")[2]
    return last.removeprefix("UNKNOWN: ").removeprefix("UNAVAILABLE: ")
