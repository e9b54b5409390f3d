"""Adam and its kin: running means of gradients and of their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from symgraph import backend as K
from symgraph.optimizers.arguments import optimizer_arguments
from symgraph.optimizers.base import Optimizer, Updates, get_updates_arguments
from symgraph.utils.manners import tf_keras_defaults


def _mean(rate: Any, before: Any, value: Any) -> Any:
    """A running mean after one more value."""
    return rate * before + (1.0 - rate) * value


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba, arXiv:1412.6980, with ε as in its section 2's efficient form).

    m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², p ← p - lr · √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε).

    Parameters
    ----------
    lr, beta_1, beta_2, decay : float
    epsilon : float, optional
        By default `K.epsilon()`.
    amsgrad : bool
        Divide by the largest v so far (Reddi et al., ICLR 2018).
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "beta_1", "beta_2", "decay", "epsilon", "amsgrad")

    @optimizer_arguments
    def __init__(
        self,
        lr: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        decay: float = 0.0,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.beta_1 = self._hyper("beta_1", beta_1)
        self.beta_2 = self._hyper("beta_2", beta_2)
        self.decay = self._hyper("decay", decay)
        self.initial_decay = decay
        self.epsilon = K.epsilon() if epsilon is None else epsilon
        self.amsgrad = amsgrad

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        step = self._step()
        correction = K.sqrt(1.0 - K.pow(self.beta_2, step)) / (1.0 - K.pow(self.beta_1, step))
        rate = self._decayed(self.lr, self.decay, self.initial_decay) * correction
        firsts = self._slots("m", params)
        seconds = self._slots("v", params)
        # Without amsgrad Keras keeps a single unused number a parameter; saved models hold them.
        largest = self._slots("vhat", params, None if self.amsgrad else (1,))
        self.weights = [self.iterations, *firsts, *seconds, *largest]
        for param, grad, m, v, vhat in zip(params, grads, firsts, seconds, largest, strict=True):
            new_m, new_v = _mean(self.beta_1, m, grad), _mean(self.beta_2, v, K.square(grad))
            self.updates += [K.update(m, new_m), K.update(v, new_v)]
            size = new_v
            if self.amsgrad:
                size = K.maximum(vhat, new_v)
                self.updates.append(K.update(vhat, size))
            self._store(param, param - rate * new_m / (K.sqrt(size) + self.epsilon))
        return self.updates


class Adamax(Optimizer):
    """Adam with the largest size, not the mean: u ← max(β₂u, |g|), p ← p - lr / (1 - β₁ᵗ) · m / (u + ε).

    Section 7 of arXiv:1412.6980.

    Parameters
    ----------
    lr, beta_1, beta_2, decay : float
    epsilon : float, optional
        By default `K.epsilon()`.
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "beta_1", "beta_2", "decay", "epsilon")

    @optimizer_arguments
    @tf_keras_defaults(lr=0.001)
    def __init__(
        self,
        lr: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.beta_1 = self._hyper("beta_1", beta_1)
        self.beta_2 = self._hyper("beta_2", beta_2)
        self.decay = self._hyper("decay", decay)
        self.initial_decay = decay
        self.epsilon = K.epsilon() if epsilon is None else epsilon

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        rate = self._decayed(self.lr, self.decay, self.initial_decay) / (
            1.0 - K.pow(self.beta_1, self._step())
        )
        firsts = self._slots("m", params)
        norms = self._slots("u", params)
        self.weights = [self.iterations, *firsts, *norms]
        for param, grad, m, u in zip(params, grads, firsts, norms, strict=True):
            new_m, new_u = _mean(self.beta_1, m, grad), K.maximum(self.beta_2 * u, K.abs(grad))
            self.updates += [K.update(m, new_m), K.update(u, new_u)]
            self._store(param, param - rate * new_m / (new_u + self.epsilon))
        return self.updates


class Nadam(Optimizer):
    """Adam with Nesterov's momentum and a momentum that warms up (Dozat, ICLR 2016 workshop).

    Parameters
    ----------
    lr, beta_1, beta_2 : float
    epsilon : float, optional
        By default `K.epsilon()`.
    schedule_decay : float
        The momentum of step t is β₁ (1 - 0.96^(t · schedule_decay) / 2).
    clipnorm, clipvalue : float, optional
        See `Optimizer`.
    """

    settings: ClassVar[tuple[str, ...]] = ("lr", "beta_1", "beta_2", "epsilon", "schedule_decay")

    @optimizer_arguments
    @tf_keras_defaults(lr=0.001)
    def __init__(
        self,
        lr: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lr = self._hyper("lr", lr)
        self.beta_1 = self._hyper("beta_1", beta_1)
        self.beta_2 = self._hyper("beta_2", beta_2)
        self.epsilon = K.epsilon() if epsilon is None else epsilon
        self.m_schedule = self._hyper("m_schedule", 1.0)
        self.schedule_decay = schedule_decay

    def _momentum(self, step: Any) -> Any:
        """The momentum of a step."""
        return self.beta_1 * (1.0 - 0.5 * K.pow(0.96, step * self.schedule_decay))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state, and with it the product of all momenta so far, which Keras' files leave out."""
        super().set_weights(weights)
        self.set_further_state({})

    def further_state(self) -> dict[str, Any]:
        """The product of all momenta so far."""
        return {**super().further_state(), "m_schedule": self.m_schedule}

    def set_further_state(self, values: Mapping[str, Any]) -> None:
        """Set the product of all momenta; where it is not known it follows from the number of steps."""
        super().set_further_state(values)
        if "m_schedule" in values:
            return
        # No product of so many momenta differs from 0 unless beta_1 is all but 1.
        steps = np.arange(1, min(int(K.get_value(self.iterations)), 10**6) + 1)
        momenta = float(K.get_value(self.beta_1)) * (1.0 - 0.5 * 0.96 ** (steps * self.schedule_decay))
        K.set_value(self.m_schedule, np.prod(momenta))

    @get_updates_arguments
    def get_updates(self, loss: Any, params: Sequence[Any]) -> Updates:
        """The updates of one step: see `Optimizer.get_updates`."""
        grads = self._begin(loss, params)
        step = self._step()
        rate = self._decayed(self.lr, None, 0)
        now, later = self._momentum(step), self._momentum(step + 1.0)
        schedule = self.m_schedule * now
        self.updates.append(K.update(self.m_schedule, schedule))
        firsts = self._slots("m", params)
        seconds = self._slots("v", params)
        self.weights = [self.iterations, *firsts, *seconds]
        for param, grad, m, v in zip(params, grads, firsts, seconds, strict=True):
            new_m, new_v = _mean(self.beta_1, m, grad), _mean(self.beta_2, v, K.square(grad))
            self.updates += [K.update(m, new_m), K.update(v, new_v)]
            ahead = (1.0 - now) * grad / (1.0 - schedule) + later * new_m / (1.0 - schedule * later)
            size = K.sqrt(new_v / (1.0 - K.pow(self.beta_2, step)))
            self._store(param, param - rate * ahead / (size + self.epsilon))
        return self.updates
