"""The list `model.layers`: changing it changes the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, SupportsIndex

from symgraph.engine.base_layer import Layer
from symgraph.engine.input_layer import InputLayer
from symgraph.engine.layer.node import node_key
from symgraph.engine.network_parts.map import MappedNetwork
from symgraph.graph.tensor import Tensor
from symgraph.utils.generic_utils import to_list


class Follower(Protocol):
    """What changes with the list of its layers."""

    def _follow_layers(self, before: list[Layer], after: list[Layer]) -> None:
        """Become a model of the layers `after`."""


class LayerList(list[Layer]):
    """The layers of a model. A change of the list that the model cannot follow is refused (ValueError).

    Parameters
    ----------
    model : Follower
        Its `_follow_layers` gets the new layers before the list changes.
    layers : iterable of Layer
    """

    def __init__(self, model: Follower, layers: Iterable[Layer]) -> None:
        super().__init__(layers)
        self._model = model

    def _become(self, layers: list[Layer]) -> None:
        self._model._follow_layers(list(self), layers)
        super().__setitem__(slice(None), layers)

    def __reduce__(self) -> Any:
        return list, (list(self),)

    def pop(self, index: SupportsIndex = -1) -> Layer:
        """Take a layer out of the model, by default the top one."""
        layers = list(self)
        taken = layers.pop(index)
        self._become(layers)
        return taken

    def remove(self, value: Layer) -> None:
        """Take this layer out."""
        layers = list(self)
        layers.remove(value)
        self._become(layers)

    def append(self, layer: Layer) -> None:
        """Put a layer on top."""
        self._become([*self, layer])

    def extend(self, layers: Iterable[Layer]) -> None:
        """Put layers on top, in this order."""
        self._become([*self, *layers])

    def insert(self, index: SupportsIndex, layer: Layer) -> None:
        """Put a layer between others."""
        layers = list(self)
        layers.insert(index, layer)
        self._become(layers)

    def clear(self) -> None:
        """Take all layers out."""
        self._become([])

    def __setitem__(self, index: Any, value: Any) -> None:
        layers = list(self)
        layers[index] = value
        self._become(layers)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        layers = list(self)
        del layers[index]
        self._become(layers)

    def __iadd__(self, layers: Iterable[Layer]) -> LayerList:  # type: ignore[misc, override]
        self.extend(layers)
        return self


def outputs_for(network: MappedNetwork, before: list[Layer], after: list[Layer]) -> list[Tensor]:
    """The outputs of a functional network whose list of layers is cut, or extended, at its end.

    What a layer that is gone gave is replaced by what it read; layers on top are called on the outputs.

    Raises
    ------
    ValueError
        If other layers read what a layer that is gone gave, or layers are put between others.
    """
    gone = [layer for layer in before if all(layer is not other for other in after)]
    new = [layer for layer in after if all(layer is not other for other in before)]
    # Tutorials take the input layer off the list, and call the model on another input then.
    gone = [layer for layer in gone if not isinstance(layer, InputLayer)]
    if new and new != after[len(after) - len(new) :]:
        raise ValueError(
            f"{network.name}: layers can only be put on top; make a new `Model` for another graph"
        )
    outputs = list(network.outputs)
    for layer in reversed(gone):
        outputs = _without(network, layer, outputs)
    for layer in new:
        outputs = to_list(layer(outputs if len(outputs) > 1 else outputs[0]), allow_tuple=True)
    return outputs


def _without(network: MappedNetwork, layer: Layer, outputs: list[Tensor]) -> list[Tensor]:
    """`outputs` with what `layer` read in the place of what it gave."""
    read: list[Tensor] = []
    for x in outputs:
        maker, index, _ = x._keras_history
        read += [x] if maker is not layer else maker._inbound_nodes[index].input_tensors
    needed = _makers(network, read)
    if layer in needed:
        raise ValueError(
            f"{network.name}: other layers read the output of {layer.name}, only layers at the top can be "
            "taken out; make a new `Model` for another graph"
        )
    return list(dict.fromkeys(read))


def _makers(network: MappedNetwork, tensors: list[Tensor]) -> set[Layer]:
    """The layers of the network that `tensors` are computed by."""
    found: set[Layer] = set()
    stack, seen = list(tensors), set()
    while stack:
        layer, index, _ = stack.pop()._keras_history
        if (layer, index) in seen or node_key(layer.name, index) not in network._network_nodes:
            continue
        seen.add((layer, index))
        found.add(layer)
        node = layer._inbound_nodes[index]
        stack += [x for x, below in zip(node.input_tensors, node.inbound_layers, strict=False) if below]
    return found


def in_order(outputs: Iterable[Tensor]) -> list[Layer]:
    """The layers below `outputs` without input layers, each behind those it reads: branch after branch."""
    found: list[Layer] = []
    waiting: list[tuple[Tensor, bool]] = [(x, False) for x in reversed(list(outputs))]
    while waiting:
        x, ready = waiting.pop()
        layer, index, _ = x._keras_history
        if layer in found or isinstance(layer, InputLayer):
            continue
        if ready:
            found.append(layer)
            continue
        waiting.append((x, True))
        waiting += [(read, False) for read in reversed(layer._inbound_nodes[index].input_tensors)]
    return found
