"""Callbacks that change the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.callbacks.base import Callback, Logs
from symgraph.callbacks.monitors import Better, direction, monitored, worst
from symgraph.distributed.world import world
from symgraph.optimizers.schedules import LearningRateSchedule
from symgraph.utils.warn_user import warn_old


def _rate_of(model: Any) -> float:
    if not hasattr(model.optimizer, "lr"):
        raise ValueError('Optimizer must have a "lr" attribute.')
    rate = model.optimizer.lr
    if isinstance(rate, LearningRateSchedule):
        raise ValueError(
            f"The learning rate of the optimizer is the schedule {type(rate).__name__}, which "
            "callbacks cannot change: give the optimizer a number, or leave the callback out"
        )
    return float(K.get_value(rate))


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch.

    Parameters
    ----------
    schedule : callable
        `schedule(epoch, lr)`, or `schedule(epoch)`, gives the new learning rate, a float. Epochs count from
        0.
    verbose : int
        1 prints the learning rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the learning rate."""
        present = _rate_of(self.model)
        rate = self.schedule(epoch, present) if _takes_rate(self.schedule) else self.schedule(epoch)
        if not isinstance(rate, float | np.float32):
            raise ValueError(f'The output of the "schedule" function should be float, got {rate!r}.')
        K.set_value(self.model.optimizer.lr, rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Put the learning rate into the logs."""
        if logs is not None:
            logs["lr"] = _rate_of(self.model)


def _takes_rate(schedule: Callable[..., Any]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:
        # A builtin that does not tell its parameters.
        return True
    return True


class LearningRateWarmup(Callback):
    """Raises the learning rate step by step to a multiple of it: linear scaling with a gradual start.

    Where several processes share a batch that is larger by their number, the rate may be as much larger
    (Goyal et al., "Accurate, large minibatch SGD", arXiv:1706.02677, section 2).

    Parameters
    ----------
    rate : float
        For the batch of one process: the rate of the first step.
    epochs : float
        After so many the rate is ``rate * factor`` and stays so; other callbacks may change it then.
    factor : float, optional
        By default the number of processes that train together.
    verbose : int
        1 prints the rate that is reached.

    Raises
    ------
    ValueError
        If `rate`, `epochs` or `factor` is not positive (`epochs` may be 0).
    """

    def __init__(self, rate: float, epochs: float = 5, factor: float | None = None, verbose: int = 0) -> None:
        super().__init__()
        self.factor = float(world().size if factor is None else factor)
        if not (rate > 0 and epochs >= 0 and self.factor > 0):
            raise ValueError(
                "LearningRateWarmup: expected a positive rate and factor, and 0 epochs or more, got "
                f"rate={rate!r}, epochs={epochs!r}, factor={self.factor!r}"
            )
        self.rate, self.epochs, self.verbose = rate, epochs, verbose
        self._epoch = 0
        self._done = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note where the training is."""
        self._epoch = epoch
        self._done = epoch > self.epochs

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Set the rate of this step."""
        if self._done:
            return
        _rate_of(self.model)
        gone = self._epoch + batch / self._steps()
        share = min(gone / self.epochs, 1.0) if self.epochs else 1.0
        self._done = share == 1.0
        reached = self.rate * (1.0 + (self.factor - 1.0) * share)
        K.set_value(self.model.optimizer.lr, reached)
        if self._done and self.verbose > 0:
            print(f"\nEpoch {self._epoch + 1:05d}: LearningRateWarmup has reached the rate {reached}.")

    def _steps(self) -> int:
        """Batches in an epoch."""
        steps = self.params.get("steps")
        if steps:
            return int(steps)
        samples, size = self.params.get("samples") or 1, self.params.get("batch_size") or 32
        return max(1, -(-samples // size))


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a quantity has stopped improving.

    Parameters
    ----------
    monitor : str
        The quantity.
    factor : float
        The new learning rate is the old one times `factor`, which is below 1.
    patience : int
        Epochs without improvement before that.
    verbose : int
        1 prints what happens.
    mode : str
        'min', 'max' or 'auto': see `direction`.
    min_delta : float
        A smaller change is no improvement.
    cooldown : int
        Epochs to wait after a change before counting again.
    min_lr : float
        The learning rate never goes below this.
    **kwargs
        `epsilon`, the old name of `min_delta`, with a warning.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if "epsilon" in kwargs:
            min_delta = kwargs.pop("epsilon")
            warn_old("`epsilon` argument is deprecated and will be removed, use `min_delta` instead.")
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau: unrecognized keyword arguments {sorted(kwargs)}")
        if factor >= 1.0:
            raise ValueError("ReduceLROnPlateau does not support a factor >= 1.0.")
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._better: Better = direction("Learning Rate Plateau Reducing", mode, monitor)
        self._reset()

    def _reset(self) -> None:
        self.cooldown_counter = 0
        self.wait = 0
        self.best: Any = worst(self._better)

    def monitor_op(self, current: Any, best: Any) -> bool:
        """Whether `current` is an improvement over `best`."""
        return bool(
            self._better(current, best + (self.min_delta if self._better is np.greater else -self.min_delta))
        )

    def in_cooldown(self) -> bool:
        """Whether the learning rate was changed so recently that epochs do not count."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start anew."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare the epoch with the best one, and put the learning rate into the logs."""
        logs = {} if logs is None else logs
        logs["lr"] = _rate_of(self.model)
        current = monitored(logs, self.monitor, "Reduce LR on plateau")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.monitor_op(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch, logs["lr"])

    def _lower(self, epoch: int, rate: float) -> None:
        if rate <= self.min_lr:
            return
        lowered = max(rate * self.factor, self.min_lr)
        K.set_value(self.model.optimizer.lr, lowered)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {lowered}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0
