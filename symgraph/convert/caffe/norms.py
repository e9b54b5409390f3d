"""Normalisation: of responses, of batches, and the factors that follow."""

from __future__ import annotations

from symgraph import layers as L
from symgraph.convert.builder import channels, sizes
from symgraph.convert.caffe.context import Context
from symgraph.convert.caffe.network import CaffeLayer, Parameters
from symgraph.graph.tensor import Tensor

_FILLERS = ("filler", "bias_filler")


def lrn(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Of channels, or of pixels, where Caffe has no k."""
    x = context.picture(layer)
    given = layer.parameters("lrn_param", ("local_size", "alpha", "beta", "norm_region", "k"), ("engine",))
    size = given.integer("local_size", 5, least=1)
    if size % 2 == 0:
        raise layer.error(f"lrn_param: expected an odd local_size, got {size}")
    region = given.choice("norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL"), "ACROSS_CHANNELS")
    across = region == "ACROSS_CHANNELS"
    return [
        context.place(
            L.LocalResponseNormalization, layer, x, size=size, alpha=given.number("alpha", 1.0),
            beta=given.number("beta", 0.75), bias=given.number("k", 1.0) if across else 1.0,
            region="channels" if across else "pixels", data_format="channels_first",
        )
    ]  # fmt: skip


def batch_norm(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """(x - mean) / sqrt(variance + eps), and the factors of a Scale layer behind it.

    Caffe stores sums: mean and variance are to be divided by the third blob.
    """
    x = context.only_input(layer)
    given = layer.parameters("batch_norm_param", ("use_global_stats", "eps", "moving_average_fraction"))
    if not given.flag("use_global_stats", True):
        raise layer.error(
            "batch_norm_param { use_global_stats: false } normalises by the batch in the test phase, too: "
            "it cannot be converted"
        )
    size = channels(x)
    arrays = context.arrays(layer, (size,), (size,), (1,))
    if arrays:
        mean, variance, factor = arrays
        inverse = 0.0 if factor[0] == 0 else 1 / factor[0]
        arrays = [mean * inverse, variance * inverse]
    scale = context.scale_of.get(id(layer))
    if scale is not None:
        center = _scale_parameters(scale).flag("bias_term", False)
        factors = context.arrays(scale, (size,), *([(size,)] if center else []))
        arrays = [*factors, *arrays] if arrays and factors else None
    return [
        context.place(
            L.BatchNormalization, layer, x, arrays, axis=1 if x.ndim > 2 else -1,
            momentum=given.number("moving_average_fraction", 0.999), epsilon=given.number("eps", 1e-5),
            scale=scale is not None, center=scale is not None and center,
        )
    ]  # fmt: skip


def _scale_parameters(layer: CaffeLayer) -> Parameters:
    return layer.parameters("scale_param", ("axis", "num_axes", "bias_term"), _FILLERS)


def takes_over(norm: CaffeLayer, scale: CaffeLayer) -> bool:
    """Whether a Scale layer does what the factors of a batch normalisation do: learned, for each channel."""
    if norm.type != "BatchNorm" or scale.type != "Scale" or len(scale.bottoms) != 1:
        return False
    given = _scale_parameters(scale)
    return given.integer("axis", 1) == 1 and given.integer("num_axes", 1) == 1


def scale(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Learned factors, with shifts if asked for, or a product of two blobs of one shape."""
    given = _scale_parameters(layer)
    if len(layer.bottoms) == 2:
        return [_beside(context, layer, L.Multiply, given.integer("axis", 1), given.flag("bias_term", False))]
    x = context.only_input(layer)
    if id(layer) in context.merged:
        return [x]
    axes = _axes(context, layer, x, given.integer("axis", 1), given.integer("num_axes", 1))
    center, shape = given.flag("bias_term", False), _shape(layer, x, axes)
    arrays = context.arrays(layer, shape, *([shape] if center else []))
    return [context.place(L.Scale, layer, x, arrays, axis=axes, center=center)]


def bias(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Learned shifts, or a sum of two blobs of one shape."""
    given = layer.parameters("bias_param", ("axis", "num_axes"), _FILLERS)
    if len(layer.bottoms) == 2:
        return [_beside(context, layer, L.Add, given.integer("axis", 1), False)]
    x = context.only_input(layer)
    axes = _axes(context, layer, x, given.integer("axis", 1), given.integer("num_axes", 1))
    arrays = context.arrays(layer, _shape(layer, x, axes))
    return [context.place(L.Scale, layer, x, arrays, axis=axes, scale=False)]


def _axes(context: Context, layer: CaffeLayer, x: Tensor, first: int, count: int) -> list[int]:
    first = context.axis(layer, x, first)
    end = x.ndim if count == -1 else first + count
    if count < -1 or end > x.ndim:
        raise layer.error(f"{count} axes from axis {first} on do not suit a blob of shape {sizes(x)}")
    return list(range(first, end))


def _shape(layer: CaffeLayer, x: Tensor, axes: list[int]) -> tuple[int, ...]:
    known = [sizes(x)[axis] for axis in axes]
    if None in known:
        raise layer.error(f"expected known sizes along axes {axes}, got {sizes(x)}")
    return tuple(int(size) for size in known if size is not None)


def _beside(context: Context, layer: CaffeLayer, cls: type[L.Layer], axis: int, bias_term: bool) -> Tensor:
    """Two blobs; the second of the sizes of the first from the samples on, as in squeeze and excitation."""
    x, factor = context.inputs(layer)
    if bias_term:
        raise layer.error("scale_param { bias_term: true } of two blobs cannot be converted")
    if axis != 0 or sizes(factor)[1:] != sizes(x)[1 : factor.ndim]:
        raise layer.error(
            f"expected axis 0 and a second blob of the first sizes of the first one, got axis {axis}, "
            f"{sizes(x)} and {sizes(factor)}"
        )
    if factor.ndim < x.ndim:
        target = tuple(-1 if s is None else s for s in sizes(factor)[1:]) + (1,) * (x.ndim - factor.ndim)
        factor = context.apply(L.Reshape, context.unique(f"{layer.name}_beside"), factor, target_shape=target)
    return context.place(cls, layer, [x, factor])
