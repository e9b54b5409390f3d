"""Callbacks that average, print, keep and store what training reports."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from symgraph.callbacks.base import Callback, Logs
from symgraph.callbacks.log_names import new_logs
from symgraph.utils.generic_utils import Progbar
from symgraph.utils.plot_utils import plot_history


class BaseLogger(Callback):
    """Puts the averages over an epoch into its logs. `fit` always has one, before all other callbacks.

    Parameters
    ----------
    stateful_metrics : iterable of str, optional
        Names of metrics that add up by themselves: their last value counts.
    """

    def __init__(self, stateful_metrics: Iterable[str] | None = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())
        self.seen = 0
        self.totals: dict[str, Any] = {}

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start to count."""
        self.seen = 0
        self.totals = {}

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Add the values of a batch, each weighted by its samples."""
        logs = logs or {}
        size = logs.get("size", 0)
        self.seen += size
        totals = self.totals
        for name, value in logs.items():
            if name in self.stateful_metrics:
                totals[name] = value
            else:
                # Sums of float32 would lose digits.
                totals[name] = totals.get(name, 0) + np.float64(value) * size

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write the averages into the logs."""
        if logs is None:
            return
        for name in self.params["metrics"]:
            if name in self.stateful_metrics and name in self.totals:
                logs[name] = self.totals[name]
            elif name in self.totals:
                logs[name] = self.totals[name] / self.seen


class TerminateOnNaN(Callback):
    """Ends training as soon as a loss is NaN or infinite."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss of the batch."""
        loss = (logs or {}).get("loss")
        if loss is not None and not np.all(np.isfinite(loss)):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


class ProgbarLogger(Callback):
    """Prints progress. `fit` has one unless `verbose` is 0.

    Parameters
    ----------
    count_mode : str
        'samples' or 'steps': what the bar counts.
    stateful_metrics : iterable of str, optional
        Names of metrics that are shown as they are, without averaging.
    """

    def __init__(self, count_mode: str = "samples", stateful_metrics: Iterable[str] | None = None) -> None:
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ValueError(f"Unknown `count_mode`: {count_mode}")
        self.use_steps = count_mode == "steps"
        self.stateful_metrics = set(stateful_metrics or ())
        self.log_values: list[tuple[str, Any]] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        """Read the parameters of the training."""
        self.verbose = self.params["verbose"]
        self.epochs = self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Print the heading of an epoch."""
        self.seen = 0
        self.target = self.params["steps" if self.use_steps else "samples"]
        self.log_values = []
        if self.verbose:
            print(f"Epoch {epoch + 1}/{self.epochs}")
            self.progbar = Progbar(
                target=self.target, verbose=self.verbose, stateful_metrics=self.stateful_metrics
            )

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Forget the values of the batch before."""
        if self.target is None or self.seen < self.target:
            self.log_values = []

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Move the bar, but for the last batch: the end of the epoch knows more."""
        logs = logs or {}
        self.seen += 1 if self.use_steps else logs.get("size", 0)
        self._collect(logs)
        if self.verbose and (self.target is None or self.seen < self.target):
            self.progbar.update(self.seen, self.log_values)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Print the last state, with the validation."""
        self._collect(logs or {})
        if self.verbose:
            self.progbar.update(self.seen, self.log_values)

    def state_dict(self) -> dict[str, Any]:
        """What a restart needs to know."""
        bar = getattr(self, "progbar", None)
        return {
            "seen": getattr(self, "seen", 0),
            "log_values": self.log_values,
            "bar": None if bar is None else bar.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; in the middle of an epoch with the bar that its beginning has made."""
        self.seen, self.log_values = state["seen"], state["log_values"]
        if state["bar"] is not None and hasattr(self, "progbar"):
            self.progbar.load_state_dict(state["bar"])

    def _collect(self, logs: dict[str, Any]) -> None:
        self.log_values.extend((name, logs[name]) for name in self.params["metrics"] if name in logs)


class History(Callback):
    """Keeps the logs of all epochs. `fit` returns one.

    Attributes
    ----------
    epoch : list of int
    history : dict of list
        An entry per epoch for every name in the logs.
    profile : Profile or None
        What ``fit(profile=...)`` measured.
    """

    profile: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = new_logs()

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start with nothing."""
        self.epoch, self.history = [], new_logs()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keep the logs of an epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def state_dict(self) -> dict[str, Any]:
        """What a restart needs to know."""
        return {"epoch": self.epoch, "history": dict(self.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.epoch, self.history = state["epoch"], new_logs()
        self.history.update(state["history"])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the curves of loss and metrics, each beside that of the validation.

        Parameters
        ----------
        path : path, optional
            Where to write the picture (PNG, SVG ...).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is missing: ``pip install symgraph[plot]``.
        ValueError
            If there are no epochs.
        """
        return plot_history(self, path)


class CSVLogger(Callback):
    """Writes the logs of each epoch to a CSV file.

    Parameters
    ----------
    filename : path
    separator : str
        Between values.
    append : bool
        Add to an existing file instead of replacing it.
    """

    only_first_rank = True

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = filename
        self.sep = separator
        self.append = append
        self.writer: csv.DictWriter[str] | None = None
        self.keys: list[str] | None = None
        self.append_header = True
        self.csv_file: IO[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Open the file."""
        path = Path(self.filename)
        if self.append and path.exists():
            self.append_header = path.stat().st_size == 0
        self.csv_file = path.open("a" if self.append else "w", newline="\n", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a line."""
        logs = dict(logs or {})
        if self.keys is None:
            self.keys = sorted(logs)
        if self.model.stop_training:
            # The last epoch may lack values, and a line has to be complete.
            logs = {key: logs.get(key, "NA") for key in self.keys}
        if self.writer is None:
            assert self.csv_file is not None
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch, **{key: _csv_value(logs[key]) for key in self.keys}})
        if self.csv_file is not None:
            self.csv_file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        """Close the file."""
        if self.csv_file is not None:
            self.csv_file.close()
        self.writer = None

    def state_dict(self) -> dict[str, Any]:
        """What a restart needs to know, with all that is in the file."""
        path = Path(self.filename)
        return {
            "keys": self.keys,
            "append_header": self.append_header and self.writer is None,
            "text": path.read_text(encoding="utf-8") if path.exists() else "",
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state: the file is as it was then, without the lines of what is done again."""
        self.keys, self.append_header, self.writer = state["keys"], state["append_header"], None
        under_way = self.csv_file is not None and not self.csv_file.closed
        if self.csv_file is not None:
            self.csv_file.close()
        path = Path(self.filename)
        path.write_text(state["text"], newline="\n", encoding="utf-8")
        if under_way:
            self.csv_file = path.open("a", newline="\n", encoding="utf-8")


def _csv_value(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return '"[{}]"'.format(", ".join(map(str, value)))
