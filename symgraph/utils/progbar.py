"""The progress bar of `fit`, `evaluate`, `predict` and `get_file`, printed as Keras 2.2.4 prints it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

_SMALL = 1e-3  # averages below are printed with an exponent


class Progbar:
    """A progress bar with averaged values on standard output.

    On a terminal (and in a notebook) the bar is redrawn in place. Elsewhere every drawing is a line of its
    own, and `interval` keeps the lines few.

    Parameters
    ----------
    target : int or None
        The number of steps expected; None where it is not known.
    width : int
        Columns of the bar itself.
    verbose : int
        0 prints nothing, 1 draws the bar, 2 prints one line when the target is reached.
    interval : float
        Seconds that pass at least between two drawings; the last one is always drawn.
    stateful_metrics : iterable of str, optional
        Names of values that are shown as they are given. All others are averaged over the steps.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateful_metrics = set(stateful_metrics or ())
        isatty = getattr(sys.stdout, "isatty", None)
        self._redraws = bool(isatty and isatty()) or "ipykernel" in sys.modules
        self._drawn_width = 0
        self._seen_so_far = 0
        # name -> (sum of value times steps, steps)
        self._sums: dict[str, tuple[Any, int]] = {}
        self._start = time.monotonic()
        self._last_drawing = -np.inf

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Move the bar to `current` steps.

        Parameters
        ----------
        current : int
            Steps done so far, in all.
        values : iterable of (name, value), optional
            Values of the steps since the last update; each weighs as many steps as have passed since then.
        """
        steps = current - self._seen_so_far
        for name, value in values or ():
            if name in self.stateful_metrics:
                self._sums[name] = (value, 1)
            else:
                total, count = self._sums.get(name, (0, 0))
                self._sums[name] = (total + np.float64(value) * steps, count + steps)
        self._seen_so_far = current
        if self.verbose == 1:
            self._draw_bar(current)
        elif self.verbose == 2 and (self.target is None or current >= self.target):
            elapsed = time.monotonic() - self._start
            # Keras shows negative values with an exponent in this mode.
            shown = "".join(_shown(name, value, value > _SMALL) for name, value in self._averages())
            _write(f" - {elapsed:.0f}s{shown}\n")

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Move the bar by `n` steps; `values` as in `update`."""
        self.update(self._seen_so_far + n, values)

    def state_dict(self) -> dict[str, Any]:
        """What was counted so far."""
        return {"seen": self._seen_so_far, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from a state."""
        self._seen_so_far, self._sums = state["seen"], state["sums"]

    def _averages(self) -> list[tuple[str, float]]:
        return [(name, float(np.mean(total / max(1, count)))) for name, (total, count) in self._sums.items()]

    def _draw_bar(self, current: int) -> None:
        now = time.monotonic()
        finished = self.target is not None and current >= self.target
        if now - self._last_drawing < self.interval and self.target is not None and not finished:
            return
        text = self._bar(current) + self._timing(current, now - self._start)
        text += "".join(_shown(name, value, abs(value) > _SMALL) for name, value in self._averages())
        # Blanks cover what a longer drawing before left on the line.
        covered = " " * (self._drawn_width - len(text))
        before = "\b" * self._drawn_width + "\r" if self._redraws else "\n"
        _write(before + text + covered + ("\n" if finished else ""))
        self._drawn_width = len(text)
        self._last_drawing = now

    def _bar(self, current: int) -> str:
        if self.target is None:
            return f"{current:7d}/Unknown"
        digits = len(str(self.target))
        filled = int(self.width * current / self.target) if self.target else self.width
        head = "=" if current >= self.target else ">"
        done = "=" * (filled - 1) + head if filled > 0 else ""
        return f"{current:{digits}d}/{self.target} [{done}{'.' * (self.width - filled)}]"

    def _timing(self, current: int, elapsed: float) -> str:
        """The time left while the target lies ahead, else the time taken and the time of a step."""
        step = elapsed / current if current else 0.0
        if self.target is not None and current < self.target:
            return f" - ETA: {_remaining(step * (self.target - current))}"
        if step >= 1:
            return f" - {elapsed:.0f}s {step:.0f}s/step"
        if step >= 1e-3:
            return f" - {elapsed:.0f}s {step * 1e3:.0f}ms/step"
        return f" - {elapsed:.0f}s {step * 1e6:.0f}us/step"


def _remaining(seconds: float) -> str:
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    if seconds > 60:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole}s"


def _shown(name: str, value: float, plain: bool) -> str:
    return f" - {name}: {value:.4f}" if plain else f" - {name}: {value:.4e}"


def _write(text: str) -> None:
    """Print `text` now; without a standard output (a windowed program) there is nothing to do."""
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()
