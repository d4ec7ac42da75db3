from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from common.codes.base import decode
from common.codes.decoders import encoding_matrix
from common.codes.intervals import most_recovered
from common.codes.mixed_load_partial import mixed_load_partial
from common.errors import InvalidSpec


def sums_of(n):
    """The sums of n = 2a + 1 workers: first chunk and number of chunks."""
    return [(2 * i, 3) for i in range(n // 2 + 1)] + [(2 * j + 1, 2) for j in range(n // 2)]


@pytest.mark.parametrize("n", [5, 7, 9, 11])
def test_any_beta_minus_1_workers_recover_beta_chunks(n):
    """Every set of workers, for every odd beta from 3 to n - 2."""
    for beta in range(3, n - 1, 2):
        code = mixed_load_partial(n, beta)
        assert sorted({len(order) for order in code.assignment.orders}) == [2, 3]
        assert len(code.messages) == n
        for workers in combinations(range(n), beta - 1):
            found = decode(code, [code.messages[worker] for worker in workers])
            assert found.recovered_fraction >= code.enough_recovered - 1e-9


@pytest.mark.parametrize(("n", "beta"), [(13, 9), (15, 11)])
def test_with_more_than_n_over_4_stragglers_it_holds_for_more_workers_too(n, beta):
    intervals = sums_of(n)
    assert mixed_load_partial(n, beta).stop_rule.intervals == tuple(intervals)
    for absent in combinations(range(n), n - beta + 1):
        assert most_recovered(n, [each for k, each in enumerate(intervals) if k not in absent]) >= beta


def test_asking_for_n_with_one_straggler_recovers_one_chunk_less():
    n = 7
    left = [most_recovered(n, [each for k, each in enumerate(sums_of(n)) if k != lost]) for lost in range(n)]
    assert min(left) == n - 1


@pytest.mark.parametrize(("n", "s", "absent"), [(13, 3, (0, 9, 11)), (15, 3, (10, 12, 14))])
def test_with_4s_plus_1_workers_some_s_stragglers_leave_fewer_chunks(n, s, absent):
    """Refuted as claimed: no 0/1 vector with beta = n - s + 1 ones is in the span of the other workers' sums.

    Absent are a triple and two pairs, or three pairs, four chunks apart.
    """
    with pytest.raises(InvalidSpec, match="n_recovered"):
        mixed_load_partial(n, n - s + 1)
    code = mixed_load_partial(n, 3)
    received = [message for message in code.messages if message.worker not in absent]
    assert len(received) == n - s
    U, sizes, _ = np.linalg.svd(encoding_matrix(n, 1, received).toarray(), full_matrices=False)
    U = U[:, sizes > 1e-9]
    candidates = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
    within = np.abs(candidates - candidates @ U @ U.T).max(axis=1) < 1e-8
    assert candidates[within].sum(axis=1).max() == n - s < n - s + 1


def test_everything_is_recovered_when_nobody_is_absent():
    code = mixed_load_partial(9, 5)
    assert decode(code, code.messages).exact
    assert code.n_stragglers == 0


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ((6, 3), "n_workers", "must be odd, such as 5"),
        ((3, 3), "n_workers", "at least 5"),
        ((7, 4), "n_recovered", "must be odd"),
        ((7, 7), "n_recovered", "from 3 to"),
        ((13, 11), "n_recovered", "from 3 to what n_workers allows = 9"),
        ((7, 1), "n_recovered", "from 3"),
    ],
)
def test_impossible_parameters_are_refused(arguments, field, rule):
    with pytest.raises(InvalidSpec) as caught:
        mixed_load_partial(*arguments)
    assert caught.value.field == field
    assert rule in str(caught.value)
