"""Two-dimensional max and average pooling of [N, H, W, C], and their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, shape_text
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Cut, Op, Part, Sample, parts
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.movement import dense
from symgraph.graph.ops.shape import reshape
from symgraph.graph.ops.sizes import known, size_tensor
from symgraph.graph.ops.window import (
    Padding,
    Pair,
    as_padding,
    as_pair,
    border,
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
from symgraph.graph.types import FLOATS, TensorType, TupleType
from symgraph.kernels.pool import (
    average_pool2d_gradient_rows,
    average_pool2d_rows,
    index_dtype,
    max_pool2d_gradient_rows,
    max_pool2d_rows,
)
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

_ONE = (1, 1)


@dataclass(frozen=True)
class _Pool(Op):
    """What the ops share: windows of `pool` pixels, `strides` apart."""

    pool: Pair
    strides: Pair
    padding: Padding = "valid"

    def check(self, given: TensorType) -> None:
        """A float tensor of 4 dimensions."""
        if given.ndim != 4:
            raise ValueError(f"{self}: expected a tensor of 4 dimensions, got {given}")
        if given.dtype not in FLOATS:
            raise TypeError(f"{self}: expected floats, got {given.dtype}")
        if not isinstance(self.padding, str) and any(max(self.padding[a]) >= self.pool[a] for a in (0, 1)):
            raise ValueError(
                f"{self}: expected padding {self.padding} to be smaller than the windows of {self.pool}"
            )

    def result_sizes(self, picture: Sequence[Dim]) -> tuple[Dim, Dim]:
        """Number of windows along both axes. ValueError where none fits."""
        sizes = [output_size(picture[a], self.pool[a], self.strides[a], self.padding, a) for a in (0, 1)]
        if any(isinstance(size, int) and size < 1 and self.padding != "same" for size in sizes):
            raise ValueError(
                f"{self}: windows of {self.pool[0]}x{self.pool[1]} with padding {self.padding} do not fit "
                f"into pictures of {picture[0]}x{picture[1]}"
            )
        return sizes[0], sizes[1]

    def picture_requirements(self, picture: Sequence[Dim]) -> Iterator[tuple[Dim, Dim]]:
        """Windows fit into pictures of a size that is not known yet."""
        for a in (0, 1):
            left, right = fits(picture[a], self.pool[a], self.padding, a)
            if left != right:
                yield left, right

    def pooled(self, source: TensorType) -> tuple[Dim, ...]:
        """[N, H', W', C]."""
        self.check(source)
        return (source.shape[0], *self.result_sizes(source.shape[1:3]), source.shape[3])

    def edges(self, picture: Sequence[int]) -> tuple[Pair, Pair]:
        """Padding around pictures whose size is known by now."""
        return borders(picture, self.pool, self.strides, self.padding)

    def options(self, picture: Sequence[int]) -> dict[str, Any]:
        """What kernels want to know."""
        return {"pool": self.pool, "strides": self.strides, "padding": self.edges(picture)}

    def pixels_read(self, x: Sequence[int], y: Sequence[int]) -> int:
        """Pixels in all windows, each as often as it is seen."""
        return (
            int(x[0]) * int(x[3]) * picture_taps(x[1:3], self.pool, self.strides, self.padding, _ONE, y[1:3])
        )

    def seen(self, x: np.ndarray, value: float) -> np.ndarray:
        """All windows of x: [N, H', W', C, positions], `value` where a window sees padding."""
        counts = [known(size) for size in self.result_sizes(x.shape[1:3])]
        wide = padded(x, self.edges(x.shape[1:3]), self.strides, value)
        found = [wide[:, r, c] for _, _, (r, c) in tap_slices(self.pool, counts, self.strides)]
        return np.stack(found, axis=-1)

    def scattered(self, terms: np.ndarray, picture: Sequence[int]) -> np.ndarray:
        """The transpose of `seen`: terms [N, H', W', C, positions] added up on the pixels that were seen."""
        samples, rows, columns, channels, _ = terms.shape
        edges = self.edges(picture)
        wide = padded(np.zeros((samples, *picture, channels)), edges, self.strides)
        for i, j, (r, c) in tap_slices(self.pool, (rows, columns), self.strides):
            wide[:, r, c] += terms[..., i * self.pool[1] + j]
        return wide[:, edges[0][0] : edges[0][0] + picture[0], edges[1][0] : edges[1][0] + picture[1]]

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By pictures."""
        return Cut((True,) * len(inputs))

    def parameters(self) -> tuple[Pair, Pair, Padding]:
        """The fields that the ops share."""
        return self.pool, self.strides, self.padding


@dataclass(frozen=True)
class MaxPool2DWithIndex(_Pool):
    """The largest pixel of each window and its position there, row by row; the first of equals; NaN wins."""

    def __str__(self) -> str:
        return "max_pool2d_with_index"

    @property
    def index_dtype(self) -> str:
        """uint8 where positions fit, else int32."""
        return index_dtype(self.pool).name

    def infer(self, *types: Any) -> TupleType:
        """Values and positions, both [N, H', W', C]."""
        (source,) = types
        shape = self.pooled(source)
        return TupleType((TensorType(source.dtype, shape), TensorType(self.index_dtype, shape)))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Windows fit."""
        return self.picture_requirements(types[0].shape[1:3])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """To the pixel at the position."""
        if grad[0] is None:
            return (None,)
        (x,) = inputs
        op = MaxPool2DGradient(*self.parameters(), x.shape[1], x.shape[2])
        return (op(grad[0], parts(output)[1]),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's argmax over all windows; padding never wins."""
        (x,) = arrays
        windows = self.seen(x, -np.inf)
        inside = self.seen(np.ones_like(x), 0.0) > 0
        index = windows.argmax(axis=-1)
        chosen = np.take_along_axis(inside, index[..., None], -1)[..., 0]
        index = np.where(chosen, index, inside.argmax(axis=-1))
        values = np.take_along_axis(windows, index[..., None], -1)[..., 0]
        return values, index.astype(self.index_dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A comparison for every pixel of a window but the first."""
        return self.pixels_read(inputs[0], outputs[0]) - int(np.prod(outputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        rows: list[Row] = []
        x = dense(inputs[0], rows, threads=threads, scratch=scratch)
        index = outputs[1] if len(outputs) > 1 else None
        options = self.options(x.shape[1:3])
        return rows + max_pool2d_rows(x, outputs[0], index, **options, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`; ties, NaN and -inf too."""
        for dtype, x, _, parameters in _cases():
            yield Sample(
                cls(*parameters), (_distinct(rng, x, dtype),), True, ((0, 0), (0, 1), (0, 2), (0, 3))
            )
        special = rng.integers(0, 3, (2, 5, 5, 3)).astype("float32")
        special[0, 2, 3, 1] = np.nan
        special[1] = -np.inf
        yield Sample(cls((3, 3), (2, 2), "same"), (special,), False)
        yield Sample(cls((16, 17), (2, 2), "valid"), (_distinct(rng, (1, 17, 19, 1), "float32"),), False)


@dataclass(frozen=True)
class MaxPool2D(_Pool):
    """The largest pixel of each window: `MaxPool2DWithIndex` where positions are not needed."""

    def __str__(self) -> str:
        return "max_pool2d"

    def infer(self, *types: Any) -> TensorType:
        """[N, H', W', C]."""
        return TensorType(types[0].dtype, self.pooled(types[0]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Windows fit."""
        return self.picture_requirements(types[0].shape[1:3])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """To the pixel at the position, which is found again."""
        (x,) = inputs
        again = MaxPool2DWithIndex(*self.parameters())(x)
        return (MaxPool2DGradient(*self.parameters(), x.shape[1], x.shape[2])(grad, parts(again)[1]),)

    def reference(self, *arrays: Any) -> Any:
        """The first part of the op with positions."""
        return MaxPool2DWithIndex(*self.parameters()).reference(*arrays)[0]

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A comparison for every pixel of a window but the first."""
        return MaxPool2DWithIndex(*self.parameters()).flops(inputs, outputs)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        return MaxPool2DWithIndex(*self.parameters()).rows(inputs, outputs, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Those of the op with positions."""
        for sample in MaxPool2DWithIndex.samples(rng):
            op = sample.op
            assert isinstance(op, MaxPool2DWithIndex)
            yield Sample(cls(*op.parameters()), sample.inputs, sample.smooth, sample.free)


@dataclass(frozen=True)
class _PoolGradient(_Pool):
    """A gradient of pooling: pictures of a given size."""

    height: Dim = 0
    width: Dim = 0

    def picture_type(self, grad: TensorType) -> TensorType:
        """[N, H, W, C] for a gradient [N, H', W', C]."""
        self.check(grad)
        for given, size in zip(grad.shape[1:3], self.result_sizes((self.height, self.width)), strict=True):
            if isinstance(given, int) and isinstance(size, int) and given != size:
                raise ValueError(
                    f"{self}: expected a gradient of {size} windows for pictures of "
                    f"{self.height}x{self.width}, got shape {shape_text(grad.shape)}"
                )
        return TensorType(grad.dtype, (grad.shape[0], self.height, self.width, grad.shape[3]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """As many windows as gradients, for every input."""
        wanted = self.result_sizes((self.height, self.width))
        for given in types:
            yield from ((a, b) for a, b in zip(given.shape[1:3], wanted, strict=True) if a != b)
        yield from self.picture_requirements((self.height, self.width))


@dataclass(frozen=True)
class MaxPool2DGradient(_PoolGradient):
    """Gradients added to the pixels whose positions in the windows are given."""

    def __str__(self) -> str:
        return "max_pool2d_gradient"

    def infer(self, *types: Any) -> TensorType:
        """[N, H, W, C]."""
        grad, index = types
        expected = MaxPool2DWithIndex(*self.parameters()).index_dtype
        if index.dtype != expected or index.ndim != grad.ndim:
            raise TypeError(
                f"{self}: expected positions of type {expected}{shape_text(grad.shape)}, got {index}"
            )
        return self.picture_type(grad)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The pixels of `grad` at the positions."""
        return self.taken(grad, inputs[1]), None

    def taken(self, x: Tensor, index: Tensor) -> Tensor:
        """The pixel of `x` at position `index` of each window."""
        samples, height, width, channels = x.shape
        _, rows, columns, _ = index.shape
        position = cast(index, "int64")
        row = _first_pixels(self, 0, height, rows, 1) + position // self.pool[1]
        column = _first_pixels(self, 1, width, columns, 0) + position % self.pool[1]
        flat = reshape(row * size_tensor(width) + column, (samples, rows * columns, channels))
        found = call("take_along_axis", reshape(x, (samples, height * width, channels)), flat, 1)
        return reshape(found, index.shape)

    def reference(self, *arrays: Any) -> Any:
        """Each gradient at its position, zero at the other ones."""
        grad, index = arrays
        positions = np.arange(self.pool[0] * self.pool[1])
        terms = np.where(index[..., None] == positions, grad[..., None].astype(np.float64), 0.0)
        return self.scattered(terms, (known(self.height), known(self.width))).astype(grad.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """An add per window."""
        return int(np.prod(inputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        rows: list[Row] = []
        grad, index = (dense(b, rows, threads=threads, scratch=scratch) for b in inputs)
        options = self.options(outputs[0].shape[1:3])
        return rows + max_pool2d_gradient_rows(
            grad, index, outputs[0], **options, threads=threads, scratch=scratch
        )

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`."""
        for dtype, x, y, parameters in _cases():
            _, index = MaxPool2DWithIndex(*parameters).reference(rng.standard_normal(x))
            grad = rng.standard_normal(y).astype(dtype)
            yield Sample(cls(*parameters, x[1], x[2]), (grad, index), True)


def _first_pixels(op: _Pool, axis: int, size: Dim, count: Dim, trailing: int) -> Tensor:
    """The row (column) of the first pixel of every window, shaped to broadcast over [N, H', W', C]."""
    before, _ = border(size, op.pool[axis], op.strides[axis], op.padding, axis)
    places = arange(count, dtype="int64") * op.strides[axis] - size_tensor(before)
    return reshape(places, (count, *(1,) * (trailing + 1)))


@dataclass(frozen=True)
class AveragePool2D(_Pool):
    """The mean of the pixels in each window; padding does not count (TensorFlow's rule)."""

    def __str__(self) -> str:
        return "average_pool2d"

    def infer(self, *types: Any) -> TensorType:
        """[N, H', W', C]."""
        return TensorType(types[0].dtype, self.pooled(types[0]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Windows fit."""
        return self.picture_requirements(types[0].shape[1:3])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """An equal share to every pixel of a window."""
        (x,) = inputs
        return (AveragePool2DGradient(*self.parameters(), x.shape[1], x.shape[2])(grad),)

    def reference(self, *arrays: Any) -> Any:
        """Sum of the pixels over their number, in float64."""
        (x,) = arrays
        inside = self.seen(np.ones(x.shape), 0.0).sum(-1)
        with np.errstate(all="ignore"):
            return (self.seen(x.astype(np.float64), 0.0).sum(-1) / inside).astype(x.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """An add for every pixel of a window but the first, and a division."""
        return self.pixels_read(inputs[0], outputs[0])

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        rows: list[Row] = []
        x = dense(inputs[0], rows, threads=threads, scratch=scratch)
        options = self.options(x.shape[1:3])
        return rows + average_pool2d_rows(x, outputs[0], **options, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`."""
        for dtype, x, _, parameters in _cases():
            pictures = rng.standard_normal(x).astype(dtype)
            yield Sample(cls(*parameters), (pictures,), True, ((0, 0), (0, 1), (0, 2), (0, 3)))


@dataclass(frozen=True)
class AveragePool2DGradient(_PoolGradient):
    """The gradient of each window in equal shares on its pixels."""

    def __str__(self) -> str:
        return "average_pool2d_gradient"

    def infer(self, *types: Any) -> TensorType:
        """[N, H, W, C]."""
        return self.picture_type(types[0])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Average pooling of `grad`."""
        return (AveragePool2D(*self.parameters())(grad),)

    def reference(self, *arrays: Any) -> Any:
        """Shares added up in float64."""
        (grad,) = arrays
        picture = known(self.height), known(self.width)
        inside = self.seen(np.ones((1, *picture, 1)), 0.0)
        with np.errstate(all="ignore"):
            share = inside / inside.sum(-1, keepdims=True)
            terms = grad[..., None].astype(np.float64) * share
        return self.scattered(terms, picture).astype(grad.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A division per window, and an add for every pixel in it."""
        return int(np.prod(inputs[0], dtype=object)) + self.pixels_read(outputs[0], inputs[0])

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        rows: list[Row] = []
        grad = dense(inputs[0], rows, threads=threads, scratch=scratch)
        options = self.options(outputs[0].shape[1:3])
        return rows + average_pool2d_gradient_rows(
            grad, outputs[0], **options, threads=threads, scratch=scratch
        )

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """See `_cases`."""
        for dtype, x, y, parameters in _cases():
            yield Sample(cls(*parameters, x[1], x[2]), (rng.standard_normal(y).astype(dtype),))


def _distinct(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers that are far apart, so that a small step changes no maximum."""
    size = int(np.prod(shape))
    return (rng.permutation(size).reshape(shape) * 0.1 - size * 0.05).astype(dtype)


def _cases() -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...], tuple[Pair, Pair, Padding]]]:
    """(dtype, shapes of x and y, parameters): windows side by side, overlapping, padded; no pictures."""
    cases: list[tuple[tuple[int, ...], tuple[Pair, Pair, Padding]]] = [
        ((2, 4, 6, 3), ((2, 2), (2, 2), "valid")),
        ((1, 7, 5, 2), ((3, 3), (2, 2), "same")),
        ((2, 6, 5, 1), ((3, 2), (1, 1), "valid")),
        ((1, 7, 7, 17), ((2, 3), (3, 2), "same")),
        ((1, 5, 5, 2), ((3, 3), (2, 2), ((1, 1), (2, 0)))),
        ((0, 4, 4, 2), ((2, 2), (2, 2), "valid")),
        ((2, 1, 3, 2), ((2, 2), (2, 2), "same")),
    ]
    for x, parameters in cases:
        pool, strides, padding = parameters
        rows, columns = (known(output_size(x[a + 1], pool[a], strides[a], padding, a)) for a in (0, 1))
        for dtype in FLOATS:
            yield dtype, x, (x[0], rows, columns, x[3]), parameters


def _pool_arguments(
    what: str, x: Any, pool: Any, strides: Any, padding: Any
) -> tuple[Tensor, tuple[Pair, Pair, Padding]]:
    x = as_tensor(x)
    if x.ndim != 4:
        raise ValueError(f"{what}: expected a tensor of 4 dimensions, got {x.type}")
    size = as_pair(pool, f"{what} pool size")
    steps = size if strides is None else as_pair(strides, f"{what} strides")
    return x, (size, steps, as_padding(padding, what))


def max_pool2d(
    x: Any, pool: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Tensor:
    """The largest pixel of each window of [N, H, W, C] or [N, C, H, W]; strides default to the pool size."""
    layout = checked_format(data_format)
    source, options = _pool_arguments("max_pool2d", x, pool, strides, padding)
    both = MaxPool2DWithIndex(*options)(channels_last(source, layout))
    return channels_as_given(Part(0)(both), layout)


def average_pool2d(
    x: Any, pool: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window of [N, H, W, C] or [N, C, H, W]; strides default to the pool size."""
    layout = checked_format(data_format)
    source, options = _pool_arguments("average_pool2d", x, pool, strides, padding)
    return channels_as_given(AveragePool2D(*options)(channels_last(source, layout)), layout)
