"""How layers are joined: one node for each call of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from symgraph.engine.layer.shapes import Shape
from symgraph.graph.tensor import Tensor

if TYPE_CHECKING:
    from symgraph.engine.base_layer import Layer


class Node:
    """One call of a layer: which tensors went in, from which layers they came, and what came out.

    The node is entered in `inbound_nodes` of the called layer and in `outbound_nodes` of every layer whose
    output it reads.

    Parameters
    ----------
    outbound_layer : Layer
        The layer that was called.
    inbound_layers : sequence of Layer or None
        For each input the layer that made it, None for a tensor that no layer made.
    node_indices, tensor_indices : sequence of int or None
        Input i is output `tensor_indices[i]` of call `node_indices[i]` of `inbound_layers[i]`.
    input_tensors, output_tensors : sequence of Tensor
    input_masks, output_masks : sequence of Tensor or None
    input_shapes, output_shapes : sequence of tuple
    arguments : dict, optional
        Further keywords of the call.
    """

    def __init__(
        self,
        outbound_layer: Layer,
        inbound_layers: Sequence[Layer | None],
        node_indices: Sequence[int | None],
        tensor_indices: Sequence[int | None],
        input_tensors: Sequence[Tensor],
        output_tensors: Sequence[Tensor],
        input_masks: Sequence[Tensor | None],
        output_masks: Sequence[Tensor | None],
        input_shapes: Sequence[Shape],
        output_shapes: Sequence[Shape],
        arguments: dict[str, Any] | None = None,
    ) -> None:
        self.outbound_layer = outbound_layer
        self.inbound_layers = list(inbound_layers)
        self.node_indices = list(node_indices)
        self.tensor_indices = list(tensor_indices)
        self.input_tensors = list(input_tensors)
        self.output_tensors = list(output_tensors)
        self.input_masks = list(input_masks)
        self.output_masks = list(output_masks)
        self.input_shapes = list(input_shapes)
        self.output_shapes = list(output_shapes)
        self.arguments = arguments or {}
        for layer in self.inbound_layers:
            if layer is not None:
                layer._outbound_nodes.append(self)
        outbound_layer._inbound_nodes.append(self)

    def get_config(self) -> dict[str, Any]:
        """Names of the joined layers and the indices of the joints."""
        return {
            "outbound_layer": self.outbound_layer.name,
            "inbound_layers": [layer.name if layer is not None else None for layer in self.inbound_layers],
            "node_indices": self.node_indices,
            "tensor_indices": self.tensor_indices,
        }


def node_key(layer_name: str, node_index: int) -> str:
    """The name of a layer's call number `node_index` inside a network."""
    return f"{layer_name}_ib-{node_index}"


def keras_history(tensor: Tensor) -> tuple[Layer, int, int] | None:
    """The layer that made `tensor`, which call of it, and which output; None where no layer made it."""
    history: tuple[Layer, int, int] | None = getattr(tensor, "_keras_history", None)
    return history


def previous_mask(tensor: Tensor) -> Tensor | None:
    """The mask that the layer which made `tensor` gave to it, or None."""
    history = keras_history(tensor)
    if history is None:
        return None
    layer, node_index, tensor_index = history
    mask: Tensor | None = layer._inbound_nodes[node_index].output_masks[tensor_index]
    return mask
