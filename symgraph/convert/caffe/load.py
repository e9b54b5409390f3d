"""From the two files of a Caffe network to a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.convert.caffe import norms, pictures, shapes, values
from symgraph.convert.caffe.context import Context
from symgraph.convert.caffe.inputs import DATA_TYPES, data_shape, given_shapes
from symgraph.convert.caffe.network import LOSSES, CaffeLayer, CaffeNetwork, read_network
from symgraph.convert.caffe.prototxt import read_prototxt
from symgraph.convert.caffe.weights import Blobs, read_weights
from symgraph.engine.input_layer import Input
from symgraph.engine.training import Model
from symgraph.graph.tensor import Tensor
from symgraph.utils.warn_user import warn_user

InputShape = Mapping[str, Sequence[int]] | Sequence[int] | None

_CONVERSIONS: dict[str, Callable[[Context, CaffeLayer], list[Tensor]]] = {
    "BatchNorm": norms.batch_norm, "Bias": norms.bias, "Concat": shapes.concat,
    "Convolution": pictures.convolution, "Crop": pictures.crop, "Deconvolution": pictures.deconvolution,
    "Dropout": values.dropout, "ELU": values.elu, "Eltwise": values.eltwise, "Flatten": shapes.flatten,
    "InnerProduct": shapes.inner_product, "LRN": norms.lrn, "PReLU": values.prelu,
    "Pooling": pictures.pooling, "Power": values.power, "ReLU": values.relu, "Reshape": shapes.reshape,
    "Scale": norms.scale, "Sigmoid": values.sigmoid, "SigmoidCrossEntropyLoss": values.sigmoid,
    "Softmax": values.softmax, "SoftmaxWithLoss": values.softmax, "Split": values.passed_on,
    "TanH": values.tanh,
}  # fmt: skip
# Layers that compute no result of the network: what they read is left as it is.
_DROPPED = (
    "Accuracy", "ContrastiveLoss", "EuclideanLoss", "HDF5Output", "HingeLoss", "InfogainLoss",
    "MultinomialLogisticLoss", "Silence",
)  # fmt: skip


def load_caffe(
    prototxt: str | os.PathLike[str],
    caffemodel: str | os.PathLike[str] | None = None,
    *,
    input_shape: InputShape = None,
) -> Model:
    """Make a model of a network that Caffe trained.

    Parameters
    ----------
    prototxt : path
        The network, of version 1 or 2: `deploy.prototxt`, or that of the training, whose test phase is taken.
    caffemodel : path, optional
        Its weights. Without them the model has new ones.
    input_shape : tuple of int, or dict of them by names of blobs, optional
        Shapes of a sample, (channels, rows, columns). Needed where layers read data of unknown size; replaces
        what the file says elsewhere.

    Returns
    -------
    Model
        It takes the blobs that Caffe takes, channels first: pictures of most networks are BGR from 0 to 255,
        less a mean. Layers that read data, with the mean that they subtract, are left out. A loss becomes the
        softmax or sigmoid in it. Outputs are the blobs that no other layer reads.

    Raises
    ------
    ValueError
        If a file is damaged, a layer or a parameter cannot be converted, or weights are missing or do not
        fit; with file, line and layer.
    OSError
        If a file cannot be read.

    Warns
    -----
    UserWarning
        If the weights have layers that the network has not.
    """
    network = read_network(read_prototxt(prototxt), str(prototxt))
    weights = None if caffemodel is None else read_weights(caffemodel)
    context = Context(weights, str(caffemodel))
    names = [layer.name for layer in network.layers]
    _merge_scales(context, network)
    inputs = _make_inputs(context, network, weights, input_shape)
    for layer in network.layers:
        if layer.type not in (*DATA_TYPES, *_DROPPED):
            _convert(context, layer)
    _warn_of_others(weights, names, str(caffemodel))
    outputs = _outputs(network, context)
    model: Model = Model(inputs, outputs, name=_model_name(prototxt))
    return model


def _model_name(path: str | os.PathLike[str]) -> str:
    return os.path.basename(os.fspath(path)).partition(".")[0] or "caffe"


def _convert(context: Context, layer: CaffeLayer) -> None:
    conversion = _CONVERSIONS.get(layer.type)
    if conversion is None:
        raise layer.error("layers of this type cannot be converted")
    try:
        results = conversion(context, layer)
    except (ValueError, TypeError) as error:
        if str(error).startswith(str(layer)):
            raise
        raise layer.error(str(error)) from error
    if len(layer.tops) > len(results):
        raise layer.error(f"expected one top, got {len(layer.tops)}: {', '.join(layer.tops)}")
    for top, result in zip(layer.tops, results, strict=False):
        context.blobs[top] = result


def _merge_scales(context: Context, network: CaffeNetwork) -> None:
    """Find the Scale layers that a batch normalisation takes over: the only readers of its result."""
    for place, norm in enumerate(network.layers):
        if norm.type != "BatchNorm" or len(norm.tops) != 1:
            continue
        readers = []
        for layer in network.layers[place + 1 :]:
            if norm.tops[0] in layer.bottoms:
                readers.append(layer)
            if norm.tops[0] in layer.tops:
                break
        if len(readers) == 1 and norms.takes_over(norm, readers[0]):
            context.scale_of[id(norm)] = readers[0]
            context.merged.add(id(readers[0]))


def _make_inputs(
    context: Context, network: CaffeNetwork, weights: Blobs | None, input_shape: InputShape
) -> list[Tensor]:
    """Inputs for all blobs that converted layers read and no layer makes."""
    used = {
        bottom
        for layer in network.layers
        if layer.type in _CONVERSIONS
        for bottom in (layer.bottoms[:1] if layer.type in LOSSES else layer.bottoms)
    }
    declared: dict[str, Any] = dict(network.inputs)
    sources: dict[str, CaffeLayer] = {}
    for layer in network.layers:
        for number, top in enumerate(layer.tops if layer.type in DATA_TYPES else ()):
            sources[top] = layer
            if top in used:
                declared[top] = data_shape(layer, number, network, weights)
    needed = [name for name in declared if name in used]
    if not needed:
        raise ValueError(f"{network.path}: no inputs were found that a layer reads")
    given = given_shapes(input_shape, needed)
    context.reserve([layer.name for layer in network.layers if layer.name in needed])
    for name in needed:
        declared_shape = declared[name]
        if name not in given and declared_shape is None:
            where = str(sources[name]) if name in sources else network.path
            raise ValueError(f"{where}: the shape of {name!r} is not known: pass input_shape")
        if declared_shape:
            context.batches.add(declared_shape[0])
        context.blobs[name] = Input(given.get(name) or declared_shape[1:], name=name)
    return [context.blobs[name] for name in needed]


def _outputs(network: CaffeNetwork, context: Context) -> list[Tensor]:
    """The blobs that no converted layer reads after they were made, in their order."""
    unread: dict[str, None] = {}
    for layer in network.layers:
        if layer.type in _CONVERSIONS:
            for bottom in layer.bottoms:
                unread.pop(bottom, None)
            unread.update(dict.fromkeys(layer.tops))
    return list(dict.fromkeys(context.blobs[name] for name in unread))


def _warn_of_others(weights: Blobs | None, names: Sequence[str], path: str) -> None:
    others = [name for name in weights or {} if name not in names]
    if others:
        warn_user(f"{path} has weights of layers that the network has not: {', '.join(others)}")
