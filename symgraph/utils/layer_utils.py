"""Helpers for layers and models: the summary table, parameter counts, kernel conversions."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.globals import TF_KERAS, answers_as
from symgraph.utils.conv_utils import convert_kernel

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


def __getattr__(name: str) -> Any:
    # Keras 1 had it here. It makes layers, whose modules need this one.
    if name == "layer_from_config":
        return importlib.import_module("symgraph.engine.files.layer_config").layer_from_config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def count_params(weights: Iterable[Any]) -> int:
    """The number of scalars in `weights`; a weight that is listed twice counts once."""
    return sum(math.prod(weight.shape) for weight in dict.fromkeys(weights))


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Print a table of a model's layers, exactly as Keras 2.2.4 does, or tf.keras where that name is used.

    Parameters
    ----------
    model : Network
    line_length : int, optional
        Default 65, or 98 where the table has a column of connections.
    positions : sequence of float, optional
        Where the columns end: fractions of the line, or absolute if the last is above 1.
    print_fn : callable, optional
        Is called with each line; default `print`.
    """
    show = print if print_fn is None else print_fn
    plain = _is_chain(model)
    length = line_length or (65 if plain else 98)
    ends = positions or ((0.45, 0.85, 1.0) if plain else (0.33, 0.55, 0.67, 1.0))
    columns = [int(length * end) for end in ends] if ends[-1] <= 1 else [int(end) for end in ends]
    titles = ["Layer (type)", "Output Shape", "Param #"] + ([] if plain else ["Connected to"])
    nodes = None if plain else {id(node) for level in model._nodes_by_depth.values() for node in level}

    if answers_as() == TF_KERAS:
        show(f'Model: "{model.name}"')
    show("_" * length)
    show(_row(titles, columns))
    show("=" * length)
    layers = model.layers
    for number, layer in enumerate(layers, start=1):
        for fields in _layer_rows(layer, nodes):
            show(_row(fields, columns))
        show(("=" if number == len(layers) else "_") * length)
    _show_counts(model, length, show)


def _show_counts(model: Any, length: int, show: Callable[[str], Any]) -> None:
    model._check_trainable_weights_consistency()
    trainable = count_params(getattr(model, "_collected_trainable_weights", model.trainable_weights))
    frozen = count_params(model.non_trainable_weights)
    show(f"Total params: {trainable + frozen:,}")
    show(f"Trainable params: {trainable:,}")
    show(f"Non-trainable params: {frozen:,}")
    show("_" * length)


def _is_chain(model: Any) -> bool:
    """Whether each layer reads the one before it and nothing else: no column of connections then."""
    if type(model).__name__ == "Sequential" or not model._is_graph_network:
        return True
    levels = model._nodes_by_depth.values()
    if any(len(level) > 1 or len(level[0].inbound_layers) > 1 for level in levels):
        return False
    nodes = {id(level[0]) for level in levels}
    return all(sum(id(node) in nodes for node in layer._inbound_nodes) <= 1 for layer in model.layers)


def _layer_rows(layer: Any, nodes: set[int] | None) -> list[list[Any]]:
    try:
        shape: Any = layer.output_shape
    except AttributeError:
        shape = "multiple"
    fields = [f"{layer.name} ({type(layer).__name__})", shape, layer.count_params()]
    if nodes is None:
        return [fields]
    connections = [
        f"{inbound.name}[{node_index}][{tensor_index}]"
        for node in layer._inbound_nodes
        if id(node) in nodes
        for inbound, node_index, tensor_index in zip(
            node.inbound_layers, node.node_indices, node.tensor_indices, strict=True
        )
    ]
    first = connections[0] if connections else ""
    return [[*fields, first], *(["", "", "", other] for other in connections[1:])]


def _row(fields: Sequence[Any], columns: Sequence[int]) -> str:
    line = ""
    for index, (field, end) in enumerate(zip(fields, columns, strict=False)):
        # A field that fills its column loses its last character to the gap.
        line = (line[:-1] + " " if index else "") + str(field)
        line = line[:end].ljust(end)
    return line


def convert_all_kernels_in_model(model: Any) -> None:
    """Turn every convolution kernel by 180 degrees: Theano's convention to TensorFlow's, or back."""
    for layer in model.layers:
        if type(layer).__name__ in _CONVOLUTIONS:
            layer.kernel.set_value(convert_kernel(layer.kernel.get_value()))


def convert_dense_weights_data_format(
    dense: Any, previous_feature_map_shape: Sequence[int], target_data_format: str = "channels_first"
) -> None:
    """Reorder the kernel of a Dense layer that follows a Flatten, for pictures of the other layout.

    Parameters
    ----------
    dense : Dense
    previous_feature_map_shape : tuple of 3 int
        The shape before the Flatten in the *new* layout, as in Keras: (channels, rows, columns) if the target
        is 'channels_first', (rows, columns, channels) if it is 'channels_last'.
    target_data_format : str
        'channels_first' or 'channels_last'.

    Raises
    ------
    ValueError
        If the format is neither, or the sizes do not fit the kernel.
    """
    orders = {"channels_first": (2, 0, 1, 3), "channels_last": (1, 2, 0, 3)}
    if target_data_format not in orders:
        raise ValueError(
            "The `data_format` argument must be one of 'channels_first', 'channels_last'; got "
            f"{target_data_format!r}"
        )
    kernel, *rest = dense.get_weights()
    if math.prod(previous_feature_map_shape) != kernel.shape[0]:
        raise ValueError(
            f"layer {dense.name}: expected a feature map of {kernel.shape[0]} values, got the shape "
            f"{tuple(previous_feature_map_shape)}"
        )
    new = tuple(previous_feature_map_shape)
    old = (*new[1:], new[0]) if target_data_format == "channels_first" else (new[2], *new[:2])
    maps = kernel.reshape(*old, kernel.shape[1])
    dense.set_weights([np.transpose(maps, orders[target_data_format]).reshape(kernel.shape), *rest])


def get_source_inputs(tensor: Any, layer: Any = None, node_index: int | None = None) -> list[Any]:
    """The outputs of input layers that `tensor` is computed from, each once, in the order of first use.

    Parameters
    ----------
    tensor : Tensor
        One that no layer made is its own source.
    layer : Layer, optional
        The layer that made the tensor; default: as the tensor says.
    node_index : int, optional
        Which call of `layer` made it.
    """
    sources: list[Any] = []
    seen: set[int] = set()
    start = None if layer is None else _node(layer, node_index or 0)
    stack = [(tensor, start)]
    while stack:
        current, node = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        history = getattr(current, "_keras_history", None)
        if node is None and history is not None:
            node = _node(history[0], history[1])
        if node is not None and node.inbound_layers:
            stack.extend((x, None) for x in reversed(node.input_tensors))
        else:
            sources.append(current)
    return sources


def _node(layer: Any, index: int) -> Any:
    return layer._inbound_nodes[index] if layer._inbound_nodes else None
