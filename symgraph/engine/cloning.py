"""Copies of models: the same layers once more, with new weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.sequential import Sequential
from symgraph.engine.training import Model
from symgraph.graph.tensor import Tensor
from symgraph.utils.generic_utils import to_list, unpack_singleton


def clone_model(model: Model, input_tensors: Any = None) -> Model:
    """A model of the same architecture, with layers of its own and newly initialised weights.

    Parameters
    ----------
    model : Model
        Functional or Sequential. It is not compiled in the copy.
    input_tensors : Tensor or list of Tensor, optional
        What the copy is built on; by default new inputs like those of `model`.

    Raises
    ------
    ValueError
        If `model` is no such model, or `input_tensors` do not suit it.
    """
    if isinstance(model, Sequential) and not model._joins:
        copy = _clone_sequential(model, input_tensors)
    elif isinstance(model, Model) and model._is_graph_network:
        copy = _clone_functional(model, input_tensors)
    else:
        raise ValueError(f"clone_model expects a functional or Sequential model, got {model!r}")
    copy.trainable = model.trainable
    return copy


def _copied(layer: Layer) -> Layer:
    if isinstance(layer, Model) and (layer._is_graph_network or isinstance(layer, Sequential)):
        return clone_model(layer)
    return layer._copy()


def _clone_functional(model: Model, input_tensors: Any) -> Model:
    inputs = _new_inputs(model) if input_tensors is None else _given_inputs(model, to_list(input_tensors))
    tensors = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
    copies: dict[int, Layer] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if all(id(x) in tensors for x in node.output_tensors):
                continue
            layer = node.outbound_layer
            if id(layer) not in copies:
                copies[id(layer)] = _copied(layer)
            arguments = [tensors[id(x)] for x in node.input_tensors]
            outputs = to_list(copies[id(layer)](unpack_singleton(arguments), **node.arguments))
            tensors.update((id(old), new) for old, new in zip(node.output_tensors, outputs, strict=True))
    outputs = [tensors[id(x)] for x in model.outputs]
    if isinstance(model, Sequential):
        return Sequential._of_graph(inputs, outputs, model.name, model.trainable)
    return Model(inputs, outputs, name=model.name)


def _new_inputs(model: Model) -> list[Tensor]:
    return [
        Input(batch_shape=x._keras_shape, dtype=K.dtype(x), sparse=K.is_sparse(x), name=layer.name)
        for x, layer in zip(model.inputs, model._input_layers, strict=True)
    ]


def _given_inputs(model: Model, given: Sequence[Any]) -> list[Tensor]:
    if len(given) != len(model.inputs):
        raise ValueError(f"{model.name}: expected {len(model.inputs)} `input_tensors`, got {len(given)}")
    return [
        x if K.is_keras_tensor(x) else Input(tensor=x, name=f"input_wrapper_for_{layer.name}")
        for x, layer in zip(given, model._input_layers, strict=True)
    ]


def _clone_sequential(model: Sequential, input_tensors: Any) -> Model:
    if input_tensors is None:
        return Sequential([_copied(layer) for layer in model._configured_layers], name=model.name)
    layers = [_copied(layer) for layer in model.layers]
    given = to_list(input_tensors)
    if len(given) != 1:
        raise ValueError(
            "To clone a `Sequential` model, we expect at most one tensor as part of `input_tensors`, got "
            f"{len(given)}"
        )
    (x,) = given
    if not K.is_keras_tensor(x):
        x = Input(tensor=x, name=f"input_wrapper_for_{getattr(x, 'name', None) or model.name}")
    origin = x._keras_history[0]
    if not isinstance(origin, InputLayer):
        raise ValueError(
            "Cannot clone a `Sequential` model on top of a tensor that comes from a Keras layer other "
            "than an `InputLayer`. Use the functional API instead."
        )
    return Sequential([origin, *layers], name=model.name)
