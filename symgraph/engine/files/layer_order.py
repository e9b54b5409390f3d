"""Models that a configuration of Keras 0.3 or 1 became: the order of their layers in files, their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.hdf5 import version_of
from symgraph.utils.hdf5_reader import GuardedGroup

_ORDER = "_layer_order_of_keras_1"


def remember_order(model: Any, order: Sequence[str]) -> None:
    """Note in which order the files of Keras 0.3 and 1 list the layers of a model, by their names."""
    if order:
        setattr(model, _ORDER, tuple(order))


def layers_in_file_order(group: GuardedGroup, model: Any) -> list[Layer]:
    """The layers of a model in the order of a file.

    That is the order of `model.layers`, but where Keras 1 had a `Merge` below a Sequential, or a `Graph`: it
    went through these branch by branch. Names decide if they are the same.
    """
    order = getattr(model, _ORDER, ())
    if not order or version_of(group).split(".")[0] not in ("0", "1"):
        return list(model.layers)
    layers = {layer.name: layer for layer in model.layers}
    in_file = [name for name in group.texts("layer_names") if name in layers]
    with_weights = {name for name, layer in layers.items() if layer.weights}
    by_names = len(set(in_file)) == len(in_file) and with_weights <= set(in_file)
    return [layers[name] for name in (in_file if by_names else order) if name in layers]


def check_shapes(model: Any, shapes: Mapping[str, Sequence[int | None]]) -> None:
    """Raise ValueError where a layer has another output than its configuration says.

    Parameters
    ----------
    model : Layer
    shapes : mapping
        Shapes with the batch, by the names of layers at any depth.
    """
    for layer in _all_layers(model) if shapes else ():
        stated = shapes.get(layer.name)
        if stated is None or not layer._inbound_nodes:
            continue
        found = K.int_shape(layer.get_output_at(0))
        if len(stated) != len(found) or any(
            a is not None and b is not None and a != b for a, b in zip(stated[1:], found[1:], strict=True)
        ):
            raise ValueError(
                f"layer {layer.name}: expected an output of shape {tuple(stated)}, as its configuration says "
                f"(output_shape), but with its strides and padding it has the shape {tuple(found)}"
            )


def _all_layers(model: Any) -> Iterator[Any]:
    yield model
    for layer in getattr(model, "layers", ()):
        yield from _all_layers(layer)
