"""The tables of an experiment: a class each, every field with its default, its range and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

if TYPE_CHECKING:
    from common.delays import Delays

Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _places(value: object) -> object:
    """TOML keys are text; places are numbers."""
    if not isinstance(value, dict):
        return value
    return {int(key) if str(key).isdecimal() else key: each for key, each in value.items()}


class Settings(BaseModel):
    """Base of all tables: frozen, strict, and unknown keys are refused."""

    # Strict: "50" is not 50, and 1 is not true; a whole number may stand for a float.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Which data, and how they are prepared."""

    source: str = Field(
        default="digits", min_length=1, description="a built-in data set, or a .npz or .csv file"
    )
    target: str | None = Field(default=None, description="target column of a .csv file")
    ignore: tuple[str, ...] = Field(
        default=(), strict=False, description="columns of a .csv file to leave out, such as names and dates"
    )
    task: Literal["regression", "classification", "binary", "classes"] | None = Field(
        default=None,
        description="regression, classification, binary or classes; left out: as the target looks",
    )
    held_out: float = Field(default=0.2, ge=0, lt=1, description="share of the rows kept for the score")
    standardise: bool = Field(default=True, description="scale features to mean 0 and variance 1")
    seed: Seed = Field(default=0, description="seed of the split and of the order of rows")


class ModelSettings(Settings):
    """What is trained."""

    name: Literal["auto", "linear", "logistic", "softmax"] = Field(
        default="auto", description="auto, linear, logistic or softmax; auto goes by the data"
    )
    l2: NotNegative = Field(default=1e-4, description="weight of the squared parameters; never of intercepts")
    intercept: bool = Field(default=True, description="whether there is a constant term")


class OptimizerSettings(Settings):
    """How the gradient becomes a step."""

    name: Literal["gradient_descent", "momentum", "accelerated", "nesterov"] = Field(
        default="gradient_descent", description="gradient_descent, momentum, accelerated or nesterov"
    )
    learning_rate: Positive = Field(default=0.5, description="step size for the mean gradient")
    schedule: Literal["constant", "step", "inverse_time"] = Field(
        default="constant", description="constant, step or inverse_time: how the step size falls"
    )
    step_every: int = Field(default=50, ge=1, description="schedule step: rounds between two falls")
    step_factor: float = Field(
        default=0.5, gt=0, le=1, description="schedule step: what a fall multiplies by"
    )
    decay: NotNegative = Field(default=0.01, description="schedule inverse_time: rate / (1 + decay x steps)")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="share of the last move that is kept")


class DeadlineSettings(Settings):
    """How long a round lasts at most."""

    rule: Literal["none", "fixed", "adaptive"] = Field(
        default="adaptive", description="none, fixed, or adaptive: factor x the places' usual finishing time"
    )
    seconds: Positive = Field(default=1.0, description="rule fixed: seconds from the round's start")
    factor: Positive = Field(default=2.0, description="rule adaptive: times the median finishing time")


class StopSettings(Settings):
    """What ends the run before its rounds are over."""

    target_loss: float | None = Field(default=None, description="stop when the training loss is at most this")
    gradient_tolerance: NotNegative | None = Field(
        default=None, description="stop when the mean gradient's norm is at most this"
    )
    max_seconds: Positive | None = Field(default=None, description="stop after so many seconds")


class MembershipSettings(Settings):
    """How long the run waits for workers."""

    join_timeout_seconds: Positive = Field(
        default=60.0, description="for all places to be taken, at the start"
    )
    join_seconds: Positive = Field(
        default=2.0, description="workers = 'joined': start when nobody came for so long"
    )
    lost_seconds: NotNegative = Field(
        default=30.0, description="for lost workers without whom the run cannot go on"
    )
    on_empty: Literal["replan", "wait"] = Field(
        default="replan",
        description="replan or wait: whether a place that stays empty ends the plan, which then is made anew",
    )
    empty_seconds: NotNegative = Field(
        default=15.0, description="replan: how long a place may be empty, and how long a spare must be there"
    )


class LimitSettings(Settings):
    """What is refused before it can do harm."""

    master_memory_mb: int | None = Field(
        default=None, ge=1, description="refuse runs whose master needs more MB"
    )
    data_mb: int = Field(
        default=4096, ge=1, description="refuse data files that hold more MB, unpacked if they are packed"
    )
    parameters: int = Field(default=500_000_000, ge=1, description="refuse models with more parameters")
    chunks: int = Field(default=1_000_000, ge=1, description="refuse plans with more chunks")
    links: int | None = Field(
        default=None, ge=1, description="links open at a time; left out: 64 and two a worker"
    )
    links_per_host: int | None = Field(
        default=None, ge=1, description="links open at a time from one host; left out: as many as links"
    )
    links_per_second: Positive = Field(
        default=20.0, description="links opened in a second, once as many as links came at once"
    )
    frames_per_second: Positive = Field(
        default=20.0, description="frames a link may send in a second though nothing called for them"
    )
    calls_per_second: Positive = Field(
        default=100.0, description="status calls, and requests to the page, from one host in a second"
    )
    fetches: int = Field(default=32, ge=1, description="row fetches served at a time")
    fetches_per_link: int = Field(default=4, ge=1, description="row fetches of one worker at a time")
    fetches_per_second: Positive = Field(
        default=200.0, description="row fetches in a second, once every place had its rows twice"
    )
    fetched_mb: int = Field(default=256, ge=1, description="MB of rows that wait to be sent at a time")
    queued_mb: int = Field(default=8, ge=1, description="MB of control frames that wait on one link")
    patience_seconds: Positive = Field(default=30.0, description="how long a peer may take to read one frame")


class InterruptionSettings(Settings):
    """One place freezes, or dies and perhaps comes back, at a time."""

    place: int = Field(ge=0, description="the place")
    kind: Literal["freeze", "death"] = Field(description="freeze or death")
    at_seconds: Positive = Field(description="seconds since the first round's start")
    for_seconds: NotNegative = Field(
        default=0.0,
        description="how long a freeze lasts; after a death, until a new process comes (0: never)",
        validate_default=True,
    )

    @field_validator("for_seconds")
    @classmethod
    def _suits_the_kind(cls, value: float, known: ValidationInfo) -> float:
        if known.data.get("kind") == "freeze" and value == 0:
            raise ValueError("must be greater than 0 for a freeze")
        return value


class CheckpointSettings(Settings):
    """How a run is kept, so that it can go on after its master was lost."""

    every_seconds: NotNegative = Field(
        default=10.0, description="between two checkpoints at least; 0: not by time"
    )
    every_rounds: int | None = Field(default=None, ge=1, description="also after so many rounds")
    keep: int = Field(default=3, ge=1, le=1000, description="so many of the newest are kept")
    url: str | None = Field(
        default=None,
        min_length=1,
        description="where: a folder, or a URL that fsspec knows; left out: in the run's folder",
    )


class DelaySettings(Settings):
    """Delays injected on purpose, to see stragglers on a quiet machine."""

    distribution: Literal["none", "constant", "shifted_exponential", "weibull", "pareto"] = Field(
        default="none", description="none, constant, shifted_exponential, weibull or pareto"
    )
    seconds: NotNegative = Field(
        default=0.0, description="the shortest delay of a chunk", validate_default=True
    )
    mean_seconds: NotNegative = Field(
        default=0.0, description="shifted_exponential, weibull: mean of what is added to it"
    )
    shape: float = Field(
        default=2.0,
        ge=0.1,
        description="pareto: the tail index; weibull: the shape, 1 being exponential; small is wild",
    )
    varies: Literal["chunk", "round", "run"] = Field(
        default="chunk",
        description="chunk, round or run: whether a chunk, a place's round or its whole run has one draw",
    )
    factors: Annotated[dict[Annotated[int, Field(ge=0)], Positive], BeforeValidator(_places)] = Field(
        default={}, description="{ place = factor }: a place with factor 5 is five times slower"
    )
    interruptions: tuple[InterruptionSettings, ...] = Field(
        default=(),
        strict=False,
        description='[{ place = 0, kind = "freeze", at_seconds = 2.0, for_seconds = 1.0 }]; or "death"',
    )
    burst_share: float = Field(
        default=0.0, ge=0, lt=1, description="share of the rounds that a place is in a burst; 0: no bursts"
    )
    burst_rounds: float = Field(
        default=10.0, ge=1, description="mean length of a burst in rounds", validate_default=True
    )
    burst_factor: Positive = Field(default=5.0, description="in a burst a place is so many times slower")
    seed: Seed = Field(default=0, description="seed of the delays")

    @field_validator("seconds")
    @classmethod
    def _suits_the_distribution(cls, value: float, known: ValidationInfo) -> float:
        if known.data.get("distribution") == "pareto" and value == 0:
            raise ValueError("must be greater than 0 for pareto")
        return value

    @field_validator("burst_rounds")
    @classmethod
    def _suits_the_share(cls, value: float, known: ValidationInfo) -> float:
        from common.delays import least_burst_rounds

        least = least_burst_rounds(known.data.get("burst_share", 0.0))
        if value < least:
            raise ValueError(f"must be at least 1 / (1 - burst_share) = {least:.4g}")
        return value

    def to_delays(self) -> Delays:
        """The same as a value that workers and the simulator obey."""
        from common.delays import Delays
        from common.interruptions import Interruption

        return Delays(
            distribution=self.distribution,
            seconds=self.seconds,
            mean_seconds=self.mean_seconds,
            shape=self.shape,
            factors=tuple(sorted(self.factors.items())),
            interruptions=tuple(Interruption(**each.model_dump()) for each in self.interruptions),
            seed=self.seed,
            varies=self.varies,
            burst_share=self.burst_share,
            burst_rounds=self.burst_rounds,
            burst_factor=self.burst_factor,
        )
