"""What all optimizers share: gradients and their clipping, state, configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from symgraph import backend as K
from symgraph.globals import TF_KERAS, answers_as
from symgraph.optimizers.schedules import LearningRateSchedule, deserialize, serialize
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import has_arg
from symgraph.utils.old_arguments import old_arguments
from symgraph.utils.warn_user import warn_old

Updates = list[tuple[Any, Any]]


def clip_norm(g: Any, c: float, n: Any) -> Any:
    """Scale a gradient down where a norm is above a limit.

    Parameters
    ----------
    g : tensor
        The gradient.
    c : float
        The limit; none where it is not positive.
    n : scalar tensor
        The norm: that of all gradients together.

    Returns
    -------
    tensor
        g · c / n where n >= c, else g.
    """
    if c <= 0:
        return g
    return K.switch(K.greater_equal(n, c), g * (c / n), g)


def _old_order(owner: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], bool]:
    """`get_updates(params, constraints, loss)`, as it was called before Keras 2.0.3."""
    if len(args) > 3:
        raise TypeError("`get_update` call received more arguments than expected.")
    if len(args) == 3 or (len(args) == 2 and isinstance(args[0], list | tuple)):
        params, _, *loss = args
        kwargs.update(params=params, **({"loss": loss[0]} if loss else {}))
        return [], False
    return args, False


get_updates_arguments = old_arguments(rearrange=_old_order)


def updates_of(optimizer: Any, loss: Any, params: Sequence[Any]) -> Updates:
    """What `get_updates` gives; an optimizer of Keras 1 is handed the constraints, to apply them itself."""
    if not has_arg(optimizer.get_updates, "constraints"):
        updates: Updates = optimizer.get_updates(params=params, loss=loss)
        return updates
    warn_old(
        f"{type(optimizer).__name__}: `get_updates(params, constraints, loss)` is `get_updates(loss, "
        "params)` since Keras 2, and parameters have a `constraint`."
    )
    constraints = {p: p.constraint for p in params if p.constraint is not None}
    return list(optimizer.get_updates(params, constraints, loss))


def _plain(value: Any) -> Any:
    """A hyper-parameter as a configuration holds it."""
    if isinstance(value, LearningRateSchedule):
        return serialize(value)
    return float(K.get_value(value)) if K.is_tensor(value) else value


class NoGradientError(ValueError):
    """The loss does not depend on a parameter, or not in a way that can be differentiated."""


class Optimizer:
    """Base of optimizers.

    Parameters
    ----------
    clipnorm : float, optional
        Scale all gradients so that their common Euclidean norm is at most this; in the manners of tf.keras
        each one so that its own norm is.
    clipvalue : float, optional
        Hold every element of a gradient between plus and minus this.

    Attributes
    ----------
    iterations : variable
        Number of updates made, int64.
    updates : list of (variable, tensor)
        What the last `get_updates` returned.
    weights : list of variable
        The state that is saved with a model; empty before `get_updates`.

    Raises
    ------
    TypeError
        For any other argument.
    """

    #: Names of the arguments that a configuration holds, besides those that clip gradients.
    settings: ClassVar[tuple[str, ...]] = ()

    lr: Any

    def __init__(self, **kwargs: Any) -> None:
        for name, at_most in kwargs.items():
            if name not in ("clipnorm", "clipvalue"):
                raise TypeError(f"Unexpected keyword argument passed to optimizer: {name}")
            if at_most is not None and not isinstance(at_most, int | float | np.number):
                raise TypeError(f"{type(self).__name__}: `{name}` should be a number, got {at_most!r}")
        self.__dict__.update(kwargs)
        self.updates: Updates = []
        self.weights: list[Any] = []
        self.iterations = self._hyper("iterations", 0, "int64")

    def __setattr__(self, name: str, value: Any) -> None:
        held: Any = vars(self).get(name) if name in self.settings else None
        if answers_as() == TF_KERAS and K.is_tensor(held) and not K.is_tensor(value):
            # In tf.keras `optimizer.lr = 0.1` counts from the next step on; in Keras 2.2 it has no effect.
            K.set_value(held, value)
        else:
            super().__setattr__(name, value)

    @property
    def learning_rate(self) -> Any:
        """The variable (or schedule) `lr`, by its name in Keras 2.3 and tf.keras.

        A number that is set is stored in the variable.
        """
        return self.lr

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if K.is_tensor(value) or isinstance(value, LearningRateSchedule):
            self.lr = value
        else:
            K.set_value(self.lr, value)

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step.

        Parameters
        ----------
        loss : tensor
            A scalar to be made smaller.
        params : sequence of variable
            What may be changed. A `constraint` of a parameter is applied to its new value.

        Returns
        -------
        list of (variable, tensor)
            For `K.function(..., updates=)`: parameters, state and the iteration count. All new values are
            computed from the old ones.

        Raises
        ------
        ValueError
            If the loss does not depend on one of `params`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to update parameters")

    def get_gradients(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """Gradients of `loss` for each of `params`, clipped. ValueError where one is not connected."""
        params = [params] if K.is_tensor(params) else list(params)
        grads: list[Any] = K.gradients(loss, params)
        for param, grad in zip(params, grads, strict=True):
            if grad is None:
                name = param.name or repr(param)
                raise NoGradientError(
                    f"An operation has `None` for gradient: the loss does not depend on {name}. Please make "
                    "sure that all of your ops have a gradient defined (i.e. are differentiable). Common ops "
                    "without gradient: K.argmax, K.round, K.eval."
                )
        limit = getattr(self, "clipnorm", None) or 0
        if limit > 0 and answers_as() == TF_KERAS:
            grads = [clip_norm(grad, limit, K.sqrt(K.sum(K.square(grad)))) for grad in grads]
        elif limit > 0 and grads:
            squares = [K.sum(K.square(grad)) for grad in grads]
            norm = K.sqrt(sum(squares[1:], squares[0]))
            grads = [clip_norm(grad, limit, norm) for grad in grads]
        bound = getattr(self, "clipvalue", None) or 0
        return [K.clip(grad, -bound, bound) for grad in grads] if bound > 0 else grads

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state, after `get_updates` has made it.

        Parameters
        ----------
        weights : sequence of array
            As returned by `get_weights`.

        Raises
        ------
        ValueError
            If there are more or fewer arrays than the state has, or a shape differs; nothing is changed then.
        """
        if len(weights) != len(self.weights):
            raise ValueError(
                f"Length of the specified weight list ({len(weights)}) does not match the number of weights "
                f"of the optimizer ({len(self.weights)})"
            )
        for variable, value in zip(self.weights, weights, strict=True):
            if K.int_shape(variable) != np.shape(value):
                raise ValueError(
                    f"Optimizer weight shape {K.int_shape(variable)} not compatible with provided weight "
                    f"shape {np.shape(value)} ({variable.name})"
                )
        K.batch_set_value(list(zip(self.weights, weights, strict=True)))

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the state."""
        return K.batch_get_value(self.weights)

    def further_state(self) -> dict[str, Any]:
        """Variables that training goes on from, but that Keras keeps out of `weights`, by name."""
        told = any(variable is self.iterations for variable in self.weights)
        return {} if told else {"iterations": self.iterations}

    def set_further_state(self, values: Mapping[str, Any]) -> None:
        """Set what `further_state` has, as far as `values` knows it. Call it after `set_weights`."""
        K.batch_set_value([(v, values[name]) for name, v in self.further_state().items() if name in values])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        names = [name for name in ("clipnorm", "clipvalue") if hasattr(self, name)]
        values = {name: getattr(self, name) for name in (*names, *self.settings)}
        return {name: _plain(value) for name, value in values.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make an optimizer of `get_config`'s arguments."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)

    def _hyper(self, name: str, value: Any, dtype: str | None = None) -> Any:
        if name == "lr" and isinstance(value, dict):
            value = deserialize(value)
        if name == "lr" and isinstance(value, LearningRateSchedule):
            return value
        with K.name_scope(type(self).__name__):
            return K.variable(value, dtype, name)

    def _slots(
        self, kind: str, params: Sequence[Any], shape: tuple[int, ...] | None = None, value: float = 0.0
    ) -> list[Any]:
        """A variable for each parameter, of its shape and dtype, named after it, and full of `value`."""
        slots = []
        with K.name_scope(type(self).__name__):
            for number, param in enumerate(params):
                base = (param.name or f"param_{number}").removesuffix(":0")
                sizes = K.int_shape(param) if shape is None else shape
                made = K.zeros(sizes, K.dtype(param), f"{base}/{kind}")
                if value:
                    made = K.variable(np.full(sizes, value), K.dtype(param), f"{base}/{kind}")
                slots.append(made)
        return slots

    def _begin(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """The gradients; `updates` begins with the iteration count."""
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        return grads

    def _store(self, variable: Any, value: Any) -> None:
        """Add an update, after the constraint that a parameter may have."""
        if getattr(variable, "constraint", None) is not None:
            value = variable.constraint(value)
        self.updates.append(K.update(variable, value))

    def _step(self) -> Any:
        """Number of the update being made, from 1, in `floatx()`."""
        return K.cast(self.iterations, K.floatx()) + 1.0

    def _decayed(self, lr: Any, decay: Any, initial_decay: float) -> Any:
        """The learning rate lr / (1 + decay · updates made), where lr may be a schedule."""
        if isinstance(lr, LearningRateSchedule):
            lr = lr(K.cast(self.iterations, K.floatx()))
        if initial_decay <= 0:
            return lr
        return lr * (1.0 / (1.0 + decay * K.cast(self.iterations, K.dtype(decay))))
