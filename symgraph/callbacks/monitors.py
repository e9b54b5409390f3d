"""Callbacks that watch a quantity: save the best model, stop when nothing improves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.callbacks.base import Callback, Logs
from symgraph.callbacks.log_names import named_values
from symgraph.utils.warn_user import warn_user

Better = Callable[[Any, Any], Any]


def direction(owner: str, mode: str, monitor: str, larger_names: tuple[str, ...] = ()) -> Better:
    """`np.less` or `np.greater`: which values of `monitor` are the better ones.

    Parameters
    ----------
    owner : str
        For the warning about an unknown mode, which counts as 'auto'.
    mode : str
        'min', 'max' or 'auto'. In 'auto', larger is better for a name that contains 'acc'.
    monitor : str
    larger_names : tuple of str
        Further beginnings of names of which larger is better.
    """
    if mode not in ("auto", "min", "max"):
        warn_user(f"{owner} mode {mode} is unknown, fallback to auto mode.", RuntimeWarning)
        mode = "auto"
    if mode == "auto":
        mode = "max" if "acc" in monitor or monitor.startswith(larger_names) else "min"
    return np.greater if mode == "max" else np.less


def worst(better: Better) -> float:
    """What every value is better than."""
    return np.inf if better is np.less else -np.inf


class ModelCheckpoint(Callback):
    """Saves the model after epochs.

    Files are written beside and renamed, so a crash never leaves a broken one.

    Parameters
    ----------
    filepath : path
        May contain fields for the epoch (from 1) and the logs, as in
        'weights.{epoch:02d}-{val_loss:.2f}.hdf5'.
    monitor : str
        The quantity that tells which model is the best.
    verbose : int
        1 prints what is saved.
    save_best_only : bool
        Save only after an epoch that is better than all before.
    save_weights_only : bool
        `save_weights` instead of `save`.
    mode : str
        'min', 'max' or 'auto': see `direction`.
    period : int
        Epochs between two checkpoints.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        period: int = 1,
    ) -> None:
        super().__init__()
        self.filepath = os.fspath(filepath)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.period = period
        self.epochs_since_last_save = 0
        self.monitor_op = direction("ModelCheckpoint", mode, monitor, ("fmeasure",))
        self.best: Any = worst(self.monitor_op)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save, if it is time to and the model is good enough."""
        logs = logs or {}
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save < self.period:
            return
        self.epochs_since_last_save = 0
        filepath = self._filled_path(epoch, logs)
        if not self.save_best_only:
            self._report(epoch, f"saving model to {filepath}")
            self._save(filepath)
            return
        current = logs.get(self.monitor)
        if current is None:
            warn_user(
                f"Can save best model only with {self.monitor} available, skipping.",
                RuntimeWarning,
            )
        elif self.monitor_op(current, self.best):
            change = f"{self.monitor} improved from {self.best:0.5f} to {current:0.5f}"
            self._report(epoch, f"{change}, saving model to {filepath}")
            self._save(filepath)
            self.best = current
        else:
            self._report(epoch, f"{self.monitor} did not improve from {self.best:0.5f}")

    def _filled_path(self, epoch: int, logs: dict[str, Any]) -> str:
        try:
            return self.filepath.format_map(named_values(logs, epoch=epoch + 1))
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: the path {self.filepath!r} uses {error}, but an epoch has only the values "
                f"{['epoch', *logs]}"
            ) from error

    def _report(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1:05d}: {text}")

    def _save(self, filepath: str) -> None:
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(filepath, overwrite=True)


class EarlyStopping(Callback):
    """Ends training when a quantity has stopped improving.

    Parameters
    ----------
    monitor : str
        The quantity.
    min_delta : float
        A smaller change is no improvement.
    patience : int
        Epochs without improvement after which training ends.
    verbose : int
        1 prints what happens.
    mode : str
        'min', 'max' or 'auto': see `direction`.
    baseline : float, optional
        A value that has to be bettered from the start.
    restore_best_weights : bool
        Give the model the weights of its best epoch back at the end.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.best_weights: list[np.ndarray] | None = None
        self.wait = 0
        self.stopped_epoch = 0
        self.monitor_op = direction("EarlyStopping", mode, monitor)
        self.min_delta = min_delta if self.monitor_op is np.greater else -min_delta
        self.best: Any = worst(self.monitor_op)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start anew, so that one callback serves several trainings."""
        self.wait = 0
        self.stopped_epoch = 0
        self.best_weights = None
        self.best = worst(self.monitor_op) if self.baseline is None else self.baseline

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare the epoch with the best one."""
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.monitor_op(current - self.min_delta, self.best):
            self.best = current
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            # No epoch was better than the baseline: then there is nothing to go back to.
            if self.best_weights is not None:
                if self.verbose > 0:
                    print("Restoring model weights from the end of the best epoch")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Logs = None) -> None:
        """Say that training ended early."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")

    def get_monitor_value(self, logs: Logs) -> Any:
        """The quantity in `logs`; None with a warning if it is not there."""
        return monitored(logs, self.monitor, "Early stopping")


def monitored(logs: Logs, monitor: str, what: str) -> Any:
    """The value of `monitor`; None with a warning if the logs do not have it."""
    logs = logs or {}
    if logs.get(monitor) is None:
        warn_user(
            f"{what} conditioned on metric `{monitor}` which is not available. Available metrics are: "
            f"{','.join(logs)}",
            RuntimeWarning,
        )
    return logs.get(monitor)
