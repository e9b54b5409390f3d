"""What a tensor has no answer to before its graph runs (truth, being a number ...), and numpy's calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from symgraph.graph.dispatch import namespace


def brief(value: Any) -> str:
    """How errors show what is no tensor: an array by its shape, all else by its first letters."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


class Symbolic:
    """A node whose value is known only when the graph runs; errors of Python and numpy name alternatives."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """``np.exp(tensor)`` and ``array + tensor`` write nodes: functions of `symgraph.numpy`."""
        name = f"np.{ufunc.__name__}"
        if method != "__call__":
            self._refuse(f"{name}.{method}")
        if options.get("out") is not None:
            raise TypeError(f"{self!r} is symbolic and {name} cannot store it in an array; leave `out` out")
        return self._called(name, ufunc.__name__, namespace(), inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, options: dict[str, Any]
    ) -> Any:
        """``np.concatenate([tensor, array])`` writes a node: that of `symgraph.numpy.concatenate`."""
        home = namespace()
        full = f"{function.__module__}.{function.__name__}"
        for room in ("linalg", "fft"):
            if full.startswith(f"numpy.{room}."):
                home = getattr(home, room)
        return self._called(full.replace("numpy.", "np.", 1), function.__name__, home, arguments, options)

    def _called(self, name: str, short: str, home: Any, arguments: Any, options: dict[str, Any]) -> Any:
        function = getattr(home, short, None)
        if not inspect.isfunction(function):
            self._refuse(name)
        # What numpy's functions are told without an effect here.
        given = {k: v for k, v in options.items() if v is not np._NoValue}
        signature = inspect.signature(function)
        try:
            signature.bind(*arguments, **given)
        except TypeError as error:
            plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
            shown = signature.replace(parameters=plain, return_annotation=signature.empty)
            raise TypeError(
                f"{self!r} is symbolic: symgraph.numpy.{short}{shown} cannot be called as {name} was: {error}"
            ) from None
        return function(*arguments, **given)

    def _refuse(self, name: str) -> NoReturn:
        raise TypeError(
            f"{self!r} is symbolic and cannot be given to {name}; use functions of symgraph.numpy or K, or "
            "eval() it"
        )

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"{self!r} is symbolic and cannot be iterated, unpacked or searched with `in`; take x[0], x[1], "
            "..., or use K.map_fn"
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is symbolic and has no truth value; use K.switch, or eval() it")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            f"{self!r} is symbolic and cannot be made an array of numpy; use functions of symgraph.numpy or "
            "K (K.stack for [x, y]), or eval() it"
        )

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
