"""The map of a network: which layers and calls lie between its inputs and its outputs, and how deep."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from symgraph.engine.base_layer import Layer
from symgraph.engine.layer.node import Node, keras_history, node_key
from symgraph.graph.tensor import Tensor


class MappedNetwork(Protocol):
    """A network that knows its map: see `Network`."""

    name: str
    trainable: bool
    inputs: list[Tensor]
    outputs: list[Tensor]
    _network_nodes: set[str]
    _nodes_by_depth: dict[int, list[Node]]
    _input_layers: list[Layer]
    _input_coordinates: list[tuple[Layer, int, int]]
    _output_coordinates: list[tuple[Layer, int, int]]

    @property
    def layers(self) -> list[Layer]:
        """The layers, from the inputs to the outputs."""

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Collect losses: those of `inputs`, or of all calls."""

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Collect updates: those of `inputs`, or of all calls."""


@dataclass(frozen=True)
class NetworkMap:
    """What `map_network` finds.

    Attributes
    ----------
    node_keys : set of str
        `node_key` of each call that belongs to the network.
    nodes_by_depth, layers_by_depth : dict
        Depth 0 are the outputs; inputs lie deepest.
    layers : list of Layer
        From the inputs to the outputs; layers of one depth in the order in which they are met.
    """

    node_keys: set[str]
    nodes_by_depth: dict[int, list[Node]]
    layers: list[Layer]
    layers_by_depth: dict[int, list[Layer]]


def map_network(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> NetworkMap:
    """Find the calls that lead from `inputs` to `outputs`.

    Raises
    ------
    ValueError
        If an output needs a tensor that the inputs do not give, or two layers have one name.
    """
    walk = _walk(outputs)
    nodes_by_depth, layers_by_depth = _depths(walk.finished)
    layers: list[Layer] = []
    for depth in sorted(layers_by_depth, reverse=True):
        layers += sorted(layers_by_depth[depth], key=lambda layer: walk.met[layer])
    _check_connected(inputs, nodes_by_depth)
    _check_names(layers)
    return NetworkMap(walk.keys, nodes_by_depth, layers, layers_by_depth)


@dataclass(frozen=True)
class _Walk:
    """Nodes, each after those that it reads; their keys; layers with the order in which they were met."""

    finished: list[Node]
    keys: set[str]
    met: dict[Layer, int]


def _walk(outputs: Sequence[Tensor]) -> _Walk:
    walk = _Walk([], set(), {})
    begun: set[int] = set()
    stack: list[tuple[Node, Iterator[tuple[Layer, int, Tensor]]]] = []

    def enter(layer: Layer, index: int, tensor: Tensor) -> None:
        calls = layer._inbound_nodes
        if index >= len(calls) or all(x is not tensor for x in calls[index].output_tensors):
            raise ValueError(
                f"Graph disconnected: {layer.name} has other layers now than when it gave {tensor!r}; call "
                "it again"
            )
        node = calls[index]
        if id(node) in begun:
            return
        begun.add(id(node))
        walk.keys.add(node_key(layer.name, index))
        walk.met.setdefault(layer, len(walk.met))
        stack.append((node, _parents(node)))

    for x in outputs:
        layer, index, _ = _history(x)
        enter(layer, index, x)
        while stack:
            node, parents = stack[-1]
            parent = next(parents, None)
            if parent is None:
                walk.finished.append(node)
                stack.pop()
            else:
                enter(*parent)
    return walk


def _history(tensor: Tensor) -> tuple[Layer, int, int]:
    history = keras_history(tensor)
    assert history is not None
    return history


def _parents(node: Node) -> Iterator[tuple[Layer, int, Tensor]]:
    """The calls that made the inputs of `node`, and these."""
    # An input layer lists its tensor as its own input, and no layer.
    for tensor, layer, index in zip(node.input_tensors, node.inbound_layers, node.node_indices, strict=False):
        if layer is None or index is None:
            raise ValueError(
                f"Graph disconnected: layer {node.outbound_layer.name} reads {tensor!r} "
                f"({tensor.origins[0]}), which no layer made; wrap the computation in a `Lambda` layer, or "
                "the tensor in `Input(tensor=...)`."
            )
        yield layer, index, tensor


def _depths(finished: Sequence[Node]) -> tuple[dict[int, list[Node]], dict[int, list[Layer]]]:
    """Nodes and layers by their longest distance from an output; a layer lies as deep as its deepest call."""
    node_depths: dict[Node, int] = {}
    layer_depths: dict[Layer, int] = {}
    for node in reversed(finished):
        depth = max(node_depths.setdefault(node, 0), layer_depths.get(node.outbound_layer, 0))
        layer_depths[node.outbound_layer] = depth
        node_depths[node] = depth
        for parent_layer, index, _ in _parents(node):
            parent = parent_layer._inbound_nodes[index]
            node_depths[parent] = max(depth + 1, node_depths.get(parent, 0))
    nodes: dict[int, list[Node]] = defaultdict(list)
    for node, depth in node_depths.items():
        nodes[depth].append(node)
    layers: dict[int, list[Layer]] = defaultdict(list)
    for layer, depth in layer_depths.items():
        layers[depth].append(layer)
    return dict(nodes), dict(layers)


def _check_connected(inputs: Sequence[Tensor], nodes_by_depth: dict[int, list[Node]]) -> None:
    computable = {id(x) for x in inputs}
    complete: list[str] = []
    for depth in sorted(nodes_by_depth, reverse=True):
        for node in nodes_by_depth[depth]:
            for x in node.input_tensors:
                if id(x) not in computable:
                    raise ValueError(
                        f'Graph disconnected: cannot obtain value for tensor {x!r} at layer "'
                        f'{node.outbound_layer.name}". The following previous layers were accessed without '
                        f"issue: {complete}"
                    )
            computable.update(id(x) for x in node.output_tensors)
            complete.append(node.outbound_layer.name)


def _check_names(layers: Sequence[Layer]) -> None:
    for name, count in Counter(layer.name for layer in layers).items():
        if count > 1:
            raise ValueError(
                f'The name "{name}" is used {count} times in the model. All layer names should be unique.'
            )
