"""What the tests of `symgraph.numpy` walk: calls that are written once, for tensors and for arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[..., Any]
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float32", "float64")
NUMBERS = (*INTEGERS, *FLOATS)
DTYPES = ("bool", *NUMBERS)

# The standard's functions of one and of two tensors, and the dtypes that it defines them for.
UNARY: dict[str, tuple[str, ...]] = {
    name: dtypes
    for dtypes, names in (
        (FLOATS, (
            "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log", "log10",
            "log1p", "log2", "reciprocal", "signbit", "sin", "sinh", "sqrt", "tan", "tanh",
        )),
        (NUMBERS, (
            "abs", "ceil", "floor", "isfinite", "isinf", "isnan", "negative", "positive", "round", "sign",
            "square", "trunc",
        )),
        (("bool", *INTEGERS), ("bitwise_invert",)),
        (("bool",), ("logical_not",)),
    )
    for name in names
}  # fmt: skip
BINARY: dict[str, tuple[str, ...]] = {
    name: dtypes
    for dtypes, names in (
        (NUMBERS, (
            "add", "floor_divide", "multiply", "pow", "remainder", "subtract", "greater", "greater_equal",
            "less", "less_equal", "maximum", "minimum",
        )),
        (FLOATS, ("atan2", "copysign", "divide", "hypot", "logaddexp", "nextafter")),
        (("bool", *INTEGERS), ("bitwise_and", "bitwise_or", "bitwise_xor")),
        (INTEGERS, ("bitwise_left_shift", "bitwise_right_shift")),
        (("bool",), ("logical_and", "logical_or", "logical_xor")),
        (DTYPES, ("equal", "not_equal")),
    )
    for name in names
}  # fmt: skip


def special(dtype: str) -> np.ndarray:
    """Zeros of both signs, ones, limits, infinities and NaN, and ordinary numbers."""
    if dtype == "bool":
        return np.array([True, False])
    if dtype in FLOATS:
        ends = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, np.finfo(dtype).max, np.finfo(dtype).tiny]
        return np.array([*ends, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 100.25, 1e-3, -7.75], dtype)
    limits = np.iinfo(dtype)
    signed = [-1, -2, -7] if limits.min else []
    return np.array([0, 1, 2, 3, 7, 8, limits.max, limits.min, limits.max - 1, *signed], dtype)


def numbers(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Small numbers of a dtype, with ties."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype in FLOATS:
        return np.round(rng.uniform(-4, 4, shape), 1).astype(dtype)
    return rng.integers(0 if dtype.startswith("u") else -5, 7, shape).astype(dtype)


def falling(xp: Any, x: Any) -> Any:
    """The elements of each line in falling order, which numpy's sort has no name for."""
    return np.sort(x)[..., ::-1] if xp is np else xp.sort(x, descending=True)


def falling_places(xp: Any, x: Any, axis: int) -> Any:
    """Where they lie, equal ones in their order."""
    if xp is np:
        last = x.shape[axis] - 1
        return last - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    return xp.argsort(x, axis=axis, descending=True, stable=True)


# Of one tensor of three axes, of any dtype.
SHAPES: dict[str, Call] = {
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, *x.shape)),
    "concat": lambda xp, x: xp.concat([x, x], axis=1),
    "concat, flat": lambda xp, x: xp.concat((x, x[0, ...]), axis=None),
    "expand_dims": lambda xp, x: [xp.expand_dims(x, axis=a) for a in (0, 2, -1, -3)],
    "flip": lambda xp, x: [xp.flip(x), xp.flip(x, axis=1), xp.flip(x, axis=(0, -1))],
    "moveaxis": lambda xp, x: [xp.moveaxis(x, 0, -1), xp.moveaxis(x, (0, 1), (-1, 0))],
    "permute_dims": lambda xp, x: xp.permute_dims(x, (2, 0, 1)),
    "repeat": lambda xp, x: [xp.repeat(x, 2), xp.repeat(x, 3, axis=1)],
    "reshape": lambda xp, x: [xp.reshape(x, (4, 3, -1)), xp.reshape(x, (-1,))],
    "roll": lambda xp, x: [xp.roll(x, 2), xp.roll(x, -1, axis=1), xp.roll(x, (1, 5), axis=(0, 1))],
    "squeeze": lambda xp, x: xp.squeeze(xp.expand_dims(x, axis=0), axis=0),
    "stack": lambda xp, x: [xp.stack([x, x]), xp.stack([x, x], axis=-1)],
    "tile": lambda xp, x: [xp.tile(x, (2, 1, 2)), xp.tile(x, (2, 1, 1, 1)), xp.tile(x, (3,))],
    "unstack": lambda xp, x: list(xp.unstack(x, axis=1)),
    "broadcast_arrays": lambda xp, x: list(xp.broadcast_arrays(x, x[:, :1, :])),
    "meshgrid": lambda xp, x: [*xp.meshgrid(x[0, 0, :], x[1, 0, :]), *xp.meshgrid(x[0, 0, :], indexing="ij")],
    "tril": lambda xp, x: [xp.tril(x), xp.triu(x), xp.tril(x, k=1), xp.triu(x, k=-1)],
    "zeros_like": lambda xp, x: [xp.zeros_like(x), xp.ones_like(x), xp.full_like(x, 1)],
    "where": lambda xp, x: xp.where(xp.astype(x, xp.bool), x, xp.zeros_like(x)),
    "astype": lambda xp, x: [xp.astype(x, d) for d in (xp.bool, xp.float64)],
    "all": lambda xp, x: [xp.all(x), xp.all(x, axis=0), xp.any(x, axis=(0, 2), keepdims=True)],
    "count_nonzero": lambda xp, x: [xp.count_nonzero(x), xp.count_nonzero(x, axis=1)],
    "mT": lambda xp, x: xp.matrix_transpose(x),
}
# Of one tensor of numbers with three axes; the last need one element at least.
REDUCTIONS: dict[str, Call] = {
    "sum": lambda xp, x: [xp.sum(x), xp.sum(x, axis=1), xp.sum(x, axis=(0, -1), keepdims=True)],
    "sum, dtype": lambda xp, x: [xp.sum(x, axis=0, dtype=xp.float64), xp.sum(x, dtype=xp.int64)],
    "prod": lambda xp, x: [xp.prod(x), xp.prod(x, axis=(0, 1))],
    "cumulative_sum": lambda xp, x: [
        xp.cumulative_sum(x, axis=1), xp.cumulative_sum(x, axis=0, include_initial=True),
        xp.cumulative_sum(x[0, 0, :]), xp.cumulative_sum(x, axis=2, dtype=xp.float64),
    ],
    "cumulative_prod": lambda xp, x: [
        xp.cumulative_prod(x, axis=-1), xp.cumulative_prod(x, axis=1, include_initial=True),
    ],
    "diff": lambda xp, x: [
        xp.diff(x), xp.diff(x, axis=1, n=2), xp.diff(x, axis=0, prepend=x[:1, ...], append=x[:1, ...]),
    ],
    "sort": lambda xp, x: [xp.sort(x), xp.sort(x, axis=1), falling(xp, x)],
    "argsort": lambda xp, x: [
        xp.argsort(x, stable=True), falling_places(xp, x, 0),
    ],
}  # fmt: skip
OF_SOMETHING: dict[str, Call] = {
    "max": lambda xp, x: [xp.max(x), xp.max(x, axis=1), xp.min(x, axis=(0, 2), keepdims=True)],
    "argmax": lambda xp, x: [xp.argmax(x), xp.argmax(x, axis=1, keepdims=True), xp.argmin(x, axis=0)],
    "argmin": lambda xp, x: [xp.argmin(x, keepdims=True), xp.argmin(x, axis=-1)],
    "take": lambda xp, x: xp.take(x, xp.asarray([0, -1, 0]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1, stable=True), axis=1),
    "searchsorted": lambda xp, x: [
        xp.searchsorted(xp.sort(x[0, :, 0]), x), xp.searchsorted(xp.sort(x[0, :, 0]), x, side="right"),
    ],
    "matmul": lambda xp, x: [
        xp.matmul(x, xp.matrix_transpose(x)), xp.vecdot(x, x), xp.tensordot(x, x, axes=3),
    ],
    "clip": lambda xp, x: [xp.clip(x, 1, 3), xp.clip(x, min=2), xp.clip(x, max=3)],
}  # fmt: skip
OF_FLOATS: dict[str, Call] = {
    "mean": lambda xp, x: [xp.mean(x), xp.mean(x, axis=(0, 1)), xp.mean(x, axis=2, keepdims=True)],
    "var": lambda xp, x: [xp.var(x), xp.var(x, axis=1, correction=1), xp.var(x, axis=0, correction=0.5)],
    "std": lambda xp, x: [xp.std(x), xp.std(x, axis=(1, 2), correction=1, keepdims=True)],
    "clip": lambda xp, x: [xp.clip(x, -1.5, 2.5), xp.clip(x, x[:1, ...], None)],
}
