"""Learning rates that change with the number of updates made: `SGD(learning_rate=ExponentialDecay(...))`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from symgraph import backend as K
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object


class LearningRateSchedule:
    """Base of schedules: called with the number of updates made so far, it gives the rate of the next one."""

    #: Names of the arguments that a configuration holds.
    settings: ClassVar[tuple[str, ...]] = ()

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` updates: a scalar tensor for a number or a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} does not say what the rate is: write `__call__`")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule."""
        return {name: getattr(self, name) for name in self.settings}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A schedule of `get_config`'s arguments."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)


def _floats(step: Any) -> Any:
    return K.cast(step if K.is_tensor(step) else K.constant(step, K.floatx()), K.floatx())


def _checked_steps(owner: str, decay_steps: Any) -> Any:
    if not decay_steps > 0:
        raise ValueError(f"{owner}: decay_steps should be positive, got {decay_steps!r}")
    return decay_steps


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate · decay_rate^(step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Updates in which the rate is multiplied by `decay_rate` once.
    decay_rate : float
    staircase : bool
        Whether the exponent is rounded down: the rate falls in steps.
    name : str, optional
    """

    settings = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _checked_steps("ExponentialDecay", decay_steps)
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Any:
        periods = _floats(step) / float(self.decay_steps)
        if self.staircase:
            periods = periods // 1.0
        return self.initial_learning_rate * K.pow(K.constant(self.decay_rate), periods)


class PiecewiseConstantDecay(LearningRateSchedule):
    """A value up to the first boundary, that step included, another one up to the second, and so on.

    Parameters
    ----------
    boundaries : list of number
        Numbers of updates, rising.
    values : list of float
        One more than boundaries.
    name : str, optional
    """

    settings = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: the length of boundaries should be 1 less than the length of values,"
                f" got {len(boundaries)} and {len(values)}"
            )
        if any(a >= b for a, b in zip(boundaries, list(boundaries)[1:], strict=False)):
            raise ValueError(f"PiecewiseConstantDecay: boundaries should rise, got {list(boundaries)}")
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Any:
        step = _floats(step)
        rate = K.constant(self.values[-1])
        for boundary, value in reversed(list(zip(self.boundaries, self.values, strict=False))):
            rate = K.switch(K.less_equal(step, float(boundary)), K.constant(value), rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """From the initial rate to the end rate: (initial - end) · (1 - step / decay_steps)^power + end.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    end_learning_rate : float
        What the rate stays at after `decay_steps` updates.
    power : float
    cycle : bool
        Whether `decay_steps` becomes the next multiple of itself then, so that the rate rises again.
    name : str, optional
    """

    settings = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _checked_steps("PolynomialDecay", decay_steps)
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def __call__(self, step: Any) -> Any:
        step, length = _floats(step), K.constant(float(self.decay_steps))
        if self.cycle:
            rounds = -((-step / length) // 1.0)
            length = length * K.switch(K.equal(step, 0.0), K.ones_like(rounds), rounds)
        else:
            step = K.minimum(step, length)
        share = K.pow(1.0 - step / length, self.power)
        return (self.initial_learning_rate - self.end_learning_rate) * share + self.end_learning_rate


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate · step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    decay_rate : float
    staircase : bool
        Whether step / decay_steps is rounded down.
    name : str, optional
    """

    settings = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _checked_steps("InverseTimeDecay", decay_steps)
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Any:
        periods = _floats(step) / float(self.decay_steps)
        if self.staircase:
            periods = periods // 1.0
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)


_CLASSES: dict[str, Any] = {
    made.__name__: made
    for made in (ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay, InverseTimeDecay)
}


def serialize(learning_rate_schedule: Any) -> Any:
    """Describe a schedule as a dict."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule of `serialize`'s description. ValueError where its name is unknown."""
    return deserialize_keras_object(config, _CLASSES, custom_objects, "learning rate schedule")
