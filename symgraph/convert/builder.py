"""Layers called one after the other under names of their own: what readers of other formats build with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.graph.tensor import Tensor
from symgraph.initializers import deferred

Size = int | None


class Builder:
    """Makes layers, calls them and gives them their weights."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def reserve(self, names: Sequence[str]) -> None:
        """Keep names for layers that ask for them later."""
        self._names.update(names)

    def unique(self, name: str) -> str:
        """`name`, with a number behind it if another layer has it already."""
        found, number = name, 0
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    def apply(
        self,
        cls: type[Layer],
        name: str,
        x: Any,
        weights: Sequence[np.ndarray] | None = None,
        **arguments: Any,
    ) -> Tensor:
        """Make a layer, call it on `x`, set its weights if there are some; the output.

        Raises
        ------
        ValueError, TypeError
            If the arguments, the input or the weights do not suit the layer.
        """
        layer = cls(name=name, **arguments)
        with deferred() if weights else nullcontext():
            output: Tensor = layer(x)
        if weights:
            layer.set_weights(list(weights))
        return output


def sizes(x: Tensor) -> tuple[Size, ...]:
    """The shape of a tensor, None where only data will tell a size."""
    shape: tuple[Size, ...] = K.int_shape(x)
    return shape


def channels(x: Tensor, axis: int = 1) -> int:
    """The size of the axis of channels. ValueError if it is not known."""
    size = sizes(x)[axis]
    if size is None:
        raise ValueError(f"expected a known number of channels, got shape {sizes(x)}")
    return size
