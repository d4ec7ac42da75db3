"""From an experiment to the parts of a run; the simulator builds its runs with the same functions."""

from __future__ import annotations

from functools import cache, partial

from common.codes.base import GradientCode
from common.codes.quality import check_wire
from common.codes.verified import ChunkByChunk, verified
from common.datasets import load_dataset
from common.datasets.base import Dataset, check_chunks
from common.errors import InvalidSpec
from common.experiment import Experiment
from common.models import make_model
from common.models.base import Model
from common.spec import make_code
from common.wire.frames import ITEM_BYTES
from master.arithmetic import Arithmetic
from master.deadlines import deadline_rule
from master.examination import Recomputation
from master.limits import Limits
from master.optimizers import ConstantRate, InverseTimeRate, RateSchedule, StepRate, make_optimizer
from master.orders import OrderBook
from master.settings import RunSettings

MEBIBYTE = 1 << 20
MANY_WORKERS = 1000
"""Where nobody says how many workers there will be, links are limited as for so many."""
RANGES_EACH = 24
"""Ranges of rows that a place usually has: chunks of the default code."""


def build_dataset(experiment: Experiment) -> Dataset:
    """Read and prepare the experiment's data."""
    data = experiment.data
    return load_dataset(
        data.source,
        target=data.target,
        held_out=data.held_out,
        standardise=data.standardise,
        seed=data.seed,
        task=data.task,
        ignore=data.ignore,
        most_bytes=experiment.limits.data_mb * MEBIBYTE,
    )


def build_model(experiment: Experiment, dataset: Dataset) -> Model:
    """The model that suits the data, or the one that is asked for.

    Raises:
        InvalidSpec: no such model, or one with more parameters than the limits allow.
    """
    shape = dataset.model_shape(experiment.model.name, experiment.model.intercept)
    limit = experiment.limits.parameters
    if shape.n_parameters > limit:
        rule = f"must be at least the {shape.n_parameters} parameters of {shape.name}"
        raise InvalidSpec("limits.parameters", rule, limit)
    return make_model(shape)


def build_code(experiment: Experiment, dataset: Dataset, n_parameters: int, n_workers: int) -> GradientCode:
    """The code for so many workers, checked against rows, wire and memory.

    Raises:
        InvalidSpec: the code is impossible, has more chunks than there are rows, cannot be carried by the
            wire dtype, or its messages need more memory than the master may use.
    """
    code = verified(make_code(experiment.code, n_workers), experiment.verify)
    check_chunks(code.n_chunks, dataset.n_rows)
    if code.n_chunks > experiment.limits.chunks:
        rule = f"must be at least the {code.n_chunks} chunks of {code.spec}"
        raise InvalidSpec("limits.chunks", rule, experiment.limits.chunks)
    check_wire(code, experiment.wire_dtype)
    limit = experiment.limits.master_memory_mb
    chunkwise = isinstance(code.requester, ChunkByChunk)
    n_messages = code.n_chunks if chunkwise else n_workers if code.on_request else len(code.messages)
    needed = n_messages * -(-n_parameters // code.n_parts) * ITEM_BYTES[experiment.wire_dtype] / MEBIBYTE
    if limit is not None and needed > limit:
        rule = f"must hold the messages of a round ({needed:.0f} MB)"
        raise InvalidSpec("limits.master_memory_mb", rule, limit)
    return code


def build_settings(experiment: Experiment, dataset: Dataset, n_parameters: int) -> RunSettings:
    """What the run must know beforehand."""
    membership = experiment.membership
    stop = experiment.stop
    deadline = experiment.deadline
    checkpoint = experiment.checkpoint
    return RunSettings(
        # Making and checking a code may take a second, and the run begins in the event loop: do it once.
        make_code=cache(partial(build_code, experiment, dataset, n_parameters)),
        n_workers=None if experiment.workers == "joined" else experiment.workers,
        rounds=experiment.rounds,
        n_rows=dataset.n_rows,
        n_parameters=n_parameters,
        item_bytes=ITEM_BYTES[experiment.wire_dtype],
        deadline=deadline_rule(deadline.rule, deadline.seconds, deadline.factor),
        on_shortfall=experiment.on_shortfall,
        least_recovered=experiment.least_recovered,
        enough=experiment.enough,
        join_timeout_seconds=membership.join_timeout_seconds,
        join_seconds=membership.join_seconds,
        lost_seconds=membership.lost_seconds,
        on_empty=membership.on_empty,
        empty_seconds=membership.empty_seconds,
        target_loss=stop.target_loss,
        gradient_tolerance=stop.gradient_tolerance,
        max_seconds=stop.max_seconds,
        evaluate_every=experiment.evaluate_every,
        verify=experiment.verify,
        verify_rate=experiment.verify_rate,
        checkpoint_seconds=checkpoint.every_seconds or None,
        checkpoint_rounds=checkpoint.every_rounds,
    )


def build_limits(experiment: Experiment) -> Limits:
    """What peers may do, with numbers for what the experiment leaves open."""
    given = experiment.limits
    n_places = MANY_WORKERS if experiment.workers == "joined" else experiment.workers
    links = given.links or 64 + 2 * n_places
    return Limits(
        links=links,
        links_per_host=given.links_per_host or links,
        links_per_second=given.links_per_second,
        frames_per_second=given.frames_per_second,
        calls_per_second=given.calls_per_second,
        fetches=given.fetches,
        fetches_per_link=given.fetches_per_link,
        fetches_per_second=given.fetches_per_second,
        fetches_at_once=links * RANGES_EACH,
        fetched_bytes=given.fetched_mb * MEBIBYTE,
        queued_bytes=given.queued_mb * MEBIBYTE,
        patience_seconds=given.patience_seconds,
    )


def build_rate(experiment: Experiment) -> RateSchedule:
    """The schedule of learning rates."""
    wanted = experiment.optimizer
    if wanted.schedule == "step":
        return StepRate(wanted.learning_rate, wanted.step_every, wanted.step_factor)
    if wanted.schedule == "inverse_time":
        return InverseTimeRate(wanted.learning_rate, wanted.decay)
    return ConstantRate(wanted.learning_rate)


def build_arithmetic(experiment: Experiment, dataset: Dataset, model: Model) -> Arithmetic:
    """The numbers of the run, at their start."""
    optimizer = make_optimizer(
        experiment.optimizer.name, model.initial(), build_rate(experiment), experiment.optimizer.momentum
    )
    held = len(dataset.y_held) > 0
    X, y = (dataset.X_held, dataset.y_held) if held else (dataset.X_train, dataset.y_train)
    return Arithmetic(
        optimizer=optimizer,
        n_rows=dataset.n_rows,
        l2=experiment.model.l2,
        regularised=model.regularised(),
        score=lambda parameters: model.score(parameters, X, y),
        wire_dtype=experiment.wire_dtype,
        recompute=Recomputation(model, dataset, experiment.compute_dtype),
    )


def build_orders(experiment: Experiment, dataset: Dataset, model: Model) -> OrderBook:
    """What workers are told."""
    delays = experiment.delays.to_delays()
    return OrderBook(
        dataset=dataset,
        model=model.shape,
        n_parameters=model.n_parameters,
        compute_dtype=experiment.compute_dtype,
        wire_dtype=experiment.wire_dtype,
        delays=None if delays.distribution == "none" and not delays.interruptions else delays,
    )
