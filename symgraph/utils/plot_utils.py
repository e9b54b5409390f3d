"""Curves of a training as a picture."""

from __future__ import annotations

import os
from typing import Any, Protocol


class _History(Protocol):
    epoch: list[int]
    history: dict[str, list[Any]]


def plot_history(history: _History, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw losses and metrics over epochs, training beside validation.

    Parameters
    ----------
    history : History
        What `fit` returned.
    path : path, optional
        Where to write the picture (PNG, SVG ...).

    Returns
    -------
    matplotlib.figure.Figure
        To look at in a notebook, or to change and save.

    Raises
    ------
    ImportError
        matplotlib is missing: ``pip install symgraph[plot]``.
    ValueError
        Nothing was recorded.
    """
    try:
        # An extra, and slow to import: only for those who draw.
        from matplotlib.figure import Figure  # noqa: PLC0415
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("plot_history needs matplotlib: pip install symgraph[plot]") from error
    names = [n for n in history.history if not n.startswith("val_")]
    if not names:
        raise ValueError("plot_history: the history is empty; fit the model first")
    figure = Figure(figsize=(5.5 * len(names), 4), layout="constrained")
    epochs = [e + 1 for e in history.epoch]
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            # An epoch that was broken off has no validation.
            values = history.history.get(key, [])
            if values:
                axes.plot(epochs[: len(values)], values, marker="o", markersize=3, label=label)
        axes.set_xlabel("epoch")
        # There is no epoch 1.5. A single one still gets its tick.
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_title({"acc": "accuracy"}.get(name, name))
        axes.grid(alpha=0.3)
        axes.legend()
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
