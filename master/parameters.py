"""The parameters of a round as frames, serialised once for all links."""

from __future__ import annotations

from common.wire import codec
from common.wire.frames import ParametersFrame, Stamp
from common.wire.pieces import split_frames
from master.arithmetic import Arithmetic

FRAME_BYTES = 512 * 1024
"""Payload of a parameters frame; between 256 KiB and 1 MiB gRPC is fastest."""


class SharedParameters:
    """Holds the frames of the round in hand.

    Args:
        arithmetic: knows the parameters. wire_dtype: that they travel in.
    """

    def __init__(self, arithmetic: Arithmetic, wire_dtype: str) -> None:
        self._arithmetic = arithmetic
        self._wire_dtype = wire_dtype
        self._held: tuple[Stamp | None, int, list[bytes]] = (None, 0, [])

    def of(self, stamp: Stamp) -> tuple[int, list[bytes]]:
        """Bytes of all parameters, and their frames; ``stamp``: of the round, with incarnation 0.

        Cost: O(d) the first time in a round.
        """
        if self._held[0] != stamp:
            point = self._arithmetic.point_bytes()
            frames = [
                codec.encode_response(ParametersFrame(stamp, offset, len(point), self._wire_dtype, piece))
                for offset, piece in split_frames(point, FRAME_BYTES)
            ]
            self._held = stamp, len(point), frames
        return self._held[1], self._held[2]
