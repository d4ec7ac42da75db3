"""Sums that workers dispute, over real gRPC: hand-written peers that compute, and lie about one chunk."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from common.datasets.base import chunk_range
from common.experiment import load_experiment
from common.wire import frames as wire
from master.build import build_dataset, build_model

pytestmark = pytest.mark.xdist_group("processes")

SETTINGS = (
    "workers=3",
    "code=fractional_repetition(n, 2)",
    "verify=all",
    "rounds=1",
    "deadline.rule=none",
    "data.task=regression",
    "model.name=linear",
    "optimizer.learning_rate=0.1",
    "evaluate_every=0",
    "wire_dtype=float64",
)
DATA = ("data.source=synthetic(rows=60, features=4)", *SETTINGS)
N_CHUNKS = 3
LIE = 5.0
"""What a liar adds to the second number of its last chunk."""


class Computing:
    """A peer on a place that computes like a worker, and may lie."""

    def __init__(self, peer, lies: bool = False, minor: int = wire.PROTOCOL_MINOR) -> None:
        self.peer, self.lies, self.minor = peer, lies, minor
        experiment = load_experiment(None, DATA)
        self.data = build_dataset(experiment)
        self.model = build_model(experiment, self.data)

    def value(self, chunk: int) -> np.ndarray:
        begin, end = chunk_range(chunk, N_CHUNKS, self.data.n_rows)
        point = np.frombuffer(self.peer.parameters, "<f8")
        X, y = self.data.X_train[begin:end], self.data.y_train[begin:end]
        gradient = self.model.loss_and_gradient(point, X, y)[1].copy()
        if self.lies and chunk == N_CHUNKS - 1:
            gradient[1] += LIE
        return gradient

    async def begin(self) -> None:
        await self.peer.begin_round()
        expected = self.peer.start_round.total_bytes
        while len(self.peer.parameters) < expected:
            await self.peer.receive(wire.ParametersFrame)

    async def compute(self) -> None:
        (order,) = self.peer.welcome.order.messages
        for chunk in range(N_CHUNKS):
            await self.peer.report(chunk)
        total = sum(coefficient * self.value(chunk) for chunk, _, coefficient in order.terms)
        await self.peer.message(order.number, total, dtype="float64")

    async def tell(self) -> wire.AskPartialSum:
        ask = await self.peer.receive(wire.AskPartialSum)
        value = sum(coefficient * self.value(chunk)[ask.index] for chunk, _, coefficient in ask.terms)
        await self.peer.send(wire.PartialSum(ask.stamp, ask.number, float(value)))
        return ask


async def dispute(start, dial, n_heard=3, **liar):
    """All sums that are heard have come; the second worker lies."""
    running = await start(*SETTINGS)
    workers = [Computing(dial(running.master.address), number == 1, **liar) for number in range(3)]
    for number, worker in enumerate(workers):
        await worker.peer.join(f"w{number}", worker.minor)
    for worker in workers:
        await worker.begin()
    for worker in workers[:n_heard]:
        await worker.compute()
    return running, workers


async def ends_right(running, liar):
    assert "wrong" in await liar.peer.ended()
    assert await asyncio.wait_for(running.task, 10) == 0
    record = running.master.driver.training.chronicle.last_record
    assert (record.outcome, record.verified, record.quarantined) == ("exact", True, ("w1",))
    data, model = liar.data, liar.model
    gradient = model.loss_and_gradient(np.zeros(model.n_parameters), data.X_train, data.y_train)[1]
    norm = np.linalg.norm(gradient / data.n_rows)
    assert record.gradient_norm == pytest.approx(norm, rel=1e-9)
    return record


async def test_two_numbers_of_each_lead_to_the_chunk_about_which_one_lies(start, dial):
    running, (honest, liar, _) = await dispute(start, dial, n_heard=2)
    lengths = []
    for _ in range(2):
        asks = await asyncio.gather(honest.tell(), liar.tell())
        assert asks[0].terms == asks[1].terms
        assert {ask.index for ask in asks} == {1}
        lengths.append(len(asks[0].terms))
    assert lengths == [1, 1], "the first of three, then the second; so it is the third"
    record = await ends_right(running, liar)
    assert record.values_wrong == 1


async def test_whoever_is_asked_is_told_of_the_rounds_end_after_that(start, dial):
    running, (honest, liar, third) = await dispute(start, dial, n_heard=2)
    await third.peer.receive(wire.StopRound)
    for _ in range(2):
        await asyncio.gather(honest.tell(), liar.tell())
    await honest.peer.receive(wire.StopRound)
    await ends_right(running, liar)


async def test_a_worker_of_an_older_protocol_is_not_asked_and_found_nevertheless(start, dial):
    running, (honest, liar, _) = await dispute(start, dial, n_heard=2, minor=2)
    with pytest.raises(ConnectionError):
        await honest.tell()
    await ends_right(running, liar)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
async def test_an_answer_out_of_its_mind_does_not_save_a_liar(start, dial, value):
    running, (honest, liar, _) = await dispute(start, dial, n_heard=2)
    ask = await liar.peer.receive(wire.AskPartialSum)
    await liar.peer.send(wire.PartialSum(ask.stamp, ask.number, value))
    await honest.tell()
    await ends_right(running, liar)


async def test_silence_does_not_save_a_liar_either(start, dial):
    running, (honest, liar, _) = await dispute(start, dial, n_heard=2)
    await honest.tell()
    await ends_right(running, liar)


async def test_a_partial_sum_that_was_never_asked_for_ends_that_link_only(start, dial):
    running, (honest, liar, _) = await dispute(start, dial, n_heard=2)
    ask = await honest.peer.receive(wire.AskPartialSum)
    await honest.peer.send(wire.PartialSum(ask.stamp, ask.number + 1000, 1.0))
    assert "foreign_message" in await honest.peer.ended()
    await ends_right(running, liar)


async def test_a_partial_sum_out_of_nowhere_is_dropped_and_counted(start, dial):
    running, (honest, liar, _) = await dispute(start, dial, n_heard=0)
    await honest.peer.send(wire.PartialSum(honest.peer.start_round.stamp, 0, 1.0))
    await asyncio.gather(honest.compute(), liar.compute())
    for _ in range(2):
        await asyncio.gather(honest.tell(), liar.tell())
    await ends_right(running, liar)
    assert running.master.driver.training.chronicle.totals.stale_frames == 1
