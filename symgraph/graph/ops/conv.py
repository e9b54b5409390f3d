"""Two-dimensional convolution and its two gradients, each differentiable by means of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from symgraph.graph.dims import Dim, product, quotient, shape_text
from symgraph.graph.op import Cut, Op, Sample
from symgraph.graph.ops.activation import (
    check_addend,
    check_vectors,
    epilogue_flops,
    epilogue_name,
    finished,
    kernel_epilogue,
)
from symgraph.graph.ops.elementwise import together, where
from symgraph.graph.ops.movement import dense
from symgraph.graph.ops.shape import expand_dims, reshape, squeeze
from symgraph.graph.ops.sizes import as_dim, known
from symgraph.graph.ops.window import (
    Padding,
    Pair,
    as_padding,
    as_pair,
    borders,
    channels_as_given,
    channels_last,
    checked_format,
    fits,
    output_size,
    padded,
    picture_taps,
    tap_slices,
)
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import FLOATS, TensorType
from symgraph.kernels.conv import conv2d_input_gradient_rows, conv2d_rows
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Convolution(Op):
    """What the three ops share: how windows lie, and in how many groups channels are convolved apart.

    x is [N, H, W, C], w is [kh, kw, C / groups, F], y is [N, H', W', F].
    """

    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation: Pair = (1, 1)
    groups: int = 1

    def check(self, *types: TensorType) -> None:
        """Two tensors of 4 dimensions and one float dtype."""
        for given in types:
            if given.ndim != 4:
                raise ValueError(
                    f"{self}: expected tensors of 4 dimensions, got {' and '.join(map(str, types))}"
                )
        if len({t.dtype for t in types}) > 1 or types[0].dtype not in FLOATS:
            raise TypeError(
                f"{self}: expected floats of one dtype, got {' and '.join(t.dtype for t in types)}"
            )

    def result_sizes(self, picture: Sequence[Dim], window: Sequence[Dim]) -> tuple[Dim, Dim]:
        """H' and W'. ValueError where a window does not fit."""
        sizes = [
            output_size(picture[a], window[a], self.strides[a], self.padding, a, self.dilation[a])
            for a in (0, 1)
        ]
        if any(isinstance(size, int) and size < 1 and self.padding != "same" for size in sizes):
            raise ValueError(
                f"{self}: a kernel of {window[0]}x{window[1]} with dilation {self.dilation} and padding "
                f"{self.padding} does not fit into a picture of {picture[0]}x{picture[1]}"
            )
        return sizes[0], sizes[1]

    def picture_requirements(
        self, picture: Sequence[Dim], window: Sequence[Dim]
    ) -> Iterator[tuple[Dim, Dim]]:
        """Windows fit into pictures of a size that is not known yet."""
        for a in (0, 1):
            left, right = fits(picture[a], window[a], self.padding, a, self.dilation[a])
            if left != right:
                yield left, right

    def options(self, picture: Sequence[int], window: Sequence[int]) -> dict[str, Any]:
        """What kernels want to know, for sizes that are known by now."""
        edges = borders(picture, window, self.strides, self.padding, self.dilation)
        return {"strides": self.strides, "padding": edges, "dilation": self.dilation, "groups": self.groups}

    def cost(self, x: Sequence[int], w: Sequence[int], y: Sequence[int]) -> int:
        """A multiply and an add for every tap that falls on a pixel."""
        taps = picture_taps(x[1:3], w[:2], self.strides, self.padding, self.dilation, y[1:3])
        return 2 * int(x[0]) * taps * int(w[2]) * int(w[3])

    def parameters(self) -> tuple[Pair, Padding, Pair, int]:
        """The fields that the three ops share."""
        return self.strides, self.padding, self.dilation, self.groups


@dataclass(frozen=True)
class Conv2D(_Convolution):
    """Cross-correlation, as neural networks call convolution; then, where fused, + bias and activation.

    In the place of the bias [F] there may be `steps`, as for `MatMul`, with their vectors [k, F]. Where a sum
    is fused that closes a residual block (`added`), the last input is of the result's type, and is added
    before the activation.
    """

    activation: str = "linear"
    steps: str = ""
    added: bool = False

    def __str__(self) -> str:
        return epilogue_name("conv2d", self.steps, self.activation, self.added)

    def vectors(self, inputs: Sequence[_T]) -> Sequence[_T]:
        """Of all inputs: the bias or the vectors of the steps, if there are any."""
        return inputs[2:-1] if self.added else inputs[2:]

    def infer(self, *types: Any) -> TensorType:
        """[N, H', W', F]."""
        x, w = types[:2]
        self.check(x, w)
        channels = w.shape[2] * self.groups
        if isinstance(channels, int) and isinstance(x.shape[3], int) and channels != x.shape[3]:
            raise ValueError(
                f"{self}: expected pictures of {channels} channels for a kernel of shape "
                f"{shape_text(w.shape)} in {self.groups} groups, got shape {shape_text(x.shape)}"
            )
        if isinstance(w.shape[3], int) and w.shape[3] % self.groups:
            raise ValueError(
                f"{self}: expected a number of filters divisible by {self.groups} groups, got {w.shape[3]}"
            )
        check_vectors(self, self.vectors(types), x, w.shape[3], self.steps)
        sizes = self.result_sizes(x.shape[1:3], w.shape[:2])
        result = TensorType(x.dtype, (x.shape[0], *sizes, w.shape[3]))
        if self.added:
            check_addend(self, types[-1], result)
        return result

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Channels agree, windows fit, and what is added has the result's shape."""
        x, w = types[:2]
        if self.added:
            result = self.infer(*types).shape
            yield from ((a, b) for a, b in zip(types[-1].shape, result, strict=True) if a != b)
        if x.shape[3] != w.shape[2] * self.groups:
            yield x.shape[3], w.shape[2] * self.groups
        yield from self.picture_requirements(x.shape[1:3], w.shape[:2])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The two gradient ops; a bias gets the sum over pictures and pixels."""
        x, w = inputs[:2]
        if self.activation == "relu" and not self.added:
            grad = where(output > 0, grad, 0)
        elif self.activation != "linear" or self.steps or self.added:
            raise NotImplementedError(f"{self}: activations are fused after differentiation")
        flows = [
            Conv2DInputGradient(*self.parameters(), x.shape[1], x.shape[2])(grad, w),
            Conv2DWeightGradient(*self.parameters(), w.shape[0], w.shape[1])(x, grad),
        ]
        return [*flows, call("sum", grad, (0, 1, 2))] if len(inputs) > 2 else flows

    def reference(self, *arrays: Any) -> Any:
        """One product per tap of the window, in float64."""
        x, w = (a.astype(np.float64) for a in arrays[:2])
        kh, kw, depth, filters = w.shape
        groups = self.groups
        rows, columns = self.result_sizes(x.shape[1:3], w.shape[:2])
        counts = known(rows), known(columns)
        y = np.zeros((len(x), *counts, groups, filters // groups))
        wide = padded(
            x, borders(x.shape[1:3], (kh, kw), self.strides, self.padding, self.dilation), self.strides
        )
        with np.errstate(all="ignore"):
            for i, j, (r, c) in tap_slices((kh, kw), counts, self.strides, self.dilation):
                seen = wide[:, r, c].reshape(*y.shape[:4], depth)
                y += np.einsum("nhwgi,igo->nhwgo", seen, w[i, j].reshape(depth, groups, -1))
            y = y.reshape(*y.shape[:3], filters)
            addend = arrays[-1] if self.added else None
            vectors = self.vectors(arrays)
            return finished(y, vectors, self.steps, self.activation, arrays[0].dtype, addend)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A multiply and an add per tap on a pixel; for each result one per step, addend and bound."""
        extra = epilogue_flops(len(inputs) - self.added, self.steps, self.activation) + self.added
        return self.cost(inputs[0], inputs[1], outputs[0]) + extra * int(np.prod(outputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """An implicit matrix product."""
        rows: list[Row] = []
        buffers = [dense(b, rows, threads=threads, scratch=scratch) for b in inputs]
        x, w = buffers[:2]
        vectors = self.vectors(buffers)
        return rows + conv2d_rows(
            x, w, outputs[0], **self.options(x.shape[1:3], w.shape[:2]), bias=vectors[0] if vectors else None,
            activation=kernel_epilogue(self.steps, self.activation),
            addend=buffers[-1] if self.added else None, threads=threads, scratch=scratch,
        )  # fmt: skip

    def overwritable(self, inputs: Sequence[Buffer]) -> Sequence[Buffer]:
        """What is added, where it is not convolved as well."""
        place = inputs[-1].base
        return inputs[-1:] if self.added and all(b.base != place for b in inputs[:-1]) else ()

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By pictures."""
        return Cut(tuple(i == 0 or (self.added and i == len(inputs) - 1) for i in range(len(inputs))))

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`; also with bias, addend and activation."""
        for dtype, x, w, y, parameters in _cases():
            arrays = (rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype))
            free = ((0, 0), (0, 1), (0, 2)) if 0 not in x else ()
            yield Sample(cls(*parameters), arrays, True, free)
            bias = rng.standard_normal(w[3:]).astype(dtype)
            yield Sample(cls(*parameters, "relu"), (*arrays, bias), False)
            yield Sample(cls(*parameters, "relu6"), (*arrays, bias + np.asarray(5, dtype)), False)
            vectors = rng.standard_normal((2, *w[3:])).astype(dtype)
            yield Sample(cls(*parameters, "linear", "*-"), (*arrays, vectors), False)
            addend = rng.standard_normal(y).astype(dtype)
            yield Sample(cls(*parameters, "linear", "", True), (*arrays, addend), False)
            yield Sample(cls(*parameters, "relu", "", True), (*arrays, bias, addend), False)
            yield Sample(cls(*parameters, "relu6", "*+", True), (*arrays, vectors, addend), False)


@dataclass(frozen=True)
class Conv2DInputGradient(_Convolution):
    """The gradient of `Conv2D` for its input: a transposed convolution to pictures of a given size.

    A third input, which a pass fuses, is a gate of the result's type: zeros where it is not positive.
    """

    height: Dim = 0
    width: Dim = 0

    def __str__(self) -> str:
        return "conv2d_input_gradient"

    def infer(self, *types: Any) -> TensorType:
        """[N, H, W, C] for y [N, H', W', F] and w [kh, kw, C / groups, F]."""
        y, w = types[:2]
        self.check(y, w)
        wanted = (*self.result_sizes((self.height, self.width), w.shape[:2]), w.shape[3])
        for given, size in zip(y.shape[1:], wanted, strict=True):
            if isinstance(given, int) and isinstance(size, int) and given != size:
                raise ValueError(
                    f"{self}: expected pictures of shape {shape_text(wanted)} for a result of "
                    f"{self.height}x{self.width} and a kernel of shape {shape_text(w.shape)}, "
                    f"got shape {shape_text(y.shape[1:])}"
                )
        return TensorType(y.dtype, (y.shape[0], self.height, self.width, w.shape[2] * self.groups))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """The convolution leads from H x W to H' x W'."""
        y, w = types[:2]
        wanted = (*self.result_sizes((self.height, self.width), w.shape[:2]), w.shape[3])
        yield from ((a, b) for a, b in zip(y.shape[1:], wanted, strict=True) if a != b)
        yield from self.picture_requirements((self.height, self.width), w.shape[:2])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """A convolution of `grad`, and the weight gradient with `grad` as the input."""
        y, w = inputs
        return (
            Conv2D(*self.parameters())(grad, w),
            Conv2DWeightGradient(*self.parameters(), w.shape[0], w.shape[1])(grad, y),
        )

    def reference(self, *arrays: Any) -> Any:
        """Every tap adds its product to the pixels that it read."""
        y, w = (a.astype(np.float64) for a in arrays[:2])
        kh, kw, depth, filters = w.shape
        picture = known(self.height), known(self.width)
        edges = borders(picture, (kh, kw), self.strides, self.padding, self.dilation)
        wide = padded(np.zeros((len(y), *picture, depth * self.groups)), edges, self.strides)
        grouped = y.reshape(*y.shape[:3], self.groups, filters // self.groups)
        with np.errstate(all="ignore"):
            for i, j, (r, c) in tap_slices((kh, kw), y.shape[1:3], self.strides, self.dilation):
                part = np.einsum("nhwgo,igo->nhwgi", grouped, w[i, j].reshape(depth, self.groups, -1))
                wide[:, r, c] += part.reshape(*y.shape[:3], depth * self.groups)
        inside = wide[:, edges[0][0] : edges[0][0] + picture[0], edges[1][0] : edges[1][0] + picture[1]]
        if len(arrays) > 2:
            inside = np.where(arrays[2] > 0, inside, 0)
        return inside.astype(arrays[0].dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """As many as forward, and a comparison per gated pixel."""
        gated = int(np.prod(outputs[0], dtype=object)) if len(inputs) > 2 else 0
        return self.cost(outputs[0], inputs[1], inputs[0]) + gated

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """An implicit matrix product with the kernel transposed."""
        rows: list[Row] = []
        y, w, *gate = (dense(b, rows, threads=threads, scratch=scratch) for b in inputs)
        options = self.options(outputs[0].shape[1:3], w.shape[:2])
        return rows + conv2d_input_gradient_rows(
            y, w, outputs[0], **options, gate=gate[0] if gate else None, threads=threads, scratch=scratch
        )

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By pictures; the weights stay whole."""
        return Cut((True, False) + (True,) * (len(inputs) - 2))

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`."""
        for dtype, x, w, y, parameters in _cases():
            arrays = (rng.standard_normal(y).astype(dtype), rng.standard_normal(w).astype(dtype))
            yield Sample(cls(*parameters, x[1], x[2]), arrays, True, ((0, 0),))
            gate = rng.standard_normal(x).astype(dtype)
            yield Sample(cls(*parameters, x[1], x[2]), (*arrays, gate), False)


@dataclass(frozen=True)
class Conv2DWeightGradient(_Convolution):
    """The gradient of `Conv2D` for its kernel, of a given height and width."""

    height: Dim = 0
    width: Dim = 0

    def __str__(self) -> str:
        return "conv2d_weight_gradient"

    def infer(self, *types: Any) -> TensorType:
        """[kh, kw, C / groups, F] for x [N, H, W, C] and y [N, H', W', F]."""
        x, y = types
        self.check(x, y)
        wanted = (x.shape[0], *self.result_sizes(x.shape[1:3], (self.height, self.width)))
        for given, size in zip(y.shape, wanted, strict=False):
            if isinstance(given, int) and isinstance(size, int) and given != size:
                raise ValueError(
                    f"{self}: expected gradients of shape {shape_text(wanted)} for pictures of shape "
                    f"{shape_text(x.shape)} and a kernel of {self.height}x{self.width}, "
                    f"got shape {shape_text(y.shape)}"
                )
        for size in (x.shape[3], y.shape[3]):
            if isinstance(size, int) and size % self.groups:
                raise ValueError(
                    f"{self}: expected channels divisible by {self.groups} groups, got {x} and {y}"
                )
        return TensorType(x.dtype, (self.height, self.width, quotient(x.shape[3], self.groups), y.shape[3]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """The convolution leads from x to y."""
        x, y = types
        wanted = (x.shape[0], *self.result_sizes(x.shape[1:3], (self.height, self.width)))
        yield from ((a, b) for a, b in zip(y.shape, wanted, strict=False) if a != b)
        yield from self.picture_requirements(x.shape[1:3], (self.height, self.width))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The input gradient and the convolution, with `grad` as the kernel."""
        x, y = inputs
        return (
            Conv2DInputGradient(*self.parameters(), x.shape[1], x.shape[2])(y, grad),
            Conv2D(*self.parameters())(x, grad),
        )

    def reference(self, *arrays: Any) -> Any:
        """Every tap is the product of what it read with the gradients."""
        x, y = (a.astype(np.float64) for a in arrays)
        window = known(self.height), known(self.width)
        depth = x.shape[3] // self.groups
        result = np.zeros((*window, depth, self.groups, y.shape[3] // self.groups))
        wide = padded(
            x, borders(x.shape[1:3], window, self.strides, self.padding, self.dilation), self.strides
        )
        grouped = y.reshape(*y.shape[:3], self.groups, y.shape[3] // self.groups)
        with np.errstate(all="ignore"):
            for i, j, (r, c) in tap_slices(window, y.shape[1:3], self.strides, self.dilation):
                seen = wide[:, r, c].reshape(*y.shape[:3], self.groups, depth)
                result[i, j] = np.einsum("nhwgi,nhwgo->igo", seen, grouped)
        return result.reshape(*window, depth, y.shape[3]).astype(arrays[0].dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """As many as forward."""
        return self.cost(inputs[0], outputs[0], inputs[1])

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """An implicit matrix product over pictures and pixels."""
        rows: list[Row] = []
        x, y = (dense(b, rows, threads=threads, scratch=scratch) for b in inputs)
        options = self.options(x.shape[1:3], outputs[0].shape[:2])
        return rows + conv2d_weight_gradient_rows(
            x, y, outputs[0], **options, threads=threads, scratch=scratch
        )

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By pictures, whose gradients are added up."""
        return Cut((True, True), added=True)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`."""
        for dtype, x, w, y, parameters in _cases():
            arrays = (rng.standard_normal(x).astype(dtype), rng.standard_normal(y).astype(dtype))
            yield Sample(cls(*parameters, w[0], w[1]), arrays, True, ((0, 0), (1, 0)))


_Case = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[Pair, Padding, Pair, int]]


def _cases() -> Iterator[_Case]:
    """(dtype, shapes of x, w and y, parameters): every option alone, depthwise, 1x1, no pictures."""
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[Pair, Padding, Pair, int]]] = [
        ((2, 5, 6, 3), (3, 3, 3, 4), ((1, 1), "valid", (1, 1), 1)),
        ((1, 7, 6, 2), (3, 2, 2, 5), ((2, 1), "same", (1, 1), 1)),
        ((2, 8, 7, 1), (3, 3, 1, 2), ((3, 2), "same", (1, 1), 1)),
        ((1, 9, 8, 2), (2, 3, 2, 2), ((1, 1), "same", (2, 3), 1)),
        ((2, 5, 5, 4), (3, 3, 2, 6), ((1, 1), ((2, 1), (0, 3)), (1, 1), 2)),
        ((1, 6, 6, 3), (3, 3, 1, 6), ((1, 1), "same", (1, 1), 3)),
        ((3, 4, 4, 5), (1, 1, 5, 7), ((1, 1), "valid", (1, 1), 1)),
        ((0, 4, 4, 2), (3, 3, 2, 3), ((1, 1), "valid", (1, 1), 1)),
        ((2, 1, 1, 2), (3, 3, 2, 2), ((2, 2), "same", (1, 1), 1)),
    ]
    for x, w, parameters in cases:
        strides, padding, dilation, _ = parameters
        sizes = [known(output_size(x[a + 1], w[a], strides[a], padding, a, dilation[a])) for a in (0, 1)]
        for dtype in FLOATS:
            yield dtype, x, w, (x[0], *sizes, w[3]), parameters


def conv2d(
    x: Any,
    w: Any,
    strides: Any = (1, 1),
    padding: Any = "valid",
    data_format: str | None = None,
    dilation: Any = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of pictures with a kernel [kh, kw, channels / groups, filters].

    Parameters
    ----------
    x : Tensor
        [N, H, W, C], or [N, C, H, W] where `data_format` is 'channels_first'.
    padding : 'valid', 'same' or ((top, bottom), (left, right))
    dilation : int or pair
        Distance of the taps.
    """
    x, w = together(x, w)
    layout = checked_format(data_format)
    _check_rank("conv2d", x, 4)
    op = Conv2D(as_pair(strides, "conv2d strides"), as_padding(padding, "conv2d"),
                as_pair(dilation, "conv2d dilation"), groups)  # fmt: skip
    return channels_as_given(op(channels_last(x, layout), w), layout)


def conv2d_transpose(
    x: Any,
    w: Any,
    output_shape: Sequence[Any],
    strides: Any = (1, 1),
    padding: Any = "valid",
    data_format: str | None = None,
    dilation: Any = (1, 1),
) -> Tensor:
    """The transpose of `conv2d` as a linear map (deconvolution); kernel [kh, kw, channels out, channels in].

    `output_shape` is the full shape of the result. Height and width of it are used: several sizes would do.
    """
    x, w = together(x, w)
    layout = checked_format(data_format)
    _check_rank("conv2d_transpose", x, 4)
    if len(output_shape) != 4:
        raise ValueError(f"conv2d_transpose: expected an output shape of 4 sizes, got {tuple(output_shape)}")
    height, width = output_shape[1:3] if layout == "channels_last" else output_shape[2:4]
    op = Conv2DInputGradient(
        as_pair(strides, "conv2d_transpose strides"), as_padding(padding, "conv2d_transpose"),
        as_pair(dilation, "conv2d_transpose dilation"), 1, as_dim(height, "conv2d_transpose"),
        as_dim(width, "conv2d_transpose"),
    )  # fmt: skip
    return channels_as_given(op(channels_last(x, layout), w), layout)


def depthwise_conv2d(
    x: Any,
    w: Any,
    strides: Any = (1, 1),
    padding: Any = "valid",
    data_format: str | None = None,
    dilation: Any = (1, 1),
) -> Tensor:
    """Every channel convolved on its own; kernel [kh, kw, channels, multiplier]."""
    x, w = together(x, w)
    _check_rank("depthwise_conv2d kernel", w, 4)
    channels = w.shape[2]
    if not isinstance(channels, int):
        raise ValueError(f"depthwise_conv2d: expected a kernel with a known number of channels, got {w.type}")
    flat = reshape(w, (w.shape[0], w.shape[1], 1, product(w.shape[2:])))
    return conv2d(x, flat, strides, padding, data_format, dilation, channels)


def separable_conv2d(
    x: Any,
    depthwise: Any,
    pointwise: Any,
    strides: Any = (1, 1),
    padding: Any = "valid",
    data_format: str | None = None,
    dilation: Any = (1, 1),
) -> Tensor:
    """A depthwise convolution, then one of 1x1 pixels that mixes the channels."""
    y = depthwise_conv2d(x, depthwise, strides, padding, data_format, dilation)
    return conv2d(y, pointwise, (1, 1), "valid", data_format)


def conv1d(
    x: Any,
    w: Any,
    stride: int = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation along time: x [N, T, C] (or [N, C, T]), kernel [k, C / groups, filters].

    Padding 'causal' puts all padding before the beginning, so that no output sees its future.
    """
    x, w = together(x, w)
    layout = checked_format(data_format)
    _check_rank("conv1d", x, 3)
    _check_rank("conv1d kernel", w, 3)
    if padding == "causal":
        if not isinstance(w.shape[0], int):
            raise ValueError(f"conv1d: expected a kernel of known length, got {w.type}")
        padding = ((0, 0), ((w.shape[0] - 1) * dilation, 0))
    axis = 1 if layout == "channels_last" else 2
    y = conv2d(expand_dims(x, axis), expand_dims(w, 0), (1, stride), padding, layout, (1, dilation), groups)
    return squeeze(y, axis)


def _check_rank(what: str, x: Tensor, ndim: int) -> None:
    if x.ndim != ndim:
        raise ValueError(f"{what}: expected a tensor of {ndim} dimensions, got {x.type}")
