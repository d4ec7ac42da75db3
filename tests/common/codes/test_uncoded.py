from __future__ import annotations

import pytest

from common.codes.base import decode
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.uncoded import uncoded
from common.errors import InvalidSpec


def test_uncoded_needs_everybody():
    code = uncoded(4, chunks_per_worker=2)
    assert code.n_chunks == 8
    assert decode(code, code.messages).exact
    missing = decode(code, code.messages[1:])
    assert missing.recovered_fraction == 0.75
    assert code.assignment.max_load == 2


def test_ignoring_stragglers_rescales_by_n_over_received():
    code = ignore_stragglers(8, 2)
    decoding = decode(code, code.messages[:6])
    assert decoding.weights[:, 0].tolist() == [8 / 6] * 6
    assert decoding.coefficients.sum() == pytest.approx(8), "unbiased: coefficients average to 1"
    assert not decoding.exact
    assert code.enough_messages == 6
    assert code.estimator == "rescaled"


def test_ignoring_stragglers_is_exact_when_all_arrive():
    code = ignore_stragglers(8, 2)
    assert decode(code, code.messages).exact
    assert code.n_stragglers == 0


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: uncoded(0), "n_workers"),
        (lambda: uncoded(2.0), "n_workers"),
        (lambda: uncoded(True), "n_workers"),
        (lambda: uncoded("8"), "n_workers"),
        (lambda: uncoded(8, 0), "chunks_per_worker"),
        (lambda: uncoded(8, 10**9), "n_workers x load"),
        (lambda: ignore_stragglers(8, 8), "n_stragglers"),
        (lambda: ignore_stragglers(8, -1), "n_stragglers"),
    ],
)
def test_impossible_parameters_are_refused(build, field):
    with pytest.raises(InvalidSpec) as caught:
        build()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)
