from __future__ import annotations

import random

import pytest

from gradcode.chaos.mangling import LONGER_BYTES, MANGLES, mangle

ANYWHERE = tuple(kind for kind in MANGLES if kind != "lengthen")


@pytest.mark.parametrize("kind", ANYWHERE)
def test_what_is_mangled_differs_and_follows_from_the_seed(kind):
    for seed in range(200):
        data = random.Random(seed).randbytes(2 + seed % 60)
        mangled = mangle(kind, data, random.Random(seed))
        assert mangled != data
        assert mangled == mangle(kind, data, random.Random(seed))


def test_each_kind_does_what_it_is_called():
    for seed in range(100):
        data = random.Random(seed).randbytes(50)
        drop, twice, cut, altered = (mangle(kind, data, random.Random(seed)) for kind in ANYWHERE)
        assert 0 < len(drop) < len(data)
        assert len(data) < len(twice) < 2 * len(data)
        assert data.startswith(cut)
        assert 0 < len(cut) < len(data)
        assert 1 <= sum(a != b for a, b in zip(altered, data, strict=True)) <= 4


def frame(kind: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + (1).to_bytes(4, "big") + payload


def test_the_first_message_that_begins_is_lengthened():
    ping, message = frame(6, bytes(8)), b"\0" + (7).to_bytes(4, "big") + b"message"
    longer = b"\0" + (7 + LONGER_BYTES).to_bytes(4, "big") + b"message"
    data = ping + frame(0, message) + frame(0, message)
    assert mangle("lengthen", data, random.Random(0)) == ping + frame(0, longer) + frame(0, message)
    assert mangle("lengthen", ping + ping, random.Random(0)) == ping + ping
