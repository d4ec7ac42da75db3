"""Learning mode of the simulator: the worker's real code computes, the master's real arithmetic learns.

Only the network and the clock are simulated, so parameters, losses and outcomes are those of a real run with
the same order of events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from common.codes.base import GradientCode, Term
from common.datasets.base import Dataset, chunk_range
from common.errors import InvalidSpec
from common.experiment import Experiment, check_experiment
from common.models.base import Model
from common.wire.frames import Terms
from gradcode.lab.draws import DelaySource, same_rows
from gradcode.lab.lies import LyingComputer
from gradcode.lab.network import Network
from gradcode.lab.simulator import Simulator
from master import events as ev
from master.arithmetic import Arithmetic
from master.build import build_arithmetic, build_dataset, build_model, build_settings
from worker.compute import ChunkResult, Computer


class LocalLearning:
    """All workers of a simulated run, computing with the code that real ones compute with.

    Args:
        arithmetic: the master's numbers.
        model: what is trained. dataset: its training rows; a chunk is a range of them.
        compute_dtype, wire_dtype: ``float64`` or ``float32``.

    Attributes:
        lie_of: how the worker of a link lies, one of `gradcode.lab.lies.LIES`; None for honest ones.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        model: Model,
        dataset: Dataset,
        compute_dtype: str = "float64",
        wire_dtype: str = "float32",
    ) -> None:
        self._arithmetic = arithmetic
        self._model = model
        self._dataset = dataset
        self._compute_dtype = compute_dtype
        self._wire_dtype = wire_dtype
        self.lie_of: Callable[[int], str | None] = lambda link: None
        self._computers: dict[int, Computer] = {}
        self._codes: dict[int, GradientCode] = {}
        self._points: dict[int, NDArray[Any]] = {}

    @property
    def arithmetic(self) -> Arithmetic:
        """The master's numbers."""
        return self._arithmetic

    def start(self, worker: int, point: bytes, code: GradientCode) -> None:
        """Take up a round of ``code`` with the parameters ``point``, as they came over the wire."""
        computer = self._computers.get(worker)
        if computer is None or self._codes[worker] is not code:
            numbers = (self._compute_dtype, self._wire_dtype)
            commits = code.on_request and code.copies > 0
            kind = self.lie_of(worker)
            make = Computer if kind is None else partial(LyingComputer, kind)
            computer = make(self._model, code.n_parts, *numbers, commits=commits)
            self._computers[worker] = computer
            self._codes[worker] = code
        computer.clear()
        self._points[worker] = computer.parameters(point)

    def gradient(self, worker: int, chunk: int) -> ChunkResult:
        """Compute the gradient of ``chunk``."""
        first, end = chunk_range(chunk, self._codes[worker].n_chunks, self._dataset.n_rows)
        X, y = self._dataset.X_train[first:end], self._dataset.y_train[first:end]
        return self._computers[worker].compute(chunk, self._points[worker], X, y)

    def message(self, worker: int, terms: tuple[Term, ...], n_parts: int) -> bytes:
        """The message made of ``terms``, in the wire dtype."""
        return bytes(self._computers[worker].combine(Terms.of(terms), n_parts))

    def partial_sum(self, worker: int, terms: tuple[Term, ...], index: int, n_parts: int) -> float:
        """One number of that message."""
        return self._computers[worker].partial_sum(Terms.of(terms), index, n_parts)


def simulate(
    experiment: Experiment,
    *,
    learning: bool = True,
    network: Network | None = None,
    dataset: Dataset | None = None,
    n_workers: int | None = None,
    tamper: Callable[[ev.Event], list[tuple[float, ev.Event]]] | None = None,
    source: DelaySource | None = None,
    n_drawn: int | None = None,
    audit_seed: int = 0,
) -> Simulator:
    """The experiment's run on a simulated network, ready for ``play``.

    Args:
        experiment: what to run; its delays are obeyed.
        learning: compute real gradients; False draws durations only, and takes more chunks than there are
            rows.
        network: what links cost. dataset: already read, or None.
        n_workers: how many workers come; None for as many as there are places. Needed where ``workers``
            is ``joined``.
        tamper: see ``Simulator``.
        source: of the delays, instead of the experiment's own.
        n_drawn: for so many chunks the delays are drawn, and the code gets the draws of the same rows; None
            draws for the code's own chunks.
        audit_seed: of the answers that are audited, with ``verify = "sample"``.

    Raises:
        InvalidSpec, InvalidData: the experiment or its data cannot be used.
    """
    n_coming = n_workers if experiment.workers == "joined" else n_workers or experiment.workers
    if n_coming is None:
        raise InvalidSpec("n_workers", "must be given where workers = 'joined'", None)
    code = check_experiment(experiment, n_coming)
    assert code is not None, "the number of places is known"
    data = build_dataset(experiment) if dataset is None else dataset
    model = build_model(experiment, data)
    settings = build_settings(experiment, data, model.n_parameters)
    # Nothing is lost here that could go on.
    settings = replace(
        settings, learning=learning, audit_seed=audit_seed, checkpoint_seconds=None, checkpoint_rounds=None
    )
    if learning:
        code = settings.make_code(n_coming)
    else:
        # Codes are compared as they are, whatever happens to workers.
        settings = replace(settings, make_code=lambda n_places: code, on_empty="wait")
    local = None
    if learning:
        arithmetic = build_arithmetic(experiment, data, model)
        local = LocalLearning(arithmetic, model, data, experiment.compute_dtype, experiment.wire_dtype)
    drawn = experiment.delays.to_delays() if source is None else source
    delays = same_rows(drawn, n_drawn or code.n_chunks, code.n_chunks)
    return Simulator(settings, delays, n_coming, network, local, tamper)
