"""The graph that is written: nodes, constants, and values that know how they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

Size = int | None

REDUCE_AXES_ARE_INPUTS = 18
"""The opset from which on all reductions read their axes as an input."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes
    ----------
    name : str
    shape : tuple
        As the layers see it, with the samples; None where a size is not known.
    dtype : str
    first : bool
        Whether the tensor lies with its last axis moved to place 1, as operators of ONNX want channels.
    """

    name: str
    shape: tuple[Size, ...]
    dtype: str
    first: bool = False

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def order(self) -> list[int]:
        """The axes of the layers in the order in which they lie."""
        axes = list(range(self.rank))
        return [0, axes[-1], *axes[1:-1]] if self.first else axes

    def stored_axis(self, axis: int) -> int:
        """Where an axis of the layers lies."""
        return self.order().index(axis % self.rank)

    def stored(self, per_axis: Sequence[Any]) -> list[Any]:
        """One entry for each axis, in the order in which the axes lie."""
        return [per_axis[axis] for axis in self.order()]

    def with_name(self, name: str) -> Value:
        """Another tensor of the same kind."""
        return replace(self, name=name)


class Graph:
    """Collects nodes and constants, each under a name of its own."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.scope = "graph"
        self._names: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._transposed: dict[tuple[str, tuple[int, ...]], str] = {}

    def unique(self, name: str) -> str:
        """`name`, with a number behind it if it is taken."""
        found, number = name, 0
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output; the output's name."""
        return self.nodes_outputs(op, inputs, 1, **attributes)[0]

    def nodes_outputs(self, op: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Add a node; the names of its outputs."""
        name = self.unique(f"{self.scope}/{op}")
        outputs = [name, *(self.unique(f"{name}_{number}") for number in range(1, count))]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=name, **attributes))
        return outputs

    def constant(self, array: Any, tag: str = "constant") -> str:
        """A constant; equal ones are stored once."""
        values = np.asarray(array, order="C")
        key = (values.dtype.str, values.shape, hashlib.sha256(values.reshape(-1).view("uint8").data).digest())
        if key not in self._constants:
            name = self.unique(f"{self.scope}/{tag}")
            self._constants[key] = name
            self.initializers.append(numpy_helper.from_array(values, name))
        return self._constants[key]

    def integers(self, values: Sequence[int]) -> str:
        """A constant vector of int64, as sizes and axes are."""
        return self.constant(np.array(values, "int64"))

    def scalar(self, value: float, like: Value) -> str:
        """A constant number of the dtype of a value."""
        return self.constant(np.array(value, like.dtype))

    def beside(self, array: np.ndarray, like: Value) -> str:
        """A constant of as many axes as a value, in the order in which the value lies."""
        return self.constant(array.transpose(like.order()).astype(like.dtype))

    def transpose(self, name: str, order: Sequence[int]) -> str:
        """The axes of a tensor in another order; not twice, and not there and back."""
        if list(order) == list(range(len(order))):
            return name
        key = (name, tuple(order))
        if key not in self._transposed:
            made = self.node("Transpose", [name], perm=list(order))
            self._transposed[key] = made
            self._transposed[made, tuple(int(at) for at in np.argsort(order))] = name
        return self._transposed[key]

    def plain(self, value: Value) -> str:
        """The name of a value that lies as the layers see it."""
        return self.transpose(value.name, [int(at) for at in np.argsort(value.order())])

    def unfolded(self, value: Value) -> Value:
        """The value, lying as the layers see it."""
        return replace(value, name=self.plain(value), first=False)

    def channels_first(self, value: Value, data_format: str) -> str:
        """The name of pictures (or sequences, volumes) whose channels lie behind the samples."""
        if data_format == "channels_first":
            return self.plain(value)
        return value.name if value.first else self.transpose(value.name, replace(value, first=True).order())

    def reduce(self, op: str, name: str, axes: Sequence[int], keepdims: bool) -> str:
        """A reduction, in the form of the opset."""
        if self.opset >= REDUCE_AXES_ARE_INPUTS or op == "ReduceSum":
            return self.node(op, [name, self.integers(axes)], keepdims=int(keepdims))
        return self.node(op, [name], axes=list(axes), keepdims=int(keepdims))

    def remove_unread(self, outputs: Sequence[str]) -> None:
        """Take away nodes and constants that no output needs."""
        needed, kept = set(outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self.initializers = [tensor for tensor in self.initializers if tensor.name in needed]
