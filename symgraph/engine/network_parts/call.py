"""A network called again: its layers applied to other inputs, or to shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import backend as K
from symgraph.engine.base_layer import Layer, uses_learning_phase
from symgraph.engine.layer.node import Node
from symgraph.engine.layer.rollback import NamedErrors
from symgraph.engine.layer.shapes import Shape, merged_shape
from symgraph.engine.network_parts.map import MappedNetwork
from symgraph.graph.origin import layer_scope
from symgraph.graph.tensor import Tensor
from symgraph.utils.generic_utils import has_arg, to_list, unpack_singleton

Computed = dict[int, tuple[Tensor, Tensor | None]]
"""New tensor and mask for each tensor (by id) of the network as it was made."""


def run_network(
    network: MappedNetwork, inputs: Sequence[Tensor], masks: Sequence[Tensor | None]
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Call all layers on new inputs, and hand their losses and updates to the network.

    Returns
    -------
    outputs : list of Tensor
    masks : list of Tensor or None
    """
    computed: Computed = {
        id(x): (new, mask) for x, new, mask in zip(network.inputs, inputs, masks, strict=True)
    }
    for node in _in_order(network):
        # The inputs themselves are there already.
        if all(id(x) in computed for x in node.output_tensors):
            continue
        _run_node(network, node, computed, inputs)
    results = [_known(computed, x, network) for x in network.outputs]
    return [x for x, _ in results], [mask for _, mask in results]


def _known(computed: Computed, x: Tensor, network: MappedNetwork) -> tuple[Tensor, Tensor | None]:
    if id(x) not in computed:
        raise ValueError(
            f"model {network.name}: {x!r} is not computed from the inputs by the layers of the model; were "
            "its `inputs` or `outputs` set? Make a new `Model(inputs, outputs)`"
        )
    return computed[id(x)]


def _in_order(network: MappedNetwork) -> list[Node]:
    return [
        node
        for depth in sorted(network._nodes_by_depth, reverse=True)
        for node in network._nodes_by_depth[depth]
    ]


def _run_node(network: MappedNetwork, node: Node, computed: Computed, inputs: Sequence[Tensor]) -> None:
    layer = node.outbound_layer
    found = [_known(computed, x, network) for x in node.input_tensors]
    tensors, masks = [x for x, _ in found], [mask for _, mask in found]
    arguments = dict(node.arguments)
    if has_arg(layer.call, "mask"):
        arguments.setdefault("mask", unpack_singleton(masks))
    with NamedErrors(layer.name), layer_scope(layer.name):
        outputs = to_list(layer.call(unpack_singleton(tensors), **arguments), allow_tuple=True)
        output_masks = to_list(layer.compute_mask(unpack_singleton(tensors), unpack_singleton(masks)))
        if len(output_masks) == 1:
            output_masks *= len(outputs)
        if len(output_masks) != len(outputs):
            raise ValueError(
                f"Layers should have equal number of output tensors and output masks. Layer {layer.name} has "
                f"{len(outputs)} output tensors and {len(output_masks)} output masks."
            )
        layer._add_activity_losses(tensors, outputs)
    _hand_on(network, layer, tensors, inputs)
    _note(layer, tensors, outputs)
    computed.update(
        (id(x), (new, mask)) for x, new, mask in zip(node.output_tensors, outputs, output_masks, strict=True)
    )


def _hand_on(network: MappedNetwork, layer: Layer, tensors: list[Tensor], inputs: Sequence[Tensor]) -> None:
    """Add the layer's losses and updates to those of the network."""
    network.add_update(list(layer.get_updates_for(tensors)), list(inputs))
    network.add_update(list(layer.get_updates_for(None)), None)
    network.add_loss(list(layer.get_losses_for(tensors)), list(inputs))
    network.add_loss(list(layer.get_losses_for(None)), None)


def _note(layer: Layer, tensors: list[Tensor], outputs: Sequence[Tensor]) -> None:
    """Write down the Keras shapes of the outputs, and whether they depend on the learning phase."""
    learning = getattr(layer, "uses_learning_phase", False) or any(uses_learning_phase(x) for x in tensors)
    shapes = layer._output_shapes(unpack_singleton(tensors), outputs)
    for x, shape in zip(outputs, shapes, strict=True):
        if getattr(x, "_keras_history", None) is None:
            x._keras_shape = merged_shape(K.int_shape(x), shape)
            x._uses_learning_phase = learning or uses_learning_phase(x)


def compute_shapes(network: MappedNetwork, input_shapes: Sequence[Any]) -> list[Shape]:
    """The shapes of the outputs for inputs of these shapes; no graph is written."""
    shapes: dict[int, Any] = {}
    for x, shape in zip(network.inputs, input_shapes, strict=True):
        shapes[id(x)] = tuple(shape)
    for node in _in_order(network):
        if all(id(x) in shapes for x in node.output_tensors):
            continue
        found = node.outbound_layer.compute_output_shape(
            unpack_singleton([shapes[id(x)] for x in node.input_tensors])
        )
        several = isinstance(found, list) and len(node.output_tensors) == len(found)
        for x, shape in zip(node.output_tensors, found if several else [found], strict=True):
            shapes[id(x)] = tuple(shape)
    return [shapes[id(x)] for x in network.outputs]
