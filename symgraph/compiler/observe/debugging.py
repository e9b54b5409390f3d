"""What a Function can do to be looked into: `fetch`, `tap`, `check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.compiler.observe.taps import Callback, Fetch, Fetched, Tap
from symgraph.compiler.observe.verify import Verifier
from symgraph.compiler.run.live_run import Observer
from symgraph.compiler.run.variant import Variant
from symgraph.graph.tensor import Tensor
from symgraph.inspection.text.checks import CheckReport


class TapHandle:
    """A tap that is set: `remove` it, or leave the ``with`` block that it was set for."""

    def __init__(self, observers: list[Observer], own: Observer) -> None:
        self._observers = observers
        self._own = own

    def remove(self) -> None:
        """Detach it from the Function. Harmless if that was done already."""
        if self._own in self._observers:
            self._observers.remove(self._own)

    def __enter__(self) -> TapHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Debugging:
    """Part of `Function`: see there."""

    _observers: list[Observer]
    name: str

    def _latest(self) -> Variant:
        raise NotImplementedError

    inputs: tuple[Tensor, ...]

    def _arguments(self, arguments: tuple[Any, ...], inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        raise NotImplementedError

    def _fed(self, values: Sequence[Any]) -> tuple[Variant, list[np.ndarray]]:
        raise NotImplementedError

    def fetch(self, *names: str | Tensor) -> Fetched:
        """Ask for values of the next call, by id (``%12``), tensor, name, or layer: see `observe.taps`.

        Returns
        -------
        dict of str or Tensor to array
            Empty until the next call has run to its end. A node inside a loop gives its turns stacked, one
            with several results a tuple.

        Raises
        ------
        ValueError
            Nothing is called that; the message lists what comes close.
        """
        # Layers, which this floor does not know, stand for their names.
        names = tuple(n if isinstance(n, (str, Tensor)) else str(getattr(n, "name", n)) for n in names)
        own = Fetch(names, over=self._observers.remove)
        own.check(self._latest())
        self._observers.append(own)
        return own.values

    def tap(self, name: str | Tensor, callback: Callback) -> TapHandle:
        """Show a value to ``callback(name, value, info)`` in every call from now on: see `observe.taps`.

        Returns
        -------
        TapHandle
            With `remove`; it may be used in a ``with`` statement.

        Raises
        ------
        ValueError
            Nothing is called that; the message lists what comes close.
        """
        own = Tap(name, callback)
        own.target(self._latest())
        self._observers.append(own)
        return TapHandle(self._observers, own)

    def check(self, *arguments: Any) -> CheckReport:
        """Run once on these inputs, and compare every kernel with its numpy reference on what it has read.

        Nothing is stored: variables stay as they are. References are slow: small batches do.
        """
        variant, feeds = self._fed(self._arguments(arguments, self.inputs))
        verifier = Verifier()
        variant.observed(feeds, [verifier], "dry")
        return verifier.report(self.name, variant.ids)
