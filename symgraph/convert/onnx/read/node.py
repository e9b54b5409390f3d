"""A node of a graph, and what is known where it stands."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, helper

from symgraph import layers as L
from symgraph.convert.builder import Builder, Size, sizes
from symgraph.convert.onnx.read.entries import Entry, Sizes
from symgraph.engine.base_layer import Layer
from symgraph.graph.tensor import Tensor

_OF_WHOLE_NUMBERS = (
    L.Add, L.Concatenate, L.Cropping1D, L.Cropping2D, L.Cropping3D, L.Embedding, L.Flatten, L.Maximum,
    L.Minimum, L.Multiply, L.Permute, L.Reshape, L.Subtract, L.ZeroPadding1D, L.ZeroPadding2D,
    L.ZeroPadding3D,
)  # fmt: skip


class Reading(Builder):
    """The values read so far, and who reads what."""

    def __init__(self, graph: GraphProto, path: Path, opset: int) -> None:
        super().__init__()
        self.path = path
        self.opset = opset
        self.values: dict[str, Entry] = {}
        self.batches: set[int] = set()
        #: Nodes that were read together with one before them.
        self.done: set[int] = set()
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.readers[name].append(node)
        self.outputs = {entry.name for entry in graph.output}

    def used(self, name: str) -> bool:
        """Whether something reads a value."""
        return bool(name) and (name in self.outputs or bool(self.readers[name]))

    def only_reader(self, name: str) -> NodeProto | None:
        """The only node that reads a value, if it is no output."""
        found = self.readers[name]
        return found[0] if len(found) == 1 and name not in self.outputs else None


class Node:
    """One node: its inputs, and attributes that are counted when they are read.

    Parameters
    ----------
    proto : NodeProto
    reading : Reading
    """

    def __init__(self, proto: NodeProto, reading: Reading) -> None:
        self.proto = proto
        self.reading = reading
        self.op = proto.op_type
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}
        self._read: set[str] = set()

    def __str__(self) -> str:
        name = self.proto.name or ", ".join(self.proto.output)
        return f"{self.reading.path}: node {name!r} ({self.op})"

    def error(self, text: str) -> ValueError:
        """An error that names the node."""
        return ValueError(f"{self}: {text}")

    # Attributes

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute."""
        self._read.add(name)
        if name not in self._attributes:
            return default
        value = helper.get_attribute_value(self._attributes[name])
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def check_attributes(self) -> None:
        """ValueError for attributes that nobody read: they might change values."""
        unknown = sorted(set(self._attributes) - self._read)
        if unknown:
            raise self.error(f"its attribute {unknown[0]} cannot be read")

    def demand(self, name: str, value: Any, default: Any) -> None:
        """ValueError if an attribute has another value than the only one that can be read."""
        found = self.attribute(name, default)
        if found != value:
            raise self.error(f"expected {name} {value!r}, got {found!r}")

    # Inputs

    def has(self, place: int) -> bool:
        """Whether an input is given."""
        return place < len(self.proto.input) and bool(self.proto.input[place])

    def entry(self, place: int) -> Entry:
        """Whatever an input stands for. ValueError if it is not given, or no node before made it."""
        if not self.has(place):
            raise self.error(f"expected at least {place + 1} inputs, got {len(self.proto.input)}")
        name = self.proto.input[place]
        if name not in self.reading.values:
            raise self.error(f"reads {name!r}, which nothing before it makes")
        return self.reading.values[name]

    def entries(self) -> list[Entry]:
        """All inputs."""
        return [self.entry(place) for place in range(len(self.proto.input))]

    def tensor(self, place: int = 0) -> Tensor:
        """An input that layers compute. ValueError for a constant, or one that lies in another way."""
        found = self.entry(place)
        if isinstance(found, Tensor):
            return found
        kind = "a constant" if isinstance(found, np.ndarray) else type(found).__name__.lower()
        raise self.error(f"input {place}: expected a tensor with the samples on axis 0, got {kind}")

    def constant(self, place: int, what: str) -> np.ndarray:
        """An input that is a constant."""
        found = self.entry(place)
        if isinstance(found, Sizes) and found.known:
            return np.array(found.values[0] if found.scalar else found.values, "int64")
        if not isinstance(found, np.ndarray):
            raise self.error(f"expected a constant for {what}, got a computed value")
        return found

    def constant_or_none(self, place: int, what: str) -> np.ndarray | None:
        """An input that is a constant, or not given."""
        return self.constant(place, what) if self.has(place) else None

    def integers(self, name: str, place: int) -> list[int] | None:
        """Integers that are an attribute in old opsets and an input in new ones; None if not given."""
        found = self.attribute(name)
        if found is not None:
            return [int(value) for value in found]
        array = self.constant_or_none(place, name)
        return None if array is None else [int(value) for value in array.ravel()]

    def axis(self, x: Tensor, axis: int) -> int:
        """An axis counted from the front. ValueError for that of the samples, and those not there."""
        found = axis + x.ndim if axis < 0 else axis
        if not 0 < found < x.ndim:
            raise self.error(f"axis {axis} of a tensor of shape {sizes(x)} cannot be read")
        return found

    # Layers

    @property
    def name(self) -> str:
        """A name for a layer: that of the node, without its operator."""
        name = (self.proto.name or self.proto.output[0]).removesuffix(f"/{self.op}").strip("/.")
        return re.sub(r"[^\w./:-]|/(?=/|\./)", "_", name) or self.op.lower()

    def layer(
        self, cls: type[Layer], x: Any, weights: Sequence[np.ndarray] | None = None, **arguments: Any
    ) -> Tensor:
        """Make a layer of this node, call it, set its weights.

        Raises
        ------
        ValueError
            If the layer does not keep whole numbers as they are, and would get some.
        """
        whole = {t.dtype for t in (x if isinstance(x, list) else [x]) if t.dtype[:5] != "float"}
        if whole and cls not in _OF_WHOLE_NUMBERS:
            raise self.error(f"tensors of {', '.join(sorted(whole))} cannot be read here")
        return self.reading.apply(cls, self.reading.unique(self.name), x, weights, **arguments)

    def known(self, x: Tensor) -> tuple[int, ...]:
        """The sizes of a sample. ValueError where one is not known."""
        found: tuple[Size, ...] = sizes(x)[1:]
        if None in found:
            raise self.error(f"expected known sizes, got {sizes(x)}")
        return tuple(size for size in found if size is not None)
