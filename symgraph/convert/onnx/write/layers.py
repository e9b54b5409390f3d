"""Which writer a layer has; wrappers and models, which contain layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from symgraph import layers as L
from symgraph.convert.onnx.write import recurrent, shapes, values, windows
from symgraph.convert.onnx.write.call import Call, refusal
from symgraph.convert.onnx.write.graph import Graph, Size, Value
from symgraph.engine.layer.node import Node
from symgraph.engine.network import Network
from symgraph.engine.sequential import Sequential
from symgraph.engine.training import Model
from symgraph.utils.generic_utils import has_arg

_WRITERS: dict[type, Callable[[Call], list[Value]]] = {
    **dict.fromkeys(
        (L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D, L.GaussianNoise,
         L.GaussianDropout, L.AlphaDropout, L.ActivityRegularization), values.passed_on),
    **dict.fromkeys((L.Conv1D, L.Conv2D, L.Conv3D), windows.convolution),
    **dict.fromkeys((L.SeparableConv1D, L.SeparableConv2D), windows.separable),
    **dict.fromkeys((L.Conv2DTranspose, L.Conv3DTranspose), windows.transposed),
    **dict.fromkeys(
        (L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D, L.AveragePooling1D, L.AveragePooling2D,
         L.AveragePooling3D), windows.pooling),
    **dict.fromkeys((L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D), windows.global_max),
    **dict.fromkeys(
        (L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D), windows.global_mean),
    **dict.fromkeys((L.UpSampling1D, L.UpSampling2D, L.UpSampling3D), windows.up_sampling),
    **dict.fromkeys((L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D), shapes.zero_padding),
    **dict.fromkeys((L.Cropping1D, L.Cropping2D, L.Cropping3D), shapes.cropping),
    **dict.fromkeys(
        (L.Add, L.Average, L.Maximum, L.Minimum, L.Subtract, L.Multiply), shapes.merge),
    **dict.fromkeys((L.SimpleRNN, L.GRU, L.LSTM, L.CuDNNGRU, L.CuDNNLSTM), recurrent.recurrent),
    L.Activation: values.activation, L.BatchNormalization: values.batch_normalization,
    L.Bidirectional: recurrent.bidirectional, L.Concatenate: shapes.concatenate, L.Dense: values.dense,
    L.DepthwiseConv2D: windows.depthwise, L.Dot: shapes.dot, L.ELU: values.elu, L.Embedding: values.embedding,
    L.Flatten: shapes.flatten, L.LeakyReLU: values.leaky_relu,
    L.LocalResponseNormalization: windows.response_normalization, L.Masking: values.masking,
    L.PReLU: values.prelu, L.PaddedAveragePooling2D: windows.padded_mean,
    L.PaddedMaxPooling2D: windows.padded_max, L.Permute: shapes.permute, L.Power: values.power,
    L.ReLU: values.relu, L.RepeatVector: shapes.repeat_vector, L.Reshape: shapes.reshape,
    L.Scale: values.scale, L.ScaledAdd: shapes.scaled_add,
    L.Softmax: values.softmax, L.ThresholdedReLU: values.thresholded_relu,
}  # fmt: skip

_NETWORKS = (Model, Sequential, Network)


def write_layer(call: Call) -> list[Value]:
    """The nodes of one call of a layer; its outputs.

    Raises
    ------
    ValueError
        If the layer cannot be written.
    """
    kind, before = type(call.layer), call.graph.scope
    call.graph.scope = call.layer.name
    try:
        if kind in _NETWORKS:
            return write_network(call.graph, call.layer, call.inputs)
        if kind is L.TimeDistributed:
            return _time_distributed(call)
        # Subclasses may compute something else.
        if kind not in _WRITERS:
            raise call.error("there is no operator for it")
        return _WRITERS[kind](call)
    finally:
        call.graph.scope = before


def write_network(graph: Graph, network: Any, inputs: Sequence[Value]) -> list[Value]:
    """The nodes of all layers between inputs and outputs of a network; its outputs."""
    known = {id(tensor): value for tensor, value in zip(network.inputs, inputs, strict=True)}
    for node in _in_order(network):
        if all(id(tensor) in known for tensor in node.output_tensors):
            continue
        _check(node)
        found = tuple(known[id(tensor)] for tensor in node.input_tensors)
        output_shapes = tuple(tuple(shape) for shape in node.output_shapes)
        outputs = write_layer(Call(graph, node.outbound_layer, found, output_shapes))
        known.update((id(t), value) for t, value in zip(node.output_tensors, outputs, strict=True))
    return [known[id(tensor)] for tensor in network.outputs]


def _in_order(network: Any) -> Iterator[Node]:
    for depth in sorted(network._nodes_by_depth, reverse=True):
        yield from network._nodes_by_depth[depth]


def _check(node: Node) -> None:
    """ValueError for a call whose result depends on a mask, or on further arguments."""
    layer = node.outbound_layer
    arguments = {k: v for k, v in node.arguments.items() if v is not None and not (k == "training" and not v)}
    if arguments:
        raise refusal(layer, f"it was called with {', '.join(sorted(arguments))}")
    inner = layer.layer if type(layer) is L.TimeDistributed else layer
    if any(mask is not None for mask in node.input_masks) and has_arg(inner.call, "mask"):
        raise refusal(layer, "it reads a mask, of Masking or Embedding(mask_zero=True)")


def _time_distributed(call: Call) -> list[Value]:
    """Steps are samples for a while, but for layers that treat all axes before the last alike."""
    graph, layer, x = call.graph, call.layer, call.graph.plain(call.x)
    if type(layer.layer) in (L.Dense, L.Activation):
        return write_layer(Call(graph, layer.layer, (graph.unfolded(call.x),), call.shapes))
    inside: tuple[Size, ...] = call.x.shape[2:]
    if None in inside:
        raise call.error(f"sizes of a step are not known: {inside}")
    joined = graph.node("Reshape", [x, graph.integers([-1, *_known(inside)])])
    shape = tuple(layer.layer.compute_output_shape((None, *inside)))
    value = Value(joined, (None, *inside), call.x.dtype)
    (output,) = write_layer(Call(graph, layer.layer, (value,), (shape,)))
    if None in shape[1:]:
        raise call.error(f"sizes of a result are not known: {shape[1:]}")
    rest = graph.integers(_known(shape[1:]))
    sizes = graph.node("Slice", [graph.node("Shape", [x]), graph.integers([0]), graph.integers([2])])
    target = graph.node("Concat", [sizes, rest], axis=0)
    name = graph.node("Reshape", [graph.plain(output), target])
    return [Value(name, call.shape, output.dtype)]


def _known(sizes: Sequence[Size]) -> list[int]:
    return [size for size in sizes if size is not None]
