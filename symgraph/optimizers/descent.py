"""Gradient descent with momentum, and with steps scaled by the size of past gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from symgraph import backend as K
from symgraph.optimizers.arguments import optimizer_arguments
from symgraph.optimizers.base import Optimizer, Updates, get_updates_arguments
from symgraph.utils.manners import tf_keras_defaults


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v ← momentum · v - lr · g, p ← p + v.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
    decay : float
        The rate of update t (from 0) is lr / (1 + decay · t).
    nesterov : bool
        Nesterov's momentum: p ← p + momentum · v - lr · g, with the new v.
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "momentum", "decay", "nesterov")

    @optimizer_arguments
    def __init__(
        self,
        lr: float = 0.01,
        momentum: float = 0.0,
        decay: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.momentum = self._hyper("momentum", momentum)
        self.decay = self._hyper("decay", decay)
        self.initial_decay = decay
        self.nesterov = nesterov

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        rate = self._decayed(self.lr, self.decay, self.initial_decay)
        moments = self._slots("moment", params)
        self.weights = [self.iterations, *moments]
        for param, grad, moment in zip(params, grads, moments, strict=True):
            velocity = self.momentum * moment - rate * grad
            self.updates.append(K.update(moment, velocity))
            self._store(
                param, param + self.momentum * velocity - rate * grad if self.nesterov else param + velocity
            )
        return self.updates


class RMSprop(Optimizer):
    """Gradients over a running mean of their size: a ← rho · a + (1 - rho) · g², p ← p - lr · g / (√a + ε).

    From Tieleman & Hinton, Neural Networks for Machine Learning, lecture 6e.

    Parameters
    ----------
    lr, rho, decay : float
    epsilon : float, optional
        By default `K.epsilon()`.
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "rho", "decay", "epsilon")

    @optimizer_arguments
    def __init__(
        self,
        lr: float = 0.001,
        rho: float = 0.9,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.rho = self._hyper("rho", rho)
        self.decay = self._hyper("decay", decay)
        self.initial_decay = decay
        self.epsilon = K.epsilon() if epsilon is None else epsilon

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        rate = self._decayed(self.lr, self.decay, self.initial_decay)
        self.weights = self._slots("accumulator", params)
        for param, grad, accumulator in zip(params, grads, self.weights, strict=True):
            mean = self.rho * accumulator + (1.0 - self.rho) * K.square(grad)
            self.updates.append(K.update(accumulator, mean))
            self._store(param, param - rate * grad / (K.sqrt(mean) + self.epsilon))
        return self.updates


class Adagrad(Optimizer):
    """Gradients divided by the size of all before: a ← a + g², p ← p - lr · g / (√a + ε).

    From Duchi, Hazan & Singer, JMLR 2011.

    Parameters
    ----------
    lr, decay : float
    epsilon : float, optional
        By default `K.epsilon()`.
    initial_accumulator_value : float
        What a begins with: 0 in Keras, 0.1 in tf.keras.
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "decay", "epsilon")

    @optimizer_arguments
    @tf_keras_defaults(lr=0.001, initial_accumulator_value=0.1)
    def __init__(
        self,
        lr: float = 0.01,
        epsilon: float | None = None,
        decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.decay = self._hyper("decay", decay)
        self.initial_decay = decay
        self.epsilon = K.epsilon() if epsilon is None else epsilon
        self.initial_accumulator_value = initial_accumulator_value

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer; `initial_accumulator_value` where Keras has another."""
        first = self.initial_accumulator_value
        return {**super().get_config(), **({"initial_accumulator_value": first} if first else {})}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make an optimizer of `get_config`'s arguments; accumulators start at 0 unless it says otherwise."""
        return super().from_config({"initial_accumulator_value": 0.0, **config})

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        rate = self._decayed(self.lr, self.decay, self.initial_decay)
        self.weights = self._slots("accumulator", params, value=self.initial_accumulator_value)
        for param, grad, accumulator in zip(params, grads, self.weights, strict=True):
            total = accumulator + K.square(grad)
            self.updates.append(K.update(accumulator, total))
            self._store(param, param - rate * grad / (K.sqrt(total) + self.epsilon))
        return self.updates


class Adadelta(Optimizer):
    """Steps scaled by the size of past steps over that of past gradients.

    a ← rho · a + (1 - rho) · g², s = g · √(d + ε) / √(a + ε), p ← p - lr · s, d ← rho · d + (1 - rho) · s²
    (Zeiler, arXiv:1212.5701).

    Parameters
    ----------
    lr, rho, decay : float
    epsilon : float, optional
        By default `K.epsilon()`.
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "rho", "decay", "epsilon")

    @optimizer_arguments
    @tf_keras_defaults(lr=0.001)
    def __init__(
        self,
        lr: float = 1.0,
        rho: float = 0.95,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.decay = self._hyper("decay", decay)
        self.initial_decay = decay
        self.rho = rho
        self.epsilon = K.epsilon() if epsilon is None else epsilon

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        rate = self._decayed(self.lr, self.decay, self.initial_decay)
        accumulators = self._slots("accumulator", params)
        deltas = self._slots("delta_accumulator", params)
        self.weights = accumulators + deltas
        for param, grad, accumulator, delta in zip(params, grads, accumulators, deltas, strict=True):
            mean = self.rho * accumulator + (1.0 - self.rho) * K.square(grad)
            step = grad * K.sqrt(delta + self.epsilon) / K.sqrt(mean + self.epsilon)
            self.updates.append(K.update(accumulator, mean))
            self.updates.append(K.update(delta, self.rho * delta + (1.0 - self.rho) * K.square(step)))
            self._store(param, param - rate * step)
        return self.updates
