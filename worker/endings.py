"""How a link ended, and what that means for the worker."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

_FINAL = {
    grpc.StatusCode.UNAUTHENTICATED: "the master refuses the token",
    grpc.StatusCode.PERMISSION_DENIED: "the master refuses the token",
    grpc.StatusCode.FAILED_PRECONDITION: "the master refuses this worker",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a link ended: the reason, whether to dial again, and otherwise the exit code.

    ``dead_seconds`` above 0 is for how long the worker is dead before it dials again as if it were new.
    """

    reason: str
    again: bool = True
    exit_code: int = 0
    dead_seconds: float = 0.0


def ended_with(code: grpc.StatusCode, text: str, welcomed: bool) -> Ended:
    """What the status of a call that is over means.

    Args:
        code, text: of the call. welcomed: whether there was a link.
    """
    if code in _FINAL:
        return Ended(f"{_FINAL[code]}: {text}" if text else _FINAL[code], again=False, exit_code=2)
    if code == grpc.StatusCode.OK:
        return Ended("the master closed the link")
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return Ended("what answers there is no gradcode master")
    if not welcomed and code == grpc.StatusCode.UNAVAILABLE:
        return Ended(f"no master answers ({text})")
    if code == grpc.StatusCode.INTERNAL:
        # A frame was being written when the link ended, and gRPC keeps no better reason then.
        return Ended("the link is lost")
    return Ended(f"the link is lost ({code.name.lower().replace('_', ' ')}: {text})")
