"""Records of rounds that nobody played."""

from __future__ import annotations

from common.history import RoundRecord


def a_record(number: int, uncoded: float | None = 0.4, lost: tuple[int, ...] = (), **more) -> RoundRecord:
    values = {
        "outcome": "exact",
        "end": "exact",
        "reason": "every chunk is finished",
        "stepped": True,
        "loss": 1.0 / (number + 1),
        "loss_share": 1.0,
        "residual": 0.0,
        "recovered_fraction": 1.0,
        "noise_amplification": 1.0,
        "deadline_seconds": None,
        "start_seconds": 0.2 * number,
        "seconds": 0.1,
        "collect_seconds": 0.0,
        "solve_seconds": 0.0,
        "combine_seconds": 0.0,
        "step_seconds": 0.0,
        "gradient_norm": 1.0,
        "score": None,
        "stragglers": (),
        "contributors": (0,),
        "bytes_sent": 0,
        "bytes_received": 0,
        "chunks_used": 8,
        "chunks_duplicate": 0,
        "chunks_late": 0,
        "chunks_wasted": 0,
        "straggler_chunks_used": 1,
        "epoch": 0,
    }
    return RoundRecord(round=number, uncoded_seconds=uncoded, lost=lost, **{**values, **more})
