"""Optimisers: from a gradient to the next parameters; pure, float64.

An optimiser says where it wants the next gradient (``point``, what is sent to workers), takes that gradient
(``step``) and keeps the current iterate (``parameters``, what is scored and saved). The gradient is that of
the mean loss with the L2 term in it, both at ``point``. Steps are counted from 0; a round without a step
does not count.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import InvalidSpec

Vector: TypeAlias = NDArray[np.float64]

# ---- learning rates ---------------------------------------------------------------------------------------


class RateSchedule(Protocol):
    """The learning rate of every step; a frozen value."""

    def at(self, step: int) -> float:
        """The rate of step number ``step``, counted from 0."""


@dataclass(frozen=True, slots=True)
class ConstantRate:
    """The same ``rate`` (above 0) for every step.

    Raises:
        InvalidSpec: the rate is out of range.
    """

    rate: float

    def __post_init__(self) -> None:
        _require_rate(self.rate)

    def at(self, step: int) -> float:
        """The rate of step number ``step``, counted from 0."""
        return self.rate


@dataclass(frozen=True, slots=True)
class StepRate:
    """``rate`` times ``factor`` (in (0, 1]) once for each ``every`` (at least 1) steps taken.

    Raises:
        InvalidSpec: a value is out of range.

    >>> [StepRate(0.8, every=2, factor=0.5).at(step) for step in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    rate: float
    every: int
    factor: float

    def __post_init__(self) -> None:
        _require_rate(self.rate)
        if not self.every >= 1:
            raise InvalidSpec("step rate every", "must be at least 1", self.every)
        if not 0.0 < self.factor <= 1.0:
            raise InvalidSpec("step rate factor", "must be above 0 and at most 1", self.factor)

    def at(self, step: int) -> float:
        """The rate of step number ``step``, counted from 0."""
        return float(self.rate * self.factor ** (step // self.every))


@dataclass(frozen=True, slots=True)
class InverseTimeRate:
    """``rate / (1 + decay step)``, ``decay`` at least 0.

    Raises:
        InvalidSpec: a value is out of range.

    >>> [InverseTimeRate(1.0, decay=0.5).at(step) for step in (0, 2, 6)]
    [1.0, 0.5, 0.25]
    """

    rate: float
    decay: float

    def __post_init__(self) -> None:
        _require_rate(self.rate)
        if not (self.decay >= 0.0 and math.isfinite(self.decay)):
            raise InvalidSpec("inverse time rate decay", "must be at least 0 and finite", self.decay)

    def at(self, step: int) -> float:
        """The rate of step number ``step``, counted from 0."""
        return self.rate / (1.0 + self.decay * step)


RATES: dict[str, Callable[..., RateSchedule]] = {
    "constant": ConstantRate,
    "step": StepRate,
    "inverse_time": InverseTimeRate,
}
"""Every schedule of learning rates by its name."""


# ---- optimisers -------------------------------------------------------------------------------------------


class Optimizer(ABC):
    """Common to all optimisers: a step counter and vectors that are replaced, never changed.

    Every array handed out is read-only and stays as it is, whatever steps follow.

    Args:
        parameters: where to start, shape (d,); copied.
        rate: the schedule of learning rates.
        momentum: share of the last move that is kept, in [0, 1); only some optimisers use it.

    Raises:
        InvalidSpec: momentum is out of range.
    """

    def __init__(self, parameters: ArrayLike, rate: RateSchedule, momentum: float = 0.9) -> None:
        if not 0.0 <= momentum < 1.0:
            raise InvalidSpec("optimizer momentum", "must be at least 0 and below 1", momentum)
        self._rate = rate
        self._momentum = momentum
        self._steps = 0
        self._parameters = _sealed(np.array(parameters, dtype=np.float64))
        # Vectors kept between steps besides the parameters, by name.
        self._memory: dict[str, Vector] = {}

    @property
    def parameters(self) -> Vector:
        """The current iterate, shape (d,), read-only: what is scored and saved."""
        return self._parameters

    @property
    def point(self) -> Vector:
        """Where the next gradient is to be evaluated, shape (d,), read-only."""
        return self._parameters

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self._steps

    def step(self, gradient: NDArray[Any]) -> None:
        """Move to the next iterate.

        Args:
            gradient: of the mean loss with its L2 term, at ``point``, shape (d,). Numbers that are not
                finite are passed on to the parameters.

        Cost: O(d).
        """
        with np.errstate(over="ignore", invalid="ignore"):
            self._move(np.asarray(gradient, dtype=np.float64), self._rate.at(self._steps))
        self._steps += 1

    def state(self) -> dict[str, Vector | float | int]:
        """Everything that changes with steps, for a checkpoint; its arrays are read-only and stay valid."""
        return {"steps": self._steps, "parameters": self._parameters, **self._memory}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``, made by the same kind of optimiser for as many parameters.

        Raises:
            InvalidSpec: the keys or the shapes are those of another optimiser.
        """
        expected = self.state()
        if set(state) != set(expected):
            raise InvalidSpec(
                "optimizer state", f"must have the keys {', '.join(sorted(expected))}", sorted(state)
            )
        for key, value in expected.items():
            if np.shape(state[key]) != np.shape(value):
                raise InvalidSpec(
                    f"optimizer state {key}", f"must have shape {np.shape(value)}", np.shape(state[key])
                )
        self._steps = int(state["steps"])
        self._parameters = _sealed(np.array(state["parameters"], dtype=np.float64))
        self._memory = {key: _sealed(np.array(state[key], dtype=np.float64)) for key in self._memory}

    @abstractmethod
    def _move(self, gradient: Vector, rate: float) -> None:
        """Replace the parameters (and the memory)."""


class GradientDescent(Optimizer):
    """``beta' = beta - eta g(beta)``."""

    def _move(self, gradient: Vector, rate: float) -> None:
        self._parameters = _sealed(self._parameters - rate * gradient)


class Momentum(Optimizer):
    """Heavy ball: ``v' = mu v - eta g(beta)``, ``beta' = beta + v'``, v = 0 at first.

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".
    """

    def __init__(self, parameters: ArrayLike, rate: RateSchedule, momentum: float = 0.9) -> None:
        super().__init__(parameters, rate, momentum)
        self._memory["velocity"] = _sealed(np.zeros_like(self._parameters))

    def _move(self, gradient: Vector, rate: float) -> None:
        velocity = _sealed(self._momentum * self._memory["velocity"] - rate * gradient)
        self._parameters = _sealed(self._parameters + velocity)
        self._memory["velocity"] = velocity


class Nesterov(Momentum):
    """Look-ahead momentum: ``v' = mu v - eta g(beta + mu v)``, ``beta' = beta + v'``, v = 0 at first.

    Source: Nesterov 1983; in this form Sutskever et al. 2013, section 2.
    """

    @property
    def point(self) -> Vector:
        """``beta + mu v``, where the velocity alone would lead: shape (d,), read-only. Cost O(d)."""
        return _sealed(self._parameters + self._momentum * self._memory["velocity"])


class Accelerated(Optimizer):
    """The accelerated update of the gradient coding experiments; its gradient is evaluated at beta.

    With i counted from 0, ``theta = 2/(i+2)`` and u = beta at first: ``y = (1-theta) beta + theta u``,
    ``beta' = y - eta g(beta)``, ``u' = beta + (beta' - beta)/theta``. Nesterov's method would evaluate the
    gradient at y instead.

    Source: the authors' public code of Tandon et al. 2017.
    """

    def __init__(self, parameters: ArrayLike, rate: RateSchedule, momentum: float = 0.9) -> None:
        super().__init__(parameters, rate, momentum)
        self._memory["anchor"] = self._parameters

    def _move(self, gradient: Vector, rate: float) -> None:
        theta = 2.0 / (self._steps + 2.0)
        beta = self._parameters
        y = (1.0 - theta) * beta + theta * self._memory["anchor"]
        self._parameters = _sealed(y - rate * gradient)
        self._memory["anchor"] = _sealed(beta + (self._parameters - beta) / theta)


OPTIMIZERS: dict[str, Callable[[ArrayLike, RateSchedule, float], Optimizer]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "accelerated": Accelerated,
}
"""Every optimiser by its name."""


def make_optimizer(
    name: str, parameters: ArrayLike, rate_schedule: RateSchedule, momentum: float = 0.9
) -> Optimizer:
    """The optimiser called ``name``, at its start.

    Args:
        name: a name in ``OPTIMIZERS``.
        parameters: where to start, shape (d,); copied.
        rate_schedule: the learning rate of every step.
        momentum: in [0, 1), for ``momentum`` and ``nesterov``.

    Raises:
        InvalidSpec: the name is unknown or momentum is out of range.

    >>> descent = make_optimizer("gradient_descent", [1.0, 2.0], ConstantRate(0.5))
    >>> descent.step(np.array([1.0, -2.0]))
    >>> descent.parameters.tolist()
    [0.5, 3.0]
    """
    if name not in OPTIMIZERS:
        raise InvalidSpec("optimizer", f"must be one of {', '.join(OPTIMIZERS)}", name)
    return OPTIMIZERS[name](parameters, rate_schedule, momentum)


def _sealed(vector: Vector) -> Vector:
    """The same vector, read-only from now on."""
    vector.flags.writeable = False
    return vector


def _require_rate(rate: float) -> None:
    if not (rate > 0.0 and math.isfinite(rate)):
        raise InvalidSpec("learning rate", "must be above 0 and finite", rate)
