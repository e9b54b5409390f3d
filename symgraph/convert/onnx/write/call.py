"""One call of a layer, as its writer sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.convert.onnx.write.graph import Graph, Size, Value


@dataclass(frozen=True)
class Call:
    """A layer, the values that it reads, and the shapes that it gives."""

    graph: Graph
    layer: Any
    inputs: tuple[Value, ...]
    shapes: tuple[tuple[Size, ...], ...]

    @property
    def x(self) -> Value:
        """The first input."""
        return self.inputs[0]

    @property
    def shape(self) -> tuple[Size, ...]:
        """The shape of the first output."""
        return self.shapes[0]

    def error(self, text: str) -> ValueError:
        """An error that names the layer."""
        return refusal(self.layer, text)

    def weights(self) -> dict[str, np.ndarray]:
        """The layer's weights by the last part of their names."""
        return weights_of(self.layer)

    def value(self, name: str, first: bool = False) -> Value:
        """The first output, which lies as said."""
        return Value(name, self.shape, self.x.dtype, first)

    def from_channels_first(self, name: str) -> Value:
        """The first output of a layer of pictures, whose channels lie behind the samples."""
        last = self.layer.data_format == "channels_last"
        return self.value(name, first=last and len(self.shape) > 2)


def refusal(layer: Any, text: str) -> ValueError:
    """The error for a layer that cannot be written."""
    return ValueError(f"layer {layer.name} ({type(layer).__name__}) cannot be written to ONNX: {text}")


def weights_of(layer: Any) -> dict[str, np.ndarray]:
    """A layer's weights by the last part of their names."""
    names = [w.name.rpartition("/")[2].partition(":")[0] for w in layer.weights]
    return dict(zip(names, layer.get_weights(), strict=True))
