"""Python functions of tensors as Functions: written as a graph when called, once for each kind of data."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, update_wrapper
from types import MethodType
from typing import Any

import numpy as np

from symgraph.compiler.function import Function
from symgraph.compiler.run.variant import recent
from symgraph.globals import floatx
from symgraph.graph.leaves import as_tensor, placeholder
from symgraph.graph.structure import filled, kind_of, leaves
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, dtype_name, promote, working_dtype

_MOST_FUNCTIONS = 64
_ANYTHING = inspect.Signature(
    [
        inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("named", inspect.Parameter.VAR_KEYWORD),
    ]
)


@dataclass(frozen=True)
class _Fed:
    """An argument that is fed: an array of this dtype, with these sizes (None: any)."""

    dtype: str
    sizes: tuple[int | None, ...]


@dataclass(frozen=True)
class _Fixed:
    """An argument that is part of the graph; 1, 1.0 and True are different ones."""

    value: Any
    kind: type


@dataclass(frozen=True)
class _Written:
    """A Function, and the structure of its results, with None where there is none."""

    function: Function
    form: Any


class Jitted:
    """A Python function of tensors that becomes a Function when it is called: see `jit`."""

    def __init__(self, function: Callable[..., Any], static: Iterable[str], sizes: bool) -> None:
        self.name = getattr(function, "__name__", "jit")
        self._function = function
        self._sizes = sizes
        self._written: OrderedDict[Hashable, _Written] = OrderedDict()
        self._lock = threading.RLock()
        try:
            self._parameters = inspect.signature(function)
        except (TypeError, ValueError):  # written in C
            self._parameters = _ANYTHING
        self._static = frozenset(static)
        known = list(self._parameters.parameters)
        for name in self._static:
            if name not in known:
                raise ValueError(f"jit: static: {self.name} has no parameter {name!r}; it takes {known}")
        update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<jit {self.name}: {len(self._written)} Functions>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    @property
    def functions(self) -> list[Function]:
        """The Functions that were written so far, the one used last at the end."""
        return [written.function for written in self._written.values()]

    def compiled(self, *arguments: Any, **named: Any) -> Function:
        """The Function that a call with these arguments runs: to list, draw and profile it."""
        return self._prepared(arguments, named)[0].function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The results as arrays, in the structure that the function returns.

        Where an argument is or holds a tensor, the function is called as it is: it writes its graph there.
        """
        if any(isinstance(leaf, Tensor) for leaf in leaves([arguments, named])):
            return self._function(*arguments, **named)
        written, values = self._prepared(arguments, named)
        found = iter(written.function(*values))
        return filled(written.form, [None if t is None else next(found) for t in leaves(written.form)])

    def _prepared(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[_Written, list[Any]]:
        """What a call runs, and what it is fed with."""
        bound = self._parameters.bind(*arguments, **named)
        width = _float_width(leaves(bound.arguments))
        for name, value in bound.arguments.items():
            if name in self._static:
                bound.arguments[name] = _Fixed(value, type(value))
            elif self._parameters.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple([_as_arrays(item, width) for item in value])
            else:
                bound.arguments[name] = _as_arrays(value, width)
        given = leaves(bound.arguments)
        places = [place for name, value in bound.arguments.items() for place in _places(name, value)]
        kinds = [self._kind(*pair) for pair in zip(places, given, strict=True)]
        key = (tuple(kinds), kind_of(bound.arguments))
        with self._lock:
            written = recent(self._written, key)
            if written is None:
                written = self._written[key] = self._write(bound, kinds, places)
                while len(self._written) > _MOST_FUNCTIONS:
                    self._written.popitem(last=False)
        return written, [v for v, kind in zip(given, kinds, strict=True) if isinstance(kind, _Fed)]

    def _kind(self, place: str, value: Any) -> _Fed | _Fixed:
        """What an argument is known by. TypeError for one that can neither be fed nor told from others."""
        if isinstance(value, np.ndarray | np.generic):
            try:
                dtype = dtype_name(value.dtype)
            except TypeError as error:
                raise TypeError(f"{self.name}: argument {place}: {error}") from None
            # Only a size that is known to be 1 broadcasts.
            return _Fed(dtype, tuple(n if self._sizes or n == 1 else None for n in value.shape))
        fixed = value if isinstance(value, _Fixed) else _Fixed(value, type(value))
        try:
            hash(fixed)
        except TypeError:
            raise TypeError(
                f"{self.name}: argument {place}: expected arrays, numbers, lists, tuples and dicts of them, "
                f"or something hashable, got {brief(fixed.value)}"
            ) from None
        return fixed

    def _write(
        self, bound: inspect.BoundArguments, kinds: list[_Fed | _Fixed], places: list[str]
    ) -> _Written:
        """The graph for arguments of these kinds, as a Function."""
        inputs: list[Tensor] = []
        values: list[Any] = []
        for kind, place in zip(kinds, places, strict=True):
            if isinstance(kind, _Fed):
                inputs.append(placeholder(kind.sizes, dtype=kind.dtype, name=place))
                values.append(inputs[-1])
            else:
                values.append(kind.value)
        call = inspect.BoundArguments(self._parameters, OrderedDict(filled(bound.arguments, values)))
        form = self._function(*call.args, **call.kwargs)
        outputs = [None if leaf is None else self._result(leaf) for leaf in leaves(form)]
        function = Function(inputs, [t for t in outputs if t is not None], name=self.name)
        return _Written(function, filled(form, outputs))

    def _result(self, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, np.ndarray | np.generic | int | float):
            return as_tensor(value)
        raise TypeError(
            f"{self.name}: expected tensors, or lists, tuples and dicts of them, as result, "
            f"got {brief(value)}"
        )


def _float_width(given: Iterable[Any]) -> str:
    """The dtype of Python's floats: the widest that they meet, else `K.floatx()`."""
    kinds = [v.dtype.name for v in given if isinstance(v, np.ndarray | np.generic) and v.dtype.kind == "f"]
    known = [working_dtype(kind) for kind in kinds if working_dtype(kind) in DTYPES]
    return promote(*known) if known else working_dtype(floatx())


def _as_arrays(value: Any, width: str) -> Any:
    """`value` with numbers of Python, and lists of nothing else, as arrays; bools are flags."""
    if isinstance(value, Mapping):
        return {key: _as_arrays(item, width) for key, item in value.items()}
    if isinstance(value, list | tuple):
        numbers = leaves(value)
        if numbers and not hasattr(value, "_fields") and all(isinstance(n, int | float) for n in numbers):
            try:
                return _array_of(value, width)
            except ValueError:  # of different lengths, or with dicts between
                pass
        return filled(value, [_as_arrays(leaf, width) for leaf in numbers])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _array_of(value, width)
    return np.asarray(value) if hasattr(value, "__array__") else value


def _array_of(numbers: Any, width: str) -> np.ndarray:
    """Numbers of Python as an array: floats of `width`, integers of int32 where they fit."""
    array = np.asarray(numbers)
    if array.dtype.kind == "O":
        raise ValueError
    if array.dtype.kind == "f":
        return array.astype(width)
    fits = array.dtype.kind == "i" and np.array_equal(array, array.astype(np.int32))
    return array.astype(np.int32) if fits else array


def _places(name: str, value: Any) -> list[str]:
    """What errors and listings call the leaves of an argument: ``params.w``, ``layers[0]``."""
    if isinstance(value, Mapping):
        return [place for key, part in value.items() for place in _places(f"{name}.{key}", part)]
    if isinstance(value, list | tuple):
        return [place for n, part in enumerate(value) for place in _places(f"{name}[{n}]", part)]
    return [name]


def jit(
    function: Callable[..., Any] | None = None,
    *,
    static: str | Iterable[str] = (),
    sizes: bool = False,
) -> Any:
    """A Python function of tensors as a compiled function of arrays.

    It is called once for each kind of arguments, with placeholders, and writes a graph; that becomes a
    `Function`, which is run in this call and in all that follow with the same kind: dtypes, numbers of axes,
    which sizes are 1 (these broadcast), and what is no array. All other sizes may vary.

    Parameters
    ----------
    function : callable
        ``function(*arrays, **arrays) -> tensor``, or a list, tuple or dict of tensors, also nested, or None.
        Arguments are arrays, numbers, and lists, tuples and dicts of them. Lists of nothing but numbers are
        arrays; Python's floats take the dtype of the floats that they meet. Bools, texts, None and other
        objects are part of the graph and may decide what is written.
    static : str or sequence of str
        Parameters that are part of the graph though they are numbers or arrays: they are handed on as they
        are and have to be hashable.
    sizes : bool
        Whether there is a Function for each set of sizes, which are then known when the graph is written.

    Returns
    -------
    Jitted
        Called like `function`. Its `functions` are the Functions so far, ``compiled(*arguments)`` is the one
        for these arguments. Where an argument is a tensor, the function writes its graph in place.

    Raises
    ------
    TypeError
        When called: wrong arguments, a dtype or an object that cannot be fed, a result that is no tensor.

    Examples
    --------
    >>> @symgraph.jit
    ... def distance(a, b):
    ...     return K.sqrt(K.sum(K.square(a - b), axis=-1))
    >>> distance(np.zeros((4, 3)), np.ones(3))
    """
    if function is None:
        return partial(jit, static=static, sizes=sizes)
    if not callable(function):
        raise TypeError(f"jit: expected a function of tensors, got {brief(function)}")
    return Jitted(function, (static,) if isinstance(static, str) else static, sizes)
