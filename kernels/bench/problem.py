"""A kernel with operands to run on, and the checks of what problems are made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symgraph.kernels.conv_parts.geometry import Padding, Pair
from symgraph.kernels.run.machine import Row

Shape = Sequence[int]
FLOATS = ("float32", "float64")
MOST_NUMBERS = 1 << 32
"""In an operand: what is larger is a slip of the hand."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One kernel, ready to be planned and run.

    Attributes
    ----------
    kernel : str
        The family's name, or the function's.
    inputs, outputs : mapping of str to ndarray
        Operands by name: inputs of random numbers, outputs that runs write to.
    plan : callable
        ``plan(*buffers, threads=, scratch=)`` gives the rows for buffers of the inputs, then of the outputs.
    flops : int
        Floating-point operations of a run, counted as profiles do: one for each add, multiply, divide,
        comparison and function value of the direct algorithm, taps beside the picture left out.
    settings : mapping
        What was given besides shapes, where it is not the default: for headings.
    algorithms : bool
        Whether there are algorithms to choose from.
    blocks : bool
        Whether there is a block of registers to choose.
    """

    kernel: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    plan: Callable[..., list[Row]]
    flops: int
    settings: Mapping[str, object] = field(default_factory=dict)
    algorithms: bool = False
    blocks: bool = False

    @property
    def bytes(self) -> int:
        """Bytes of all operands, each once: what at least goes through memory where no cache holds it."""
        return sum(array.nbytes for array in (*self.inputs.values(), *self.outputs.values()))

    @property
    def dtype(self) -> str:
        """The last input's dtype."""
        return [*self.inputs.values()][-1].dtype.name


def checked_shape(name: str, shape: object, axes: str = "") -> tuple[int, ...]:
    """`shape` as a tuple of sizes; `axes` names those that there have to be, with commas."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    count = len(axes.split(", ")) if axes else 0
    expected = f"{count} sizes ({axes})" if axes else "a shape of at least one size"
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in sizes)
    if not sizes or not whole or (count and len(sizes) != count):
        raise ValueError(f"{name}: expected {expected}, got {shape!r}")
    if min(sizes) < 1:
        raise ValueError(f"{name}: expected sizes of at least 1, got {sizes}")
    if math.prod(map(int, sizes)) > MOST_NUMBERS:
        raise ValueError(f"{name}: expected at most {MOST_NUMBERS:,} numbers, got a shape of {sizes}")
    return tuple(int(n) for n in sizes)


def checked_pair(name: str, value: object) -> Pair:
    """Two whole numbers of at least 1, along height and width."""
    sizes = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(sizes) != 2 or not all(isinstance(n, (int, np.integer)) and n >= 1 for n in sizes):
        raise ValueError(f"{name}: expected two numbers of at least 1, along height and width, got {value!r}")
    return int(sizes[0]), int(sizes[1])


def checked_dtype(dtype: object, expected: Sequence[str] = FLOATS) -> np.dtype:
    """One of the `expected` dtypes."""
    try:
        found = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        found = None
    if found is None or found.name not in expected:
        named = dtype if found is None else found.name
        raise ValueError(f"dtype: expected {' or '.join(expected)}, got {named!r}")
    return np.dtype(found)


def checked_padding(padding: object, size: Pair, window: Pair, strides: Pair, dilation: Pair) -> Padding:
    """Pixels added at the edges: those of "valid" (none), "same", or ((top, bottom), (left, right))."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        lacks = [
            max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            for n, k, s, d in zip(size, window, strides, dilation, strict=True)
        ]
        return (lacks[0] // 2, lacks[0] - lacks[0] // 2), (lacks[1] // 2, lacks[1] - lacks[1] // 2)
    edges = np.array(padding) if isinstance(padding, (tuple, list)) else np.array(())
    if edges.shape != (2, 2) or edges.dtype.kind != "i" or edges.min() < 0:
        raise ValueError(
            f"padding: expected valid, same, or numbers of at least 0 as ((top, bottom), (left, right)), "
            f"got {padding!r}"
        )
    (top, bottom), (left, right) = edges.tolist()
    return (top, bottom), (left, right)


def random(shape: Sequence[int], dtype: np.dtype, seed: int = 0) -> np.ndarray:
    """Normally distributed numbers, the same in every run."""
    return np.random.default_rng(seed).standard_normal(shape, dtype)


def changed(given: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Those of the given settings that are not the defaults."""
    return {name: value for name, value in given.items() if value != defaults[name]}
