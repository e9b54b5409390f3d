"""Functional networks to and from configurations."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from symgraph.engine.base_layer import Layer
from symgraph.engine.files.layer_config import deserialize, json_value
from symgraph.engine.layer.node import Node, node_key
from symgraph.engine.network_parts.map import MappedNetwork
from symgraph.graph.tensor import Tensor
from symgraph.utils.config_errors import config_errors
from symgraph.utils.generic_utils import unpack_singleton
from symgraph.utils.warn_user import warn_user


def network_config(network: MappedNetwork) -> dict[str, Any]:
    """The configuration of a functional network: its layers, how they are joined, inputs and outputs."""
    kept = _kept_indices(network)
    layers = []
    for layer in _all_layers(network):
        calls = [
            _call_config(layer, node, kept)
            for index, node in enumerate(layer._inbound_nodes)
            if node_key(layer.name, index) in network._network_nodes and node.inbound_layers
        ]
        layers.append(
            {
                "name": layer.name,
                "class_name": type(layer).__name__,
                "config": layer.get_config(),
                "inbound_nodes": calls,
            }
        )
    config = {
        "name": network.name,
        "layers": layers,
        "input_layers": _ends(network._input_coordinates, kept),
        "output_layers": _ends(network._output_coordinates, kept),
    }
    return copy.deepcopy({**config, **frozen_config(network)})


def frozen_config(network: MappedNetwork) -> dict[str, Any]:
    """What the configuration of a frozen network has further. Keras 2.2.4 passes over it."""
    return {} if network.trainable else {"trainable": False}


def _all_layers(network: MappedNetwork) -> list[Layer]:
    """The layers, and before them those of inputs that no output depends on."""
    unused = [layer for layer in network._input_layers if layer not in network.layers]
    return [*dict.fromkeys(unused), *network.layers]


def _kept_indices(network: MappedNetwork) -> dict[str, int]:
    """New numbers of the calls that belong to the network; a layer's other calls are left out."""
    kept = {node_key(layer.name, index): 0 for layer, index, _ in network._input_coordinates}
    for layer in network.layers:
        # A network has a call of its own from the start, that joins its inputs to its outputs.
        number = 1 if hasattr(layer, "_network_nodes") else 0
        for index in range(len(layer._inbound_nodes)):
            key = node_key(layer.name, index)
            if key in network._network_nodes:
                kept[key] = number
                number += 1
    return kept


def _call_config(layer: Layer, node: Node, kept: Mapping[str, int]) -> list[list[Any]]:
    arguments = node.arguments
    try:
        json.dumps(arguments, default=json_value)
    except TypeError:
        warn_user(
            f"Layer {layer.name} was passed non-serializable keyword arguments: {arguments}. They will not "
            "be included in the serialized model (and thus will be missing at deserialization time).",
        )
        arguments = {}
    return [
        [inbound.name, kept.get(node_key(inbound.name, node_index), 0), tensor_index, arguments]
        for inbound, node_index, tensor_index in zip(
            node.inbound_layers, node.node_indices, node.tensor_indices, strict=True
        )
        if inbound is not None and node_index is not None
    ]


def _ends(coordinates: Sequence[tuple[Layer, int, int]], kept: Mapping[str, int]) -> list[list[Any]]:
    return [[layer.name, kept[node_key(layer.name, index)], part] for layer, index, part in coordinates]


def rebuild(
    config: Any, custom_objects: Mapping[str, Any] | None = None, *, safe_mode: bool = True
) -> tuple[list[Tensor], list[Tensor], str | None]:
    """Make the layers of a configuration and join them.

    Parameters
    ----------
    config : dict
        As `network_config` writes it.
    custom_objects : mapping, optional
    safe_mode : bool
        See `deserialize`.

    Returns
    -------
    inputs, outputs : list of Tensor
    name : str or None

    Raises
    ------
    ValueError
        If the configuration is damaged: parts are missing, or joints that nothing makes.
    """
    for key in ("layers", "input_layers", "output_layers"):
        if not isinstance(config, dict) or not isinstance(config.get(key), (list, tuple)):
            raise ValueError(f"Improperly formatted model config: expected a dict with the list {key!r}")
    made: dict[str, Layer] = {}
    waiting: list[tuple[Layer, deque[Any]]] = []
    for data in config["layers"]:
        if not isinstance(data, dict) or "class_name" not in data or "config" not in data:
            raise ValueError(f"Improperly formatted model config: a layer is described by {str(data)[:200]}")
        layer = deserialize(data, custom_objects, safe_mode=safe_mode)
        name = data.get("name", layer.name)
        calls = data.get("inbound_nodes", ())
        if not isinstance(name, str) or not isinstance(calls, (list, tuple)):
            raise ValueError(
                f"Improperly formatted model config: layer {layer.name} has the name {name!r:.80} and the "
                f"inbound_nodes {calls!r:.80}"
            )
        if name in made:
            raise ValueError(
                f'The name "{name}" is used twice in the model. All layer names should be unique.'
            )
        made[name] = layer
        waiting.append((layer, deque(calls)))
    _join(made, waiting)
    inputs = [_tensor(made, end) for end in _listed(config["input_layers"])]
    outputs = [_tensor(made, end) for end in _listed(config["output_layers"])]
    return inputs, outputs, config.get("name")


def _join(made: Mapping[str, Layer], waiting: Sequence[tuple[Layer, deque[Any]]]) -> None:
    """Call the layers, each in the order of its calls, as soon as their inputs exist."""
    progress = True
    while progress:
        progress = False
        for layer, calls in waiting:
            with config_errors(f"layer {layer.name}"):
                while calls and all(_exists(made, joint) for joint in _joints(calls[0])):
                    joints = _joints(calls.popleft())
                    arguments = joints[0][3] if len(joints[0]) > 3 else {}
                    layer(unpack_singleton([_tensor(made, joint) for joint in joints]), **arguments)
                    progress = True
    stuck = [layer.name for layer, calls in waiting if calls]
    if stuck:
        raise ValueError(
            f"Improperly formatted model config: the inputs of the layers {stuck} are not made by any layer "
            "of the model"
        )


def _joints(call: Any) -> list[Any]:
    valid = (
        isinstance(call, (list, tuple))
        and call
        and all(
            isinstance(joint, (list, tuple))
            and len(joint) in (3, 4)
            and isinstance(joint[0], str)
            and isinstance(joint[1], int)
            and isinstance(joint[2], int)
            and (len(joint) == 3 or isinstance(joint[3], dict))
            for joint in call
        )
    )
    if not valid:
        raise ValueError(
            "Improperly formatted model config: expected [layer name, node index, tensor index, keywords] "
            f"for each input of a call, got {str(call)[:200]}"
        )
    return list(call)


def _exists(made: Mapping[str, Layer], joint: Sequence[Any]) -> bool:
    return joint[0] in made and 0 <= joint[1] < len(made[joint[0]]._inbound_nodes)


def _tensor(made: Mapping[str, Layer], joint: Any) -> Tensor:
    (name, node_index, tensor_index, *_), *_ = _joints([joint])
    outputs = made[name]._inbound_nodes[node_index].output_tensors if _exists(made, joint) else []
    if not 0 <= tensor_index < len(outputs):
        raise ValueError(f"Improperly formatted model config: there is no output {list(joint[:3])}")
    output: Tensor = outputs[tensor_index]
    return output


def _listed(ends: Sequence[Any]) -> Sequence[Any]:
    """Some versions write the only input or output without the outer list."""
    return [ends] if ends and isinstance(ends[0], str) else ends
