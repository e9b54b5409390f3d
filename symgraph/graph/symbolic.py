"""What a tensor has no answer to before its graph runs: truth, iteration, and being a number or an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

_SAME = (
    "all", "any", "argmax", "argmin", "clip", "concatenate", "cumprod", "cumsum", "dot", "expand_dims", "max",
    "mean", "min", "ndim", "ones_like", "prod", "reshape", "round", "shape", "squeeze", "stack", "std", "sum",
    "tile", "transpose", "var", "zeros_like",
)  # fmt: skip
_OTHERS = {
    "amax": "max", "amin": "min", "around": "round", "array_equal": "equal", "concat": "concatenate",
    "count_nonzero": "sum", "flip": "reverse", "permute_dims": "permute_dimensions", "ravel": "flatten",
    "repeat": "repeat_elements", "size": "shape", "take": "gather", "where": "switch",
}  # fmt: skip
#: The backend's functions for numpy's, by numpy's name.
NAMESAKES = {**{name: name for name in _SAME}, **_OTHERS}


def brief(value: Any) -> str:
    """How errors show what is no tensor: an array by its shape, all else by its first letters."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


class Symbolic:
    """A node whose value is known only when the graph runs; errors of Python and numpy name alternatives."""

    __slots__ = ()
    # numpy leaves mixed arithmetic to the operators of tensors instead of looping over elements.
    __array_ufunc__ = None

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"{self!r} is symbolic and cannot be iterated, unpacked or searched with `in`; take x[0], x[1], "
            "..., or use K.map_fn"
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is symbolic and has no truth value; use K.switch, or eval() it")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            f"{self!r} is symbolic and cannot be made an array of numpy; use functions of K (K.stack for "
            "[x, y]), or eval() it"
        )

    def __array_function__(self, function: Callable[..., Any], *ignored: Any) -> NoReturn:
        name = f"{function.__module__}.{function.__name__}".replace("numpy.", "np.", 1)
        found = NAMESAKES.get(name.removeprefix("np."))
        use = f"use K.{found}" if found else "use functions of K"
        raise TypeError(f"{self!r} is symbolic and cannot be given to {name}; {use}, or eval() it")

    def _no_number(self) -> TypeError:
        return TypeError(f"{self!r} is symbolic and is no number of Python; use K.cast, or eval() it")

    def __float__(self) -> float:
        raise self._no_number()

    def __int__(self) -> int:
        raise self._no_number()

    def __index__(self) -> int:
        raise self._no_number()

    def __complex__(self) -> complex:
        raise self._no_number()
