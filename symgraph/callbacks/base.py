"""The base of all callbacks, the list that calls them, and a callback made of functions."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from symgraph.utils.warn_user import warn_old, warn_user

Logs = dict[str, Any] | None

_SLOW = 0.1  # seconds that callbacks may take at a batch without a warning
_SLOW_SHARE = 0.95  # of the time of the batch itself


class Params(dict[str, Any]):
    """The parameters of a training. Names of Keras 1 are found too, with a warning."""

    _OLD: ClassVar[dict[str, str]] = {"nb_epoch": "epochs", "nb_sample": "samples"}

    def __missing__(self, name: str) -> Any:
        new = self._OLD.get(name)
        if new is None or new not in self:
            raise KeyError(name)
        warn_old(f"The parameter `{name}` of callbacks is called `{new}` since Keras 2.")
        return self[new]

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter, or `default`."""
        return self[name] if name in self or self._OLD.get(name) in self else default


class Callback:
    """Something that happens during training. A subclass overrides the moments that it cares for.

    `logs` is a dict of numbers: at a batch `batch`, `size` and, at its end, loss and metrics of that batch;
    at the end of an epoch their averages, and those of the validation as `val_...`. Callbacks may add entries
    at the end of an epoch, which the callbacks after them see.

    Attributes
    ----------
    params : dict
        batch_size, epochs, steps, samples, verbose, do_validation, metrics (the names in the logs).
    model : Model
        The model in training. `model.stop_training = True` ends it.
    validation_data : list of arrays
        Inputs, targets and sample weights of the validation; empty without one.
    only_first_rank : bool
        Whether, of several processes that train together, the first one alone has this callback: it writes
        something outside.
    """

    only_first_rank: ClassVar[bool] = False
    params: dict[str, Any]

    def __init__(self) -> None:
        self.validation_data: Any = None
        self.model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell the parameters of the training that is about to begin."""
        self.params = Params(params)

    def set_model(self, model: Any) -> None:
        """Tell the model that is about to be trained."""
        self.model = model

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch, counted from 0 in each epoch."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch."""


class CallbackList:
    """Several callbacks, called in order.

    Warns where the callbacks take longer at a batch than the batch itself.

    Parameters
    ----------
    callbacks : iterable of Callback, optional
    queue_length : int
        Batches over which those times are compared.
    """

    def __init__(self, callbacks: Iterable[Any] | None = None, queue_length: int = 10) -> None:
        self.callbacks = list(callbacks or ())
        self.queue_length = queue_length
        self._forget_times()

    def _forget_times(self) -> None:
        self._batch_seconds = 0.0
        self._batch_started: float | None = None
        self._begin_seconds: deque[float] = deque(maxlen=self.queue_length)
        self._end_seconds: deque[float] = deque(maxlen=self.queue_length)

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks the parameters of the training."""
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tell all callbacks the model."""
        for callback in self.callbacks:
            callback.set_model(model)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Call all callbacks before an epoch."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)
        self._forget_times()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Call all callbacks after an epoch."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Call all callbacks before a batch."""
        logs = {} if logs is None else logs
        before = time.perf_counter()
        for callback in self.callbacks:
            callback.on_batch_begin(batch, logs)
        self._batch_started = time.perf_counter()
        self._note("on_batch_begin()", self._begin_seconds, self._batch_started - before)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Call all callbacks after a batch."""
        logs = {} if logs is None else logs
        before = time.perf_counter()
        self._batch_seconds = before - (before if self._batch_started is None else self._batch_started)
        for callback in self.callbacks:
            callback.on_batch_end(batch, logs)
        self._note("on_batch_end()", self._end_seconds, time.perf_counter() - before)

    def _note(self, method: str, times: deque[float], seconds: float) -> None:
        times.append(seconds)
        # The median costs more than everything else here, so it waits for a first slow call.
        if seconds > _SLOW and self._batch_seconds > 0.0:
            median = statistics.median(times)
            if median > _SLOW and median > _SLOW_SHARE * self._batch_seconds:
                warn_user(
                    f"Method {method} is slow compared to the batch update ({median:f}). Check your "
                    "callbacks.",
                )

    def on_train_begin(self, logs: Logs = None) -> None:
        """Call all callbacks before the training."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        """Call all callbacks after the training."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.callbacks)


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with (epoch, logs).
    on_batch_begin, on_batch_end : callable, optional
        Called with (batch, logs).
    on_train_begin, on_train_end : callable, optional
        Called with (logs).
    **kwargs
        Become attributes.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_batch_begin: Callable[..., Any] | None = None,
        on_batch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
        }
        vars(self).update(kwargs)
        vars(self).update({name: function for name, function in given.items() if function is not None})
