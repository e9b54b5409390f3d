"""Problems on arrays of any shape: matrix products, softmax, reductions, element-wise functions."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import numpy as np

from symgraph.kernels.bench.problem import Problem, Shape, changed, checked_dtype, checked_shape, random
from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.kernels.maths.functions import FUNCTIONS
from symgraph.kernels.matmul import matmul_rows
from symgraph.kernels.reduce import reduce_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.softmax import softmax_rows

REDUCTIONS = ("sum", "mean", "prod", "max", "min")
"""Kinds of reductions."""
ELEMENTWISE = tuple(sorted(name for name in FUNCTIONS if name != "cast"))
"""Element-wise functions."""
_TESTS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isinf")
_LOGICAL = ("logical_and", "logical_or", "logical_xor", "logical_not")
_OF_INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "left_shift", "right_shift")
# Not defined, or very steep, outside of 0 to 1.
_IN_PART = ("acos", "asin", "log", "log1p", "pow", "rsqrt", "sqrt")


def matmul(
    a: Shape,
    b: Shape,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    kept_b: bool = False,
    dtype: str = "float32",
) -> Problem:
    """A matrix product: ``out = a @ b``.

    Parameters
    ----------
    a : (..., M, K), or (..., K, M) with `transpose_a`
        As it lies in memory.
    b : (..., K, N), or (..., N, K) with `transpose_b`
        As it lies in memory. Batch axes are stretched by numpy's rules.
    kept_b : bool
        Pack b once, before the first run, as a Function does with weights that it does not change.
    dtype : {'float32', 'float64'}
    """
    shapes = {"a": checked_shape("a", a), "b": checked_shape("b", b)}
    for name, shape in shapes.items():
        if len(shape) < 2:
            raise ValueError(f"{name}: expected at least 2 sizes (..., rows, columns), got {shape}")
    left, right = (
        (*shape[:-2], shape[-1], shape[-2]) if turned else shape
        for shape, turned in zip(shapes.values(), (transpose_a, transpose_b), strict=True)
    )
    if left[-1] != right[-2]:
        raise ValueError(f"b: expected {left[-1]} rows for a product with {left}, got {right}")
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ValueError(f"b: expected batch axes like those of {left}, got {right}") from None
    kind = checked_dtype(dtype)
    out = (*batch, left[-2], right[-1])

    def plan(a: Buffer, b: Buffer, out: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
        a, b = (
            _turned(x, turned).broadcast((*batch, *size[-2:]))
            for x, turned, size in ((a, transpose_a, left), (b, transpose_b, right))
        )
        return matmul_rows(
            a, replace(b, room=scratch if kept_b else None), out, threads=threads, scratch=scratch
        )

    settings = {"transpose_a": transpose_a, "transpose_b": transpose_b, "kept_b": kept_b}
    return Problem(
        "matmul",
        {name: random(shape, kind, seed) for seed, (name, shape) in enumerate(shapes.items())},
        {"out": np.zeros(out, kind)},
        plan,
        2 * math.prod(out) * left[-1],
        {name: value for name, value in settings.items() if value},
        blocks=True,
    )


def _turned(x: Buffer, turned: bool) -> Buffer:
    """With the last two axes exchanged, where asked for."""
    rank = len(x.shape)
    return x.transpose((*range(rank - 2), rank - 1, rank - 2)) if turned else x


def softmax(x: Shape, *, axis: int = -1, log: bool = False, dtype: str = "float32") -> Problem:
    """``exp(x) / sum(exp(x))`` along an axis of x, of any shape; with `log` its logarithm.

    Parameters
    ----------
    dtype : {'float32', 'float64'}
    """
    x, kind = checked_shape("x", x), checked_dtype(dtype)
    (axis,) = _checked_axes((axis,) if isinstance(axis, int) else axis, len(x), 1)
    lines = math.prod(x) // x[axis]

    def plan(x: Buffer, out: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
        return softmax_rows(x, out, log=log, axis=axis, threads=threads, scratch=scratch)

    settings = changed({"axis": axis, "log": log}, {"axis": len(x) - 1, "log": False})
    flops = 5 * math.prod(x) - 2 * lines + (lines if log else 0)
    return Problem("softmax", {"x": random(x, kind)}, {"out": np.zeros(x, kind)}, plan, flops, settings)


def _checked_axes(axes: object, rank: int, count: int = 0) -> tuple[int, ...]:
    """Axes counted from 0; `count` of them if that is given."""
    found = tuple(axes) if isinstance(axes, (tuple, list)) else ()
    whole = all(isinstance(a, int) and -rank <= a < rank for a in found)
    if (
        not found
        or not whole
        or len({a % rank for a in found}) < len(found)
        or (count and len(found) != count)
    ):
        expected = "one axis" if count == 1 else "different axes"
        raise ValueError(f"axis: expected {expected} from {-rank} to {rank - 1}, got {axes!r}")
    return tuple(sorted(a % rank for a in found))


def reduction(
    x: Shape, *, kind: str = "sum", axis: int | tuple[int, ...] | None = None, dtype: str = "float32"
) -> Problem:
    """A reduction of x, of any shape, over some axes (all if not given).

    Parameters
    ----------
    kind : {'sum', 'mean', 'prod', 'max', 'min'}
    dtype : {'float32', 'float64'}
    """
    x, dtype_ = checked_shape("x", x), checked_dtype(dtype)
    if kind not in REDUCTIONS:
        raise ValueError(f"kind: expected one of {', '.join(REDUCTIONS)}, got {kind!r}")
    every = tuple(range(len(x)))
    axes = every if axis is None else _checked_axes((axis,) if isinstance(axis, int) else axis, len(x))
    kept = tuple(n for i, n in enumerate(x) if i not in axes)

    def plan(x: Buffer, out: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
        return reduce_rows(kind, (), 0, [x], out, axes, threads=threads, scratch=scratch)

    flops = math.prod(x) - (0 if kind == "mean" else math.prod(kept))
    inputs, outputs = {"x": random(x, dtype_)}, {"out": np.zeros(kept, dtype_)}
    return Problem(f"reduce_{kind}", inputs, outputs, plan, flops, changed({"axis": axes}, {"axis": every}))


def elementwise(
    name: str, x: Shape, y: Shape | None = None, z: Shape | None = None, *, dtype: str | None = None
) -> Problem:
    """A function of each element; its arguments x, y and z are stretched together by numpy's rules.

    Parameters
    ----------
    name : str
        One of `ELEMENTWISE`.
    x, y, z : shapes
        As many as the function has arguments; those not given are of x's shape. In ``where`` x is the bool.
    dtype : str, optional
        float32 (what it is if not given) or float64; int32 or int64 for functions of bits.
    """
    if name not in ELEMENTWISE:
        raise ValueError(f"name: expected one of {', '.join(ELEMENTWISE)}, got {name!r}")
    count = len(inspect.signature(FUNCTIONS[name].emit).parameters)
    for argument, shape in (("y", y), ("z", z))[count - 1 :]:
        if shape is not None:
            raise ValueError(f"{argument}: {name} has {count} argument(s), got {shape!r} for one more")
    given = (("x", x), ("y", x if y is None else y), ("z", x if z is None else z))
    shapes = {argument: checked_shape(argument, shape) for argument, shape in given[:count]}
    integers = name in _OF_INTEGERS
    allowed = ("int32", "int64") if integers else ("float32", "float64")
    kind = checked_dtype(dtype or allowed[0], allowed)
    try:
        out = np.broadcast_shapes(*shapes.values())
    except ValueError:
        got = " and ".join(map(str, shapes.values()))
        raise ValueError(f"y: expected shapes that can be stretched together, got {got}") from None
    result = np.dtype(bool) if name in _TESTS + _LOGICAL else kind
    program = (Instruction(name, tuple(range(count)), result.name),)

    def plan(*buffers: Buffer, threads: int, scratch: Scratch) -> list[Row]:
        inputs = [b.broadcast(out) for b in buffers[:-1]]
        return elementwise_rows(program, (count,), inputs, buffers[-1:], threads=threads, scratch=scratch)

    inputs = {a: _numbers(name, shape, kind, seed) for seed, (a, shape) in enumerate(shapes.items())}
    if name == "where":
        inputs["x"] = inputs["x"] > 0
    return Problem(name, inputs, {"out": np.zeros(out, result)}, plan, math.prod(out))


def _numbers(name: str, shape: tuple[int, ...], dtype: np.dtype, seed: int) -> np.ndarray:
    """Random numbers that the function is defined for."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "i":
        return rng.integers(0, 16, shape).astype(dtype)
    return rng.uniform(0.05, 0.95, shape).astype(dtype) if name in _IN_PART else random(shape, dtype, seed)
