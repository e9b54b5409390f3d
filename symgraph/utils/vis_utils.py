"""Pictures of models, as in Keras; neither pydot nor Graphviz is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx

from symgraph.inspection.draw.dot import Dot
from symgraph.inspection.draw.drawing import Box, Sketch
from symgraph.inspection.draw.palette import layer_kind


def model_to_dot(
    model: Any, show_shapes: bool = False, show_layer_names: bool = True, rankdir: str = "TB"
) -> Dot:
    """A model's layers as a graph for Graphviz.

    Parameters
    ----------
    model : Model
    show_shapes, show_layer_names : bool
        What the boxes tell.
    rankdir : str
        TB for layers from top to bottom, LR from left to right.

    Returns
    -------
    Dot
        Has `to_string()`, `write(path, format=)` and `create(format=)`, as `pydot.Dot` has.
    """
    return Dot(layer_sketch(model, show_shapes, show_layer_names), rankdir)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
) -> None:
    """Draw a model's layers into a file.

    Its name ends in ``.png`` (or has no ending; needs Pillow), ``.svg`` or ``.dot``.

    Parameters
    ----------
    model : Model
    to_file : path
    show_shapes, show_layer_names, rankdir
        See `model_to_dot`.

    Raises
    ------
    ValueError
        Another ending, another direction.
    ImportError
        A PNG is asked for, and Pillow is missing.
    """
    form = Path(to_file).suffix.removeprefix(".").lower() or "png"
    model_to_dot(model, show_shapes, show_layer_names, rankdir).write(to_file, format=form)


def layer_graph(model: Any) -> networkx.DiGraph:
    """The layers of a model as a networkx graph.

    Nodes are the layers' names, with the attributes `layer`, `class_name`, `input_shape`, `output_shape`
    (None where calls differ, or before the first one), `params` and `trainable`. An edge says that a layer
    reads another; its `calls` are the numbers of the calls that do.
    """
    _build(model)
    graph = networkx.DiGraph(name=model.name)
    for layer in model.layers:
        graph.add_node(
            layer.name,
            layer=layer,
            class_name=type(layer).__name__,
            input_shape=_attribute(layer, "input_shape"),
            output_shape=_attribute(layer, "output_shape"),
            params=layer.count_params() if layer.built else None,
            trainable=layer.trainable,
        )
    for source, target, call in _links(model):
        if graph.has_edge(source, target):
            graph.edges[source, target]["calls"] += (call,)
        else:
            graph.add_edge(source, target, calls=(call,))
    return graph


def _build(model: Any) -> None:
    """A Sequential model that knows its input shape is built, as Keras does before it draws one."""
    if not model.built and type(model).__name__ == "Sequential":
        model.build()


def _links(model: Any) -> Iterator[tuple[str, str, int]]:
    """Who reads whom in this network: names of source and target, and the number of the target's call."""
    levels = getattr(model, "_nodes_by_depth", None) or {}
    inside = {id(node) for level in levels.values() for node in level}
    known = {id(layer) for layer in model.layers}
    for layer in model.layers:
        for number, node in enumerate(layer._inbound_nodes):
            if id(node) in inside:
                for source in node.inbound_layers:
                    if source is not None and id(source) in known:
                        yield source.name, layer.name, number


def _attribute(layer: Any, name: str) -> Any:
    """A shape; None where the layer was not called, or its calls differ."""
    return getattr(layer, name, None)


def layer_sketch(model: Any, show_shapes: bool = False, show_layer_names: bool = True) -> Sketch:
    """The layers of a model as boxes, labelled as Keras' `plot_model` does."""
    graph = layer_graph(model)
    number = {name: str(i) for i, name in enumerate(graph)}
    boxes = tuple(
        Box(
            number[name],
            _title(data["layer"], show_layer_names),
            _shapes(data) if show_shapes else (),
            layer_kind(_class_name(data["layer"])),
        )
        for name, data in graph.nodes(data=True)
    )
    arrows = tuple((number[s], number[t]) for s, t in graph.edges)
    return Sketch(boxes, arrows, (), model.name)


def _wrapped(layer: Any) -> Any:
    """What a wrapper is around; None for other layers."""
    inner = getattr(layer, "layer", None)
    return inner if hasattr(inner, "_inbound_nodes") else None


def _class_name(layer: Any) -> str:
    inner = _wrapped(layer)
    name = type(layer).__name__
    return name if inner is None else f"{name}({type(inner).__name__})"


def _title(layer: Any, show_layer_names: bool) -> str:
    inner = _wrapped(layer)
    name = layer.name if inner is None else f"{layer.name}({inner.name})"
    return f"{name}: {_class_name(layer)}" if show_layer_names else _class_name(layer)


def _shapes(data: dict[str, Any]) -> tuple[str, ...]:
    texts = ["multiple" if data[key] is None else str(data[key]) for key in ("input_shape", "output_shape")]
    return f"input: {texts[0]}", f"output: {texts[1]}"
