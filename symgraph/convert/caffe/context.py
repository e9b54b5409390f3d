"""What the conversion of one layer reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.convert.builder import Builder, sizes
from symgraph.convert.caffe.network import CaffeLayer
from symgraph.convert.caffe.weights import Blobs
from symgraph.engine.base_layer import Layer
from symgraph.graph.tensor import Tensor


class Context(Builder):
    """The blobs computed so far, the weights, and the factors that a batch normalisation takes over."""

    def __init__(self, weights: Blobs | None, weights_path: str) -> None:
        super().__init__()
        self.weights = weights
        self.weights_path = weights_path
        self.blobs: dict[str, Tensor] = {}
        #: Names of batch normalisations with the Scale layer that each takes over, and the other way round.
        self.scale_of: dict[int, CaffeLayer] = {}
        self.merged: set[int] = set()
        #: The batch sizes that the file declares: what stands for "all samples" in shapes.
        self.batches: set[int] = set()

    def input(self, layer: CaffeLayer, number: int = 0) -> Tensor:
        """The blob that a layer reads.

        Raises
        ------
        ValueError
            If there is none.
        """
        if number >= len(layer.bottoms):
            raise layer.error(f"expected at least {number + 1} bottoms, got {len(layer.bottoms)}")
        name = layer.bottoms[number]
        if name not in self.blobs:
            raise layer.error(f"reads the blob {name!r}, which no layer before it makes")
        return self.blobs[name]

    def only_input(self, layer: CaffeLayer) -> Tensor:
        """The blob of a layer that reads one."""
        layer.single_bottom()
        return self.input(layer)

    def inputs(self, layer: CaffeLayer) -> list[Tensor]:
        """All blobs that a layer reads."""
        return [self.input(layer, number) for number in range(len(layer.bottoms))]

    def picture(self, layer: CaffeLayer) -> Tensor:
        """The blob of a layer that reads pictures. ValueError for another number of axes."""
        x = self.only_input(layer)
        if x.ndim != 4:
            raise layer.error(f"expected pictures (samples, channels, rows, columns), got {sizes(x)}")
        return x

    def axis(self, layer: CaffeLayer, x: Tensor, axis: int) -> int:
        """An axis counted from the front. ValueError for that of the samples, or one that is not there."""
        found = axis + x.ndim if axis < 0 else axis
        if not 0 < found < x.ndim:
            raise layer.error(f"axis {axis} of a blob of shape {sizes(x)} cannot be converted")
        return found

    def arrays(self, layer: CaffeLayer, *shapes: Sequence[int]) -> list[Any] | None:
        """The blobs of a layer, of these shapes; None where no weights were given at all.

        Axes of size 1 may be missing or additional, as in old files.

        Raises
        ------
        ValueError
            If there are none, more or fewer, or of other shapes.
        """
        if self.weights is None:
            return None
        found = self.weights.get(layer.name)
        if found is None:
            raise layer.error(f"{self.weights_path} has no weights for it")
        if len(found) != len(shapes):
            raise layer.error(f"expected {len(shapes)} blobs in {self.weights_path}, got {len(found)}")
        for number, (array, shape) in enumerate(zip(found, shapes, strict=True)):
            if [s for s in array.shape if s != 1] != [s for s in shape if s != 1]:
                raise layer.error(
                    f"{self.weights_path}: expected blob {number} of shape {tuple(shape)}, got {array.shape}"
                )
        return [a.reshape(tuple(s)).astype("float32") for a, s in zip(found, shapes, strict=True)]

    def place(
        self, cls: type[Layer], layer: CaffeLayer, x: Any, weights: Sequence[np.ndarray] | None = None,
        **arguments: Any,
    ) -> Tensor:  # fmt: skip
        """`apply` under the name that Caffe's layer has."""
        return self.apply(cls, self.unique(layer.name), x, weights, **arguments)
