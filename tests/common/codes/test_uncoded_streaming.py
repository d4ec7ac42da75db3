from __future__ import annotations

import numpy as np
import pytest

from common.codes.base import decode
from common.codes.uncoded_streaming import uncoded_streaming
from common.errors import InvalidSpec


def completion(code, times):
    """When every chunk has been sent by somebody; ``times``: seconds, shape (rounds, n, load)."""
    finished = np.cumsum(times, axis=2)
    first = np.full((len(times), code.n_chunks), np.inf)
    for worker, order in enumerate(code.assignment.orders):
        for position, chunk in enumerate(order):
            first[:, chunk] = np.minimum(first[:, chunk], finished[:, worker, position])
    return first.max(axis=1).mean()


def test_mean_completion_times_with_exponential_chunk_times():
    """n = 12, load 4, every computation Exp(1): cyclic 1.75, staircase 1.72; n - 3 whole loads take 4.85."""
    times = np.random.default_rng(0).exponential(size=(20_000, 12, 4))
    assert completion(uncoded_streaming(12, 4), times) == pytest.approx(1.75, rel=0.02)
    assert completion(uncoded_streaming(12, 4, "staircase"), times) == pytest.approx(1.72, rel=0.02)
    whole_loads = np.sort(times.sum(axis=2), axis=1)[:, 12 - 4].mean()
    assert whole_loads == pytest.approx(4.85, rel=0.02)


@pytest.mark.parametrize("order", ["cyclic", "staircase"])
@pytest.mark.parametrize("n", [1, 2, 5, 8, 11, 12])
def test_every_message_is_one_chunk_in_the_order_of_computing(order, n):
    for load in range(1, n + 1):
        code = uncoded_streaming(n, load, order)
        assert len(code.messages) == n * load
        for worker, chunks in enumerate(code.assignment.orders):
            own = [code.messages[number].terms for number in code.messages_of[worker]]
            assert own == [((chunk, 0, 1.0),) for chunk in chunks]
            step = 1 if order == "cyclic" or worker % 2 == 0 else -1
            assert chunks == tuple((worker + step * k) % n for k in range(load))
        if order == "cyclic" or n % 2 == 0:
            assert code.n_stragglers == load - 1
        assert code.n_stragglers == code.assignment.replication - 1


def test_copies_of_a_chunk_count_once():
    code = uncoded_streaming(6, 3)
    found = decode(code, [message for message in code.messages if message.worker != 2])
    assert found.exact
    assert np.count_nonzero(found.weights) == 6


@pytest.mark.parametrize(
    ("arguments", "field"),
    [((0,), "n_workers"), ((4, 5), "load"), ((4, 0), "load"), ((4, 2, "spiral"), "order")],
)
def test_impossible_parameters_are_refused(arguments, field):
    with pytest.raises(InvalidSpec) as caught:
        uncoded_streaming(*arguments)
    assert caught.value.field == field
