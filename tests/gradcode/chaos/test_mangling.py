from __future__ import annotations

import random

import pytest

from gradcode.chaos.mangling import MANGLES, mangle


@pytest.mark.parametrize("kind", MANGLES)
def test_what_is_mangled_differs_and_follows_from_the_seed(kind):
    for seed in range(200):
        data = random.Random(seed).randbytes(2 + seed % 60)
        mangled = mangle(kind, data, random.Random(seed))
        assert mangled != data
        assert mangled == mangle(kind, data, random.Random(seed))


def test_each_kind_does_what_it_is_called():
    for seed in range(100):
        data = random.Random(seed).randbytes(50)
        drop, twice, cut, altered = (mangle(kind, data, random.Random(seed)) for kind in MANGLES)
        assert 0 < len(drop) < len(data)
        assert len(data) < len(twice) < 2 * len(data)
        assert data.startswith(cut)
        assert 0 < len(cut) < len(data)
        assert 1 <= sum(a != b for a, b in zip(altered, data, strict=True)) <= 4
