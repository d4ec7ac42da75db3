from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.delays import Delays, Interruption
from common.errors import InvalidSpec
from gradcode.lab.draws import SameRows, same_rows

WILD = Delays("shifted_exponential", seconds=0.01, mean_seconds=0.05, factors=((1, 4.0),), seed=3)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_all_rows_take_the_same_whatever_the_chunks(n_drawn, n_chunks, place, number):
    same = SameRows(WILD, n_drawn, n_chunks)
    whole = sum(WILD.chunk_seconds(place, number, chunk) for chunk in range(n_drawn))
    cut = sum(same.chunk_seconds(place, number, chunk) for chunk in range(n_chunks))
    assert cut == pytest.approx(whole)


def test_a_chunk_takes_what_its_rows_take():
    drawn = [WILD.chunk_seconds(1, 2, chunk) for chunk in range(6)]
    quarters = [SameRows(WILD, 6, 4).chunk_seconds(1, 2, chunk) for chunk in range(4)]
    assert quarters[0] == pytest.approx(drawn[0] + drawn[1] / 2)
    assert quarters[1] == pytest.approx(drawn[1] / 2 + drawn[2])
    twelfths = [SameRows(WILD, 6, 12).chunk_seconds(1, 2, chunk) for chunk in range(12)]
    assert twelfths == pytest.approx([drawn[chunk // 2] / 2 for chunk in range(12)])


def test_the_same_chunks_are_the_source_itself():
    assert same_rows(WILD, 5, 5) is WILD
    assert SameRows(WILD, 5, 5).chunk_seconds(1, 0, 4) == WILD.chunk_seconds(1, 0, 4)


def test_interruptions_stay():
    freezes = Delays(interruptions=(Interruption(0, "freeze", 0.5, 2.0),))
    assert SameRows(freezes, 2, 3).walk(0, 0.0, 0.0, 1.0) == freezes.walk(0, 0.0, 0.0, 1.0)


def test_there_is_at_least_one_chunk():
    with pytest.raises(InvalidSpec, match="n_chunks: must be at least 1, got 0"):
        SameRows(WILD, 1, 0)
